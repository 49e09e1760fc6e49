/* SPDX-License-Identifier: MIT */
/*
 * What all vCPUs share, made once: EPT01, the MSR bitmap of L1, the control
 * words. SDM: "VM-Execution Control Fields", "MSR-Bitmap Address".
 */
#include "vmx/vm.h"

#include "kernel/cmdline.h"
#include "kernel/hw/phys.h"
#include "kernel/hw/vmx.h"
#include "kernel/msr.h"
#include "kernel/x86.h"
#include "mm/page_alloc.h"
#include "vmx/caps.h"
#include "vmx/exit.h"
#include "vmx/tlb.h"
#include "vmx/vcpu.h"

struct vm vm;
struct l0_controls l0_controls;

/*
 * The MSRs that L1 may not touch directly. Besides those that VMX is about: the MTRRs (virtual),
 * features that L1 is not given, and what could make the processor write to memory of L0's choosing or
 * stop L0: debug store, processor trace, the APIC's base, execute-disable. IA32_XSS could enable
 * processor trace by XRSTORS.
 */
struct msr_range {
	u32 first, last;
	bool read, write;
};

static const struct msr_range msr_intercepts[] = {
	{ MSR_IA32_APIC_BASE, MSR_IA32_APIC_BASE, false, true },
	{ MSR_IA32_FEATURE_CONTROL, MSR_IA32_FEATURE_CONTROL, true, true },
	{ MSR_IA32_BIOS_UPDT_TRIG, MSR_IA32_BIOS_UPDT_TRIG, false, true },
	{ MSR_IA32_SMM_MONITOR_CTL, MSR_IA32_SMM_MONITOR_CTL, true, true },
	{ MSR_IA32_MISC_ENABLE, MSR_IA32_MISC_ENABLE, false, true },
	{ MSR_IA32_MTRR_PHYSBASE0, MSR_IA32_MTRR_PHYSBASE0 + 2 * MTRR_VARIABLE_MAX - 1, true, true },
	{ MSR_IA32_MTRR_FIX64K_00000, MSR_IA32_MTRR_FIX64K_00000, true, true },
	{ MSR_IA32_MTRR_FIX16K_80000, MSR_IA32_MTRR_FIX16K_A0000, true, true },
	{ MSR_IA32_MTRR_FIX4K_C0000, MSR_IA32_MTRR_FIX4K_F8000, true, true },
	{ MSR_IA32_MTRR_DEF_TYPE, MSR_IA32_MTRR_DEF_TYPE, true, true },
	{ MSR_IA32_PEBS_ENABLE, MSR_IA32_PEBS_ENABLE, true, true },
	{ MSR_IA32_VMX_FIRST, MSR_IA32_VMX_LAST, true, true },
	{ 0x560, 0x561, true, true }, /* IA32_RTIT_OUTPUT_* */
	{ MSR_IA32_RTIT_CTL, MSR_IA32_RTIT_CTL + 2, true, true },
	{ 0x580, 0x587, true, true }, /* IA32_RTIT_ADDR* */
	{ MSR_IA32_DS_AREA, MSR_IA32_DS_AREA, true, true },
	{ MSR_IA32_U_CET, MSR_IA32_INTERRUPT_SSP_TABLE_ADDR, true, true },
	{ MSR_IA32_PKRS, MSR_IA32_PKRS, true, true },
	{ 0x985, 0x98a, true, true }, /* IA32_UINTR_* */
	{ MSR_IA32_XSS, MSR_IA32_XSS, false, true },
	{ 0xd93, 0xd93, true, true }, /* IA32_PASID */
	{ MSR_IA32_LBR_CTL, MSR_IA32_LBR_CTL, true, true },
};

/* SDM "MSR-Bitmap Address": reads of low and high MSRs, then writes of low and high ones, 1 KiB each. */
static void msr_bitmap_set(u8 *bitmap, u32 msr, bool write)
{
	u32 bit = msr & MSR_LOW_LAST;
	u32 part = (msr >= MSR_HIGH_FIRST ? 0x400u : 0) + (write ? 0x800u : 0);

	bitmap[part + bit / 8] |= (u8)(1u << (bit % 8));
}

static void make_msr_bitmap(void)
{
	vm.msr_bitmap01 = page_alloc();
	for (size_t i = 0; i < ARRAY_SIZE(msr_intercepts); i++) {
		const struct msr_range *range = &msr_intercepts[i];

		for (u32 msr = range->first; msr <= range->last; msr++) {
			if (range->read)
				msr_bitmap_set(vm.msr_bitmap01, msr, false);
			if (range->write)
				msr_bitmap_set(vm.msr_bitmap01, msr, true);
		}
	}
}

static void make_controls(struct l0_controls *c)
{
	c->pin = caps_control(vmx_caps.pin, PIN_NMI_EXITING | PIN_VIRTUAL_NMIS);
	c->proc = PROC_MSR_BITMAPS | PROC_SECONDARY;
	if (options.intercept & (INTERCEPT_CR | INTERCEPT_CR3))
		c->proc |= PROC_CR3_LOAD_EXITING | PROC_CR3_STORE_EXITING;
	c->proc = caps_control(vmx_caps.proc, c->proc);
	c->proc2 = caps_control(vmx_caps.proc2, PROC2_EPT | PROC2_UNRESTRICTED_GUEST | PROC2_RDTSCP |
							PROC2_INVPCID | PROC2_XSAVES | PROC2_USER_WAIT_PAUSE);
	c->exit = caps_control(vmx_caps.exit, EXIT_HOST_64 | EXIT_SAVE_DEBUG | EXIT_SAVE_PAT | EXIT_LOAD_PAT |
						      EXIT_SAVE_EFER | EXIT_LOAD_EFER);
	c->entry = caps_control(vmx_caps.entry, ENTRY_LOAD_DEBUG | ENTRY_LOAD_PAT | ENTRY_LOAD_EFER);
}

/* vmcs_field_exists() is asked before the first vCPU's VMCS is there: a VMCS for the question alone. */
static void probe_fields(void)
{
	static struct regcache_counters counters;
	struct vmcs vmcs;

	vmcs_init(&vmcs, page_alloc(), &counters);
	vmcs_load(&vmcs);
	vmcs_probe_fields();
	vmcs_clear(&vmcs);
}

enum status vm_init(void)
{
	static struct mtrr mtrr;
	enum status status;

	mtrr_read_hardware(&mtrr);
	status = passthru_init(&mtrr);
	if (status != STATUS_OK)
		return status;
	make_msr_bitmap();
	make_controls(&l0_controls);
	probe_fields();
	cpuid_init();
	msr_init();
	nested_caps_init();
	return STATUS_OK;
}
