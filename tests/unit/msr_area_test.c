/* SPDX-License-Identifier: MIT */
/*
 * The MSR lists of entry and exit, and what becomes of a bad entry of one. SDM: "Loading MSRs", "Saving
 * MSRs".
 */
#include "tests/unit/cmocka_all.h"

#include "kernel/msr.h"
#include "kernel/x86.h"
#include "tests/unit/l2_support.h"

static void processor_without_rtm_debugging(void)
{
	fake_debugctl_reserved |= DEBUGCTL_RTM;
}

/* SDM "Loading MSRs": after the checks on guest state, whatever bit of IA32_DEBUGCTL is at fault. */
static void msr_list_waits_for_debugctl(void **state UNUSED)
{
	l1_start_vmx();
	l1_load_vmcs(0);
	l1_write_valid_vmcs();
	W(entry_controls, R(entry_controls) | ENTRY_LOAD_DEBUG);
	W(guest_debugctl, DEBUGCTL_RTM);
	W(entry_msr_load_count, 1);
	W(entry_msr_load_addr, M_SPARE);
	l1_write64(M_SPARE, MSR_IA32_LSTAR);
	l1_write64(M_SPARE + 8, 0x1234);
	fake_msr_set(MSR_IA32_LSTAR, 1);
	l1_enter(EXIT_VMLAUNCH);
	assert_false(machine_in_l2());
	assert_int_equal(R(exit_reason), EXIT_REASON_ENTRY_FAILURE | EXIT_ENTRY_FAIL_GUEST);
	assert_int_equal(fake_msr_get(MSR_IA32_LSTAR), 1);
}

static void msr_lists_load_and_store(void **state UNUSED)
{
	l2_prepare_lists(2, 1, 1);
	l2_put_msr(P_ENTRY, 0, MSR_IA32_LSTAR, 0, 0x1111);
	l2_put_msr(P_ENTRY, 1, MSR_IA32_STAR, 0, 0x2222);
	l2_put_msr(P_STORE, 0, MSR_IA32_LSTAR, 0, 0);
	l2_put_msr(P_LOAD, 0, MSR_IA32_LSTAR, 0, 0x3333);
	assert_int_equal(l1_enter(EXIT_VMLAUNCH), 0);
	assert_true(machine_in_l2());
	assert_int_equal(fake_msr_get(MSR_IA32_LSTAR), 0x1111);
	assert_int_equal(fake_msr_get(MSR_IA32_STAR), 0x2222);
	fake_msr_set(MSR_IA32_LSTAR, 0x4444);
	EXIT_NOW(.reason = EXIT_CPUID);
	assert_int_equal(l1_read64(P_STORE + 8), 0x4444);
	assert_int_equal(fake_msr_get(MSR_IA32_LSTAR), 0x3333);
	assert_int_equal(fake_msr_get(MSR_IA32_STAR), 0x2222);
}

/* Of a long series of entries in which nothing else changes, each loads the list as it is then. */
static void each_entry_loads_the_list(void **state UNUSED)
{
	l2_prepare_lists(1, 0, 0);
	for (u64 n = 1; n < 6; n++) {
		l2_put_msr(P_ENTRY, 0, MSR_IA32_LSTAR, 0, n);
		assert_int_equal(l1_enter(n == 1 ? EXIT_VMLAUNCH : EXIT_VMRESUME), 0);
		assert_true(machine_in_l2());
		assert_int_equal(fake_msr_get(MSR_IA32_LSTAR), n);
		EXIT_NOW(.reason = EXIT_CPUID);
	}
}

static void entry_list_fails_with_its_index(void **state UNUSED)
{
	static const struct {
		u32 msr, reserved;
		u64 value;
	} bad[] = {
		{ MSR_IA32_LSTAR, 1, 0 }, /* reserved bits */
		{ MSR_IA32_FS_BASE, 0, 0 },
		{ MSR_IA32_GS_BASE, 0, 0 },
		{ 0x808, 0, 0 }, /* x2APIC */
		{ MSR_IA32_SMM_MONITOR_CTL, 0, 0 },
		{ MSR_IA32_BIOS_UPDT_TRIG, 0, 0 },
		{ MSR_IA32_LSTAR, 0, BIT(47) }, /* WRMSR would fault */
		{ 0x12345, 0, 0 },
	};

	l2_prepare_lists(3, 0, 0);
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		l2_put_msr(P_ENTRY, 0, MSR_IA32_STAR, 0, 7);
		l2_put_msr(P_ENTRY, 1, bad[i].msr, bad[i].reserved, bad[i].value);
		l2_put_msr(P_ENTRY, 2, MSR_IA32_STAR, 0, 9);
		assert_int_equal(l1_enter(EXIT_VMLAUNCH), 0);
		assert_false(machine_in_l2());
		assert_int_equal(machine_field(VMCS_guest_rip), 0x300000);
		assert_true(R(exit_reason) == (EXIT_ENTRY_FAIL_MSR | EXIT_REASON_ENTRY_FAILURE));
		assert_int_equal(R(exit_qualification), 2);
		assert_int_equal(fake_msr_get(MSR_IA32_STAR), 7);
	}
	/* a list of one is a list */
	W(entry_msr_load_count, 1);
	l2_put_msr(P_ENTRY, 0, MSR_IA32_FS_BASE, 0, 0);
	assert_int_equal(l1_enter(EXIT_VMLAUNCH), 0);
	assert_false(machine_in_l2());
	assert_int_equal(R(exit_qualification), 1);
}

/* A list that fails has loaded L2's state into no VMCS: L1 reads what L2's last exit saved. */
static void a_failed_list_leaves_the_vmcs_alone(void **state UNUSED)
{
	l2_prepare_lists(0, 0, 0);
	assert_int_equal(l1_enter(EXIT_VMLAUNCH), 0);
	machine_set_field(VMCS_guest_sysenter_esp, 0x1000);
	EXIT_NOW(.reason = EXIT_CPUID);
	W(entry_msr_load_count, 2);
	l2_put_msr(P_ENTRY, 0, MSR_IA32_SYSENTER_ESP, 0, 0x2000);
	l2_put_msr(P_ENTRY, 1, MSR_IA32_FS_BASE, 0, 0);
	assert_int_equal(l1_enter(EXIT_VMRESUME), 0);
	assert_true(R(exit_reason) == (EXIT_ENTRY_FAIL_MSR | EXIT_REASON_ENTRY_FAILURE));
	assert_int_equal(R(guest_sysenter_esp), 0x1000);
	W(entry_msr_load_count, 1);
	assert_int_equal(l1_enter(EXIT_VMRESUME), 0);
	assert_int_equal(machine_field(VMCS_guest_sysenter_esp), 0x2000);
}

/* SDM: VM entry leaves CR0.CD and NW alone, and so does the exit of an entry that fails behind the checks. */
static void cd_stays_l1s_over_a_failed_list(void **state UNUSED)
{
	l2_prepare_lists(1, 0, 0);
	l2_put_msr(P_ENTRY, 0, 0x12345, 0, 0);
	W(guest_cr0, R(guest_cr0) | CR0_CD);
	assert_int_equal(l1_enter(EXIT_VMLAUNCH), 0);
	assert_false(machine_in_l2());
	assert_true(R(exit_reason) == (EXIT_ENTRY_FAIL_MSR | EXIT_REASON_ENTRY_FAILURE));
	assert_int_equal(machine_field(VMCS_guest_cr0) & CR0_CD, 0);
	assert_int_equal(R(guest_cr0) & CR0_CD, CR0_CD);
}

static void list_beyond_the_limit_fails_there(void **state UNUSED)
{
	l2_prepare_lists(513, 0, 0);
	for (unsigned int n = 0; n < 513; n++)
		l2_put_msr(P_ENTRY, n, MSR_IA32_STAR, 0, n);
	assert_int_equal(l1_enter(EXIT_VMLAUNCH), 0);
	assert_false(machine_in_l2());
	assert_int_equal(R(exit_qualification), 513);
}

static void a_bad_store_list_aborts(void **state UNUSED)
{
	l2_prepare_lists(0, 1, 0);
	l2_put_msr(P_STORE, 0, MSR_IA32_SMBASE, 0, 0);
	assert_int_equal(l1_enter(EXIT_VMLAUNCH), 0);
	EXIT_NOW(.reason = EXIT_CPUID);
	l2_assert_aborted(VMX_ABORT_STORE_MSR);
}

static void a_bad_load_list_aborts(void **state UNUSED)
{
	l2_prepare_lists(0, 0, 1);
	l2_put_msr(P_LOAD, 0, MSR_IA32_FS_BASE, 0, 0);
	assert_int_equal(l1_enter(EXIT_VMLAUNCH), 0);
	EXIT_NOW(.reason = EXIT_CPUID);
	l2_assert_aborted(VMX_ABORT_LOAD_MSR);
}

static void processor_with_microcode_to_load(void)
{
	fake_msr_set(MSR_IA32_BIOS_SIGN_ID, 7);
}

/* SDM "Loading MSRs": the microcode's MSRs "cannot be loaded on VM entries"; of exits it says nothing. */
static void an_exit_loads_what_no_entry_may(void **state UNUSED)
{
	l2_prepare_lists(1, 0, 1);
	l2_put_msr(P_ENTRY, 0, MSR_IA32_BIOS_SIGN_ID, 0, 0);
	l2_put_msr(P_LOAD, 0, MSR_IA32_BIOS_SIGN_ID, 0, 0);
	assert_int_equal(l1_enter(EXIT_VMLAUNCH), 0);
	assert_false(machine_in_l2());
	assert_true(R(exit_reason) == (EXIT_ENTRY_FAIL_MSR | EXIT_REASON_ENTRY_FAILURE));
	/* The exit of the entry that failed has gone through its list already. */
	assert_int_equal(fake_msr_get(MSR_IA32_BIOS_SIGN_ID), 0);
	fake_msr_set(MSR_IA32_BIOS_SIGN_ID, 7);
	W(entry_msr_load_count, 0);
	assert_int_equal(l1_enter(EXIT_VMLAUNCH), 0);
	assert_true(machine_in_l2());
	EXIT_NOW(.reason = EXIT_CPUID);
	assert_int_equal(R(exit_reason), EXIT_CPUID);
	assert_int_equal(fake_msr_get(MSR_IA32_BIOS_SIGN_ID), 0);
}

/* What the processor takes at L2's exit, in vmcs02's own list. */
static void take_time(u64 tsc)
{
	u64 at = machine_field(VMCS_exit_msr_store_addr);

	assert_int_equal(machine_field(VMCS_exit_msr_store_count), 1);
	assert_true(IS_ALIGNED(at, 16));
	assert_int_equal(l1_read64(at), MSR_IA32_TSC);
	l1_write64(at + 8, tsc);
}

/* SDM "Saving MSRs": each entry of L1's list has the time of the exit; L0 adds a list of its own only for
 * that. */
static void the_time_is_the_exits(void **state UNUSED)
{
	l2_prepare_lists(0, 3, 0);
	fake_msr_set(MSR_IA32_TSC, 0x7777);
	l2_put_msr(P_STORE, 0, MSR_IA32_TSC, 0, 0);
	l2_put_msr(P_STORE, 1, MSR_IA32_LSTAR, 0, 0);
	l2_put_msr(P_STORE, 2, MSR_IA32_TSC, 0, 0);
	assert_int_equal(l1_enter(EXIT_VMLAUNCH), 0);
	take_time(0x1234);
	EXIT_NOW(.reason = EXIT_CPUID);
	assert_int_equal(l1_read64(P_STORE + 8), 0x1234);
	assert_int_equal(l1_read64(P_STORE + 40), 0x1234);
	/* No exit of this L2's yet: now. */
	assert_int_equal(l1_enter(EXIT_VMRESUME), 0);
	EXIT_NOW(.reason = EXIT_CPUID);
	assert_int_equal(l1_read64(P_STORE + 8), 0x7777);
	/* Not asked for any more: nothing is taken, and what was taken before is not used. */
	l2_put_msr(P_STORE, 0, MSR_IA32_STAR, 0, 0);
	l2_put_msr(P_STORE, 2, MSR_IA32_STAR, 0, 0);
	assert_int_equal(l1_enter(EXIT_VMRESUME), 0);
	assert_int_equal(machine_field(VMCS_exit_msr_store_count), 0);
	l2_put_msr(P_STORE, 2, MSR_IA32_TSC, 0, 0);
	EXIT_NOW(.reason = EXIT_CPUID);
	assert_int_equal(l1_read64(P_STORE + 40), 0x7777);
	W(exit_msr_store_count, 0);
	assert_int_equal(l1_enter(EXIT_VMRESUME), 0);
	assert_int_equal(machine_field(VMCS_exit_msr_store_count), 0);
}

/* Every entry of L1's list is looked at, on each page, and none behind its end. */
static void the_time_is_looked_for_in_the_whole_list(void **state UNUSED)
{
	enum { LONG = 300 }; /* 256 entries are a page */

	l2_prepare_lists(0, LONG, 0);
	W(exit_msr_store_addr, P_STORE + 16);
	for (unsigned int n = 0; n < LONG; n++)
		l2_put_msr(P_STORE + 16, n, MSR_IA32_LSTAR, 0, 0);
	l2_put_msr(P_STORE + 16, LONG, MSR_IA32_TSC, 0, 0);
	assert_int_equal(l1_enter(EXIT_VMLAUNCH), 0);
	assert_int_equal(machine_field(VMCS_exit_msr_store_count), 0);
	for (unsigned int n = 0; n < LONG; n += LONG - 1) {
		EXIT_NOW(.reason = EXIT_CPUID);
		l2_put_msr(P_STORE + 16, n, MSR_IA32_TSC, 0, 0);
		assert_int_equal(l1_enter(EXIT_VMRESUME), 0);
		assert_int_equal(machine_field(VMCS_exit_msr_store_count), 1);
		l2_put_msr(P_STORE + 16, n, MSR_IA32_LSTAR, 0, 0);
	}
	/* The list ends: so does L0's. */
	EXIT_NOW(.reason = EXIT_CPUID);
	W(exit_msr_store_count, 0);
	assert_int_equal(l1_enter(EXIT_VMRESUME), 0);
	assert_int_equal(machine_field(VMCS_exit_msr_store_count), 0);
}

static void processor_with_x2apic_and_smbase(void)
{
	fake_msr_set(0x808, 0);
	fake_msr_set(0x8ff, 0);
	fake_msr_set(0x7ff, 0);
	fake_msr_set(0x900, 0);
	fake_msr_set(MSR_IA32_SMBASE, 0);
}

/* SDM "VM Exits", "Saving MSRs": MSRs that are there, and that no list may name. */
static void lists_refuse_what_is_there(void **state UNUSED)
{
	static const struct {
		u32 msr, reserved;
		bool loads, stores;
	} rows[] = {
		{ 0x7ff, 0, true, true },
		{ 0x808, 0, false, false },
		{ 0x8ff, 0, false, false },
		{ 0x900, 0, true, true },
		{ MSR_IA32_LSTAR, 1, false, false },
		{ MSR_IA32_SMBASE, 0, true, false },
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		if (i)
			assert_int_equal(l1_vmxoff(), 0);
		l2_prepare_lists(1, 1, 0);
		l2_put_msr(P_ENTRY, 0, rows[i].msr, rows[i].reserved, 0);
		l2_put_msr(P_STORE, 0, MSR_IA32_STAR, 0, 0);
		assert_int_equal(l1_enter(EXIT_VMLAUNCH), 0);
		if (machine_in_l2() != rows[i].loads)
			fail_msg("row %zu", i);
		if (machine_in_l2())
			EXIT_NOW(.reason = EXIT_CPUID);
	}
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		if (!rows[i].stores)
			continue;
		assert_int_equal(l1_vmxoff(), 0);
		l2_prepare_lists(0, 1, 0);
		l2_put_msr(P_STORE, 0, rows[i].msr, rows[i].reserved, 0);
		assert_int_equal(l1_enter(EXIT_VMLAUNCH), 0);
		EXIT_NOW(.reason = EXIT_CPUID);
		assert_int_equal(R(exit_reason), EXIT_CPUID);
	}
}

/* One bad entry of the store list, in a world of its own. */
static void store_list_aborts(u32 msr, u32 reserved)
{
	l2_prepare_lists(0, 1, 0);
	l2_put_msr(P_STORE, 0, msr, reserved, 0);
	assert_int_equal(l1_enter(EXIT_VMLAUNCH), 0);
	EXIT_NOW(.reason = EXIT_CPUID);
	l2_assert_aborted(VMX_ABORT_STORE_MSR);
}

static void no_x2apic_register_is_stored(void **state UNUSED)
{
	store_list_aborts(0x808, 0);
}

static void no_smbase_is_stored(void **state UNUSED)
{
	store_list_aborts(MSR_IA32_SMBASE, 0);
}

static void no_reserved_bits_are_stored(void **state UNUSED)
{
	store_list_aborts(MSR_IA32_LSTAR, 2);
}

static void no_absent_msr_is_stored(void **state UNUSED)
{
	store_list_aborts(0x12345, 0);
}

/* IA32_VMX_MISC: at most 512 entries. */
static void a_store_list_beyond_the_limit(void **state UNUSED)
{
	l2_prepare_lists(0, 513, 0);
	for (unsigned int n = 0; n < 513; n++)
		l2_put_msr(P_STORE, n, MSR_IA32_LSTAR, 0, 0);
	assert_int_equal(l1_enter(EXIT_VMLAUNCH), 0);
	EXIT_NOW(.reason = EXIT_CPUID);
	l2_assert_aborted(VMX_ABORT_STORE_MSR);
}

static void a_store_list_of_the_limit(void **state UNUSED)
{
	l2_prepare_lists(0, 512, 0);
	for (unsigned int n = 0; n < 512; n++)
		l2_put_msr(P_STORE, n, MSR_IA32_LSTAR, 0, 0);
	assert_int_equal(l1_enter(EXIT_VMLAUNCH), 0);
	fake_msr_set(MSR_IA32_LSTAR, 0x5555);
	EXIT_NOW(.reason = EXIT_CPUID);
	assert_int_equal(R(exit_reason), EXIT_CPUID);
	assert_int_equal(l1_read64(P_STORE + 511 * 16 + 8), 0x5555);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		MACHINE_TEST_BOTH(msr_lists_load_and_store),
		MACHINE_TEST_BOTH(the_time_is_the_exits),
		MACHINE_TEST_BOTH(the_time_is_looked_for_in_the_whole_list),
		MACHINE_TEST_BOTH(each_entry_loads_the_list),
		MACHINE_TEST_BOTH(entry_list_fails_with_its_index),
		MACHINE_TEST_BOTH(a_failed_list_leaves_the_vmcs_alone),
		MACHINE_TEST_BOTH(cd_stays_l1s_over_a_failed_list),
		MACHINE_TEST_BOTH(list_beyond_the_limit_fails_there),
		MACHINE_TEST_BOTH(a_bad_store_list_aborts),
		MACHINE_TEST_BOTH(a_bad_load_list_aborts),
		MACHINE_TEST_BEFORE(msr_list_waits_for_debugctl, "", processor_without_rtm_debugging),
		MACHINE_TEST_BEFORE(an_exit_loads_what_no_entry_may, "", processor_with_microcode_to_load),
		MACHINE_TEST_BEFORE(lists_refuse_what_is_there, "", processor_with_x2apic_and_smbase),
		MACHINE_TEST_BEFORE(no_x2apic_register_is_stored, "", processor_with_x2apic_and_smbase),
		MACHINE_TEST_BEFORE(no_smbase_is_stored, "", processor_with_x2apic_and_smbase),
		MACHINE_TEST(no_reserved_bits_are_stored, ""),
		MACHINE_TEST(no_absent_msr_is_stored, ""),
		MACHINE_TEST_BOTH(a_store_list_beyond_the_limit),
		MACHINE_TEST_BOTH(a_store_list_of_the_limit),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
