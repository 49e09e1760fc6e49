/* SPDX-License-Identifier: MIT */
/*
 * The processor as L1's CPUID describes it.
 */
#ifndef VMX_EXIT_CPU_H
#define VMX_EXIT_CPU_H

#include "kernel/cpuid.h"
#include "vmx/guest/vcpu.h"

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

#endif
