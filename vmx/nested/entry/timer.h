/* SPDX-License-Identifier: MIT */
/*
 * vmcs02's VMX-preemption timer, which L1 and L0 share.
 * SDM: "VMX-Preemption Timer".
 */
#ifndef VMX_NESTED_ENTRY_TIMER_H
#define VMX_NESTED_ENTRY_TIMER_H

#include "vmx/guest/vcpu.h"
#include "vmx/hw/vmcs_field.h"

/*
 * vmcs02 is current and about to be entered, and L0 has a wish for the timer: it gets the shorter time of
 * L1's and L0's.
 */
void timer_merge(struct vcpu *vcpu, struct nested_vmcs *slot);
/* vmcs02 is about to be left, and L0 has a wish: notes how much of its time has passed. */
void timer_leave(struct vcpu *vcpu);
/* What L1's own timer has left, while vmcs02 is current and vmcs12 has one. */
static inline u64 timer_left(const struct nested_vmcs *slot)
{
	return vmcs_read(VMCS_preemption_timer_value) + slot->timer_beyond;
}
/* L0's own wish has come true in vmcs02, which is current: the timer starts anew, and L1's goes on. */
void nested_timer_again(struct vcpu *vcpu);

#endif
