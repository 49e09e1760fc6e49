/* SPDX-License-Identifier: MIT */
/*
 * VM entries of L1 that the processor begins and then refuses: none should be, but what L1's state may be
 * changes with L1's own MSRs, and machine checks come at any time.
 */
#ifndef VMX_LATE_H
#define VMX_LATE_H

#include "vmx/guest/vcpu.h"

/*
 * This CPU, in L0: a machine check has hit that L1 is to have: the processor can go on, and L0's own access
 * was not its cause.
 */
bool late_machine_check_is_l1s(void);

/*
 * This CPU, vmcs01 current, its entry has failed with vcpu->exit_reason. True: what was wrong is mended, and
 * the guest can be entered again. False: it is L0's mistake.
 */
bool late_mend(struct vcpu *vcpu);

#endif
