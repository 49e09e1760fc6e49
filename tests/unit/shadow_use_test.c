/* SPDX-License-Identifier: MIT */
/*
 * Rows of the shadow VMCS that L1 does not write are closed, those that it writes are open, and nothing that
 * it wrote is lost in between. SDM: "VMCS Shadowing Bitmap Addresses".
 */
#include "tests/unit/cmocka_all.h"

#include "kernel/x86.h"
#include "tests/unit/l2_support.h"
#include "vmx/guest/vcpu.h"
#include "vmx/nested/vmcs12/shadow_use.h"

/* Would a VMWRITE of L1's exit? */
static bool exits(u32 field)
{
	u64 bitmap = machine_field01(VMCS_vmwrite_bitmap);

	return fake_memory[bitmap + field / 8] & BIT(field % 8);
}

/* As KVM's handlers do: RIP at each entry, nothing else. */
static void go_rounds(unsigned int rounds)
{
	for (unsigned int i = 0; i < rounds; i++) {
		W(guest_rip, R(guest_rip) + 2);
		assert_int_equal(l1_enter(EXIT_VMRESUME), 0);
		EXIT_NOW(.reason = EXIT_CPUID);
	}
}

static void start(void)
{
	l1_run_l2();
	EXIT_NOW(.reason = EXIT_CPUID);
}

/* The value that L1 reads and that L2 runs with. */
static void assert_arrives(u64 cr3)
{
	assert_int_equal(R(guest_cr3), cr3);
	assert_int_equal(l1_enter(EXIT_VMRESUME), 0);
	assert_int_equal(machine_field(VMCS_guest_cr3), cr3);
	EXIT_NOW(.reason = EXIT_CPUID);
}

static void idle_rows_are_closed(void **state UNUSED)
{
	start();
	assert_false(exits(VMCS_guest_cr3));
	go_rounds(2 * SHADOW_USE_PERIOD);
	assert_true(exits(VMCS_guest_cr3));
	assert_true(exits(VMCS_host_rsp));
	assert_false(exits(VMCS_guest_rip));
	/* By an exit, which opens it, then without. */
	for (u64 cr3 = 0x5000; cr3 < 0x8000; cr3 += 0x1000) {
		W(guest_cr3, cr3);
		assert_false(exits(VMCS_guest_cr3));
		assert_arrives(cr3);
	}
	go_rounds(2 * SHADOW_USE_PERIOD);
	assert_true(exits(VMCS_guest_cr3));
	assert_arrives(0x7000);
	assert_int_equal(l1_vmxoff(), 0);
	l1_start_vmx();
	assert_false(exits(VMCS_guest_cr3));
}

/* What L1 wrote into another VMCS while the row was open is fetched when that one is entered. */
static void other_vmcss_are_fetched(void **state UNUSED)
{
	start();
	l1_load_vmcs(1);
	l1_write_valid_vmcs();
	assert_int_equal(l1_enter(EXIT_VMLAUNCH), 0);
	EXIT_NOW(.reason = EXIT_CPUID);
	W(guest_cr3, 0x9000);
	assert_int_equal(l1_memory_insn(EXIT_VMPTRLD, M_VMCS(0)), 0);
	go_rounds(2 * SHADOW_USE_PERIOD);
	assert_true(exits(VMCS_guest_cr3));
	assert_int_equal(l1_memory_insn(EXIT_VMPTRLD, M_VMCS(1)), 0);
	assert_arrives(0x9000);
}

/* No entry looked at what L1 wrote there, until the row was closed: the value counts when an event comes. */
static void what_no_entry_looked_at_is_fetched(void **state UNUSED)
{
	start();
	go_rounds(1);
	W(entry_exception_error_code, 0x7654);
	/* the event's row is in use, and stays open: an exit of its VMWRITE would fetch the others */
	for (unsigned int i = 0; i < 2 * SHADOW_USE_PERIOD; i++) {
		W(entry_intr_info, i & 1);
		go_rounds(1);
	}
	assert_true(exits(VMCS_entry_exception_error_code));
	assert_false(exits(VMCS_entry_intr_info));
	W(entry_intr_info,
	  INTR_INFO_VALID | INTR_INFO_ERROR_CODE | INTR_TYPE_HARD_EXCEPTION << INTR_INFO_TYPE_SHIFT | VEC_GP);
	assert_int_equal(l1_enter(EXIT_VMRESUME), 0);
	assert_true(machine_in_l2());
	assert_int_equal(machine_field(VMCS_entry_exception_error_code), 0x7654);
}

/* One that is written seldom stays closed. */
static void seldom_is_not_often(void **state UNUSED)
{
	start();
	W(proc_controls, R(proc_controls) | PROC_TSC_OFFSETTING);
	go_rounds(1);
	W(tsc_offset, 1);
	assert_true(exits(VMCS_tsc_offset));
	go_rounds(2 * SHADOW_USE_PERIOD);
	W(tsc_offset, 2);
	assert_true(exits(VMCS_tsc_offset));
	for (u64 offset = 3; offset < 6; offset++) {
		W(tsc_offset, offset);
		assert_false(exits(VMCS_tsc_offset) || exits(VMCS_tsc_offset + 1));
		assert_int_equal(l1_enter(EXIT_VMRESUME), 0);
		assert_int_equal(machine_field(VMCS_tsc_offset), offset);
		EXIT_NOW(.reason = EXIT_CPUID);
	}
	go_rounds(2 * SHADOW_USE_PERIOD);
	assert_true(exits(VMCS_tsc_offset) && exits(VMCS_tsc_offset + 1));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		MACHINE_TEST(idle_rows_are_closed, "shadow-vmcs=on"),
		MACHINE_TEST(other_vmcss_are_fetched, "shadow-vmcs=on"),
		MACHINE_TEST(what_no_entry_looked_at_is_fetched, "shadow-vmcs=on"),
		MACHINE_TEST(seldom_is_not_often, "shadow-vmcs=on"),
	};

	return cmocka_run_group_tests_name("shadow_use", tests, NULL, NULL);
}
