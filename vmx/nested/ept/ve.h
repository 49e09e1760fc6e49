/* SPDX-License-Identifier: MIT */
/*
 * #VE instead of an exit.
 * SDM: "Virtualization Exceptions".
 */
#ifndef VMX_NESTED_EPT_VE_H
#define VMX_NESTED_EPT_VE_H

#include "vmx/guest/vcpu.h"

/*
 * For an EPT violation of L2 that L1 shall see; it is the exit in hand. `entry12`: the EPT12 entry that
 * decides. OUTCOME_NONE: it stays an exit to L1; else it has become a #VE of L2's.
 */
enum outcome nested_convert_violation(struct vcpu *vcpu, u64 entry12, u64 qualification);

#endif
