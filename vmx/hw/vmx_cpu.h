/* SPDX-License-Identifier: MIT */
/*
 * VMX operation of L0 on the CPU that calls: IA32_FEATURE_CONTROL, CR0, CR4,
 * VMXON.  SDM: "Discovering Support for VMX", "Enabling and Entering VMX Operation".
 */
#ifndef VMX_VMX_CPU_H
#define VMX_VMX_CPU_H

#include "kernel/status.h"

/* Of one CPU: percpu->vmx.  All members: constant after vmx_cpu_init(). */
struct vmx_cpu {
	u64 firmware_feature_control; /* as the firmware left it: what L1 finds */
	void *vmxon_region;
};

/* Each CPU, once, after caps_init() (BSP) or caps_may_vmxon() (AP). percpu->vmx is set if it succeeds. */
enum status vmx_cpu_init(void);

#endif
