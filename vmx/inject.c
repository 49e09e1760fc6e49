/* SPDX-License-Identifier: MIT */
/*
 * Events into the guest that runs now: exceptions that an emulation came to
 * (OUTCOME_FAULT), NMIs and machine checks of L1's, and the injection itself,
 * before an entry. Nobody but the run loop comes here. What is L1's to know
 * about L2's events is vmx/nested/exit/event.c's.
 * SDM: "Event Injection", "Interrupt 8 - Double Fault Exception", "Virtual NMIs".
 */
#include "vmx/inject.h"

#include "kernel/hw/cpu.h"
#include "kernel/msr.h"
#include "kernel/x86.h"
#include "vmx/guest/event.h"
#include "vmx/guest/handlers.h"
#include "vmx/nested/exit/event.h"

static enum outcome queue_exception(struct vcpu *vcpu, const struct event *event)
{
	enum event_pair pair = vcpu->pending_valid ? event_combine(&vcpu->pending, event) : PAIR_SERIAL;

	if (pair == PAIR_TRIPLE_FAULT)
		return exit_triple_fault(vcpu);
	/* The first event is dropped. If it was an NMI, its delivery had begun, and NMIs stay blocked. */
	if (vcpu->pending_valid && vcpu->pending.type == INTR_TYPE_NMI)
		vcpu_set_reg(vcpu, REG_INTERRUPTIBILITY,
			     vcpu_reg(vcpu, REG_INTERRUPTIBILITY) | INTERRUPTIBILITY_NMI);
	vcpu->pending = *event;
	vcpu->pending_valid = true;
	if (pair == PAIR_DOUBLE_FAULT)
		vcpu->pending = event_double_fault(vcpu);
	return OUTCOME_RESUME;
}

/*
 * SDM "Resume Flag": the RFLAGS image that a fault saves has RF set, be it pushed or shown to L1 by the exit.
 * A fault of the processor's own comes with it set; one of L0's making is given it here.
 */
static void set_resume_flag(struct vcpu *vcpu, u8 vector)
{
	if (vector != VEC_DB && vector != VEC_DF)
		vcpu_set_reg(vcpu, REG_RFLAGS, vcpu_reg(vcpu, REG_RFLAGS) | RFLAGS_RF);
}

/*
 * CR2 is in the register itself while L0 runs.  An exit to L1 in place of L2's #PF leaves it alone; but SDM
 * "Page-Fault Exception": it is updated "even if the page fault results in a double fault".
 */
static void set_cr2(struct vcpu *vcpu, const struct outcome_fault *fault)
{
	if (vcpu->nested.in_l2 && nested_wants_page_fault(vcpu, fault->error_code))
		return;
	write_cr2(fault->linear);
}

enum outcome inject_fault(struct vcpu *vcpu)
{
	const struct outcome_fault *fault = &vcpu->outcome.fault;
	struct event event = {
		.vector = fault->vector,
		.type = INTR_TYPE_HARD_EXCEPTION,
		/* Real mode delivers no error codes. */
		.has_error_code = fault->has_error_code && vcpu_is_protected(vcpu),
		.error_code = fault->error_code,
	};

	set_resume_flag(vcpu, fault->vector);
	if (fault->vector == VEC_PF)
		set_cr2(vcpu, fault);
	if (vcpu->nested.in_l2)
		return nested_exception(vcpu, &event, fault->linear);
	return queue_exception(vcpu, &event);
}

enum outcome inject_machine_check(struct vcpu *vcpu)
{
	static const struct event event = { .vector = VEC_MC, .type = INTR_TYPE_HARD_EXCEPTION };

	/* An event is being delivered. A single step leads to the first boundary after it. */
	if (vcpu->pending_valid) {
		event_set_step(vcpu, STEP_MACHINE_CHECK, true);
		return OUTCOME_RESUME;
	}
	event_set_step(vcpu, STEP_MACHINE_CHECK, false);
	vcpu->machine_check_pending = false;
	/*
	 * Nothing can be injected in wait-for-SIPI, nor after a VMX abort. MCIP is cleared, for a second
	 * machine check that finds it set would reset the machine.
	 */
	if (vcpu->nested.aborted || vcpu_reg(vcpu, REG_ACTIVITY) == ACTIVITY_WAIT_FOR_SIPI) {
		wrmsr(MSR_IA32_MCG_STATUS, 0);
		return OUTCOME_RESUME;
	}
	return vcpu->nested.in_l2 ? nested_exception(vcpu, &event, 0) : queue_exception(vcpu, &event);
}

/*
 * Injects the NMI into the guest that runs now, if nothing blocks it or comes before it. Else opens the
 * NMI window.
 */
static void commit_nmi(struct vcpu *vcpu)
{
	u64 interruptibility = event_nmi_interruptibility(vcpu);

	/* SDM "Non-Maskable Interrupts": one is held while a processor waits for a SIPI. */
	if (vcpu_reg(vcpu, REG_ACTIVITY) == ACTIVITY_WAIT_FOR_SIPI)
		return;
	/* An NMI that shall be L1's exit is left to nested_held_nmi(), or waits for the end of L2. */
	if (vcpu->nested.in_l2 && v12_has_pin(&vcpu->nested.current->v12, PIN_NMI_EXITING))
		return;
	if (vcpu->pending_valid ||
	    (interruptibility & (INTERRUPTIBILITY_MOV_SS | INTERRUPTIBILITY_STI | INTERRUPTIBILITY_NMI)) ||
	    (vcpu->nested.in_l2 ? nested_precedes_nmi(vcpu) : event_debug_pending(vcpu))) {
		event_set_nmi_window(vcpu, true);
		return;
	}
	vcpu->nmi_pending = false;
	vcpu_set_reg(vcpu, REG_INTERRUPTIBILITY, interruptibility);
	vcpu->pending = (struct event){ .vector = VEC_NMI, .type = INTR_TYPE_NMI };
	vcpu->pending_valid = true;
	event_set_nmi_window(vcpu, false);
}

void inject_commit(struct vcpu *vcpu)
{
	const struct event *event = &vcpu->pending;

	/* SDM "VMX Aborts": nothing but a reset wakes the processor. */
	if (unlikely(vcpu->nmi_pending) && !vcpu->nested.aborted)
		commit_nmi(vcpu);
	else if (unlikely(vcpu->vmcs->nmi_window))
		event_set_nmi_window(vcpu, false);
	if (likely(!vcpu->pending_valid)) {
		if (unlikely(vcpu->vmcs->injecting)) {
			vmcs_write(VMCS_entry_intr_info, 0);
			vcpu->vmcs->injecting = false;
		}
		return;
	}
	vmcs_write(VMCS_entry_intr_info, INTR_INFO_VALID | event->vector |
						 (u32)event->type << INTR_INFO_TYPE_SHIFT |
						 (event->has_error_code ? (u32)INTR_INFO_ERROR_CODE : 0));
	if (event->has_error_code)
		vmcs_write(VMCS_entry_exception_error_code, event->error_code);
	if (event->type >= INTR_TYPE_SOFT_INTERRUPT && event->type <= INTR_TYPE_SOFT_EXCEPTION)
		vmcs_write(VMCS_entry_instruction_length, event->instruction_length);
	vcpu->vmcs->injecting = true;
}
