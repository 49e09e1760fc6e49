/* SPDX-License-Identifier: MIT */
/*
 * The VMX-preemption timer of vmcs02, where L0 wants exits by it too: it holds what comes first of L1's time
 * and L0's, and `timer_beyond` what L1's time has more.  The control that saves the rest is on, so that the
 * sum is L1's timer at any exit, to the tick.  L0's own time goes on from one entry of an L2 to the next,
 * else L0 would never have its exit where L1's come more often.  SDM: "VMX-Preemption Timer".
 */
#include "vmx/nested/entry/timer.h"

#include "vmx/guest/vcpu.h"
#include "vmx/nested/vmcs12/vmcs12.h"

void timer_merge(struct vcpu *vcpu, struct nested_vmcs *slot)
{
	u32 ticks = vcpu->nested.timer_rest, l1 = (u32)slot->v12.preemption_timer_value;

	slot->timer_beyond = 0;
	if (v12_has_pin(&slot->v12, PIN_PREEMPTION_TIMER)) {
		ticks = MIN(ticks, l1);
		slot->timer_beyond = l1 - ticks;
	}
	vcpu->nested.timer_loaded = ticks;
	vmcs_write(VMCS_preemption_timer_value, ticks);
}

void timer_leave(struct vcpu *vcpu)
{
	struct nested *nested = &vcpu->nested;
	u32 left = (u32)vmcs_read(VMCS_preemption_timer_value);

	nested->timer_rest -= nested->timer_loaded - MIN(left, nested->timer_loaded);
	nested->timer_loaded = 0;
}

void nested_timer_again(struct vcpu *vcpu)
{
	struct nested_vmcs *slot = vcpu->nested.current;
	u32 ticks = vcpu->wish.timer_ticks;

	vcpu->nested.timer_rest = ticks;
	if (v12_has_pin(&slot->v12, PIN_PREEMPTION_TIMER)) {
		ticks = MIN(ticks, slot->timer_beyond);
		slot->timer_beyond -= ticks;
	}
	vcpu->nested.timer_loaded = ticks;
	vmcs_write(VMCS_preemption_timer_value, ticks);
}
