/* SPDX-License-Identifier: MIT */
/*
 * An exit of L2: whose is it?  Must L0 take it, does L1 want it
 * (exit_wanted.c), else L0 emulates.  What a reflected exit does is
 * reflect.c's; EPT exits are ept02.c's.  Here too the outcomes of others that
 * end L2 are carried out.
 * SDM: "VM Exits".
 */
#include "vmx/nested/exit/exit.h"

#include "kernel/x86.h"
#include "vmx/nested/exit/triple_fault.h"
#include "vmx/nested/explain/explain.h"
#include "vmx/guest/event.h"
#include "vmx/guest/outcome.h"
#include "vmx/guest/vcpu.h"
#include "vmx/nested/entry/bitmaps.h"
#include "vmx/nested/entry/entry.h"
#include "vmx/nested/entry/tpr.h"
#include "vmx/nested/ept/ept02.h"
#include "vmx/nested/exit/event.h"
#include "vmx/nested/exit/exit_wanted.h"
#include "vmx/nested/exit/reflect.h"
#include "vmx/nested/vmcs12/exit_record.h"
#include "vmx/nested/vmcs12/vmcs12.h"

/* Exits that L0 must look at before L1 is asked. */
static enum outcome exit_taken_by_l0(struct vcpu *vcpu, u32 reason)
{
	enum outcome outcome;
	u32 info;

	switch (reason) {
	case EXIT_EXCEPTION_NMI:
		/* Physical NMIs arrive at L0 first; L1's "NMI exiting" says whose they are. */
		info = (u32)vcpu_reg(vcpu, REG_EXIT_INTR_INFO);
		if ((info & INTR_INFO_TYPE) >> INTR_INFO_TYPE_SHIFT != INTR_TYPE_NMI)
			return OUTCOME_NONE;
		outcome = event_take_nmi(vcpu) ? nested_nmi(vcpu) : OUTCOME_RESUME;
		break;
	case EXIT_NMI_WINDOW:
		/*
		 * L0 opened it for an NMI that it holds.  SDM "Other Causes of VM Exits": where L1 has it
		 * open as well, that exit takes "priority over non-maskable interrupts".
		 */
		if (!vcpu->nmi_pending || v12_has_proc(&vcpu->nested.current->v12, PROC_NMI_WINDOW))
			return OUTCOME_NONE;
		outcome = nested_nmi(vcpu);
		break;
	case EXIT_EPT_VIOLATION:
	case EXIT_EPT_MISCONFIG: outcome = ept02_violation(vcpu); break;
	case EXIT_TRIPLE_FAULT: explain_l2_triple(vcpu, triple_fault_describe); return OUTCOME_NONE;
	default: return OUTCOME_NONE;
	}
	/*
	 * The event whose delivery the exit broke off is pending again. An exception that the handling led to
	 * is then the second of two.
	 */
	if (outcome != OUTCOME_REFLECT)
		event_requeue_vectoring(vcpu);
	return outcome;
}

static enum outcome exit_decide(struct vcpu *vcpu)
{
	enum outcome outcome;

	/*
	 * An INIT was held, and entry.c has set the flag: this is the first instruction boundary after the
	 * injected event was delivered.
	 */
	if (unlikely(vcpu->nested.init_pending) && vcpu->exit_reason == EXIT_MTF)
		return nested_take_init(vcpu);
	/*
	 * Absent memory was made writable for one instruction, which is over. This is undone before anybody
	 * else looks.
	 */
	if (unlikely(vcpu->vmcs->steps & STEP_ABSENT) && (vcpu->exit_reason & 0xffff) != EXIT_EPT_VIOLATION &&
	    ept02_absent_finish(vcpu)) {
		event_requeue_vectoring(vcpu);
		return OUTCOME_RESUME;
	}
	/*
	 * The processor made a check that Socle leaves to it or does not know, and the entry failed by it. L1
	 * is told by which.
	 */
	if (unlikely(vcpu->exit_reason & EXIT_REASON_ENTRY_FAILURE))
		return nested_hardware_failure(vcpu, vcpu->exit_reason & 0xffff,
					       vcpu_reg(vcpu, REG_EXIT_QUALIFICATION));
	outcome = exit_taken_by_l0(vcpu, vcpu->exit_reason & 0xffff);
	if (outcome != OUTCOME_NONE)
		return outcome;
	if (likely(nested_l1_wants(vcpu))) {
		struct exit_record record = exit_record_hardware(vcpu);

		return nested_reflect(vcpu, &record);
	}
	event_requeue_vectoring(vcpu);
	if (unlikely(tpr_is_l0s(vcpu->nested.current)))
		outcome = tpr_emulate(vcpu);
	if (outcome != OUTCOME_NONE)
		return outcome;
	if ((vcpu->exit_reason == EXIT_RDMSR || vcpu->exit_reason == EXIT_WRMSR) && bitmaps_open_msr(vcpu)) {
		event_execute_again(vcpu);
		return OUTCOME_RESUME;
	}
	return OUTCOME_NONE;
}

enum outcome nested_exit(struct vcpu *vcpu)
{
	enum outcome outcome;

	/* Most exits: L1 wants it, and there is nothing else to it. */
	if (likely(nested_exit_is_plain(vcpu) && nested_l1_wants(vcpu)) &&
	    likely(nested_state_is_unread(vcpu)))
		return nested_reflect_plainly(vcpu);
	outcome = exit_decide(vcpu);

	return unlikely(outcome == OUTCOME_REFLECT) ? nested_end_l2(vcpu, outcome) : outcome;
}

/*
 * SDM "Saving RIP, RSP, RFLAGS": the RF that an EPT violation saves is 1 outside an event's delivery. One of
 * the processor's own comes with it; one that L0 met while it emulated an instruction is given it here.
 */
static void set_resume_flag(struct vcpu *vcpu, u32 reason)
{
	u32 by_hardware = vcpu->exit_reason & 0xffff;

	if ((reason == EXIT_EPT_VIOLATION || reason == EXIT_EPT_MISCONFIG || reason == EXIT_PML_FULL) &&
	    by_hardware != EXIT_EPT_VIOLATION && by_hardware != EXIT_EPT_MISCONFIG &&
	    by_hardware != EXIT_PML_FULL)
		vcpu_set_reg(vcpu, REG_RFLAGS, vcpu_reg(vcpu, REG_RFLAGS) | RFLAGS_RF);
}

enum outcome nested_end_l2(struct vcpu *vcpu, enum outcome outcome)
{
	const struct exit_record *record = &vcpu->outcome.record;

	if (outcome == OUTCOME_ENTRY_FAILURE)
		return nested_entry_failure(vcpu, record->reason, record->qualification);
	set_resume_flag(vcpu, record->reason);
	return nested_reflect(vcpu, record);
}
