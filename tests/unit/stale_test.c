/* SPDX-License-Identifier: MIT */
/*
 * What an entry must look at again because L1 touched it, what it may leave, and words of the MSR bitmap that
 * L2's accesses open. SDM: "VM Entries", "MSR-Bitmap Address".
 */
#include "tests/unit/cmocka_all.h"

#include "kernel/msr.h"
#include "kernel/x86.h"
#include "tests/unit/l2_support.h"
#include "vmx/l1/vm.h"

#define FAILED_GUEST (EXIT_REASON_ENTRY_FAILURE | EXIT_ENTRY_FAIL_GUEST)
#define NOT_CANONICAL BIT(63)

/* A field made invalid after L2 has run is found, whatever group it is checked with; put right, it is
 * forgotten. */
static void each_group_is_checked_again(void **state UNUSED)
{
	static const struct {
		u32 field;
		u64 value;
	} rows[] = {
		{ VMCS_guest_es_ar, 0xc193 },
		{ VMCS_guest_ds_ar, 0xc01b },
		{ VMCS_guest_ldtr_ar, 0x1 },
		{ VMCS_guest_tr_ar, 0x82 },
		{ VMCS_guest_gs_base, NOT_CANONICAL },
		{ VMCS_guest_tr_base, NOT_CANONICAL },
		{ VMCS_guest_gdtr_base, NOT_CANONICAL },
		{ VMCS_guest_idtr_limit, 0x10000 },
		{ VMCS_guest_sysenter_eip, NOT_CANONICAL },
		{ VMCS_guest_sysenter_esp, NOT_CANONICAL },
		{ VMCS_guest_cr4, CR4_PAE },
		{ VMCS_guest_cr0, CR0_PE | CR0_PG },
		{ VMCS_guest_rip, NOT_CANONICAL },
		{ VMCS_guest_rflags, 0 },
		{ VMCS_guest_interruptibility, 3 },
		{ VMCS_guest_activity_state, 4 },
		{ VMCS_guest_cs_ar, 0xc09b | BIT(13) },
		{ VMCS_guest_ss_ar, 0xc0f3 },
		{ VMCS_guest_efer, EFER_NXE },
		{ VMCS_vmcs_link_pointer, 1 },
	};

	l1_run_l2();
	EXIT_NOW(.reason = EXIT_CPUID);
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		u64 before;

		assert_int_equal(l1_vmread(rows[i].field, &before), 0);
		assert_int_equal(l1_vmwrite(rows[i].field, rows[i].value), 0);
		assert_int_equal(l1_enter(EXIT_VMRESUME), 0);
		if (machine_in_l2())
			fail_msg("row %zu", i);
		assert_int_equal(R(exit_reason), FAILED_GUEST);
		assert_int_equal(l1_vmwrite(rows[i].field, before), 0);
		assert_int_equal(l1_enter(EXIT_VMRESUME), 0);
		assert_true(machine_in_l2());
		EXIT_NOW(.reason = EXIT_CPUID);
		assert_int_equal(R(exit_reason), EXIT_CPUID);
	}
}

/* State that stays in vmcs02 until L1 asks: all of it comes, and nothing else. */
static void rare_state_and_no_more(void **state UNUSED)
{
	l1_start_vmx();
	l1_load_vmcs(0);
	l1_write_valid_vmcs();
	W(vpid, 5);
	W(tsc_offset, 0x1234);
	assert_int_equal(l1_enter(EXIT_VMLAUNCH), 0);
	machine_set_field(VMCS_guest_gs_base, 0x7000);
	machine_set_field(VMCS_guest_sysenter_cs, 0x10);
	EXIT_NOW(.reason = EXIT_CPUID);
	assert_int_equal(R(guest_gs_base), 0x7000);
	assert_int_equal(R(guest_sysenter_cs), 0x10);
	assert_int_equal(R(vpid), 5);
	assert_int_equal(R(tsc_offset), 0x1234);
}

static void interrupt_delivery_by_l1s_fields(void **state UNUSED)
{
	l1_start_vmx();
	l1_load_vmcs(0);
	l1_write_valid_vmcs();
	W(pin_controls, R(pin_controls) | PIN_EXTERNAL_INTERRUPT | PIN_POSTED_INTERRUPTS);
	W(proc_controls, R(proc_controls) | PROC_TPR_SHADOW);
	W(proc2_controls, PROC2_VIRTUAL_INTERRUPT);
	W(exit_controls, R(exit_controls) | EXIT_ACK_INTERRUPT);
	W(virtual_apic_addr, P_STORE);
	W(posted_intr_desc_addr, P_LOAD);
	W(posted_intr_nv, 0x55);
	assert_int_equal(l1_enter(EXIT_VMLAUNCH), 0);
	assert_true(machine_in_l2());
	assert_int_equal(machine_field(VMCS_posted_intr_nv), 0x55);
	assert_int_equal(machine_field(VMCS_posted_intr_desc_addr), P_LOAD);
	/* each word of the EOI-exit bitmap by itself */
	for (u32 n = 0; n < 4; n++) {
		EXIT_NOW(.reason = EXIT_CPUID);
		assert_int_equal(l1_vmwrite(VMCS_eoi_exit_bitmap0 + 2 * n, 0x1234567800 + n), 0);
		assert_int_equal(l1_enter(EXIT_VMRESUME), 0);
		assert_int_equal(machine_field(VMCS_eoi_exit_bitmap0 + 2 * n), 0x1234567800 + n);
	}
}

/* ---- words of the MSR bitmap ---- */

static void run_with_bitmap(u32 proc, u64 page)
{
	l1_start_vmx();
	l1_load_vmcs(0);
	l1_write_valid_vmcs();
	W(proc_controls, R(proc_controls) | proc);
	W(msr_bitmap, page);
	assert_int_equal(l1_enter(EXIT_VMLAUNCH), 0);
	assert_true(machine_in_l2());
}

static bool opens(u32 msr, bool write)
{
	machine_exit_in_hand(write ? EXIT_WRMSR : EXIT_RDMSR, 0);
	machine_vcpu->gpr[GPR_RCX] = msr;
	return bitmaps_open_msr(machine_vcpu);
}

static void which_msrs_open(void **state UNUSED)
{
	static const struct {
		u32 msr;
		bool opens;
	} rows[] = {
		{ 0x178, true },
		{ MSR_LOW_LAST, true },
		{ MSR_LOW_LAST + 1, false },
		{ MSR_HIGH_FIRST, true },
		{ MSR_HIGH_FIRST - 1, false },
		{ MSR_HIGH_LAST, true },
		{ MSR_HIGH_LAST + 1, false },
		{ 0xffffffff, false },
		{ MSR_IA32_FEATURE_CONTROL, false },
	};

	run_with_bitmap(PROC_MSR_BITMAPS, P_MSR);
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		for (unsigned int write = 0; write < 2; write++)
			if (opens(rows[i].msr, write) != rows[i].opens)
				fail_msg("%x", rows[i].msr);
	/* L1's bits, each quarter its own */
	l1_write64(P_MSR + 0x178 / 8 / 8 * 8, BIT(0x178 % 64));
	l1_write64(P_MSR + 0xc00, BIT(5));
	assert_false(opens(0x178, false));
	assert_true(opens(0x178, true));
	assert_true(opens(0x175, false));
	assert_true(opens(MSR_HIGH_FIRST + 5, false));
	assert_false(opens(MSR_HIGH_FIRST + 5, true));
}

static void no_msr_opens_without_a_page(void **state UNUSED)
{
	run_with_bitmap(0, P_MSR);
	assert_false(opens(0x178, false));
	assert_int_equal(machine_vcpu->nested.current->msr_opened_count, 0);
	EXIT_NOW(.reason = EXIT_CPUID);
	W(proc_controls, R(proc_controls) | PROC_MSR_BITMAPS);
	W(msr_bitmap, M_WINDOW);
	assert_int_equal(l1_enter(EXIT_VMRESUME), 0);
	assert_false(opens(0x178, false));
}

/* More words than are kept open: each opens when it is asked for, and what is open follows L1's page. */
static void many_msrs_open_in_turn(void **state UNUSED)
{
	run_with_bitmap(PROC_MSR_BITMAPS, P_MSR);
	for (unsigned int round = 0; round < 3; round++)
		for (u32 msr = 0x40; msr < 0x1f00; msr += 0x40)
			assert_true(opens(MSR_HIGH_FIRST + 0x100 + msr % 0x1000, false));
	EXIT_NOW(.reason = EXIT_CPUID);
	for (u32 at = 0; at < PAGE_SIZE; at += 8)
		l1_write64(P_MSR + at, ~0ull);
	assert_int_equal(l1_enter(EXIT_VMRESUME), 0);
	for (u32 at = 0; at < PAGE_SIZE; at += 8)
		assert_true(l1_read64(machine_field(VMCS_msr_bitmap) + at) == ~0ull);
}

#define WORD (0x178 / 64u)

static u64 merged_word(unsigned int word)
{
	return l1_read64(machine_field(VMCS_msr_bitmap) + word * 8);
}

/* A word that is open follows L1 to another page, to none, and to the one at 0; no other word does. */
static void an_open_word_follows_the_page(void **state UNUSED)
{
	static const u64 pages[] = { 0x6000, M_WINDOW, 0, 0x6000, 0, M_WINDOW, P_MSR, 0 };
	const u64 *l0 = vm.msr_bitmap01;

	run_with_bitmap(PROC_MSR_BITMAPS, P_MSR);
	assert_true(opens(0x178, false));
	for (size_t i = 0; i < ARRAY_SIZE(pages); i++) {
		u64 bits = pages[i] == M_WINDOW ? ~0ull : BIT(i);

		EXIT_NOW(.reason = EXIT_CPUID);
		W(msr_bitmap, pages[i]);
		if (pages[i] != M_WINDOW)
			l1_write64(pages[i] + WORD * 8, bits);
		assert_int_equal(l1_enter(EXIT_VMRESUME), 0);
		assert_int_equal(merged_word(WORD), bits | l0[WORD]);
		assert_true(merged_word(0) == ~0ull && merged_word(WORD + 1) == ~0ull);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		MACHINE_TEST_BOTH(each_group_is_checked_again),
		MACHINE_TEST_BOTH(rare_state_and_no_more),
		MACHINE_TEST(interrupt_delivery_by_l1s_fields, ""),
		MACHINE_TEST(which_msrs_open, ""),
		MACHINE_TEST(no_msr_opens_without_a_page, "shadow-vmcs=off"),
		MACHINE_TEST(many_msrs_open_in_turn, ""),
		MACHINE_TEST_BOTH(an_open_word_follows_the_page),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
