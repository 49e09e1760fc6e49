/* SPDX-License-Identifier: MIT */
/*
 * L0's own wishes of any guest.
 */
#ifndef VMX_NESTED_WISH_H
#define VMX_NESTED_WISH_H

#include "vmx/guest/vcpu.h"

/* By the options.  Once for each vCPU, before vmcs01 is made. */
void wish_init(struct vcpu *vcpu);
/* Another wish from now on: vmcs01, the vmcs02 that runs and those that will follow it at once.  This CPU. */
void wish_set_pf(struct vcpu *vcpu, struct pf_intercept wish);
/* Breakpoints: exits for the exceptions of these vectors' bits, in the same way. Any VMCS is current. */
void wish_watch(struct vcpu *vcpu, u32 vectors);
/* L0 has handled an exit of L2's, and L2 goes on: the other wish's turn. */
void wish_alternate_pf(struct vcpu *vcpu);

#endif
