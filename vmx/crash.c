/* SPDX-License-Identifier: MIT */
/*
 * What a panic and a stop say besides their reason, in lines that tools/decode.py and tools/trace read.
 */
#include "vmx/crash.h"

#include "kernel/hw/cpu.h"
#include "kernel/log.h"
#include "kernel/percpu.h"
#include "kernel/print.h"
#include "kernel/version.h"
#include "vmx/guest/exit_trace.h"
#include "vmx/guest/vcpu.h"
#include "vmx/hw/exits.h"
#include "vmx/nested/vmcs12/vmcs12.h"

#define LL(value) ((unsigned long long)(value))
#define EVENTS_SHOWN 64u
#define STACK_WORDS 256u       /* of a stack: 2 KiB */
#define STACK_BYTES_MAX 16384u /* what a CPU's own stack has: boot/smp.c */

/* What the exit was about: a field, an MSR, a port, else its qualification; "" where there is none. */
static const char *trace_subject(const struct trace_event *entry, char *text, size_t size)
{
	unsigned long long value = entry->subject;
	int row;

	switch (entry->reason) {
	case EXIT_VMREAD:
	case EXIT_VMWRITE:
		row = value >> 15 ? -1 : vmcs12_find((u32)value & ~1u);
		print_format(text, size, " field %llx %s", value, row < 0 ? "?" : vmcs12_fields[row].name);
		break;
	case EXIT_RDMSR:
	case EXIT_WRMSR: print_format(text, size, " MSR %x", (u32)value); break;
	case EXIT_IO:
		print_format(text, size, " %s port %llx, %llu bytes", value & BIT(3) ? "IN" : "OUT",
			     value >> 16 & 0xffff, (value & 7) + 1);
		break;
	default:
		text[0] = 0;
		if (exit_facts(entry->reason) & FACT_TRACED)
			print_format(text, size, " qualification %llx", value);
	}
	return text;
}

static void dump_trace(struct vcpu *vcpu)
{
	char subject[64];

	for (u32 back = 0; back < 16; back++) {
		const struct trace_event *entry = vcpu_trace(vcpu, back);

		if (!entry->exit_tsc)
			break;
		log_error("  -%u: L%u %s%s rip %llx%s tsc %llu", back + 1, entry->level,
			  exit_reason_name(entry->reason), (entry->flags & TRACE_TO_L1) ? " (to L1)" : "",
			  LL(entry->rip), trace_subject(entry, subject, sizeof(subject)),
			  LL(entry->exit_tsc));
	}
}

/* The last of trace=, in the form that tools/trace reads. */
static void dump_events(struct vcpu *vcpu)
{
	u64 end = exit_trace_end(vcpu), first = exit_trace_first(vcpu);
	char line[TRACE_LINE_SIZE];

	if (end == first)
		return;
	exit_trace_head_line(line);
	log_error("%s", line);
	for (u64 i = end - MIN(end - first, (u64)EVENTS_SHOWN); i < end; i++) {
		exit_trace_line(vcpu, i, line);
		log_error("%s", line);
	}
}

static void dump_general(const struct vcpu *vcpu)
{
	log_error("  rax %llx rcx %llx rdx %llx rbx %llx rbp %llx rsi %llx rdi %llx", LL(vcpu->gpr[GPR_RAX]),
		  LL(vcpu->gpr[GPR_RCX]), LL(vcpu->gpr[GPR_RDX]), LL(vcpu->gpr[GPR_RBX]),
		  LL(vcpu->gpr[GPR_RBP]), LL(vcpu->gpr[GPR_RSI]), LL(vcpu->gpr[GPR_RDI]));
	log_error("  r8 %llx r9 %llx r10 %llx r11 %llx r12 %llx r13 %llx r14 %llx r15 %llx",
		  LL(vcpu->gpr[GPR_R8]), LL(vcpu->gpr[GPR_R9]), LL(vcpu->gpr[GPR_R10]),
		  LL(vcpu->gpr[GPR_R11]), LL(vcpu->gpr[GPR_R12]), LL(vcpu->gpr[GPR_R13]),
		  LL(vcpu->gpr[GPR_R14]), LL(vcpu->gpr[GPR_R15]));
}

/* While L2 runs: as its next exit would load it. */
static void dump_l1(const struct vmcs12 *v12)
{
	log_error("  L1: rip %llx rsp %llx cr0 %llx cr3 %llx cr4 %llx", LL(v12->host_rip), LL(v12->host_rsp),
		  LL(v12->host_cr0), LL(v12->host_cr3), LL(v12->host_cr4));
}

void crash_report(void)
{
	struct vcpu *vcpu = percpu_this()->vcpu;
	char id[VERSION_BUILD_ID_SIZE];

	if (!vcpu || !vcpu->vmcs)
		return;
	version_build_id(id);
	log_error("build id %s", id);
	log_error("CPU %u, %s current, exit %s (%x), %s", vcpu->cpu->id,
		  vcpu->vmcs == &vcpu->vmcs01 ? "vmcs01" : "vmcs02",
		  exit_reason_name(vcpu->exit_reason & 0xffff), vcpu->exit_reason,
		  vcpu->guest->level == 2 ? "L2 ran"
		  : vcpu->nested.vmxon	  ? "L1 ran in VMX operation"
					  : "L1 ran");
	log_error("  rip %llx rsp %llx cr0 %llx cr3 %llx cr4 %llx efer %llx", LL(vcpu_reg(vcpu, REG_RIP)),
		  LL(vcpu_reg(vcpu, REG_RSP)), LL(vcpu_reg(vcpu, REG_CR0)), LL(vcpu_reg(vcpu, REG_CR3)),
		  LL(vcpu_reg(vcpu, REG_CR4)), LL(vcpu_reg(vcpu, REG_EFER)));
	log_error("  rflags %llx cs %llx/%llx/%llx ss-ar %llx activity %llu interruptibility %llx",
		  LL(vcpu_reg(vcpu, REG_RFLAGS)), LL(vcpu_reg(vcpu, REG_CS_SELECTOR)),
		  LL(vcpu_reg(vcpu, REG_CS_BASE)), LL(vcpu_reg(vcpu, REG_CS_AR)),
		  LL(vcpu_reg(vcpu, REG_SS_AR)), LL(vcpu_reg(vcpu, REG_ACTIVITY)),
		  LL(vcpu_reg(vcpu, REG_INTERRUPTIBILITY)));
	dump_general(vcpu);
	if (vcpu->guest->level == 2)
		dump_l1(&vcpu->nested.current->v12);
	dump_trace(vcpu);
	dump_events(vcpu);
}

/*
 * The words of L0's own stack, and the registers by which a debugger unwinds it. One that is not on this
 * CPU's own stack (an NMI's, a double fault's) is not shown.
 */
void crash_stack(void)
{
	struct cpu_frame frame = { 0 };
	const u64 *word;
	u64 top = percpu_this()->stack_top, count;

	cpu_save_frame(&frame);
	log_error("L0: rip %llx rsp %llx rbx %llx rbp %llx r12 %llx r13 %llx r14 %llx r15 %llx",
		  LL(frame.rip), LL(frame.rsp), LL(frame.rbx), LL(frame.rbp), LL(frame.r12), LL(frame.r13),
		  LL(frame.r14), LL(frame.r15));
	if (!frame.rsp || frame.rsp >= top || top - frame.rsp > STACK_BYTES_MAX)
		return;
	word = (const u64 *)frame.rsp;
	count = MIN((top - frame.rsp) / sizeof(*word), (u64)STACK_WORDS);
	for (u64 i = 0; i + 4 <= count; i += 4)
		log_error("  stack %llx: %llx %llx %llx %llx", LL(frame.rsp + i * sizeof(*word)), LL(word[i]),
			  LL(word[i + 1]), LL(word[i + 2]), LL(word[i + 3]));
}
