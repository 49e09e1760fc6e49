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
#include "kernel/report.h"
#include "kernel/string.h"
#include "kernel/x86.h"
#include "vmx/hw/vmx.h"

/* The types that L0 uses. */
#define INVVPID_NEEDED                                                                                       \
	(VPID_CAP_INVVPID | VPID_CAP_INVVPID_TYPE(INVVPID_SINGLE) | VPID_CAP_INVVPID_TYPE(INVVPID_ALL))

struct vmx_caps vmx_caps;

/* The status by which the start fails on a processor without the control. An optional control has none. */
enum {
	NEED_UNUSED = -1,
	NEED_OPTIONAL = STATUS_OK,
	NEED_VMX_CONTROL = STATUS_VMX_CONTROL,
	NEED_NO_EPT = STATUS_NO_EPT,
	NEED_NO_UNRESTRICTED = STATUS_NO_UNRESTRICTED,
};

static const struct control_row {
	const char *name;
	u32 bit;
	u8 word;  /* WORD_* */
	i16 need; /* the status if it is missing, NEED_OPTIONAL or NEED_UNUSED */
} control_rows[] = {
#define ROW(unused, word, name, bit, need, l0, l1, text) { text, word##_##name, WORD_##word, NEED_##need },
	CONTROLS(ROW, 0)
#undef ROW
};

struct ept_row {
	u64 bits; /* all of them */
	bool required;
	const char *name;
};

static const struct ept_row ept_rows[] = {
	{ EPT_CAP_WALK_4, true, "4-level walks" },
	{ EPT_CAP_WB, true, "write-back paging structures" },
	{ EPT_CAP_INVEPT | EPT_CAP_INVEPT_TYPE(INVEPT_ALL), true, "INVEPT of all contexts" },
	{ EPT_CAP_2M, true, "2 MiB pages" },
	{ EPT_CAP_1G, false, "1 GiB pages" },
	{ EPT_CAP_AD, false, "accessed and dirty bits" },
	{ INVVPID_NEEDED, false, "INVVPID" },
};

static bool control_available(const struct vmx_caps *caps, const struct control_row *row)
{
	const struct control_cap *const words[WORD_COUNT] = {
		[WORD_PIN] = &caps->pin,   [WORD_PROC] = &caps->proc,	[WORD_PROC2] = &caps->proc2,
		[WORD_EXIT] = &caps->exit, [WORD_ENTRY] = &caps->entry,
	};

	return words[row->word]->allowed1 & row->bit;
}

const char *caps_control_name(unsigned int word, unsigned int bit)
{
	for (unsigned int i = 0; i < ARRAY_SIZE(control_rows); i++)
		if (control_rows[i].word == word && control_rows[i].bit == 1u << bit)
			return control_rows[i].name;
	return NULL;
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

static u32 address_sizes(void)
{
	bool has = cpuid(CPUID_LEAF_EXT_MAX, 0).eax >= CPUID_LEAF_ADDRESS_SIZE;

	return has ? cpuid(CPUID_LEAF_ADDRESS_SIZE, 0).eax : 0x3024;
}

unsigned int caps_memory_bits(void)
{
	return memory_bits(MIN(address_sizes() & 0xff, 52u));
}

/* Needs VMX in CPUID. Without true controls their plain forms say the same with more bits fixed. */
void caps_read(struct vmx_caps *caps)
{
	u32 ext_max = cpuid(CPUID_LEAF_EXT_MAX, 0).eax;
	u32 sizes = address_sizes();
	u32 shift;

	memset(caps, 0, sizeof(*caps));
	caps->basic = rdmsr(MSR_IA32_VMX_BASIC);
	shift = caps->basic & VMX_BASIC_TRUE_CONTROLS
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
	caps_derive(caps);
}

void caps_derive(struct vmx_caps *caps)
{
	caps->has_shadow_vmcs = (caps->proc2.allowed1 & PROC2_VMCS_SHADOWING) && options.shadow_vmcs;
	caps->has_ept_1g = caps->ept_vpid & EPT_CAP_1G;
	caps->has_ept_2m = caps->ept_vpid & EPT_CAP_2M;
	caps->reserved_address = GENMASK(51, 0) & ~(BIT(caps->physical_bits) - 1);
	caps->has_invvpid = !(~caps->ept_vpid & INVVPID_NEEDED);
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

enum status caps_check(const struct vmx_caps *caps)
{
	for (size_t i = 0; i < ARRAY_SIZE(control_rows); i++) {
		const struct control_row *row = &control_rows[i];

		if (row->need > NEED_OPTIONAL && !control_available(caps, row))
			return status_with((enum status)row->need, "%s", row->name);
	}
	if (!(caps->basic & VMX_BASIC_TRUE_CONTROLS))
		return STATUS_NO_TRUE_CONTROLS;
	for (size_t i = 0; i < ARRAY_SIZE(ept_rows); i++)
		if (ept_rows[i].required && (caps->ept_vpid & ept_rows[i].bits) != ept_rows[i].bits)
			return status_with(STATUS_EPT_UNFIT, "%s", ept_rows[i].name);
	return STATUS_OK;
}

enum status caps_check_smp(void)
{
	if (vmx_caps.misc & VMX_MISC_ACTIVITY(ACTIVITY_WAIT_FOR_SIPI))
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
	caps_read(&vmx_caps);
	return caps_check(&vmx_caps);
}

/*
 * Lists the controls that Socle knows a use for: those that the processor has (`available`), or those that
 * it lacks.
 */
static void report_rows(const char *title, bool available)
{
	report_begin(title);
	for (size_t i = 0; i < ARRAY_SIZE(control_rows); i++)
		if (control_rows[i].need != NEED_UNUSED &&
		    control_available(&vmx_caps, &control_rows[i]) == available)
			report_item("%s", control_rows[i].name);
	for (size_t i = 0; i < ARRAY_SIZE(ept_rows); i++)
		if (((vmx_caps.ept_vpid & ept_rows[i].bits) == ept_rows[i].bits) == available)
			report_item("%s", ept_rows[i].name);
	report_end();
}

void caps_report(void)
{
	u64 control = 0;

	if (!cpu_has_vmx()) {
		log_report("VT-x: none");
		return;
	}
	rdmsr_safe(MSR_IA32_FEATURE_CONTROL, &control);
	log_report("VT-x: %s (IA32_FEATURE_CONTROL %llx)",
		   check_feature_control() == STATUS_OK ? "allowed by the firmware"
							: "locked off by the firmware",
		   (unsigned long long)control);
	caps_read(&vmx_caps);
	log_report("VMCS revision %x, addresses of %u bits (memory: %u)", (u32)vmx_caps.basic & 0x7fffffff,
		   vmx_caps.physical_bits, vmx_caps.memory_bits);
	report_rows("VT-x has: ", true);
	report_rows("VT-x lacks: ", false);
}

void caps_report_hidden(const struct vmx_caps *l1s)
{
	report_begin("VT-x hidden from L1: ");
	for (size_t i = 0; i < ARRAY_SIZE(control_rows); i++)
		if (control_available(&vmx_caps, &control_rows[i]) &&
		    !control_available(l1s, &control_rows[i]))
			report_item("%s", control_rows[i].name);
	report_end();
}
