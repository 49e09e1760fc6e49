/* SPDX-License-Identifier: MIT */
/*
 * Events into the guest that runs now.  For the run loop alone: everybody
 * else returns an outcome (vmx/guest/outcome.h).
 */
#ifndef VMX_INJECT_H
#define VMX_INJECT_H

#include "vmx/guest/vcpu.h"

/*
 * Carries OUTCOME_FAULT out: the exception in vcpu->outcome becomes pending for the guest that runs now,
 * alone or as the double fault that it makes with an event in delivery.  What follows: OUTCOME_RESUME;
 * OUTCOME_REFLECT where L1 intercepts it of L2; OUTCOME_STOP after L1's triple fault.
 */
enum outcome inject_fault(struct vcpu *vcpu);

/* A machine check that hit L0: the current guest's, as soon as nothing else is being delivered. Outcomes as
 * above. */
enum outcome inject_machine_check(struct vcpu *vcpu);

/*
 * Before entry: writes the pending event into the current VMCS, or clears injection; opens or closes
 * the NMI window.
 */
void inject_commit(struct vcpu *vcpu);

#endif
