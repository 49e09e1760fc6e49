/* SPDX-License-Identifier: MIT */
/*
 * Control registers as the guest's architecture has them.  The VMCS of the
 * guest that is meant must be current.
 */
#ifndef VMX_EXIT_CR_H
#define VMX_EXIT_CR_H

#include "kernel/hw/cpu.h"
#include "kernel/x86.h"
#include "vmx/guest/vcpu.h"

/* L1's CR0 and CR4 as L1 wrote them (vmcs01 current). */
u64 cr_l1_cr0(struct vcpu *vcpu);
u64 cr_l1_cr4(struct vcpu *vcpu);
/*
 * Sets them, without checks: guest field and read shadow of vmcs01 (current).  PDPTEs, EFER and the
 * TLB are the caller's.
 */
void cr_set_l1_cr0(struct vcpu *vcpu, u64 value);
/*
 * What CR0 is behind a VM entry or exit that loads this field.  SDM "Loading Guest Control Registers, Debug
 * Registers, and MSRs" and "Loading Host ...": reserved bits, ET, CD and NW are not loaded.
 */
u64 cr_loaded_cr0(u64 field);
void cr_set_l1_cr4(struct vcpu *vcpu, u64 value);
/* The second half of both: vmcs01's guest fields have been written, CR0.CD and NW are the register's. */
void cr_show_l1(struct vcpu *vcpu, u64 cr0, u64 cr4);
/* IA32_EFER of the guest that runs now, with the VM-entry control "IA-32e mode guest" following LMA. */
void cr_set_efer(struct vcpu *vcpu, u64 value);
/*
 * CR0 and CR4 masks of vmcs01 (current): they depend on nested.vmxon and intercept=.  After VMXON and
 * VMXOFF.
 */
void cr_update_masks(struct vcpu *vcpu);
/* Bits of CR4 that L1 may set. */
u64 cr_l1_cr4_allowed(void);
/* The real CR0's CD and NW become those of `value`: VM entries and exits leave them alone. */
void cr_set_cache_bits(u64 value);
/* What they are there now. */
static inline u64 cr_cache_bits(void)
{
	return read_cr0() & (CR0_CD | CR0_NW);
}
/* Bits that the processor needs in CR0 while any guest runs; an unrestricted guest may clear PE and PG. */
u64 cr0_forced(void);

#endif
