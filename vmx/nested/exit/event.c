/* SPDX-License-Identifier: MIT */
/*
 * Events while L2 runs: exceptions that L0 finds for it, NMIs, the monitor
 * trap flag after an emulated instruction, and what becomes of an event that
 * L0 still holds when L2 ends.  Injection itself is vmx/guest/event.c's.
 * SDM: "Exceptions" and "Event Injection" in the VMX chapters; "Interrupt 8, Double Fault".
 */
#include "vmx/nested/exit/event.h"

#include "kernel/x86.h"
#include "vmx/guest/guest_mem.h"
#include "vmx/guest/event.h"
#include "vmx/guest/outcome.h"
#include "vmx/guest/vcpu.h"
#include "vmx/nested/entry/merge.h"
#include "vmx/nested/entry/timer.h"
#include "vmx/nested/entry/tpr.h"
#include "vmx/nested/vmcs12/vmcs12.h"

/* SDM "Exceptions": the exception bitmap; for #PF with PFEC mask and match as one value. */
bool nested_wants_exception(const struct vmcs12 *v12, u8 vector, u32 error_code)
{
	struct pf_intercept pf = {
		.eb = v12->exception_bitmap & BIT(VEC_PF),
		.mask = (u32)v12->pf_mask,
		.match = (u32)v12->pf_match,
	};

	if (vector == VEC_PF)
		return pf_intercept_wants(pf, error_code);
	return vector < 32 && (v12->exception_bitmap & BIT(vector));
}

static bool is_software(u8 type)
{
	return type == INTR_TYPE_SOFT_INTERRUPT || type == INTR_TYPE_SOFT_EXCEPTION ||
	       type == INTR_TYPE_PRIVILEGED_SOFT_EXCEPTION;
}

/* Interruption information: the layout is the same for VM exits, IDT vectoring and VM entries. */
static u32 event_info(const struct event *event)
{
	return event->vector | (u32)event->type << INTR_INFO_TYPE_SHIFT |
	       (event->has_error_code ? (u32)INTR_INFO_ERROR_CODE : 0) | (u32)INTR_INFO_VALID;
}

/*
 * An event that L0 still holds (its delivery was interrupted, or it had no
 * chance yet) is L1's to deliver now: IDT-vectoring information.  A pending
 * MTF VM exit is not delivered through the IDT and gives way.
 */
void nested_event_to_vectoring(struct vcpu *vcpu, struct vmcs12 *v12)
{
	const struct event *event = &vcpu->pending;

	v12->idt_vectoring_info = 0;
	if (!vcpu->pending_valid)
		return;
	vcpu->pending_valid = false;
	if (event->type == INTR_TYPE_OTHER)
		return;
	v12->idt_vectoring_info = event_info(event);
	if (event->has_error_code)
		v12->idt_vectoring_error_code = event->error_code;
	if (is_software(event->type))
		v12->exit_instruction_length = event->instruction_length;
	/* The delivery of an NMI has begun: it blocks further ones. */
	if (event->type == INTR_TYPE_NMI)
		v12->guest_interruptibility |= INTERRUPTIBILITY_NMI;
	vcpu->nested.current->changed |= PLACE(guest_interruptibility);
}

/* SDM: a VM exit directly by the exception. */
static enum outcome reflect_exception(struct vcpu *vcpu, const struct event *event, u64 qualification)
{
	const struct vmcs12 *v12 = &vcpu->nested.current->v12;
	struct exit_record record = {
		.reason = EXIT_EXCEPTION_NMI,
		.qualification = qualification,
		.intr_info = event_info(event),
		.intr_error_code = event->error_code,
		.instruction_length = event->instruction_length,
		.instruction_info = (u32)v12->exit_instruction_info,
		.guest_physical = v12->guest_physical_address,
		.guest_linear = v12->guest_linear_address,
	};

	return outcome_reflect(vcpu, &record);
}

static enum outcome reflect_triple_fault(struct vcpu *vcpu)
{
	struct exit_record record = { .reason = EXIT_TRIPLE_FAULT };

	vcpu->pending_valid = false;
	return outcome_reflect(vcpu, &record);
}

/*
 * An exception during the delivery of an event: L1's exception bitmap decides
 * about the second one first; only then do the two make a double fault, which
 * L1 may want in turn.  "An exit by #DF or triple fault is not considered to
 * occur during event delivery": no IDT-vectoring information.
 */
static enum outcome combine_exceptions(struct vcpu *vcpu, const struct event *second)
{
	struct event double_fault = event_double_fault(vcpu);
	enum event_pair pair = event_combine(&vcpu->pending, second);

	if (pair == PAIR_TRIPLE_FAULT)
		return reflect_triple_fault(vcpu);
	if (pair == PAIR_SERIAL) {
		/*
		 * The first event is dropped. If it was an NMI, its delivery had begun, and NMIs stay
		 * blocked.
		 */
		if (vcpu->pending.type == INTR_TYPE_NMI)
			vcpu_set_reg(vcpu, REG_INTERRUPTIBILITY,
				     vcpu_reg(vcpu, REG_INTERRUPTIBILITY) | INTERRUPTIBILITY_NMI);
		vcpu->pending = *second;
		return OUTCOME_RESUME;
	}
	vcpu->pending_valid = false;
	if (nested_wants_exception(&vcpu->nested.current->v12, VEC_DF, 0))
		return reflect_exception(vcpu, &double_fault, 0);
	vcpu->pending = double_fault;
	vcpu->pending_valid = true;
	return OUTCOME_RESUME;
}

bool nested_wants_page_fault(struct vcpu *vcpu, u32 error_code)
{
	return nested_wants_exception(&vcpu->nested.current->v12, VEC_PF, error_code);
}

enum outcome nested_exception(struct vcpu *vcpu, const struct event *event, u64 qualification)
{
	if (nested_wants_exception(&vcpu->nested.current->v12, event->vector, event->error_code))
		return reflect_exception(vcpu, event, qualification);
	if (vcpu->pending_valid)
		return combine_exceptions(vcpu, event);
	vcpu->pending = *event;
	vcpu->pending_valid = true;
	return OUTCOME_RESUME;
}

/*
 * With "NMI exiting" an NMI is L1's exit, though without "virtual NMIs" only if NMIs are not blocked: such
 * blocking "remains in effect as long as the logical processor is in VMX non-root operation", whatever IRET
 * does.  Without "NMI exiting" L2 takes it through its own IDT.
 */
static bool nmi_is_l1s(struct vcpu *vcpu)
{
	const struct vmcs12 *v12 = &vcpu->nested.current->v12;

	if (!v12_has_pin(v12, PIN_NMI_EXITING))
		return false;
	return v12_has_pin(v12, PIN_VIRTUAL_NMIS) ||
	       !(vcpu->nested.current->nmi_blocked ||
		 (vcpu_reg(vcpu, REG_INTERRUPTIBILITY) & INTERRUPTIBILITY_NMI));
}

static enum outcome reflect_nmi(struct vcpu *vcpu)
{
	static const struct event nmi = { .vector = VEC_NMI, .type = INTR_TYPE_NMI };

	vcpu->nmi_pending = false;
	return reflect_exception(vcpu, &nmi, 0);
}

enum outcome nested_nmi(struct vcpu *vcpu)
{
	vcpu->nmi_pending = true;
	/* The instruction behind MOV SS or STI comes first. */
	if (!nmi_is_l1s(vcpu) ||
	    (event_nmi_interruptibility(vcpu) & (INTERRUPTIBILITY_STI | INTERRUPTIBILITY_MOV_SS)))
		return OUTCOME_RESUME;
	return reflect_nmi(vcpu);
}

/*
 * True if the processor itself will do something at the entry that comes before a physical NMI. SDM: "VM
 * Exits Induced by the TPR Threshold", "VMX-Preemption Timer Expiration", "Pending Debug Exceptions" after VM
 * entry, "NMI-Window Exiting".
 */
bool nested_precedes_nmi(struct vcpu *vcpu)
{
	const struct vmcs12 *v12 = &vcpu->nested.current->v12;

	return event_debug_pending(vcpu) || nested_exits_by_tpr(vcpu, v12) ||
	       (v12_has_pin(v12, PIN_PREEMPTION_TIMER) && !timer_left(vcpu->nested.current));
}

enum nmi_way { NMI_STAYS, NMI_BY_WINDOW, NMI_BY_STEP };

static void wait_for_nmi(struct vcpu *vcpu, enum nmi_way way)
{
	event_set_nmi_window(vcpu, way == NMI_BY_WINDOW);
	event_set_step(vcpu, STEP_NMI, way == NMI_BY_STEP);
}

/*
 * A held NMI is L1's exit, but four things must happen first: the delivery of the injected event, the
 * instruction behind MOV SS or STI, an exit that the processor takes by itself (preemption timer, TPR
 * threshold, #DB), and L1's own NMI-window exit.  L0 waits for them by opening the NMI window; where L2's
 * virtual NMIs are blocked no window opens, although that holds no physical NMI back, so L0 lets the monitor
 * trap flag stop L2 instead.
 */
enum outcome nested_held_nmi(struct vcpu *vcpu)
{
	const struct vmcs12 *v12 = &vcpu->nested.current->v12;
	u64 interruptibility = event_nmi_interruptibility(vcpu);
	bool blocked = interruptibility & INTERRUPTIBILITY_NMI;

	/* SDM "Other Causes of VM Exits": "in the wait-for-SIPI state, NMIs are blocked", and make no exit.
	 */
	if (vcpu_reg(vcpu, REG_ACTIVITY) == ACTIVITY_WAIT_FOR_SIPI || !nmi_is_l1s(vcpu)) {
		wait_for_nmi(vcpu, NMI_STAYS);
		return OUTCOME_RESUME;
	}
	if (!vcpu->pending_valid && !(interruptibility & (INTERRUPTIBILITY_STI | INTERRUPTIBILITY_MOV_SS)) &&
	    (blocked || !v12_has_proc(v12, PROC_NMI_WINDOW)) && !nested_precedes_nmi(vcpu))
		return reflect_nmi(vcpu);
	/* An NMI that is injected blocks the next ones. */
	if (blocked || (vcpu->pending_valid && vcpu->pending.type == INTR_TYPE_NMI))
		wait_for_nmi(vcpu, NMI_BY_STEP);
	else
		wait_for_nmi(vcpu, NMI_BY_WINDOW);
	return OUTCOME_RESUME;
}

/*
 * SDM "Monitor Trap Flag": the VM exit is pending on the boundary after the
 * instruction, before a debug exception, which stays pending in vmcs12.
 */
enum outcome nested_after_skip(struct vcpu *vcpu)
{
	struct exit_record record = { .reason = EXIT_MTF };

	if (!v12_has_proc(&vcpu->nested.current->v12, PROC_MTF))
		return OUTCOME_RESUME;
	return outcome_reflect(vcpu, &record);
}
