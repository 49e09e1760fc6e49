/* SPDX-License-Identifier: MIT */
/*
 * The capability MSRs that L1 reads: what this processor has, as far as
 * Socle gives it to L1. For the controls the table in vmx/hw/controls.h says it.
 * SDM: appendix "VMX Capability Reporting Facility".
 */
#include "vmx/nested/vmcs12/caps12.h"

#include "kernel/msr.h"
#include "vmx/hw/caps.h"
#include "vmx/nested/vmcs12/shadow.h"
#include "vmx/nested/vmcs12/vmcs12.h"
#include "vmx/l1/vm.h"
#include "vmx/l1/exit_cr.h"

struct vmx_caps caps12;

/* What of the other capability MSRs is passed on. */
#define VMFUNC_OFFERED BIT(VMFUNC_EPTP_SWITCHING)
#define EPT_VPID_OFFERED                                                                                     \
	(EPT_CAP_EXEC_ONLY | EPT_CAP_WALK_4 | EPT_CAP_UC | EPT_CAP_WB | EPT_CAP_2M | EPT_CAP_1G |            \
	 EPT_CAP_INVEPT | EPT_CAP_AD | EPT_CAP_ADVANCED | EPT_CAP_INVEPT_TYPE(INVEPT_SINGLE) |               \
	 EPT_CAP_INVEPT_TYPE(INVEPT_ALL) | VPID_CAP_INVVPID | VPID_CAP_INVVPID_TYPE(INVVPID_ADDRESS) |       \
	 VPID_CAP_INVVPID_TYPE(INVVPID_SINGLE) | VPID_CAP_INVVPID_TYPE(INVVPID_ALL) |                        \
	 VPID_CAP_INVVPID_TYPE(INVVPID_RETAIN_GLOBALS))
#define BASIC_OFFERED                                                                                        \
	(VMX_BASIC_MEMORY_TYPE | VMX_BASIC_INS_OUTS_INFO | VMX_BASIC_TRUE_CONTROLS | VMX_BASIC_ANY_ERROR_CODE)
#define MISC_OFFERED                                                                                         \
	(VMX_MISC_TIMER_RATE | VMX_MISC_STORES_LMA | VMX_MISC_ACTIVITIES | VMX_MISC_CR3_TARGETS_MASK |       \
	 VMX_MISC_MSR_LIST_LENGTH | VMX_MISC_VMWRITE_ANY | VMX_MISC_ZERO_LENGTH)

/* SDM: the default1 class, bits that the plain MSRs report as fixed to 1. */
#define PIN_DEFAULT1 0x00000016u
#define PROC_DEFAULT1 0x0401e172u
#define EXIT_DEFAULT1 0x00036dffu
#define ENTRY_DEFAULT1 0x000011ffu

/* A reserved bit of the default1 class is no feature: it may be 1 as on the processor. */
static struct control_cap offered(struct control_cap cap, u32 bits, u32 default1)
{
	return (struct control_cap){ cap.allowed0, cap.allowed1 & (bits | cap.allowed0 | default1) };
}

/* By the table of controls. */
#define OFFERED(word) CONTROLS_WITH(word, L0_ANY, L1_OFFERED)

/* Controls that depend on one another, after the tables. */
static void drop_dependents(struct vmx_caps *caps)
{
	if (!(caps->proc.allowed1 & PROC_SECONDARY))
		caps->proc2.allowed1 = 0;
	if (!(caps->proc2.allowed1 & PROC2_EPT))
		caps->proc2.allowed1 &= ~(u32)PROC2_UNRESTRICTED_GUEST;
	if (!(caps->proc2.allowed1 & (PROC2_EPT | PROC2_VPID)))
		caps->ept_vpid = 0;
	if (!(caps->proc2.allowed1 & PROC2_VMFUNC))
		caps->vmfunc = 0;
	if (!(caps->ept_vpid & EPT_CAP_AD))
		caps->proc2.allowed1 &= ~(u32)PROC2_PML;
	/* L0 learns from the advanced information which of L2's fetches are user-mode ones. */
	if (!(caps->ept_vpid & EPT_CAP_ADVANCED))
		caps->proc2.allowed1 &= ~(u32)PROC2_MODE_BASED_EXECUTE;
}

void nested_report_hidden(void)
{
	caps_report_hidden(&caps12);
}

static u64 control_msr(struct control_cap cap, u32 default1)
{
	return (u64)cap.allowed1 << 32 | cap.allowed0 | default1;
}

/* An MSR exists if the feature that it reports on exists (SDM). */
static bool capability_exists(u32 msr)
{
	switch (msr) {
	case MSR_IA32_VMX_PROCBASED_CTLS2: return caps12.proc.allowed1 & PROC_SECONDARY;
	case MSR_IA32_VMX_EPT_VPID_CAP: return caps12.proc2.allowed1 & (PROC2_EPT | PROC2_VPID);
	case MSR_IA32_VMX_TRUE_PINBASED_CTLS:
	case MSR_IA32_VMX_TRUE_PROCBASED_CTLS:
	case MSR_IA32_VMX_TRUE_EXIT_CTLS:
	case MSR_IA32_VMX_TRUE_ENTRY_CTLS: return caps12.basic & VMX_BASIC_TRUE_CONTROLS;
	case MSR_IA32_VMX_VMFUNC: return caps12.proc2.allowed1 & PROC2_VMFUNC;
	default: return msr >= MSR_IA32_VMX_BASIC && msr <= MSR_IA32_VMX_VMCS_ENUM;
	}
}

static bool read_capability(u32 msr, u64 *value)
{
	const struct vmx_caps *c = &caps12;

	if (!capability_exists(msr))
		return false;
	switch (msr) {
	case MSR_IA32_VMX_BASIC: *value = c->basic; break;
	case MSR_IA32_VMX_PINBASED_CTLS: *value = control_msr(c->pin, PIN_DEFAULT1); break;
	case MSR_IA32_VMX_PROCBASED_CTLS: *value = control_msr(c->proc, PROC_DEFAULT1); break;
	case MSR_IA32_VMX_EXIT_CTLS: *value = control_msr(c->exit, EXIT_DEFAULT1); break;
	case MSR_IA32_VMX_ENTRY_CTLS: *value = control_msr(c->entry, ENTRY_DEFAULT1); break;
	case MSR_IA32_VMX_MISC: *value = c->misc; break;
	case MSR_IA32_VMX_CR0_FIXED0: *value = c->cr0_fixed0; break;
	case MSR_IA32_VMX_CR0_FIXED1: *value = c->cr0_fixed1; break;
	case MSR_IA32_VMX_CR4_FIXED0: *value = c->cr4_fixed0; break;
	case MSR_IA32_VMX_CR4_FIXED1: *value = c->cr4_fixed1; break;
	case MSR_IA32_VMX_VMCS_ENUM: *value = c->vmcs_enum; break;
	case MSR_IA32_VMX_PROCBASED_CTLS2: *value = control_msr(c->proc2, 0); break;
	case MSR_IA32_VMX_EPT_VPID_CAP: *value = c->ept_vpid; break;
	case MSR_IA32_VMX_TRUE_PINBASED_CTLS: *value = control_msr(c->pin, 0); break;
	case MSR_IA32_VMX_TRUE_PROCBASED_CTLS: *value = control_msr(c->proc, 0); break;
	case MSR_IA32_VMX_TRUE_EXIT_CTLS: *value = control_msr(c->exit, 0); break;
	case MSR_IA32_VMX_TRUE_ENTRY_CTLS: *value = control_msr(c->entry, 0); break;
	case MSR_IA32_VMX_VMFUNC: *value = c->vmfunc; break;
	default: return false;
	}
	return true;
}

void nested_caps_init(void)
{
	vmcs12_init();
	shadow_init();
	caps12 = vmx_caps;
	caps12.basic = VMCS12_REVISION | (PAGE_SIZE << VMX_BASIC_REGION_SIZE_SHIFT) |
		       (vmx_caps.basic & BASIC_OFFERED);
	caps12.misc = vmx_caps.misc & MISC_OFFERED;
	caps12.pin = offered(vmx_caps.pin, OFFERED(WORD_PIN), PIN_DEFAULT1);
	caps12.proc = offered(vmx_caps.proc, OFFERED(WORD_PROC), PROC_DEFAULT1);
	caps12.proc2 = offered(vmx_caps.proc2, OFFERED(WORD_PROC2), 0);
	caps12.exit = offered(vmx_caps.exit, OFFERED(WORD_EXIT), EXIT_DEFAULT1);
	caps12.entry = offered(vmx_caps.entry, OFFERED(WORD_ENTRY), ENTRY_DEFAULT1);
	caps12.ept_vpid = vmx_caps.ept_vpid & EPT_VPID_OFFERED;
	caps12.vmfunc = vmx_caps.vmfunc & VMFUNC_OFFERED;
	caps12.cr4_fixed1 = vmx_caps.cr4_fixed1 & cr_l1_cr4_allowed();
	caps12.vmcs_enum = vmcs12_enum();
	caps12.has_shadow_vmcs = caps12.proc2.allowed1 & PROC2_VMCS_SHADOWING;
	drop_dependents(&caps12);
	vm.read_capability = read_capability;
}
