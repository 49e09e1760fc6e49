/* SPDX-License-Identifier: MIT */
/*
 * The events of the guest that runs now, as an emulation leaves them: one
 * whose delivery an exit broke off, what an emulated instruction brings about,
 * the windows and steps by which L0 waits for a boundary. Injection is
 * vmx/inject.c's.
 * SDM: "Event Injection", "Pending Debug Exceptions", "NMI-Window Exiting".
 */
#include "vmx/guest/event.h"

#include "kernel/hw/cpu.h"
#include "kernel/x86.h"
#include "vmx/guest/watch.h"

#define DEBUGCTL_OF(vcpu) vmcs_read(VMCS_guest_debugctl)

enum exception_class { CLASS_BENIGN, CLASS_CONTRIBUTORY, CLASS_PAGE_FAULT, CLASS_DOUBLE_FAULT };

static enum exception_class exception_class(const struct event *event)
{
	if (event->type != INTR_TYPE_HARD_EXCEPTION)
		return CLASS_BENIGN;
	if (event->vector == VEC_DF)
		return CLASS_DOUBLE_FAULT;
	if (event->vector == VEC_PF || event->vector == VEC_VE)
		return CLASS_PAGE_FAULT;
	return BIT(event->vector) & VEC_CONTRIBUTORY ? CLASS_CONTRIBUTORY : CLASS_BENIGN;
}

enum event_pair event_combine(const struct event *first, const struct event *second)
{
	enum exception_class class1 = exception_class(first), class2 = exception_class(second);

	if (class2 == CLASS_BENIGN || class1 == CLASS_BENIGN)
		return PAIR_SERIAL;
	if (class1 == CLASS_DOUBLE_FAULT)
		return PAIR_TRIPLE_FAULT;
	if (class1 == CLASS_CONTRIBUTORY && class2 != CLASS_CONTRIBUTORY)
		return PAIR_SERIAL;
	return class2 == CLASS_DOUBLE_FAULT ? PAIR_SERIAL : PAIR_DOUBLE_FAULT;
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

u32 event_proc_of_owner(struct vcpu *vcpu)
{
	return vcpu->guest->proc_of_owner ? vcpu->guest->proc_of_owner(vcpu) : 0;
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
	if (vmcs->steps || (event_proc_of_owner(vcpu) & PROC_MTF))
		controls |= PROC_MTF;
	vmcs_write(VMCS_proc_controls, controls);
}

/*
 * 16-bit code too goes on beyond FFFFH: only branches and what is pushed are cut to the operand size. Where
 * the segment ends there, the fetch is the processor's to fault.
 */
static u64 wrap_rip(struct vcpu *vcpu, u64 rip)
{
	return vcpu_is_64bit(vcpu) ? rip : (u32)rip;
}

/*
 * The rare end of an emulated instruction: RFLAGS.TF was set, so that it traps, or RF was set, which it
 * clears.
 */
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
	struct reg_batch batch = vcpu_reg_batch(vcpu);
	u64 rip = reg_batch_read(&batch, REG_RIP);
	u64 rflags = reg_batch_read(&batch, REG_RFLAGS);
	u64 interruptibility = reg_batch_read(&batch, REG_INTERRUPTIBILITY);
	u64 length = reg_batch_read(&batch, REG_EXIT_INSTRUCTION_LENGTH);
	u64 next = rip + length;

	reg_batch_end(&batch);
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

/*
 * SDM "Saving RIP, RSP, RFLAGS": of RF such an exit saves 0, whatever it was. Without breakpoints nobody but
 * an interrupt's handler can see it, and for that one 0 is likely to be right.
 */
void event_execute_again(struct vcpu *vcpu)
{
	if (watch_is_on(vcpu))
		vcpu_set_reg(vcpu, REG_RFLAGS, vcpu_reg(vcpu, REG_RFLAGS) | RFLAGS_RF);
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
	if (open || (event_proc_of_owner(vcpu) & PROC_NMI_WINDOW))
		controls |= PROC_NMI_WINDOW;
	vmcs_write(VMCS_proc_controls, controls);
	vcpu->vmcs->nmi_window = open;
}

void event_restore_nmi_blocking(struct vcpu *vcpu, bool unblocked)
{
	if (unblocked && !(vcpu_reg(vcpu, REG_IDT_VECTORING_INFO) & INTR_INFO_VALID))
		vcpu_set_reg(vcpu, REG_INTERRUPTIBILITY,
			     vcpu_reg(vcpu, REG_INTERRUPTIBILITY) | INTERRUPTIBILITY_NMI);
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

bool event_take_nmi(struct vcpu *vcpu)
{
	if (likely(!vcpu->wish.nmi))
		return vcpu->nmi_pending = true;
	__atomic_fetch_or(&vcpu->request, REQUEST_MONITOR_NMI, __ATOMIC_RELEASE);
	return false;
}
