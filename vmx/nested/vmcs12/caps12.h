/* SPDX-License-Identifier: MIT */
/*
 * What L1 is told of VMX: its capability MSRs, in the form of the processor's.
 * SDM: "VMX Capability Reporting Facility".
 */
#ifndef VMX_NESTED_VMCS12_CAPS12_H
#define VMX_NESTED_VMCS12_CAPS12_H

#include "vmx/hw/caps.h"

extern struct vmx_caps caps12; /* constant after nested_caps_init() */

/* BSP, once, after vm_init(). */
void nested_caps_init(void);
/* `check`: prints the VMX controls that L1 is not told of. BSP, after nested_caps_init(). */
void nested_report_hidden(void);

#endif
