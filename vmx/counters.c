/* SPDX-License-Identifier: MIT */
/*
 * The debug call: VMCALL with EAX = DEBUG_CALL_MAGIC. EBX = 1 prints what was
 * counted; EBX = 2 returns the VMREADs (RAX) and VMWRITEs (RDX) of the register
 * numbered ECX (enum reg); EBX = 3 returns in RAX the number ECX of struct
 * nested_counters. All are this CPU's. Anything else, and L1 outside VMX operation, see exit.c.
 * A Socle on another one asks it to print as well, after itself.
 */
#include "kernel/hw/vmx.h"
#include "kernel/log.h"
#include "kernel/percpu.h"
#include "kernel/print.h"
#include "vmx/event.h"
#include "vmx/exit.h"

enum { CALL_PRINT = 1, CALL_REGISTER = 2, CALL_NESTED = 3 };

/* `level N: ` before the lines of a Socle that is not the lowest */
static const char *level_prefix(void)
{
	static char text[16];

	if (cpuid_level())
		print_format(text, sizeof(text), "level %u: ", cpuid_level());
	return text;
}

static void print_cpus(void)
{
	for (u32 i = 0; i < percpu_count(); i++) {
		const struct vcpu *vcpu = percpu_get(i)->vcpu;

		if (!vcpu)
			continue;
		log_info("%scpu %u: VMX on, L1 %s VMX operation, %llu accesses to absent memory",
			 level_prefix(), i, vcpu->nested.vmxon ? "in" : "not in",
			 (unsigned long long)vcpu->window_accesses);
	}
}

struct line {
	char text[200];
	size_t used;
};

static void line_flush(struct line *line, const char *title)
{
	if (line->used)
		log_info("%sexits %s%s", level_prefix(), title, line->text);
	line->used = 0;
}

/* One level's exits, summed over the CPUs, only those that came; long lines are broken. */
static void print_level(const char *title, unsigned int level)
{
	struct line line = { .used = 0 };

	for (u32 reason = 0; reason < EXIT_REASON_COUNT; reason++) {
		u64 count = 0, reflected = 0;

		for (u32 i = 0; i < percpu_count(); i++) {
			const struct vcpu *vcpu = percpu_get(i)->vcpu;

			if (!vcpu)
				continue;
			count += level == 1 ? vcpu->exits_l1[reason] : vcpu->exits_l2[reason];
			reflected += level == 1 ? 0 : vcpu->exits_reflected[reason];
		}
		if (!count)
			continue;
		if (line.used > sizeof(line.text) - 60)
			line_flush(&line, title);
		line.used += print_format(line.text + line.used, sizeof(line.text) - line.used, " %s=%llu",
					  exit_reason_name(reason), (unsigned long long)count);
		if (level == 2)
			line.used += print_format(line.text + line.used, sizeof(line.text) - line.used,
						  "(%llu)", (unsigned long long)reflected);
	}
	line_flush(&line, title);
}

/* All of them are numbers of 64 bits: tests know them by their order. */
static u64 nested_counter(const struct vcpu *vcpu, u32 index)
{
	const u64 *counters = (const u64 *)&vcpu->nested.counters;

	return index < sizeof(vcpu->nested.counters) / sizeof(*counters) ? counters[index] : ~0ull;
}

enum action debug_call(struct vcpu *vcpu)
{
	u32 reg = (u32)vcpu->gpr[GPR_RCX];

	switch ((u32)vcpu->gpr[GPR_RBX]) {
	case CALL_PRINT:
		print_cpus();
		print_level("L1", 1);
		print_level("L2", 2);
		if (cpuid_level())
			hw_vmcall(DEBUG_CALL_MAGIC, CALL_PRINT);
		return ACTION_SKIP;
	case CALL_REGISTER:
		vcpu->gpr[GPR_RAX] = reg < REG_COUNT ? vcpu->reg_counters.reads[reg] : ~0ull;
		vcpu->gpr[GPR_RDX] = reg < REG_COUNT ? vcpu->reg_counters.writes[reg] : ~0ull;
		return ACTION_SKIP;
	case CALL_NESTED: vcpu->gpr[GPR_RAX] = nested_counter(vcpu, reg); return ACTION_SKIP;
	default: return event_inject_ud(vcpu);
	}
}
