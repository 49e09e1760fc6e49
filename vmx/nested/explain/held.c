/* SPDX-License-Identifier: MIT */
/*
 * See held.h.
 */
#include "vmx/nested/explain/held.h"

#include "kernel/cmdline.h"
#include "vmx/guest/vcpu.h"
#include "vmx/nested/vmcs12/vmcs12.h"

/* So long L1 runs without an exit: half a second to a second on most processors. */
#define QUIET_TSC_TICKS (1ull << 31)
/* The same in looks of the timer that the monitor has on: 20 ms each. */
#define QUIET_LOOKS 50

void held_watch(struct vcpu *vcpu, bool on)
{
	if (options.explain == EXPLAIN_FIRST)
		vcpu_set_quiet_timer(vcpu, on ? QUIET_TSC_TICKS : 0);
}

bool held_take(struct vcpu *vcpu, bool misconfigured, u64 eptp, u64 l2gpa, u64 access)
{
	struct explain_held *held = &vcpu->nested.explain.held;
	u64 rip = vcpu_reg(vcpu, REG_RIP), reflections = vcpu->nested.counters.reflections;
	bool is_held, again = held->rip == rip && held->l2gpa == l2gpa && held->reflections == reflections;

	held->times = again ? held->times + 1 : 1;
	is_held = held->times < HELD_TIMES && options.explain == EXPLAIN_FIRST;
	held->misconfigured = misconfigured;
	held->rip = rip;
	held->l2gpa = l2gpa;
	held->access = access;
	held->eptp = eptp;
	held->vmcs = vcpu->nested.current->gpa;
	/* This exit is not counted yet. */
	held->reflections = reflections + 1;
	held->looks = 0;
	return is_held;
}

bool held_is_left(const struct vcpu *vcpu)
{
	const struct explain_held *held = &vcpu->nested.explain.held;
	const struct nested_vmcs *slot = vcpu->nested.current;

	return options.explain == EXPLAIN_FIRST && held->reflections == vcpu->nested.counters.reflections &&
	       slot && slot->gpa == held->vmcs;
}

bool held_looked(struct vcpu *vcpu)
{
	return !vcpu->wish.timer_ticks || ++vcpu->nested.explain.held.looks >= QUIET_LOOKS;
}
