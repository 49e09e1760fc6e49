/* SPDX-License-Identifier: MIT */
/*
 * INIT and SIPI, of an L2 and of L1's own processor. SDM: "Other Causes of VM Exits".
 */
#include "tests/unit/cmocka_all.h"

#include "kernel/msr.h"
#include "kernel/x86.h"
#include "tests/unit/l2_support.h"

static void init_ends_l2(void **state UNUSED)
{
	l1_run_l2();
	EXIT_NOW(.reason = EXIT_INIT);
	assert_false(machine_in_l2());
	assert_int_equal(R(exit_reason), EXIT_INIT);
}

static void init_in_root_waits_for_the_next_entry(void **state UNUSED)
{
	l1_start_vmx();
	l1_load_vmcs(0);
	l1_write_valid_vmcs();
	EXIT_NOW(.reason = EXIT_INIT);
	assert_true(machine_vcpu->nested.init_pending);
	assert_int_equal(l1_enter(EXIT_VMLAUNCH), 0);
	assert_false(machine_in_l2());
	assert_int_equal(R(exit_reason), EXIT_INIT);
	assert_int_equal(R(guest_rip), 0x400000);
	EXIT_NOW(.reason = EXIT_INIT);
	assert_int_equal(l1_vmxoff(), 0);
	assert_int_equal(machine_field(VMCS_guest_rip), 0xfff0);
}

/* An AP waits at once, and has its INIT state when the SIPI comes. */
static void an_ap_is_reset_by_init_and_sipi(void **state UNUSED)
{
	fake_msr_set(MSR_IA32_APIC_BASE, 0xfee00800);
	machine_vcpu->gpr[GPR_RBX] = 0x1234;
	machine_set_field(VMCS_guest_interruptibility, INTERRUPTIBILITY_STI);
	EXIT_NOW(.reason = EXIT_INIT);
	assert_int_equal(machine_field(VMCS_guest_activity_state), ACTIVITY_WAIT_FOR_SIPI);
	assert_int_equal(machine_field(VMCS_guest_interruptibility), 0);
	EXIT_NOW(.reason = EXIT_SIPI, .qualification = 0x9a);
	assert_int_equal(machine_field(VMCS_guest_activity_state), ACTIVITY_ACTIVE);
	assert_int_equal(machine_field(VMCS_guest_cs_selector), 0x9a00);
	assert_int_equal(machine_field(VMCS_guest_cs_base), 0x9a000);
	assert_int_equal(machine_field(VMCS_guest_rip), 0);
	assert_int_equal(machine_field(VMCS_guest_rflags), RFLAGS_FIXED1);
	assert_int_equal(machine_field(VMCS_guest_efer), 0);
	assert_int_equal(machine_vcpu->gpr[GPR_RBX], 0);
}

/* SDM "Event Injection": delivered as part of VM entry; the INIT comes at the boundary behind it. */
static void a_held_init_waits_for_the_injected_event(void **state UNUSED)
{
	l1_start_vmx();
	l1_load_vmcs(0);
	l1_write_valid_vmcs();
	W(entry_intr_info, INTR_INFO_VALID | INTR_TYPE_HARD_EXCEPTION << INTR_INFO_TYPE_SHIFT | VEC_UD);
	EXIT_NOW(.reason = EXIT_INIT);
	assert_int_equal(l1_enter(EXIT_VMLAUNCH), 0);
	assert_true(machine_in_l2() && machine_vcpu->nested.init_pending);
	assert_true(machine_field(VMCS_proc_controls) & PROC_MTF);
	EXIT_NOW(.reason = EXIT_MTF);
	assert_false(machine_in_l2());
	assert_int_equal(R(exit_reason), EXIT_INIT);
	assert_int_equal(R(idt_vectoring_info) & INTR_INFO_VALID, 0);
	assert_false(machine_vcpu->nested.init_pending);
	/* The flag was L0's own: the next entry is without it. */
	assert_int_equal(l1_enter(EXIT_VMRESUME), 0);
	assert_true(machine_in_l2());
	assert_false(machine_field(VMCS_proc_controls) & PROC_MTF);
}

/* In HLT the exit finds L2 as it was; wait-for-SIPI blocks INITs. */
static void a_held_init_and_the_activity_states(void **state UNUSED)
{
	l1_start_vmx();
	l1_load_vmcs(0);
	l1_write_valid_vmcs();
	W(guest_activity_state, ACTIVITY_HLT);
	EXIT_NOW(.reason = EXIT_INIT);
	assert_int_equal(l1_enter(EXIT_VMLAUNCH), 0);
	assert_int_equal(R(exit_reason), EXIT_INIT);
	assert_int_equal(R(guest_activity_state), ACTIVITY_HLT);
	W(guest_activity_state, ACTIVITY_WAIT_FOR_SIPI);
	EXIT_NOW(.reason = EXIT_INIT);
	assert_int_equal(l1_enter(EXIT_VMRESUME), 0);
	assert_true(machine_in_l2());
	EXIT_NOW(.reason = EXIT_SIPI, .qualification = 0x9a);
	assert_int_equal(R(exit_reason), EXIT_SIPI);
	W(guest_activity_state, ACTIVITY_ACTIVE);
	assert_int_equal(l1_enter(EXIT_VMRESUME), 0);
	assert_int_equal(R(exit_reason), EXIT_INIT);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		MACHINE_TEST_BOTH(init_ends_l2),
		MACHINE_TEST_BOTH(init_in_root_waits_for_the_next_entry),
		MACHINE_TEST_BOTH(an_ap_is_reset_by_init_and_sipi),
		MACHINE_TEST_BOTH(a_held_init_waits_for_the_injected_event),
		MACHINE_TEST_BOTH(a_held_init_and_the_activity_states),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
