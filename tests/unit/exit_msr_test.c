/* SPDX-License-Identifier: MIT */
/*
 * L1's RDMSR and WRMSR of what L0 keeps its hand on: each value that must fault, each that must not, and
 * where the good ones go. SDM volume 4; volume 2, "WRMSR"; volume 3, "IA32_FEATURE_CONTROL", "Page Attribute
 * Table".
 */
#include "tests/unit/cmocka_all.h"

#include "kernel/msr.h"
#include "kernel/x86.h"
#include "tests/unit/machine.h"

#define EFER_NOW (EFER_LME | EFER_LMA)

/* True if it did not fault. */
static bool writes(u32 msr, u64 value)
{
	machine_vcpu->gpr[GPR_RCX] = 0xabcd00000000 | msr;
	machine_vcpu->gpr[GPR_RAX] = 0xffffffff00000000 | (u32)value;
	machine_vcpu->gpr[GPR_RDX] = value >> 32;
	EXIT_NOW(.reason = EXIT_WRMSR, .length = 2);
	if (!machine_pending())
		return true;
	assert_int_equal(machine_pending() & 0xff, VEC_GP);
	EXIT_NOW(.reason = EXIT_CPUID);
	return false;
}

static bool reads(u32 msr, u64 *value)
{
	machine_vcpu->gpr[GPR_RCX] = msr;
	machine_vcpu->gpr[GPR_RAX] = machine_vcpu->gpr[GPR_RDX] = 0xffffffff11111111;
	EXIT_NOW(.reason = EXIT_RDMSR, .length = 2);
	if (machine_pending()) {
		assert_int_equal(machine_pending() & 0xff, VEC_GP);
		assert_true(machine_vcpu->gpr[GPR_RAX] == 0xffffffff11111111);
		EXIT_NOW(.reason = EXIT_CPUID);
		return false;
	}
	assert_false(machine_vcpu->gpr[GPR_RAX] >> 32 || machine_vcpu->gpr[GPR_RDX] >> 32);
	*value = machine_vcpu->gpr[GPR_RAX] | machine_vcpu->gpr[GPR_RDX] << 32;
	return true;
}

/* Both ways through the guest's field of a VMCS. */
static void fields_of_the_vmcs(void **state UNUSED)
{
	static const struct {
		u32 msr, field;
		u64 good, bad; /* 0: nothing is bad */
	} rows[] = {
		{ MSR_IA32_FS_BASE, VMCS_guest_fs_base, 0x7fffffffffff, BIT(47) },
		{ MSR_IA32_GS_BASE, VMCS_guest_gs_base, 0xffff800000000000, BIT(63) },
		{ MSR_IA32_SYSENTER_CS, VMCS_guest_sysenter_cs, 0x10, 0 },
		{ MSR_IA32_SYSENTER_ESP, VMCS_guest_sysenter_esp, 0x7000, BIT(47) },
		{ MSR_IA32_SYSENTER_EIP, VMCS_guest_sysenter_eip, 0x8000, BIT(60) },
		{ MSR_IA32_PAT, VMCS_guest_pat, 0x0706050401000606, 0x0200000000000606 },
		{ MSR_IA32_EFER, VMCS_guest_efer, EFER_NOW | EFER_NXE | EFER_SCE, BIT(1) },
		{ MSR_IA32_DEBUGCTL, VMCS_guest_debugctl, DEBUGCTL_LBR | DEBUGCTL_BTF, BIT(20) },
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		u64 value = 0;

		assert_true(writes(rows[i].msr, rows[i].good));
		assert_int_equal(machine_field(rows[i].field), rows[i].good);
		assert_true(reads(rows[i].msr, &value));
		assert_int_equal(value, rows[i].good);
		if (rows[i].bad)
			assert_false(writes(rows[i].msr, rows[i].bad));
		assert_int_equal(machine_field(rows[i].field), rows[i].good);
	}
	/* 32 bits, whatever is written. */
	assert_true(writes(MSR_IA32_SYSENTER_CS, 0x1200000018));
	assert_int_equal(machine_field(VMCS_guest_sysenter_cs), 0x18);
}

static void efer_keeps_lma_and_lme(void **state UNUSED)
{
	assert_false(writes(MSR_IA32_EFER, EFER_LMA)); /* LME, while paging is on */
	assert_false(writes(MSR_IA32_EFER, EFER_NOW | BIT(12)));
	assert_true(writes(MSR_IA32_EFER, EFER_LME | EFER_SCE));
	assert_int_equal(machine_field(VMCS_guest_efer), EFER_NOW | EFER_SCE);
	machine_set_field(VMCS_guest_cr0, CR0_PE | CR0_NE | CR0_ET);
	machine_set_field(VMCS_guest_efer, EFER_LME);
	assert_true(writes(MSR_IA32_EFER, EFER_LMA));
	assert_int_equal(machine_field(VMCS_guest_efer), 0);
}

static void processor_without_nx(void)
{
	fake_cpuid_set(0x80000001, 0, 0, 0, 0x121, 0x2c000800);
}

static void no_nxe_without_nx(void **state UNUSED)
{
	assert_false(writes(MSR_IA32_EFER, EFER_NOW | EFER_NXE));
	assert_true(writes(MSR_IA32_EFER, EFER_NOW));
}

/* Each entry of the PAT: the types that there are. */
static void pat_entries(void **state UNUSED)
{
	for (u32 entry = 0; entry < 8; entry++)
		for (u64 type = 0; type < 256; type++) {
			bool good = type <= 7 && type != 2 && type != 3;

			if (writes(MSR_IA32_PAT, type << (8 * entry)) != good)
				fail_msg("entry %u, type %u", entry, (unsigned int)type);
		}
}

static void a_locked_feature_control_stays(void **state UNUSED)
{
	u64 value;

	assert_true(reads(MSR_IA32_FEATURE_CONTROL, &value));
	assert_int_equal(value, FEATURE_CONTROL_LOCKED | FEATURE_CONTROL_VMX);
	assert_false(writes(MSR_IA32_FEATURE_CONTROL, 0));
	assert_false(writes(MSR_IA32_FEATURE_CONTROL, value));
	assert_int_equal(machine_vcpu->l1.feature_control, value);
	machine_vcpu->l1.feature_control = 0;
	assert_false(writes(MSR_IA32_FEATURE_CONTROL, FEATURE_CONTROL_VMX_IN_SMX));
	assert_false(writes(MSR_IA32_FEATURE_CONTROL, FEATURE_CONTROL_VMX | FEATURE_CONTROL_SGX));
	assert_true(writes(MSR_IA32_FEATURE_CONTROL, FEATURE_CONTROL_VMX | FEATURE_CONTROL_LMCE));
	assert_true(writes(MSR_IA32_FEATURE_CONTROL, value));
	assert_false(writes(MSR_IA32_FEATURE_CONTROL, value));
	assert_int_equal(machine_vcpu->l1.feature_control, value);
	/* the processor's own is the firmware's */
	assert_int_equal(fake_msr_get(MSR_IA32_FEATURE_CONTROL), 5);
}

static void xss_is_what_is_offered(void **state UNUSED)
{
	assert_true(writes(MSR_IA32_XSS, BIT(13) | BIT(16)));
	assert_int_equal(fake_msr_get(MSR_IA32_XSS), BIT(13) | BIT(16));
	for (u32 bit = 0; bit < 64; bit++)
		if (bit != 13 && bit != 16)
			assert_false(writes(MSR_IA32_XSS, BIT(bit)));
	assert_int_equal(fake_msr_get(MSR_IA32_XSS), BIT(13) | BIT(16));
}

static void processor_with_bus_lock_detection(void)
{
	fake_cpuid_set(7, 0, 0, 0x009c27ab, 0x0000001c | BIT(24), 0);
}

static void bus_lock_detection(void **state UNUSED)
{
	assert_true(writes(MSR_IA32_DEBUGCTL, DEBUGCTL_BLD));
	assert_int_equal(machine_field(VMCS_guest_debugctl), DEBUGCTL_BLD);
	assert_int_equal(fake_msr_get(MSR_IA32_DEBUGCTL), 0);
}

static void no_bus_lock_detection(void **state UNUSED)
{
	assert_false(writes(MSR_IA32_DEBUGCTL, DEBUGCTL_BLD));
	/* What the processor refuses now, whatever it took before: L1's fault. */
	fake_debugctl_reserved = DEBUGCTL_RTM;
	assert_false(writes(MSR_IA32_DEBUGCTL, DEBUGCTL_RTM));
	assert_int_equal(machine_field(VMCS_guest_debugctl), 0);
	assert_int_equal(fake_msr_get(MSR_IA32_DEBUGCTL), 0);
}

static void processor_with_all_msrs(void)
{
	fake_msr_set(MSR_IA32_CORE_CAPABILITIES, 0x7);
	fake_msr_set(MSR_IA32_BIOS_UPDT_TRIG, 0);
	fake_msr_set(MSR_IA32_SMM_MONITOR_CTL, 1);
	fake_msr_set(0x40000000, 1);
	fake_msr_set(MSR_IA32_DS_AREA, 1);
	fake_msr_set(0x9f, 1);
}

static void what_l1_does_not_have(void **state UNUSED)
{
	static const u32 none[] = { 0x40000000, 0x4fffffff, MSR_IA32_DS_AREA, 0x12345 };
	u64 value;

	for (size_t i = 0; i < ARRAY_SIZE(none); i++) {
		assert_false(reads(none[i], &value));
		assert_false(writes(none[i], 0));
	}
	/* An MSR that is none of Socle's business goes through. */
	assert_true(writes(0x9f, 7));
	assert_true(reads(0x9f, &value));
	assert_int_equal(value, 7);
	assert_int_equal(fake_msr_get(0x9f), 7);
}

static void msrs_with_a_rule_of_their_own(void **state UNUSED)
{
	u64 value;

	assert_true(reads(MSR_IA32_CORE_CAPABILITIES, &value));
	assert_int_equal(value, 7 & ~CORE_CAP_RAR);
	/* Execute-disable is L0's too. */
	assert_true(writes(MSR_IA32_MISC_ENABLE, MISC_ENABLE_XD_DISABLE | MISC_ENABLE_FAST_STRINGS));
	assert_int_equal(fake_msr_get(MSR_IA32_MISC_ENABLE), MISC_ENABLE_FAST_STRINGS);
	assert_true(writes(MSR_IA32_BIOS_UPDT_TRIG, 0x1234));
	assert_int_equal(fake_msr_get(MSR_IA32_BIOS_UPDT_TRIG), 0);
	assert_false(writes(MSR_IA32_SMM_MONITOR_CTL, 0));
	assert_true(reads(MSR_IA32_SMM_MONITOR_CTL, &value));
	assert_int_equal(value, 0);
	assert_false(writes(MSR_IA32_VMX_FIRST, 0));
	assert_false(writes(MSR_IA32_VMX_LAST, 0));
	assert_true(reads(MSR_IA32_VMX_FIRST, &value));
	assert_int_equal((u32)value, VMCS12_REVISION);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		MACHINE_TEST(fields_of_the_vmcs, ""),
		MACHINE_TEST(efer_keeps_lma_and_lme, ""),
		MACHINE_TEST_BEFORE(no_nxe_without_nx, "", processor_without_nx),
		MACHINE_TEST(pat_entries, ""),
		MACHINE_TEST(a_locked_feature_control_stays, ""),
		MACHINE_TEST(xss_is_what_is_offered, ""),
		MACHINE_TEST_BEFORE(bus_lock_detection, "", processor_with_bus_lock_detection),
		MACHINE_TEST(no_bus_lock_detection, ""),
		MACHINE_TEST_BEFORE(what_l1_does_not_have, "", processor_with_all_msrs),
		MACHINE_TEST_BEFORE(msrs_with_a_rule_of_their_own, "", processor_with_all_msrs),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
