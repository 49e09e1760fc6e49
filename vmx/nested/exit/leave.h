/* SPDX-License-Identifier: MIT */
/*
 * The one way out of L2.
 */
#ifndef VMX_NESTED_EXIT_LEAVE_H
#define VMX_NESTED_EXIT_LEAVE_H

#include "vmx/guest/vcpu.h"

/* L2 is no longer what runs: ends what L0 has begun in vmcs02 and for its guest, then loads vmcs01. Every
 * path out of L2 comes here; what L0 still holds for the guest (vcpu->pending) has been handed over. */
void nested_leave_l2(struct vcpu *vcpu);
/* The entry of L1's in hand failed, before the switch to L2 or behind it: L2 is not what runs. */
void nested_cancel_entry(struct vcpu *vcpu);

#endif
