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

#endif
