/* SPDX-License-Identifier: MIT */
/*
 * NMIs that L0 takes: whose they are, what they wait for, what they leave blocked. SDM: "NMI Exiting",
 * "Handling Multiple NMIs".
 */
#include "tests/unit/cmocka_all.h"

#include "kernel/hw/cpu.h"
#include "kernel/trap.h"
#include "kernel/x86.h"
#include "tests/unit/l2_support.h"

static void an_nmi_exits_to_l1_if_it_wants(void **state UNUSED)
{
	l1_start_vmx();
	l1_load_vmcs(0);
	l1_write_valid_vmcs();
	W(pin_controls, caps12.pin.allowed0 | PIN_NMI_EXITING);
	assert_int_equal(l1_enter(EXIT_VMLAUNCH), 0);
	EXIT_NOW(.reason = EXIT_EXCEPTION_NMI, .intr_info = INTR_INFO_VALID | INTR_TYPE_NMI << 8 | VEC_NMI);
	assert_false(machine_in_l2());
	assert_int_equal(R(exit_reason), EXIT_EXCEPTION_NMI);
	assert_int_equal(R(exit_intr_info), INTR_INFO_VALID | INTR_TYPE_NMI << 8 | VEC_NMI);
}

static void an_nmi_is_l2s_if_l1_does_not_want_it(void **state UNUSED)
{
	l1_run_l2();
	EXIT_NOW(.reason = EXIT_EXCEPTION_NMI, .intr_info = INTR_INFO_VALID | INTR_TYPE_NMI << 8 | VEC_NMI);
	assert_true(machine_in_l2());
	assert_int_equal(machine_pending(), INTR_INFO_VALID | INTR_TYPE_NMI << 8 | VEC_NMI);
	/* Another one while the first blocks: it waits for the window. */
	EXIT_NOW(.reason = EXIT_EXCEPTION_NMI, .intr_info = INTR_INFO_VALID | INTR_TYPE_NMI << 8 | VEC_NMI);
	machine_set_field(VMCS_guest_interruptibility, INTERRUPTIBILITY_NMI);
	EXIT_NOW(.reason = EXIT_EXCEPTION_NMI, .intr_info = INTR_INFO_VALID | INTR_TYPE_NMI << 8 | VEC_NMI);
	assert_true(machine_field(VMCS_proc_controls) & PROC_NMI_WINDOW);
	assert_int_equal(machine_pending(), 0);
	machine_set_field(VMCS_guest_interruptibility, 0);
	EXIT_NOW(.reason = EXIT_NMI_WINDOW);
	assert_true(machine_in_l2());
	assert_int_equal(machine_pending() & 0xff, VEC_NMI);
}

static void an_nmi_that_met_l0_is_not_lost(void **state UNUSED)
{
	struct trap_frame frame = { 0 };

	l1_run_l2();
	fake_nmi(&frame);
	assert_int_equal(machine_vcpu->request, REQUEST_NMI);
	assert_int_equal(frame.rip, 0);
	EXIT_NOW(.reason = EXIT_EXTERNAL_INTERRUPT, .intr_info = INTR_INFO_VALID | 0x30);
	/* Delivered to L2 at the entry that was about to happen. */
	assert_int_equal(machine_injected & 0xff, VEC_NMI);
}

/* An NMI that L0 holds waits with an L2 that waits for a SIPI; behind its exit it is L1's. */
static void an_nmi_waits_with_wait_for_sipi(void **state UNUSED)
{
	l1_start_vmx();
	l1_load_vmcs(0);
	l1_write_valid_vmcs();
	W(pin_controls, caps12.pin.allowed0 | PIN_NMI_EXITING | PIN_VIRTUAL_NMIS);
	W(guest_activity_state, ACTIVITY_WAIT_FOR_SIPI);
	machine_set_field(VMCS_guest_interruptibility, INTERRUPTIBILITY_NMI);
	EXIT_NOW(.reason = EXIT_EXCEPTION_NMI, .intr_info = INTR_INFO_VALID | INTR_TYPE_NMI << 8 | VEC_NMI);
	assert_true(machine_vcpu->nmi_pending);
	assert_int_equal(l1_enter(EXIT_VMLAUNCH), 0);
	assert_true(machine_in_l2() && machine_vcpu->nmi_pending);
	assert_int_equal(machine_pending(), 0);
	EXIT_NOW(.reason = EXIT_SIPI, .qualification = 0x9a);
	assert_int_equal(R(exit_reason), EXIT_SIPI);
	assert_int_equal(R(guest_activity_state), ACTIVITY_WAIT_FOR_SIPI);
}

/* A processor that opens the NMI window while STI blocks would do it for ever. */
static void an_nmi_window_behind_sti_is_open(void **state UNUSED)
{
	machine_set_field(VMCS_guest_interruptibility, INTERRUPTIBILITY_STI);
	EXIT_NOW(NMI_EXIT);
	assert_int_equal(machine_pending(), 0);
	assert_true(machine_field(VMCS_proc_controls) & PROC_NMI_WINDOW);
	EXIT_NOW(.reason = EXIT_NMI_WINDOW);
	assert_int_equal(machine_pending() & 0xff, VEC_NMI);
	assert_int_equal(machine_field(VMCS_guest_interruptibility), 0);
	EXIT_NOW(.reason = EXIT_CPUID);
	l1_run_l2();
	EXIT_NOW(.reason = EXIT_CPUID);
	W(pin_controls, caps12.pin.allowed0 | PIN_NMI_EXITING | PIN_VIRTUAL_NMIS);
	W(guest_rflags, RFLAGS_FIXED1 | RFLAGS_IF);
	W(guest_interruptibility, INTERRUPTIBILITY_STI);
	assert_int_equal(l1_enter(EXIT_VMRESUME), 0);
	EXIT_NOW(NMI_EXIT);
	assert_true(machine_in_l2());
	EXIT_NOW(.reason = EXIT_NMI_WINDOW);
	assert_int_equal(R(exit_reason), EXIT_EXCEPTION_NMI);
	assert_int_equal(R(guest_interruptibility), INTERRUPTIBILITY_STI);
}

/* SDM "Other Causes of VM Exits": the exit takes priority over NMIs; the NMI that L0 holds is L1's own next.
 */
static void the_nmi_window_comes_before_an_nmi(void **state UNUSED)
{
	l1_start_vmx();
	l1_load_vmcs(0);
	l1_write_valid_vmcs();
	W(pin_controls, caps12.pin.allowed0 | PIN_NMI_EXITING | PIN_VIRTUAL_NMIS);
	W(proc_controls, R(proc_controls) | PROC_NMI_WINDOW);
	W(entry_intr_info, INTR_INFO_VALID | INTR_TYPE_HARD_EXCEPTION << INTR_INFO_TYPE_SHIFT | VEC_UD);
	machine_set_field(VMCS_guest_interruptibility, INTERRUPTIBILITY_NMI);
	EXIT_NOW(NMI_EXIT);
	assert_int_equal(l1_enter(EXIT_VMLAUNCH), 0);
	assert_true(machine_in_l2() && machine_vcpu->nmi_pending);
	EXIT_NOW(.reason = EXIT_NMI_WINDOW);
	assert_int_equal(machine_vcpu->nested.current->v12.exit_reason, EXIT_NMI_WINDOW);
	assert_int_equal(machine_pending() & 0xff, VEC_NMI);
}

/* SDM "Monitor Trap Flag": MTF VM exits take priority over what is lower than debug traps, as NMIs are. */
static void a_pending_mtf_comes_before_an_nmi(void **state UNUSED)
{
	l1_start_vmx();
	l1_load_vmcs(0);
	l1_write_valid_vmcs();
	W(pin_controls, caps12.pin.allowed0 | PIN_NMI_EXITING | PIN_VIRTUAL_NMIS);
	W(entry_intr_info, INTR_INFO_VALID | INTR_TYPE_OTHER << INTR_INFO_TYPE_SHIFT);
	W(guest_interruptibility, INTERRUPTIBILITY_NMI);
	machine_set_field(VMCS_guest_interruptibility, INTERRUPTIBILITY_NMI);
	EXIT_NOW(NMI_EXIT);
	assert_int_equal(l1_enter(EXIT_VMLAUNCH), 0);
	assert_true(machine_in_l2() && machine_vcpu->nmi_pending);
	assert_int_equal(machine_pending(), INTR_INFO_VALID | INTR_TYPE_OTHER << INTR_INFO_TYPE_SHIFT);
	EXIT_NOW(.reason = EXIT_MTF);
	assert_int_equal(R(exit_reason), EXIT_MTF);
}

/*
 * An NMI that L0 holds ends L2 before the processor has entered it. SDM: entries and exits leave CR0.CD and
 * NW alone, and those of the guest's field are not checked: here a pair that MOV to CR0 would refuse.
 */
static void an_nmi_at_the_entry_leaves_cd_and_nw_alone(void **state UNUSED)
{
	u64 cr0 = read_cr0();

	l1_start_vmx();
	l1_load_vmcs(0);
	l1_write_valid_vmcs();
	W(pin_controls, caps12.pin.allowed0 | PIN_NMI_EXITING | PIN_VIRTUAL_NMIS);
	W(guest_cr0, R(guest_cr0) | CR0_NW);
	machine_set_field(VMCS_guest_interruptibility, INTERRUPTIBILITY_NMI);
	EXIT_NOW(NMI_EXIT);
	assert_true(machine_vcpu->nmi_pending);
	assert_int_equal(l1_enter(EXIT_VMLAUNCH), 0);
	assert_false(machine_in_l2());
	assert_int_equal(R(exit_reason), EXIT_EXCEPTION_NMI);
	assert_int_equal(read_cr0(), cr0);
	assert_int_equal(machine_field(VMCS_guest_cr0) & (CR0_CD | CR0_NW), 0);
	assert_int_equal(R(guest_cr0) & (CR0_CD | CR0_NW), 0);
}

/* SDM "Blocking of NMIs": with "NMI exiting" alone, that by an injected NMI too outlasts L2's IRETs. */
static void an_injected_nmi_blocks_until_l2_ends(void **state UNUSED)
{
	l1_start_vmx();
	l1_load_vmcs(0);
	l1_write_valid_vmcs();
	W(pin_controls, caps12.pin.allowed0 | PIN_NMI_EXITING);
	W(entry_intr_info, INTR_INFO_VALID | INTR_TYPE_NMI << INTR_INFO_TYPE_SHIFT | VEC_NMI);
	assert_int_equal(l1_enter(EXIT_VMLAUNCH), 0);
	assert_true(machine_in_l2());
	/* L2 has returned from its handler. */
	machine_set_field(VMCS_guest_interruptibility, 0);
	EXIT_NOW(NMI_EXIT);
	assert_true(machine_in_l2() && machine_vcpu->nmi_pending);
	assert_false(machine_field(VMCS_proc_controls) & PROC_NMI_WINDOW);
	machine_set_field(VMCS_guest_interruptibility, 0);
	EXIT_NOW(.reason = EXIT_CPUID);
	assert_int_equal(R(exit_reason), EXIT_CPUID);
	assert_int_equal(R(guest_interruptibility), INTERRUPTIBILITY_NMI);
	assert_int_equal(machine_field(VMCS_guest_interruptibility), INTERRUPTIBILITY_NMI);
	assert_true(machine_vcpu->nmi_pending);
	/* Without that, and not blocked, the next L2 is ended by it. */
	W(guest_interruptibility, 0);
	assert_int_equal(l1_enter(EXIT_VMRESUME), 0);
	assert_int_equal(R(exit_reason), EXIT_EXCEPTION_NMI);
}

/* With virtual NMIs what blocks L2's is not L1's; without them they are the same, and an NMI's exit blocks.
 */
static void whose_nmi_blocking_outlasts_the_exit(void **state UNUSED)
{
	static const struct {
		u64 pin;
		bool nmi, blocked_in_l2, blocked_in_l1;
	} rows[] = {
		{ PIN_NMI_EXITING | PIN_VIRTUAL_NMIS, false, true, false },
		{ PIN_NMI_EXITING | PIN_VIRTUAL_NMIS, true, false, true },
		{ 0, false, true, true },
		{ 0, false, false, false },
	};

	l1_start_vmx();
	l1_load_vmcs(0);
	l1_write_valid_vmcs();
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		W(pin_controls, caps12.pin.allowed0 | rows[i].pin);
		assert_int_equal(l1_enter(i ? EXIT_VMRESUME : EXIT_VMLAUNCH), 0);
		machine_set_field(VMCS_guest_interruptibility,
				  rows[i].blocked_in_l2 ? INTERRUPTIBILITY_NMI : 0);
		if (rows[i].nmi)
			EXIT_NOW(NMI_EXIT);
		else
			EXIT_NOW(.reason = EXIT_CPUID);
		assert_false(machine_in_l2());
		if (machine_field(VMCS_guest_interruptibility) !=
		    (rows[i].blocked_in_l1 ? INTERRUPTIBILITY_NMI : 0))
			fail_msg("row %zu", i);
		W(guest_interruptibility, 0);
		machine_set_field(VMCS_guest_interruptibility, 0);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		MACHINE_TEST_BOTH(an_nmi_exits_to_l1_if_it_wants),
		MACHINE_TEST_BOTH(an_nmi_is_l2s_if_l1_does_not_want_it),
		MACHINE_TEST_BOTH(an_nmi_that_met_l0_is_not_lost),
		MACHINE_TEST_BOTH(an_nmi_waits_with_wait_for_sipi),
		MACHINE_TEST_BOTH(an_nmi_window_behind_sti_is_open),
		MACHINE_TEST_BOTH(the_nmi_window_comes_before_an_nmi),
		MACHINE_TEST_BOTH(a_pending_mtf_comes_before_an_nmi),
		MACHINE_TEST_BOTH(an_nmi_at_the_entry_leaves_cd_and_nw_alone),
		MACHINE_TEST_BOTH(an_injected_nmi_blocks_until_l2_ends),
		MACHINE_TEST_BOTH(whose_nmi_blocking_outlasts_the_exit),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
