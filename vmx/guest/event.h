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
 * Behind an instruction's own exit, whose cause L0 has taken away: the guest executes the instruction now.
 * RIP and all else stay; a code breakpoint at it, which has been met, is not met again.
 */
void event_execute_again(struct vcpu *vcpu);

/*
 * The interruptibility state that decides whether an NMI must wait. Blocking by STI does not count at an
 * NMI-window exit: SDM "NMI-Window Exiting" says that a processor "may also prevent such a VM exit if
 * there is blocking of events by STI". A processor that opens the window all the same does not hold back
 * NMIs by STI, and would open it again at once.
 */
u64 event_nmi_interruptibility(struct vcpu *vcpu);

/*
 * The primary controls that the guest's own hypervisor has set for it (windows, monitor trap flag),
 * besides what L0 wants. 0 if it has no hypervisor but L0.
 */
u32 event_proc_of_owner(struct vcpu *vcpu);

/* An NMI has ended the guest: the pending one of L1's, or (false) the monitor's, which is told. */
bool event_take_nmi(struct vcpu *vcpu);
/*
 * Turns the monitor trap flag of the current VMCS on or off for the reasons `why` (STEP_*). The flag stays
 * on while one reason is left. Nobody else writes this bit, except the merge, for L1's own wish. A call
 * that changes nothing costs no VMREAD or VMWRITE.
 */
void event_set_step(struct vcpu *vcpu, u32 why, bool on);

/*
 * Open: the current guest exits as soon as an NMI can be delivered to it. With virtual NMIs that is a
 * virtual one.
 */
void event_set_nmi_window(struct vcpu *vcpu, bool open);
/* True if the next VM entry will deliver a pending debug exception. */
bool event_debug_pending(struct vcpu *vcpu);

/*
 * An IRET that `unblocked` NMIs before it met the exit in hand will run again: NMIs are blocked until then.
 * Not where the exit came in the delivery of an event. SDM "Resuming Guest Software after Handling an
 * Exception".
 */
void event_restore_nmi_blocking(struct vcpu *vcpu, bool unblocked);

#endif
