/* SPDX-License-Identifier: MIT */
/*
 * L1's processor.  vmcs01 is current in all of these.
 */
#ifndef VMX_L1_H
#define VMX_L1_H

#include "vmx/guest/vcpu.h"

struct l1_start;

/* Once for each vCPU, first: its part of L1's machine, with vmcs01, which becomes current. */
void l1_init(struct vcpu *vcpu);
/* The controls and the first state of vmcs01.  `start` is NULL for an AP: it waits for a SIPI. */
void l1_start(struct vcpu *vcpu, const struct l1_start *start);
/* The exception bitmap, with PFEC mask and match: L0's own wishes. */
void l1_write_exceptions(struct vcpu *vcpu);

/* INIT state.  SDM: "Processor State After Reset, Power-up or INIT". */
void l1_reset(struct vcpu *vcpu);
/* An INIT that L1's processor takes now (not in VMX operation): INIT state; an AP waits for a SIPI, which
 * brings that state (exit_sipi()). */
void l1_take_init(struct vcpu *vcpu);
/* Shutdown, from which nothing but an INIT wakes; a HLT that is as deep, where no entry can load that state.
 */
void l1_shut_down(struct vcpu *vcpu);

#endif
