/* SPDX-License-Identifier: MIT */
/*
 * Events that L0 has for an L2: pending for it, or L1's exit.
 * SDM: "Information for VM Exits That Occur During Event Delivery".
 */
#ifndef VMX_NESTED_EXIT_EVENT_H
#define VMX_NESTED_EXIT_EVENT_H

#include "vmx/guest/event.h"
#include "vmx/guest/vcpu.h"

/* An exception for L2: L1's exit (OUTCOME_REFLECT) if it intercepts it, else pending for L2. `qualification`:
 * the linear address of a #PF, 0 for others. */
enum outcome nested_exception(struct vcpu *vcpu, const struct event *event, u64 qualification);
/* A #PF of L2's with this error code is L1's exit, by bitmap, mask and match. */
bool nested_wants_page_fault(struct vcpu *vcpu, u32 error_code);

/*
 * An exit of L2's by an NMI, or by the window that L0 opened for one. The NMI becomes L1's exit, or it is
 * held (nmi_pending).
 */
enum outcome nested_nmi(struct vcpu *vcpu);
/*
 * Before an entry of L2, an NMI is held. It becomes L1's exit now, or L0 arranges to look again as soon as it
 * may come; or it is L2's own.
 */
enum outcome nested_held_nmi(struct vcpu *vcpu);
/* True if the processor will find something at the entry that comes before any NMI. */
bool nested_precedes_nmi(struct vcpu *vcpu);

/* After L0 emulated an instruction of L2 (RIP advanced): L1's monitor trap flag, if it is on. */
enum outcome nested_after_skip(struct vcpu *vcpu);

/* L1's exception bitmap, with PFEC mask and match for #PF. */
bool nested_wants_exception(const struct vmcs12 *v12, u8 vector, u32 error_code);
/* An event that L0 still holds for L2 (vcpu->pending) becomes IDT-vectoring information of vmcs12. */
void nested_event_to_vectoring(struct vcpu *vcpu, struct vmcs12 *v12);

#endif
