/* SPDX-License-Identifier: MIT */
/*
 * The debug call: VMCALL with EAX = DEBUG_CALL_MAGIC. EBX = 1 prints the exits that
 * were counted; EBX = 7 those, and what the register caches and each CPU did, for
 * tests; EBX = 2 returns the VMREADs (RAX) and VMWRITEs (RDX) of the register
 * numbered ECX (enum reg); EBX = 3 returns in RAX the number ECX of struct
 * nested_counters; EBX = 4 sets L0's own wish for page faults, which nobody but L0
 * must notice; EBX = 5 returns in RAX the checksum of piece ECX of Socle's own code and constants, in RDX how
 * many pieces there are; EBX = 6 returns in RAX how much is in use of resource ECX (audit.h); EBX = 8
 * returns in RAX the number ECX of kernel/hw/count.h, all ones in a build that does not count; EBX = 9 reads
 * the log and the exit trace (read_out.c); 5, 6 and 4 from ring 0 only, whatever the options: what prints
 * takes millions of instructions, so exit.c lets no program of L1's come here, but with counters=on. All are
 * this CPU's. Anything else, and L1 outside VMX operation, see exit.c. A Socle on another one asks it to
 * print as well, after itself.
 */
#include "kernel/hw/count.h"
#include "kernel/hw/vmx.h"
#include "kernel/log.h"
#include "kernel/percpu.h"
#include "kernel/print.h"
#include "vmx/audit.h"
#include "vmx/guest/event.h"
#include "vmx/hw/exits.h"
#include "vmx/l1/exit_cpu.h"
#include "vmx/exit.h"
#include "vmx/read_out.h"
#include "vmx/nested/wish.h"

enum {
	CALL_PRINT = 1,
	CALL_REGISTER = 2,
	CALL_NESTED = 3,
	CALL_PF_WISH = 4,
	CALL_CHECKSUM = 5,
	CALL_RESOURCE = 6,
	CALL_PRINT_ALL = 7,
	CALL_HARDWARE = 8,
	CALL_READ = 9,
};

/*
 * ECX of CALL_PF_WISH: bit 14 of the exception bitmap (mask and match are in ESI and EDI); and whether this
 * wish and the present one take turns, at L2's exits that L0 handles.
 */
#define WISH_EB BIT(0)
#define WISH_ALTERNATE BIT(1)

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
			 (unsigned long long)vcpu->counters.window_accesses);
	}
}

struct line {
	char text[200];
	size_t used;
};

static void line_flush(struct line *line, const char *title)
{
	if (line->used)
		log_info("%s%s%s", level_prefix(), title, line->text);
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
			count += level == 1 ? vcpu->counters.exits_l1[reason]
					    : vcpu->counters.exits_l2[reason];
			reflected += level == 1 ? 0 : vcpu->counters.exits_reflected[reason];
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

/* Of all CPUs: only a build with COUNT=1 has them. */
static u64 hardware_counter(u32 index)
{
#ifdef COUNT_HW
	return index < HW_COUNTED ? hw_counts[index] : ~0ull;
#else
	(void)index;
	return ~0ull;
#endif
}

/* Those on the exit path are not counted one by one: RIP is read at each exit. */
static u64 reads_of(const struct vcpu *vcpu, enum reg reg)
{
	u64 reads = vcpu->counters.registers.reads[reg];

	if (reg == REG_INTERRUPTIBILITY || reg == REG_EXIT_INSTRUCTION_LENGTH)
		reads += vcpu->counters.skips + vcpu->counters.knowing_skips;
	if (reg == REG_RFLAGS)
		reads += vcpu->counters.skips;
	if (BIT(reg) &
	    (BIT(REG_RSP) | BIT(REG_RFLAGS) | BIT(REG_CR0) | BIT(REG_CR3) | BIT(REG_CR4) | BIT(REG_CS_AR) |
	     BIT(REG_SS_AR) | BIT(REG_INTERRUPTIBILITY) | BIT(REG_EFER) | BIT(REG_EXIT_INSTRUCTION_LENGTH)))
		reads += vcpu->counters.plain_exits;
	if (reg == REG_RIP)
		for (u32 row = 0; row < EXIT_REASON_COUNT; row++)
			reads += vcpu->counters.exits_l1[row] + vcpu->counters.exits_l2[row];
	return reads;
}

static u64 writes_of(const struct vcpu *vcpu, enum reg reg)
{
	u64 skips = vcpu->counters.skips + vcpu->counters.knowing_skips;

	return vcpu->counters.registers.writes[reg] + (reg == REG_RIP ? skips : 0);
}

/* What the register caches did, summed over the CPUs: VMREADs/VMWRITEs of each register that had any. */
static void print_registers(void)
{
	static const char *const names[REG_COUNT] = {
#define R(name, field) #name,
#include "vmx/hw/regcache.def"
#undef R
	};
	struct line line = { .used = 0 };

	for (u32 reg = 0; reg < REG_COUNT; reg++) {
		u64 reads = 0, writes = 0;

		for (u32 i = 0; i < percpu_count(); i++) {
			const struct vcpu *vcpu = percpu_get(i)->vcpu;

			reads += vcpu ? reads_of(vcpu, (enum reg)reg) : 0;
			writes += vcpu ? writes_of(vcpu, (enum reg)reg) : 0;
		}
		if (!reads && !writes)
			continue;
		if (line.used > sizeof(line.text) - 80)
			line_flush(&line, "registers");
		line.used +=
			print_format(line.text + line.used, sizeof(line.text) - line.used, " %s=%llu/%llu",
				     names[reg], (unsigned long long)reads, (unsigned long long)writes);
	}
	line_flush(&line, "registers");
}

/* Any triple will do: merge_pf() takes it as a set of error codes, and L1's own triple decides. */
static void set_pf_wish(struct vcpu *vcpu)
{
	u64 how = vcpu->gpr[GPR_RCX];
	struct pf_intercept wish = { how & WISH_EB, (u32)vcpu->gpr[GPR_RSI], (u32)vcpu->gpr[GPR_RDI] };

	vcpu->wish.pf_alternates = how & WISH_ALTERNATE;
	if (vcpu->wish.pf_alternates)
		vcpu->wish.pf_next = wish;
	else
		wish_set_pf(vcpu, wish);
}

/* Whether Socle is whole is for L1's kernel to ask, not for its applications. */
static enum outcome audit_call(struct vcpu *vcpu, u32 call, u32 index)
{
	if (vcpu_cpl(vcpu))
		return outcome_ud(vcpu);
	if (call == CALL_RESOURCE) {
		vcpu->gpr[GPR_RAX] = audit_resource(vcpu, index);
	} else {
		vcpu->gpr[GPR_RAX] = index < audit_piece_count() ? audit_piece_checksum(index) : ~0ull;
		vcpu->gpr[GPR_RDX] = audit_piece_count();
	}
	return OUTCOME_SKIP;
}

static enum outcome print_call(u32 call)
{
	if (call == CALL_PRINT_ALL)
		print_cpus();
	print_level("exits L1", 1);
	print_level("exits L2", 2);
	if (call == CALL_PRINT_ALL)
		print_registers();
	if (cpuid_level())
		hw_vmcall(DEBUG_CALL_MAGIC, call);
	return OUTCOME_SKIP;
}

enum outcome debug_call(struct vcpu *vcpu)
{
	u32 call = (u32)vcpu->gpr[GPR_RBX], reg = (u32)vcpu->gpr[GPR_RCX];

	switch (call) {
	case CALL_PRINT:
	case CALL_PRINT_ALL: return print_call(call);
	case CALL_PF_WISH:
		/* It costs L1 exits: not for its applications to ask, whatever the options. */
		if (vcpu_cpl(vcpu))
			return outcome_ud(vcpu);
		set_pf_wish(vcpu);
		return OUTCOME_SKIP;
	case CALL_REGISTER:
		vcpu->gpr[GPR_RAX] = reg < REG_COUNT ? reads_of(vcpu, (enum reg)reg) : ~0ull;
		vcpu->gpr[GPR_RDX] = reg < REG_COUNT ? writes_of(vcpu, (enum reg)reg) : ~0ull;
		return OUTCOME_SKIP;
	case CALL_CHECKSUM:
	case CALL_RESOURCE: return audit_call(vcpu, call, reg);
	case CALL_NESTED: vcpu->gpr[GPR_RAX] = nested_counter(vcpu, reg); return OUTCOME_SKIP;
	case CALL_HARDWARE: vcpu->gpr[GPR_RAX] = hardware_counter(reg); return OUTCOME_SKIP;
	case CALL_READ: return debug_read(vcpu);
	default: return outcome_ud(vcpu);
	}
}
