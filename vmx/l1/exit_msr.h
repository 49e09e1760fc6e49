/* SPDX-License-Identifier: MIT */
/*
 * RDMSR and WRMSR of the guest whose VMCS is current.
 */
#ifndef VMX_EXIT_MSR_H
#define VMX_EXIT_MSR_H

#include "vmx/guest/vcpu.h"

/* False: #GP(0), nothing changed. */
bool msr_read(struct vcpu *vcpu, u32 index, u64 *value);
bool msr_write(struct vcpu *vcpu, u32 index, u64 value);
/* What the guests of this CPU have taught its branch predictor is forgotten: IBPB. */
void msr_predictor_barrier(void);
/* Once on each CPU, before its guest runs. */
void msr_cpu_init(void);
/* IA32_DEBUGCTL's bits of `value` that the processor takes now. */
u64 msr_debugctl_taken(u64 value);
/*
 * Carries out REQUEST_MTRRS_CHANGED, before an entry: the memory types of EPT01 follow the MTRRs, on all
 * CPUs.
 */
void msr_apply_mtrrs(struct vcpu *vcpu);

#endif
