/* SPDX-License-Identifier: MIT */
/*
 * Events that L0 gives to the guest that runs now, and what an emulated
 * instruction leaves behind.  SDM: "Event Injection", "Interruptibility".
 */
#ifndef VMX_EVENT_H
#define VMX_EVENT_H

#include "vmx/guest/vcpu.h"

/*
 * SDM "Conditions for Generating a Double Fault": what becomes of an exception in the delivery of an event. A
 * #VE counts as a page fault.
 */
enum event_pair { PAIR_SERIAL, PAIR_DOUBLE_FAULT, PAIR_TRIPLE_FAULT };
enum event_pair event_combine(const struct event *first, const struct event *second);

/* The #DF that two exceptions of the current guest make, in the mode that it is in. */
struct event event_double_fault(struct vcpu *vcpu);

/*
 * After an exit that L0 handled itself: an event whose delivery was interrupted (IDT-vectoring) is
 * delivered again.
 */
void event_requeue_vectoring(struct vcpu *vcpu);

/*
 * Advances RIP over the emulated instruction (wraps at 32 bits outside 64-bit mode), clears STI/MOV-SS
 * blocking, raises TF's #DB.
 */
void event_skip_instruction(struct vcpu *vcpu);

/*
 * The same between two iterations of a repeated instruction: RIP stays, and RF keeps an instruction
 * breakpoint on it from being met again.
 */
void event_finish_iteration(struct vcpu *vcpu);

/*
 * Interruptibility as it holds back an NMI.  SDM "NMI-Window Exiting": a processor "may also prevent such a
 * VM exit if there is blocking of events by STI".  One that did not would do it again at once, and STI does
 * not hold back NMIs there.
 */
u64 event_nmi_interruptibility(struct vcpu *vcpu);

/* What the guest's own hypervisor wants by its primary controls, besides L0: windows, the monitor trap flag.
 */
u32 event_proc_of_owner(struct vcpu *vcpu);

/*
 * The one writer of the current VMCS's monitor trap flag but for the merge of L1's own wish: on while one of
 * the reasons `why` (STEP_*) is left. Costs nothing where that changes nothing.
 */
void event_set_step(struct vcpu *vcpu, u32 why, bool on);

/* Open: the current guest exits as soon as an NMI can be delivered to it, with virtual NMIs a virtual one. */
void event_set_nmi_window(struct vcpu *vcpu, bool open);
/* The entry finds a debug exception to deliver. */
bool event_debug_pending(struct vcpu *vcpu);

#endif
