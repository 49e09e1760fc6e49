/* SPDX-License-Identifier: MIT */
/*
 * VM entries of L1 that the processor begins and then refuses. Socle's own state never causes one, but
 * L1's MSRs can make a field invalid, and machine checks come at any time.
 */
#ifndef VMX_LATE_H
#define VMX_LATE_H

#include "vmx/guest/vcpu.h"

/*
 * True if the machine check that has hit L0 on this CPU is L1's: the processor can go on, and no access of
 * L0's own caused it.
 */
bool late_machine_check_is_l1s(void);

/*
 * This CPU, vmcs01 current, its entry has failed with vcpu->exit_reason. True: what was wrong is mended, and
 * the guest can be entered again. False: it is L0's mistake.
 */
bool late_mend(struct vcpu *vcpu);

#endif
