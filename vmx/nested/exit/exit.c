/* SPDX-License-Identifier: MIT */
/*
 * An exit of L2: whose is it?  Must L0 take it, does L1 want it
 * (exit_wanted.c), else L0 emulates.  What a reflected exit does is
 * reflect.c's; EPT exits are ept02.c's.
 * SDM: "VM Exits".
 */
#include "kernel/x86.h"
#include "vmx/exit.h"
#include "vmx/nested/internal.h"

/*
 * Exits that L0 must look at before L1 is asked.  True: it took the exit and
 * `action` says what follows.
 */
static bool exit_taken_by_l0(struct vcpu *vcpu, u32 reason, enum action *action)
{
	u32 info;

	switch (reason) {
	case EXIT_EXCEPTION_NMI:
		/* Physical NMIs arrive at L0 first; L1's "NMI exiting" says whose they are. */
		info = (u32)vcpu_reg(vcpu, REG_EXIT_INTR_INFO);
		if ((info & INTR_INFO_TYPE) >> INTR_INFO_TYPE_SHIFT != INTR_TYPE_NMI)
			return false;
		*action = nested_nmi(vcpu);
		break;
	case EXIT_NMI_WINDOW:
		/*
		 * L0 opened it for an NMI that it holds.  SDM "Other Causes of VM Exits": where L1 has it
		 * open as well, that exit takes "priority over non-maskable interrupts".
		 */
		if (!vcpu->nmi_pending || v12_has_proc(&vcpu->nested.current->v12, PROC_NMI_WINDOW))
			return false;
		*action = nested_nmi(vcpu);
		break;
	case EXIT_EPT_VIOLATION:
	case EXIT_EPT_MISCONFIG: *action = ept02_violation(vcpu); break;
	default: return false;
	}
	/* An exception that the handling led to has taken account of it. */
	if (vcpu->nested.in_l2 && !vcpu->pending_valid)
		event_requeue_vectoring(vcpu);
	return true;
}

/* Marks the newest trace entry: the exit in hand went to L1. */
static void trace_reflected(struct vcpu *vcpu)
{
	vcpu->trace[(vcpu->trace_next - 1) % TRACE_COUNT].reflected = true;
}

static enum action exit_decide(struct vcpu *vcpu)
{
	enum action action;

	/*
	 * An INIT was held, and entry.c has set the flag: this is the first instruction boundary after the
	 * injected event was delivered.
	 */
	if (unlikely(vcpu->nested.init_pending) && vcpu->exit_reason == EXIT_MTF)
		return nested_reflect_init(vcpu);
	/* Before anybody else looks: memory that is not there was made writable for one instruction. */
	if (unlikely(vcpu->vmcs->steps & STEP_ABSENT) && (vcpu->exit_reason & 0xffff) != EXIT_EPT_VIOLATION &&
	    ept02_absent_finish(vcpu)) {
		event_requeue_vectoring(vcpu);
		return ACTION_RESUME;
	}
	/* A check that was left to the processor, or that Socle does not know, failed: L1 sees which. */
	if (unlikely(vcpu->exit_reason & EXIT_REASON_ENTRY_FAILURE))
		return nested_hardware_failure(vcpu, vcpu->exit_reason & 0xffff,
					       vcpu_reg(vcpu, REG_EXIT_QUALIFICATION));
	if (exit_taken_by_l0(vcpu, vcpu->exit_reason & 0xffff, &action))
		return action;
	if (likely(nested_l1_wants(vcpu))) {
		struct exit_record record = exit_record_hardware(vcpu);

		return nested_reflect(vcpu, &record);
	}
	event_requeue_vectoring(vcpu);
	if (unlikely(tpr_is_l0s(vcpu->nested.current)) && tpr_emulate(vcpu, &action))
		return action;
	if ((vcpu->exit_reason == EXIT_RDMSR || vcpu->exit_reason == EXIT_WRMSR) && bitmaps_open_msr(vcpu))
		return ACTION_RESUME;
	action = exit_dispatch(vcpu);
	if (unlikely(vcpu->pf_wish_alternates) && vcpu->nested.in_l2)
		vcpu_alternate_pf_wish(vcpu);
	return action;
}

enum action nested_exit(struct vcpu *vcpu)
{
	enum action action = exit_decide(vcpu);

	if (!vcpu->nested.in_l2)
		trace_reflected(vcpu);
	return action;
}
