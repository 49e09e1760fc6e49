/* SPDX-License-Identifier: MIT */
/*
 * The table of handlers, and the exits that need few lines: exceptions and
 * NMIs, INIT and SIPI, windows, the monitor trap flag, triple fault, VMCALL.
 * SDM: "Basic VM-Exit Information", "MP Initialization Protocol".
 */

#include "vmx/exit.h"

#include "kernel/cmdline.h"
#include "kernel/hw/cpu.h"
#include "kernel/log.h"
#include "kernel/panic.h"
#include "kernel/percpu.h"
#include "kernel/x86.h"
#include "vmx/guest/event.h"
#include "vmx/hw/exits.h"
#include "vmx/l1/l1.h"
#include "vmx/guest/handlers.h"
#include "vmx/nested/ept/ept12.h"
#include "vmx/nested/insn/insn.h"
#include "vmx/nested/exit/triple_fault.h"

/*
 * A reason without a row is an instruction newer than Socle that exits whatever the controls say, as SEAMCALL
 * and TDCALL do: what else exits does so by a control, and Socle sets none that it does not know.
 */
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Woverride-init"
enum outcome (*const exit_handlers[EXIT_REASON_COUNT])(struct vcpu *vcpu) = {
	[0 ... EXIT_REASON_COUNT - 1] = exit_undefined,
#define X(number, name, handler, wants, facts) [number] = handler,
#include "vmx/hw/exits.def"
#undef X
};
#pragma GCC diagnostic pop

enum outcome exit_dispatch(struct vcpu *vcpu)
{
	return exit_handlers[exit_row(vcpu->exit_reason)](vcpu);
}

enum outcome exit_unexpected(struct vcpu *vcpu)
{
	panic("exit that nobody asked for: %s (%x), qualification %llx",
	      exit_reason_name(vcpu->exit_reason & 0xffff), vcpu->exit_reason,
	      (unsigned long long)vcpu_reg(vcpu, REG_EXIT_QUALIFICATION));
}

/* Instructions that exit whatever the controls say and that L1's processor does not have. */
enum outcome exit_undefined(struct vcpu *vcpu)
{
	return outcome_ud(vcpu);
}

/*
 * SDM "Debug Exceptions": a VM exit in the place of a #DB leaves DR6, DR7 and IA32_DEBUGCTL as they are and
 * says what its delivery would have put there; "the processor clears the BTF flag when it generates a debug
 * exception", and LBR. RTM is clear where the exception came in a transaction, else set; BLD is cleared by a
 * bus lock alone.
 */
static void enter_debug_exception(struct vcpu *vcpu)
{
	const u64 breakpoints = DR6_B0 | DR6_B1 | DR6_B2 | DR6_B3;
	u64 what = vcpu_reg(vcpu, REG_EXIT_QUALIFICATION), debugctl = vcpu_debugctl(vcpu);
	u64 dr6 = (read_dr6() & ~breakpoints) | DR6_RTM | (what & (breakpoints | DR6_BD | DR6_BS));

	write_dr6(dr6 & ~(what & (DR6_RTM | DR6_BLD)));
	vcpu_set_reg(vcpu, REG_DR7, vcpu_reg(vcpu, REG_DR7) & ~(u64)DR7_GD);
	if (debugctl & (DEBUGCTL_LBR | DEBUGCTL_BTF))
		vcpu_set_debugctl(vcpu, debugctl & ~(u64)(DEBUGCTL_LBR | DEBUGCTL_BTF));
}

/*
 * The delivery of a #DB, INT1's too, ends a blocking by STI or MOV SS and a HLT. Were they still there at the
 * entry that delivers it, RFLAGS.TF would want another single step to be pending. SDM "Checks on Guest
 * Non-Register State".
 */
static void end_waits(struct vcpu *vcpu)
{
	const u64 blocking = INTERRUPTIBILITY_STI | INTERRUPTIBILITY_MOV_SS;

	vcpu_set_reg(vcpu, REG_INTERRUPTIBILITY, vcpu_reg(vcpu, REG_INTERRUPTIBILITY) & ~blocking);
	vcpu_set_reg(vcpu, REG_ACTIVITY, ACTIVITY_ACTIVE);
}

/* Only L0 wished to intercept this exception of the guest's own: the guest gets it now, as it would have. */
static enum outcome redeliver(struct vcpu *vcpu, u32 info)
{
	u8 vector = info & INTR_INFO_VECTOR;
	u32 type = (info & INTR_INFO_TYPE) >> INTR_INFO_TYPE_SHIFT;
	u32 error_code = info & INTR_INFO_ERROR_CODE ? (u32)vcpu_reg(vcpu, REG_EXIT_INTR_ERROR_CODE) : 0;

	if (vector == VEC_DB)
		end_waits(vcpu);
	if (type == INTR_TYPE_HARD_EXCEPTION && vector == VEC_DB)
		enter_debug_exception(vcpu);
	if (type == INTR_TYPE_HARD_EXCEPTION && vector == VEC_PF)
		return outcome_pf(vcpu, vcpu_reg(vcpu, REG_EXIT_QUALIFICATION), error_code);
	if (type == INTR_TYPE_HARD_EXCEPTION)
		return outcome_exception(vcpu, vector, info & INTR_INFO_ERROR_CODE, error_code);
	vcpu->pending = (struct event){
		.vector = vector,
		.type = (u8)type,
		.instruction_length = (u32)vcpu_reg(vcpu, REG_EXIT_INSTRUCTION_LENGTH),
	};
	vcpu->pending_valid = true;
	return OUTCOME_RESUME;
}

/* SDM "VMX Aborts": only a reset wakes the processor; what the exit has saved does not matter. */
static enum outcome stay_shut_down(struct vcpu *vcpu)
{
	l1_shut_down(vcpu);
	return OUTCOME_RESUME;
}

enum outcome exit_exception(struct vcpu *vcpu)
{
	u32 info = (u32)vcpu_reg(vcpu, REG_EXIT_INTR_INFO);

	if (unlikely(vcpu->nested.aborted))
		return stay_shut_down(vcpu);
	if ((info & INTR_INFO_TYPE) >> INTR_INFO_TYPE_SHIFT == INTR_TYPE_NMI) {
		event_take_nmi(vcpu);
		return OUTCOME_RESUME;
	}
	event_restore_nmi_blocking(vcpu,
				   (info & INTR_INFO_NMI_UNBLOCKING) && (info & INTR_INFO_VECTOR) != VEC_DF);
	return redeliver(vcpu, info);
}

/* Opened by inject_commit(); it looks again at the next entry. */
enum outcome exit_nmi_window(struct vcpu *vcpu)
{
	(void)vcpu;
	return OUTCOME_RESUME;
}

/* The step over an access to absent memory is over: the run loop has cleaned up. */
enum outcome exit_mtf(struct vcpu *vcpu)
{
	(void)vcpu;
	return OUTCOME_RESUME;
}

/* SDM "INIT signals are blocked in VMX root operation": it waits for VMXOFF or for the next VM entry. */
enum outcome exit_init(struct vcpu *vcpu)
{
	if (unlikely(vcpu->nested.aborted))
		return stay_shut_down(vcpu);
	if (vcpu->nested.vmxon)
		vcpu->nested.init_pending = true;
	else
		l1_take_init(vcpu);
	return OUTCOME_RESUME;
}

/* Vector VV: the AP starts in real mode at VV00:0000, in the state that its INIT asked for
 * (l1_take_init()). */
enum outcome exit_sipi(struct vcpu *vcpu)
{
	u64 vector = vcpu_reg(vcpu, REG_EXIT_QUALIFICATION) & 0xff;

	l1_reset(vcpu);
	vcpu_set_reg(vcpu, REG_CS_SELECTOR, vector << 8);
	vcpu_set_reg(vcpu, REG_CS_BASE, vector << 12);
	vcpu_set_reg(vcpu, REG_RIP, 0);
	vcpu_set_reg(vcpu, REG_ACTIVITY, ACTIVITY_ACTIVE);
	return OUTCOME_RESUME;
}

/* A bare processor shuts down here, and most boards reset: so does Socle, when it has said why (on-stop=). */
enum outcome exit_triple_fault(struct vcpu *vcpu)
{
	ept12_explain_left(vcpu);
	log_stop();
	log_error("CPU %u: triple fault of L1; the machine stops", vcpu->cpu->id);
	triple_fault_report(vcpu);
	return OUTCOME_STOP;
}

/* The debug call is Socle's own, for L1's ring 0: its applications must not keep L0 busy. */
static bool is_debug_call(struct vcpu *vcpu)
{
	return (u32)vcpu->gpr[GPR_RAX] == DEBUG_CALL_MAGIC && (options.counters || !vcpu_cpl(vcpu));
}

/* L1's: an L2's is L1's exit, always. SDM "VMCALL": outside VMX operation #UD. */
enum outcome exit_vmcall(struct vcpu *vcpu)
{
	if (is_debug_call(vcpu))
		return debug_call(vcpu);
	if (vcpu->nested.vmxon)
		return nested_vmcall(vcpu);
	return outcome_ud(vcpu);
}
