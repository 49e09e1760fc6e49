/* SPDX-License-Identifier: MIT */
/*
 * The capability MSRs that L1 reads: what this processor has, as far as
 * Socle emulates it.  One table per word, one line per feature; a line is
 * added when merge.c, exit.c and reflect.c handle the feature.
 * SDM: appendix "VMX Capability Reporting Facility".
 */
#include "kernel/msr.h"
#include "vmx/exit.h"
#include "vmx/nested/internal.h"
#include "vmx/l1/vm.h"

struct vmx_caps caps12;

#define PIN_EMULATED                                                                                         \
	(PIN_EXTERNAL_INTERRUPT | PIN_NMI_EXITING | PIN_VIRTUAL_NMIS | PIN_PREEMPTION_TIMER |                \
	 PIN_POSTED_INTERRUPTS)

#define PROC_EMULATED                                                                                        \
	(PROC_INTERRUPT_WINDOW | PROC_TSC_OFFSETTING | PROC_HLT_EXITING | PROC_INVLPG_EXITING |              \
	 PROC_MWAIT_EXITING | PROC_RDPMC_EXITING | PROC_RDTSC_EXITING | PROC_CR3_LOAD_EXITING |              \
	 PROC_CR3_STORE_EXITING | PROC_CR8_LOAD_EXITING | PROC_CR8_STORE_EXITING | PROC_TPR_SHADOW |         \
	 PROC_NMI_WINDOW | PROC_MOV_DR_EXITING | PROC_UNCONDITIONAL_IO | PROC_IO_BITMAPS | PROC_MTF |        \
	 PROC_MSR_BITMAPS | PROC_MONITOR_EXITING | PROC_PAUSE_EXITING | PROC_SECONDARY)

#define PROC2_EMULATED                                                                                       \
	(PROC2_APIC_ACCESS | PROC2_EPT | PROC2_DESC_TABLE_EXITING | PROC2_RDTSCP | PROC2_VIRTUAL_X2APIC |    \
	 PROC2_VPID | PROC2_WBINVD_EXITING | PROC2_UNRESTRICTED_GUEST | PROC2_APIC_REGISTER_VIRT |           \
	 PROC2_VIRTUAL_INTERRUPT | PROC2_PAUSE_LOOP_EXITING | PROC2_RDRAND_EXITING | PROC2_INVPCID |         \
	 PROC2_VMFUNC | PROC2_VMCS_SHADOWING | PROC2_RDSEED_EXITING | PROC2_PML | PROC2_VE | PROC2_XSAVES |  \
	 PROC2_MODE_BASED_EXECUTE | PROC2_TSC_SCALING | PROC2_USER_WAIT_PAUSE)

#define EXIT_EMULATED                                                                                        \
	(EXIT_SAVE_DEBUG | EXIT_HOST_64 | EXIT_LOAD_PERF_GLOBAL | EXIT_ACK_INTERRUPT | EXIT_SAVE_PAT |       \
	 EXIT_LOAD_PAT | EXIT_SAVE_EFER | EXIT_LOAD_EFER | EXIT_SAVE_PREEMPTION_TIMER | EXIT_CLEAR_BNDCFGS)

#define ENTRY_EMULATED                                                                                       \
	(ENTRY_LOAD_DEBUG | ENTRY_IA32E_GUEST | ENTRY_LOAD_PERF_GLOBAL | ENTRY_LOAD_PAT | ENTRY_LOAD_EFER |  \
	 ENTRY_LOAD_BNDCFGS)

#define VMFUNC_EMULATED BIT(0) /* EPTP switching */

#define EPT_VPID_AD BIT(21)
#define EPT_VPID_ADVANCED BIT(22)
#define EPT_VPID_EMULATED                                                                                    \
	(BIT(0) |				/* execute-only pages */                                     \
	 BIT(6) |				/* 4-level walks */                                          \
	 BIT(8) | BIT(14) |			/* paging structures uncacheable, write-back */              \
	 BIT(16) | BIT(17) |			/* 2 MiB and 1 GiB pages */                                  \
	 BIT(20) |				/* INVEPT */                                                 \
	 EPT_VPID_AD |				/* accessed and dirty flags */                               \
	 EPT_VPID_ADVANCED |			/* advanced information of EPT violations */                 \
	 BIT(25) | BIT(26) |			/* INVEPT: single-context, all-context */                    \
	 BIT(32) |				/* INVVPID */                                                \
	 BIT(40) | BIT(41) | BIT(42) | BIT(43)) /* INVVPID: the four types */

#define BASIC_EMULATED                                                                                       \
	(GENMASK(53, 50) | /* memory type of the regions */                                                  \
	 BIT(54) |	   /* INS and OUTS are reported in the instruction information */                    \
	 BIT(55) |	   /* true controls */                                                               \
	 BIT(56))	   /* hardware exceptions with any error-code setting */
#define BASIC_REGION_SIZE_SHIFT 32
#define BASIC_TRUE_CONTROLS BIT(55)

#define MISC_EMULATED                                                                                        \
	(GENMASK(4, 0) |   /* rate of the preemption timer */                                                \
	 BIT(5) |	   /* an exit stores LMA in "IA-32e mode guest" */                                   \
	 GENMASK(8, 6) |   /* activity states HLT, shutdown, wait-for-SIPI */                                \
	 GENMASK(24, 16) | /* CR3-target values */                                                           \
	 GENMASK(27, 25) | /* recommended length of MSR lists */                                             \
	 BIT(29) |	   /* VMWRITE to any field */                                                        \
	 BIT(30))	   /* injection with instruction length 0 */

/* SDM: the default1 class, bits that the plain MSRs report as fixed to 1. */
#define PIN_DEFAULT1 0x00000016u
#define PROC_DEFAULT1 0x0401e172u
#define EXIT_DEFAULT1 0x00036dffu
#define ENTRY_DEFAULT1 0x000011ffu

/* A reserved bit of the default1 class is no feature: it may be 1 as on the processor. */
static struct control_cap emulated(struct control_cap cap, u64 bits, u32 default1)
{
	return (struct control_cap){ cap.allowed0, cap.allowed1 & ((u32)bits | cap.allowed0 | default1) };
}

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
	if (!(caps->ept_vpid & EPT_VPID_AD))
		caps->proc2.allowed1 &= ~(u32)PROC2_PML;
	/* Which of L2's fetches are user-mode ones is known from the advanced information. */
	if (!(caps->ept_vpid & EPT_VPID_ADVANCED))
		caps->proc2.allowed1 &= ~(u32)PROC2_MODE_BASED_EXECUTE;
}

void nested_caps_init(void)
{
	vmcs12_init();
	shadow_init();
	bitmaps_init(vm.msr_bitmap01);
	caps12 = vmx_caps;
	caps12.basic =
		VMCS12_REVISION | (PAGE_SIZE << BASIC_REGION_SIZE_SHIFT) | (vmx_caps.basic & BASIC_EMULATED);
	caps12.misc = vmx_caps.misc & MISC_EMULATED;
	caps12.pin = emulated(vmx_caps.pin, PIN_EMULATED, PIN_DEFAULT1);
	caps12.proc = emulated(vmx_caps.proc, PROC_EMULATED, PROC_DEFAULT1);
	caps12.proc2 = emulated(vmx_caps.proc2, PROC2_EMULATED, 0);
	caps12.exit = emulated(vmx_caps.exit, EXIT_EMULATED, EXIT_DEFAULT1);
	caps12.entry = emulated(vmx_caps.entry, ENTRY_EMULATED, ENTRY_DEFAULT1);
	caps12.ept_vpid = vmx_caps.ept_vpid & EPT_VPID_EMULATED;
	caps12.vmfunc = vmx_caps.vmfunc & VMFUNC_EMULATED;
	caps12.cr4_fixed1 = vmx_caps.cr4_fixed1 & cr_l1_cr4_allowed();
	caps12.vmcs_enum = vmcs12_enum();
	caps12.has_shadow_vmcs = caps12.proc2.allowed1 & PROC2_VMCS_SHADOWING;
	drop_dependents(&caps12);
}

static u64 control_msr(struct control_cap cap, u32 default1)
{
	return (u64)cap.allowed1 << 32 | cap.allowed0 | default1;
}

/* SDM: an MSR is there if the feature is that it reports on. */
static bool capability_exists(u32 msr)
{
	switch (msr) {
	case MSR_IA32_VMX_PROCBASED_CTLS2: return caps12.proc.allowed1 & PROC_SECONDARY;
	case MSR_IA32_VMX_EPT_VPID_CAP: return caps12.proc2.allowed1 & (PROC2_EPT | PROC2_VPID);
	case MSR_IA32_VMX_TRUE_PINBASED_CTLS:
	case MSR_IA32_VMX_TRUE_PROCBASED_CTLS:
	case MSR_IA32_VMX_TRUE_EXIT_CTLS:
	case MSR_IA32_VMX_TRUE_ENTRY_CTLS: return caps12.basic & BASIC_TRUE_CONTROLS;
	case MSR_IA32_VMX_VMFUNC: return caps12.proc2.allowed1 & PROC2_VMFUNC;
	default: return msr >= MSR_IA32_VMX_BASIC && msr <= MSR_IA32_VMX_VMCS_ENUM;
	}
}

bool nested_read_capability(u32 msr, u64 *value)
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
