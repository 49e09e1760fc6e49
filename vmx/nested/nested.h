/* SPDX-License-Identifier: MIT */
/*
 * The nested state of one vCPU, made once, and how much of it is in use.
 */
#ifndef VMX_NESTED_NESTED_H
#define VMX_NESTED_NESTED_H

#include "vmx/guest/vcpu.h"

/* Once per CPU, before the vCPU runs: makes the slots from boot-time pages.  */
void nested_init(struct vcpu *vcpu);

struct nested_resources nested_resources(struct vcpu *vcpu);

/* L0 wants other MSRs or ports from now on: every vmcs02 of this vCPU's follows; where L1's own page of an
 * I/O bitmap is in use, at L1's next entry. The machine stands still. */
void nested_close_bitmaps(struct vcpu *vcpu);

#endif
