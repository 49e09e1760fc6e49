/* SPDX-License-Identifier: MIT */
/*
 * #VE instead of an exit.
 * SDM: "Virtualization Exceptions".
 */
#ifndef VMX_NESTED_EPT_VE_H
#define VMX_NESTED_EPT_VE_H

#include "vmx/guest/vcpu.h"

/* An EPT violation of L2 that is L1's, in hand. `entry12`: the EPT12 entry that decides. OUTCOME_NONE: L1's
 * exit it stays; else it has become a #VE. */
enum outcome nested_convert_violation(struct vcpu *vcpu, u64 entry12, u64 qualification);

#endif
