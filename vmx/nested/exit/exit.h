/* SPDX-License-Identifier: MIT */
/*
 * An exit of L2's: whose it is, and the end of L2.
 */
#ifndef VMX_NESTED_EXIT_EXIT_H
#define VMX_NESTED_EXIT_EXIT_H

#include "vmx/guest/vcpu.h"

/* Exit while L2 runs. OUTCOME_NONE: L1 does not want it, and L0 is to handle it as it does L1's own. */
enum outcome nested_exit(struct vcpu *vcpu);
/* Carries out OUTCOME_REFLECT and OUTCOME_ENTRY_FAILURE, for the run loop: L1 is what runs next. */
enum outcome nested_end_l2(struct vcpu *vcpu, enum outcome outcome);

#endif
