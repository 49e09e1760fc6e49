/* SPDX-License-Identifier: MIT */
/*
 * A CPU that stands still, but not in VMX root operation, where it would hold back INITs and lose the SIPIs
 * behind them: in a guest of its own that does nothing.
 */
#ifndef VMX_L1_REST_H
#define VMX_L1_REST_H

#include "vmx/guest/vcpu.h"

/* Once, on the vCPU's own CPU, before its guest runs for the first time; needs wish.timer_ticks. */
void rest_init(struct vcpu *vcpu);

/*
 * Between an exit and an entry: rests for a moment. Nothing of the guest changes, but what an INIT does to
 * L1's processor. True: one has come, and what it leads to has been done.
 */
bool rest_a_moment(struct vcpu *vcpu);

#endif
