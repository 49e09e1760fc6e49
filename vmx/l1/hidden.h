/* SPDX-License-Identifier: MIT */
/*
 * `check`: what of the processor L1 does not see, and why.
 */
#ifndef VMX_L1_HIDDEN_H
#define VMX_L1_HIDDEN_H

struct vcpu;

/* Prints it, as CPUID says it to this vCPU and to Socle. On the CPU of the vCPU. */
void hidden_report(struct vcpu *vcpu);

#endif
