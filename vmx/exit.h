/* SPDX-License-Identifier: MIT */
/*
 * L0's handlers of VM exits, one per row of vmx/hw/exits.def, and the processor
 * state that several of them and vmx/nested share: control registers and
 * MSRs as the guest's architecture has them.
 */
#ifndef VMX_EXIT_H
#define VMX_EXIT_H

#include "vmx/guest/vcpu.h"

#define X(number, name, handler, wants, facts) enum outcome handler(struct vcpu *vcpu);
#include "vmx/hw/exits.def"
#undef X

/*
 * L0's own handling of the exit in hand: L1's exit, or one of L2's that L1 does not want
 * (nested_exit() calls this then, and returns what comes back).
 */
enum outcome exit_dispatch(struct vcpu *vcpu);

/* ---- exit_cr.c: control registers.  The VMCS of the guest that is meant must be current. ---- */

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
/* IA32_EFER of the guest that runs now, with the VM-entry control "IA-32e mode guest" following LMA. */
void cr_set_efer(struct vcpu *vcpu, u64 value);
/*
 * CR0 and CR4 masks of vmcs01 (current): they depend on nested.vmxon and intercept=.  After VMXON and
 * VMXOFF.
 */
void cr_update_masks(struct vcpu *vcpu);
/* Bits of CR4 that L1 may set. */
u64 cr_l1_cr4_allowed(void);

/*
 * ---- exit_msr.c: RDMSR and WRMSR of the guest whose VMCS is current.  False: #GP(0), nothing
 * changed. ----
 */
bool msr_read(struct vcpu *vcpu, u32 index, u64 *value);
bool msr_write(struct vcpu *vcpu, u32 index, u64 value);
/* Once on each CPU, before its guest runs. */
void msr_cpu_init(void);
/* IA32_DEBUGCTL's bits of `value` that the processor takes now. */
u64 msr_debugctl_taken(u64 value);
/* REQUEST_MTRRS_CHANGED, before an entry: the types of memory follow, on all CPUs. */
void msr_apply_mtrrs(struct vcpu *vcpu);

/* ---- exit_cpu.c ---- */
/*
 * Supervisor state components that L1 may have XSAVES keep, in CPUID and in IA32_XSS: those of HDC and HWP;
 * not PT, PASID, CET, UINTR, LBR.
 */
#define CPUID_XSS_OFFERED (BIT(13) | BIT(16))
/* CPUID as L1 sees it. */
struct cpuid_regs cpuid_l1(struct vcpu *vcpu, u32 leaf, u32 subleaf);
/* Once, on the BSP, after caps_init(). */
void cpuid_init(void);
/* How many Socles are below this one: 0 on the processor itself. */
u32 cpuid_level(void);

/* ---- counters.c: VMCALL with EAX = DEBUG_CALL_MAGIC, from ring 0 (with counters=on, any) ---- */
#define DEBUG_CALL_MAGIC 0x50434c53u
enum outcome debug_call(struct vcpu *vcpu);

#endif
