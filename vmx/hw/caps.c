/* SPDX-License-Identifier: MIT */
/*
 * The capability MSRs, read once, against what Socle needs and what it can
 * use: one table of controls for both, which `check` prints too.
 * SDM: appendix "VMX Capability Reporting Facility".
 */
#include "vmx/hw/caps.h"

#include "kernel/cmdline.h"
#include "kernel/hw/cpu.h"
#include "kernel/log.h"
#include "kernel/msr.h"
#include "kernel/percpu.h"
#include "kernel/string.h"
#include "kernel/x86.h"
#include "vmx/hw/vmx.h"

#define BASIC_TRUE_CONTROLS BIT(55)

/* IA32_VMX_EPT_VPID_CAP */
#define EPT_CAP_WALK_4 BIT(6)
#define EPT_CAP_WB BIT(14)
#define EPT_CAP_2M BIT(16)
#define EPT_CAP_1G BIT(17)
#define EPT_CAP_INVEPT BIT(20)
#define EPT_CAP_AD BIT(21)
#define EPT_CAP_INVEPT_SINGLE BIT(25)
#define EPT_CAP_INVEPT_ALL BIT(26)
#define EPT_CAP_INVVPID BIT(32)
#define EPT_CAP_INVVPID_SINGLE BIT(41)
#define EPT_CAP_INVVPID_ALL BIT(42)

struct vmx_caps vmx_caps;

enum need { REQUIRED, OPTIONAL };

struct control_row {
	const struct control_cap *cap;
	u32 bit;
	enum need need;
	enum status status; /* if a required one is missing */
	const char *name;
};

#define ROW(word, bits, need, missing, text)                                                                 \
	{                                                                                                    \
		&vmx_caps.word, (u32)(bits), need, STATUS_##missing, text                                    \
	}
static const struct control_row control_rows[] = {
	ROW(proc, PROC_SECONDARY, REQUIRED, NO_EPT, "secondary controls"),
	ROW(proc2, PROC2_EPT, REQUIRED, NO_EPT, "EPT"),
	ROW(proc2, PROC2_UNRESTRICTED_GUEST, REQUIRED, NO_UNRESTRICTED, "unrestricted guest"),
	ROW(pin, PIN_NMI_EXITING, REQUIRED, VMX_CONTROL, "NMI exiting"),
	ROW(pin, PIN_VIRTUAL_NMIS, REQUIRED, VMX_CONTROL, "virtual NMIs"),
	ROW(proc, PROC_NMI_WINDOW, REQUIRED, VMX_CONTROL, "NMI-window exiting"),
	ROW(proc, PROC_MSR_BITMAPS, REQUIRED, VMX_CONTROL, "MSR bitmaps"),
	ROW(proc, PROC_IO_BITMAPS, REQUIRED, VMX_CONTROL, "I/O bitmaps"),
	ROW(proc, PROC_MTF, REQUIRED, VMX_CONTROL, "monitor trap flag"),
	ROW(exit, EXIT_HOST_64, REQUIRED, VMX_CONTROL, "64-bit host"),
	ROW(exit, EXIT_SAVE_DEBUG, REQUIRED, VMX_CONTROL, "save debug controls"),
	ROW(exit, EXIT_SAVE_PAT, REQUIRED, VMX_CONTROL, "save IA32_PAT"),
	ROW(exit, EXIT_LOAD_PAT, REQUIRED, VMX_CONTROL, "load IA32_PAT at exit"),
	ROW(exit, EXIT_SAVE_EFER, REQUIRED, VMX_CONTROL, "save IA32_EFER"),
	ROW(exit, EXIT_LOAD_EFER, REQUIRED, VMX_CONTROL, "load IA32_EFER at exit"),
	ROW(entry, ENTRY_LOAD_DEBUG, REQUIRED, VMX_CONTROL, "load debug controls"),
	ROW(entry, ENTRY_IA32E_GUEST, REQUIRED, VMX_CONTROL, "IA-32e mode guest"),
	ROW(entry, ENTRY_LOAD_PAT, REQUIRED, VMX_CONTROL, "load IA32_PAT at entry"),
	ROW(entry, ENTRY_LOAD_EFER, REQUIRED, VMX_CONTROL, "load IA32_EFER at entry"),
	ROW(proc2, PROC2_VPID, OPTIONAL, OK, "VPID"),
	ROW(proc2, PROC2_RDTSCP, OPTIONAL, OK, "RDTSCP"),
	ROW(proc2, PROC2_INVPCID, OPTIONAL, OK, "INVPCID"),
	ROW(proc2, PROC2_XSAVES, OPTIONAL, OK, "XSAVES"),
	ROW(proc2, PROC2_USER_WAIT_PAUSE, OPTIONAL, OK, "user wait and pause"),
	ROW(proc2, PROC2_VMCS_SHADOWING, OPTIONAL, OK, "VMCS shadowing"),
	ROW(proc2, PROC2_DESC_TABLE_EXITING, OPTIONAL, OK, "descriptor-table exiting"),
	ROW(proc2, PROC2_APIC_ACCESS, OPTIONAL, OK, "virtualize APIC accesses"),
	ROW(proc2, PROC2_VIRTUAL_X2APIC, OPTIONAL, OK, "virtualize x2APIC mode"),
	ROW(proc2, PROC2_APIC_REGISTER_VIRT, OPTIONAL, OK, "APIC-register virtualization"),
	ROW(proc2, PROC2_VIRTUAL_INTERRUPT, OPTIONAL, OK, "virtual-interrupt delivery"),
	ROW(pin, PIN_POSTED_INTERRUPTS, OPTIONAL, OK, "posted interrupts"),
	ROW(pin, PIN_PREEMPTION_TIMER, OPTIONAL, OK, "VMX-preemption timer"),
	ROW(proc2, PROC2_VMFUNC, OPTIONAL, OK, "VM functions"),
	ROW(proc2, PROC2_PML, OPTIONAL, OK, "page-modification logging"),
	ROW(proc2, PROC2_VE, OPTIONAL, OK, "#VE"),
	ROW(proc2, PROC2_MODE_BASED_EXECUTE, OPTIONAL, OK, "mode-based execute control"),
	ROW(proc2, PROC2_TSC_SCALING, OPTIONAL, OK, "TSC scaling"),
};
#undef ROW

struct ept_row {
	u64 bits; /* all of them */
	enum need need;
	const char *name;
};

static const struct ept_row ept_rows[] = {
	{ EPT_CAP_WALK_4, REQUIRED, "4-level walks" },
	{ EPT_CAP_WB, REQUIRED, "write-back paging structures" },
	{ EPT_CAP_INVEPT | EPT_CAP_INVEPT_ALL, REQUIRED, "INVEPT of all contexts" },
	{ EPT_CAP_2M, REQUIRED, "2 MiB pages" },
	{ EPT_CAP_1G, OPTIONAL, "1 GiB pages" },
	{ EPT_CAP_AD, OPTIONAL, "accessed and dirty bits" },
	{ EPT_CAP_INVVPID | EPT_CAP_INVVPID_SINGLE | EPT_CAP_INVVPID_ALL, OPTIONAL, "INVVPID" },
};

static bool control_available(const struct control_row *row)
{
	return row->cap->allowed1 & row->bit;
}

static struct control_cap control_read(u32 msr)
{
	u64 value = rdmsr(msr);

	return (struct control_cap){ .allowed0 = (u32)value, .allowed1 = (u32)(value >> 32) };
}

/*
 * Multi-key memory encryption takes the upper bits of a physical address for the key, though CPUID goes on to
 * count them: two addresses with other such bits are the same memory.
 */
static unsigned int memory_bits(unsigned int physical_bits)
{
	const u64 on = TME_ACTIVATE_LOCKED | TME_ACTIVATE_ENABLED;
	unsigned int keys;
	u64 value;

	if (!(cpuid(CPUID_LEAF_EXTENDED_FEATURES, 0).ecx & CPUID_7_ECX_TME) ||
	    !rdmsr_safe(MSR_IA32_TME_ACTIVATE, &value) || (value & on) != on)
		return physical_bits;
	keys = (value & TME_ACTIVATE_KEYID_BITS) >> TME_ACTIVATE_KEYID_BITS_SHIFT;
	return physical_bits - MIN(keys, physical_bits - 32);
}

/*
 * The bits of IA32_DEBUGCTL that the processor has: what it would refuse in WRMSR it refuses in the VMCS as
 * well, and an entry of L1 must not fail by a value of L1's. Asked one by one, before L1 has anything that
 * they could change.
 */
static u64 debugctl_valid(void)
{
	u64 valid = 0;

	for (u64 bit = 1; bit; bit <<= 1) {
		if (wrmsr_safe(MSR_IA32_DEBUGCTL, bit))
			valid |= bit;
		wrmsr(MSR_IA32_DEBUGCTL, 0);
	}
	return valid;
}

/* Needs VMX in CPUID. Without true controls their plain forms say the same with more bits fixed. */
static void read_caps(struct vmx_caps *caps)
{
	u32 ext_max = cpuid(CPUID_LEAF_EXT_MAX, 0).eax;
	u32 sizes = ext_max >= CPUID_LEAF_ADDRESS_SIZE ? cpuid(CPUID_LEAF_ADDRESS_SIZE, 0).eax : 0x3024;
	u32 shift;

	memset(caps, 0, sizeof(*caps));
	caps->basic = rdmsr(MSR_IA32_VMX_BASIC);
	shift = caps->basic & BASIC_TRUE_CONTROLS
			? MSR_IA32_VMX_TRUE_PINBASED_CTLS - MSR_IA32_VMX_PINBASED_CTLS
			: 0;
	caps->pin = control_read(MSR_IA32_VMX_PINBASED_CTLS + shift);
	caps->proc = control_read(MSR_IA32_VMX_PROCBASED_CTLS + shift);
	caps->exit = control_read(MSR_IA32_VMX_EXIT_CTLS + shift);
	caps->entry = control_read(MSR_IA32_VMX_ENTRY_CTLS + shift);
	caps->misc = rdmsr(MSR_IA32_VMX_MISC);
	caps->cr0_fixed0 = rdmsr(MSR_IA32_VMX_CR0_FIXED0);
	caps->cr0_fixed1 = rdmsr(MSR_IA32_VMX_CR0_FIXED1);
	caps->cr4_fixed0 = rdmsr(MSR_IA32_VMX_CR4_FIXED0);
	caps->cr4_fixed1 = rdmsr(MSR_IA32_VMX_CR4_FIXED1);
	caps->vmcs_enum = rdmsr(MSR_IA32_VMX_VMCS_ENUM);
	if (caps->proc.allowed1 & PROC_SECONDARY)
		caps->proc2 = control_read(MSR_IA32_VMX_PROCBASED_CTLS2);
	if (caps->proc2.allowed1 & (PROC2_EPT | PROC2_VPID))
		caps->ept_vpid = rdmsr(MSR_IA32_VMX_EPT_VPID_CAP);
	if (caps->proc2.allowed1 & PROC2_VMFUNC)
		caps->vmfunc = rdmsr(MSR_IA32_VMX_VMFUNC);
	caps->physical_bits = MIN(sizes & 0xff, 52u);
	caps->memory_bits = memory_bits(caps->physical_bits);
	caps->debugctl_valid = debugctl_valid();
	/* 5-level paging is hidden from L1. */
	caps->linear_bits = MIN((sizes >> 8) & 0xff, 48u);
	caps->has_guest_1g = ext_max >= CPUID_LEAF_EXT_FEATURES &&
			     (cpuid(CPUID_LEAF_EXT_FEATURES, 0).edx & CPUID_EXT1_EDX_PDPE1GB);
	caps->has_shadow_vmcs = (caps->proc2.allowed1 & PROC2_VMCS_SHADOWING) && options.shadow_vmcs;
	caps->has_ept_1g = caps->ept_vpid & EPT_CAP_1G;
	caps->has_ept_2m = caps->ept_vpid & EPT_CAP_2M;
	caps->has_ept_ad = caps->ept_vpid & EPT_CAP_AD;
	caps->has_invvpid =
		(~caps->ept_vpid & (EPT_CAP_INVVPID | EPT_CAP_INVVPID_SINGLE | EPT_CAP_INVVPID_ALL)) == 0;
}

static bool cpu_has_vmx(void)
{
	return cpuid(CPUID_LEAF_FEATURES, 0).ecx & CPUID_1_ECX_VMX;
}

/* IA32_FEATURE_CONTROL: unlocked will do, vmx_cpu_init() sets it. */
static enum status check_feature_control(void)
{
	u64 value = rdmsr(MSR_IA32_FEATURE_CONTROL);

	if (!(value & FEATURE_CONTROL_LOCKED) || (value & FEATURE_CONTROL_VMX))
		return STATUS_OK;
	return value & FEATURE_CONTROL_VMX_IN_SMX ? STATUS_VMX_TXT_ONLY : STATUS_VMX_LOCKED;
}

/* The first required thing that is missing. */
static enum status check_required(void)
{
	for (size_t i = 0; i < ARRAY_SIZE(control_rows); i++) {
		const struct control_row *row = &control_rows[i];

		if (row->need == REQUIRED && !control_available(row))
			return status_with(row->status, "%s", row->name);
	}
	if (!(vmx_caps.basic & BASIC_TRUE_CONTROLS))
		return STATUS_NO_TRUE_CONTROLS;
	for (size_t i = 0; i < ARRAY_SIZE(ept_rows); i++)
		if (ept_rows[i].need == REQUIRED &&
		    (vmx_caps.ept_vpid & ept_rows[i].bits) != ept_rows[i].bits)
			return status_with(STATUS_EPT_UNFIT, "%s", ept_rows[i].name);
	return STATUS_OK;
}

enum status caps_check_smp(void)
{
	if (vmx_caps.misc & MISC_ACTIVITY_WAIT_FOR_SIPI)
		return STATUS_OK;
	return status_with(STATUS_VMX_CONTROL, "activity state wait-for-SIPI (or boot with cpus=1)");
}

enum status caps_may_vmxon(void)
{
	return cpu_has_vmx() ? check_feature_control() : STATUS_NO_VMX;
}

enum status caps_init(void)
{
	enum status status = caps_may_vmxon();

	if (status != STATUS_OK)
		return status;
	read_caps(&vmx_caps);
	return check_required();
}

enum status caps_compare(void)
{
	struct vmx_caps mine;

	read_caps(&mine);
	if (memcmp(&mine, &vmx_caps, sizeof(mine)) == 0)
		return STATUS_OK;
	return status_with(STATUS_VMX_DIFFERS, "APIC ID %x: %s", percpu_this()->apic_id,
			   mine.basic != vmx_caps.basic		? "VMX_BASIC"
			   : mine.ept_vpid != vmx_caps.ept_vpid ? "EPT_VPID_CAP"
								: "controls");
}

static void report_row(const char *name, enum need need, bool available)
{
	log_report("  %s %s%s", available ? "yes" : "NO ", name, need == REQUIRED ? " (required)" : "");
}

bool caps_report(void)
{
	enum status status = STATUS_NO_VMX;
	bool vmx = cpu_has_vmx();

	log_report("check: what this processor has");
	report_row("VT-x", REQUIRED, vmx);
	if (vmx) {
		read_caps(&vmx_caps);
		report_row("VT-x allowed by the firmware", REQUIRED, check_feature_control() == STATUS_OK);
		report_row("true controls", REQUIRED, vmx_caps.basic & BASIC_TRUE_CONTROLS);
		for (size_t i = 0; i < ARRAY_SIZE(control_rows); i++)
			report_row(control_rows[i].name, control_rows[i].need,
				   control_available(&control_rows[i]));
		for (size_t i = 0; i < ARRAY_SIZE(ept_rows); i++)
			report_row(ept_rows[i].name, ept_rows[i].need,
				   (vmx_caps.ept_vpid & ept_rows[i].bits) == ept_rows[i].bits);
		status = check_feature_control();
		if (status == STATUS_OK)
			status = check_required();
	}
	if (status != STATUS_OK)
		status_report(status);
	log_report("check: Socle %s run on this processor", status == STATUS_OK ? "can" : "cannot");
	return status == STATUS_OK;
}
