/* SPDX-License-Identifier: MIT */
/*
 * Events that L0 gives to the guest that runs now: exceptions found while
 * emulating, events whose delivery an exit broke off, NMIs of L1's. What is
 * L1's to know about L2's events is vmx/nested/exit/event.c's.
 * SDM: "Event Injection", "Interrupt 8 - Double Fault Exception", "Virtual NMIs".
 */
#include "vmx/guest/event.h"

#include "kernel/hw/cpu.h"
#include "kernel/log.h"
#include "kernel/msr.h"
#include "kernel/x86.h"
#include "vmx/exit.h"

#define DEBUGCTL_OF(vcpu) vmcs_read(VMCS_guest_debugctl)

static bool is_contributory(u8 vector)
{
	return vector < 32 && (BIT(vector) & VEC_CONTRIBUTORY);
}

enum combination { SERIAL, DOUBLE_FAULT, TRIPLE_FAULT };

/* SDM "Conditions for Generating a Double Fault". */
static enum combination combine(const struct event *first, u8 second)
{
	if (first->type != INTR_TYPE_HARD_EXCEPTION)
		return SERIAL;
	if (first->vector == VEC_DF)
		return is_contributory(second) || second == VEC_PF ? TRIPLE_FAULT : SERIAL;
	if (is_contributory(first->vector))
		return is_contributory(second) ? DOUBLE_FAULT : SERIAL;
	if (first->vector == VEC_PF)
		return is_contributory(second) || second == VEC_PF ? DOUBLE_FAULT : SERIAL;
	return SERIAL;
}

struct event event_double_fault(struct vcpu *vcpu)
{
	return (struct event){
		.vector = VEC_DF,
		.type = INTR_TYPE_HARD_EXCEPTION,
		/* Real mode delivers no error codes. */
		.has_error_code = vcpu_is_protected(vcpu),
	};
}

static enum action queue_exception(struct vcpu *vcpu, const struct event *event)
{
	enum combination how = vcpu->pending_valid ? combine(&vcpu->pending, event->vector) : SERIAL;

	if (how == TRIPLE_FAULT)
		return exit_triple_fault(vcpu);
	/* The first event gives way; an NMI, whose delivery had begun, leaves its blocking behind. */
	if (vcpu->pending_valid && vcpu->pending.type == INTR_TYPE_NMI)
		vcpu_set_reg(vcpu, REG_INTERRUPTIBILITY,
			     vcpu_reg(vcpu, REG_INTERRUPTIBILITY) | INTERRUPTIBILITY_NMI);
	vcpu->pending = *event;
	vcpu->pending_valid = true;
	if (how == DOUBLE_FAULT)
		vcpu->pending = event_double_fault(vcpu);
	return ACTION_RESUME;
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

enum action event_inject_exception(struct vcpu *vcpu, u8 vector, bool has_error_code, u32 error_code)
{
	struct event event = {
		.vector = vector,
		.type = INTR_TYPE_HARD_EXCEPTION,
		/* Real mode delivers no error codes. */
		.has_error_code = has_error_code && vcpu_is_protected(vcpu),
		.error_code = error_code,
	};

	set_resume_flag(vcpu, vector);
	if (vcpu->nested.in_l2)
		return nested_exception(vcpu, &event, 0);
	return queue_exception(vcpu, &event);
}

enum action event_inject_ud(struct vcpu *vcpu)
{
	return event_inject_exception(vcpu, VEC_UD, false, 0);
}

enum action event_inject_gp(struct vcpu *vcpu, u32 error_code)
{
	return event_inject_exception(vcpu, VEC_GP, true, error_code);
}

enum action event_inject_pf(struct vcpu *vcpu, u64 linear, u32 error_code)
{
	struct event event = {
		.vector = VEC_PF,
		.type = INTR_TYPE_HARD_EXCEPTION,
		.has_error_code = true,
		.error_code = error_code,
	};

	set_resume_flag(vcpu, VEC_PF);
	/*
	 * CR2 is in the register itself while L0 runs.  An exit to L1 in place of L2's #PF leaves it alone;
	 * but SDM "Page-Fault Exception": it is updated "even if the page fault results in a double fault".
	 */
	if (vcpu->nested.in_l2) {
		if (!nested_wants_page_fault(vcpu, error_code))
			write_cr2(linear);
		return nested_exception(vcpu, &event, linear);
	}
	write_cr2(linear);
	return queue_exception(vcpu, &event);
}

void event_requeue_vectoring(struct vcpu *vcpu)
{
	u32 info = (u32)vcpu_reg(vcpu, REG_IDT_VECTORING_INFO);
	struct event *event = &vcpu->pending;

	if (likely(!(info & INTR_INFO_VALID)))
		return;
	*event = (struct event){
		.vector = info & INTR_INFO_VECTOR,
		.type = (info & INTR_INFO_TYPE) >> INTR_INFO_TYPE_SHIFT,
		.has_error_code = info & INTR_INFO_ERROR_CODE,
	};
	if (event->has_error_code)
		event->error_code = (u32)vcpu_reg(vcpu, REG_IDT_VECTORING_ERROR_CODE);
	if (event->type >= INTR_TYPE_SOFT_INTERRUPT && event->type <= INTR_TYPE_SOFT_EXCEPTION)
		event->instruction_length = (u32)vcpu_reg(vcpu, REG_EXIT_INSTRUCTION_LENGTH);
	/* Its delivery set the blocking, and an NMI cannot be injected while that is set. */
	if (event->type == INTR_TYPE_NMI)
		vcpu_set_reg(vcpu, REG_INTERRUPTIBILITY,
			     vcpu_reg(vcpu, REG_INTERRUPTIBILITY) & ~(u64)INTERRUPTIBILITY_NMI);
	vcpu->pending_valid = true;
}

void event_set_step(struct vcpu *vcpu, u32 why, bool on)
{
	struct vmcs *vmcs = vcpu->vmcs;
	bool before = vmcs->steps;
	u64 controls;

	vmcs->steps = (u8)(on ? vmcs->steps | why : vmcs->steps & ~why);
	if (before == !!vmcs->steps)
		return;
	controls = vmcs_read(VMCS_proc_controls) & ~(u64)PROC_MTF;
	/* vmcs02's may be L1's own wish as well. */
	if (vmcs->steps || (vcpu->nested.in_l2 && v12_has_proc(&vcpu->nested.current->v12, PROC_MTF)))
		controls |= PROC_MTF;
	vmcs_write(VMCS_proc_controls, controls);
}

void event_machine_check(struct vcpu *vcpu)
{
	static const struct event event = { .vector = VEC_MC, .type = INTR_TYPE_HARD_EXCEPTION };

	/* Not before the first instruction boundary after the pending event was delivered. */
	if (vcpu->pending_valid) {
		event_set_step(vcpu, STEP_MACHINE_CHECK, true);
		return;
	}
	event_set_step(vcpu, STEP_MACHINE_CHECK, false);
	vcpu->machine_check_pending = false;
	/* Nothing is injected into wait-for-SIPI; another one must not find this one unfinished. */
	if (vcpu->nested.aborted || vcpu_reg(vcpu, REG_ACTIVITY) == ACTIVITY_WAIT_FOR_SIPI) {
		wrmsr(MSR_IA32_MCG_STATUS, 0);
		return;
	}
	if (vcpu->nested.in_l2)
		nested_machine_check(vcpu, &event);
	else
		queue_exception(vcpu, &event);
}

/*
 * 16-bit code too goes on beyond FFFFH: only branches and what is pushed are cut to the operand size. Where
 * the segment ends there, the fetch is the processor's to fault.
 */
static u64 wrap_rip(struct vcpu *vcpu, u64 rip)
{
	return vcpu_is_64bit(vcpu) ? rip : (u32)rip;
}

/* An instruction that traps, or one that ended under RF. */
static void finish_flags(struct vcpu *vcpu, u64 rflags)
{
	vcpu_set_reg(vcpu, REG_RFLAGS, rflags & ~(u64)RFLAGS_RF);
	/*
	 * SDM "Single-Step Exception Condition": with BTF only branches trap, and no emulated
	 * instruction is one.
	 */
	if ((rflags & RFLAGS_TF) && !(DEBUGCTL_OF(vcpu) & DEBUGCTL_BTF))
		vcpu_set_reg(vcpu, REG_PENDING_DEBUG, vcpu_reg(vcpu, REG_PENDING_DEBUG) | PENDING_DEBUG_BS);
}

void event_skip_instruction(struct vcpu *vcpu)
{
	struct regcache *cache = &vcpu->vmcs->cache;
	u64 available = cache->available;
	u64 rip = vcpu_reg_fast(vcpu, cache, &available, REG_RIP);
	u64 rflags = vcpu_reg_fast(vcpu, cache, &available, REG_RFLAGS);
	u64 interruptibility = vcpu_reg_fast(vcpu, cache, &available, REG_INTERRUPTIBILITY);
	u64 length = vcpu_reg_fast(vcpu, cache, &available, REG_EXIT_INSTRUCTION_LENGTH);
	u64 next = rip + length;

	cache->available = available;
	/* The mode matters only where the addition carries out of the low 32 bits. */
	if (unlikely((rip ^ next) >> 32))
		next = wrap_rip(vcpu, next);
	vcpu_set_reg(vcpu, REG_RIP, next);
	if (unlikely(interruptibility & (INTERRUPTIBILITY_STI | INTERRUPTIBILITY_MOV_SS)))
		vcpu_set_reg(vcpu, REG_INTERRUPTIBILITY,
			     interruptibility & ~(u64)(INTERRUPTIBILITY_STI | INTERRUPTIBILITY_MOV_SS));
	if (unlikely(rflags & (RFLAGS_TF | RFLAGS_RF)))
		finish_flags(vcpu, rflags);
}

/* SDM "Resume Flag": RF is set in what is saved "between the iterations of a repeated string instruction". */
void event_finish_iteration(struct vcpu *vcpu)
{
	const u64 shadows = INTERRUPTIBILITY_STI | INTERRUPTIBILITY_MOV_SS;
	u64 rflags = vcpu_reg(vcpu, REG_RFLAGS);

	vcpu_set_reg(vcpu, REG_INTERRUPTIBILITY, vcpu_reg(vcpu, REG_INTERRUPTIBILITY) & ~shadows);
	finish_flags(vcpu, rflags);
	vcpu_set_reg(vcpu, REG_RFLAGS, rflags | RFLAGS_RF);
}

void event_set_nmi_window(struct vcpu *vcpu, bool open)
{
	u64 controls;

	if (vcpu->vmcs->nmi_window == open)
		return;
	controls = vmcs_read(VMCS_proc_controls) & ~(u64)PROC_NMI_WINDOW;
	/* vmcs02's may be L1's own wish as well. */
	if (open || (vcpu->nested.in_l2 && v12_has_proc(&vcpu->nested.current->v12, PROC_NMI_WINDOW)))
		controls |= PROC_NMI_WINDOW;
	vmcs_write(VMCS_proc_controls, controls);
	vcpu->vmcs->nmi_window = open;
}

u64 event_nmi_interruptibility(struct vcpu *vcpu)
{
	u64 interruptibility = vcpu_reg(vcpu, REG_INTERRUPTIBILITY);

	return vcpu->exit_reason == EXIT_NMI_WINDOW ? interruptibility & ~(u64)INTERRUPTIBILITY_STI
						    : interruptibility;
}

/*
 * SDM "Pending Debug Exceptions": those that the processor delivers at the entry, before an NMI; in shutdown
 * there is no instruction boundary for them.
 */
bool event_debug_pending(struct vcpu *vcpu)
{
	return vcpu_reg(vcpu, REG_ACTIVITY) != ACTIVITY_SHUTDOWN &&
	       vcpu_reg(vcpu, REG_PENDING_DEBUG) &
		       (PENDING_DEBUG_BS | PENDING_DEBUG_ENABLED_BP | PENDING_DEBUG_BLD);
}

/* The NMI of the guest that runs now: now if nothing blocks it or comes before it, else at the NMI window. */
static void commit_nmi(struct vcpu *vcpu)
{
	u64 interruptibility = event_nmi_interruptibility(vcpu);

	/* SDM "Non-Maskable Interrupts": one is held while a processor waits for a SIPI. */
	if (vcpu_reg(vcpu, REG_ACTIVITY) == ACTIVITY_WAIT_FOR_SIPI)
		return;
	/* One that is to be L1's exit is nested_held_nmi()'s, or waits for L2's end. */
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

void event_commit(struct vcpu *vcpu)
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
