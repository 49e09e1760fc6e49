/* SPDX-License-Identifier: MIT */
/*
 * Does L1 want an exit of L2's?
 */
#ifndef VMX_NESTED_EXIT_EXIT_WANTED_H
#define VMX_NESTED_EXIT_EXIT_WANTED_H

#include "vmx/guest/vcpu.h"

/* vmcs12's controls ask for the exit in hand. */
bool nested_l1_asked(struct vcpu *vcpu);
/* True too if L0 has no handler for it: then only L1's controls can have caused the exit. */
bool nested_l1_wants(struct vcpu *vcpu);

#endif
