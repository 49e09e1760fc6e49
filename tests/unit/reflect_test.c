/* SPDX-License-Identifier: MIT */
/*
 * What L1 reads after an exit of L2's: the exit's information, and the guest state that it saves. SDM:
 * "Recording VM-Exit Information and Updating VM-Entry Control Fields", "Saving Guest State".
 */
#include "tests/unit/cmocka_all.h"

#include "kernel/cpuid.h"
#include "kernel/msr.h"
#include "kernel/x86.h"
#include "tests/unit/l2_support.h"

static void exit_information_reaches_l1(void **state UNUSED)
{
	l1_run_l2();
	machine_set_field(VMCS_guest_rip, 0x401234);
	machine_set_field(VMCS_guest_rsp, 0x411234);
	machine_set_field(VMCS_guest_rflags, 0x246);
	machine_set_field(VMCS_guest_fs_base, 0x55aa);
	machine_set_field(VMCS_guest_gdtr_limit, 0x7f);
	EXIT_NOW(.reason = EXIT_IO, .qualification = 0x3f80018, .length = 2, .info = 0x123,
		 .guest_linear = 0x999);
	assert_false(machine_in_l2());
	assert_int_equal(R(exit_reason), EXIT_IO);
	assert_int_equal(R(exit_qualification), 0x3f80018);
	assert_int_equal(R(exit_instruction_length), 2);
	assert_int_equal(R(exit_instruction_info), 0x123);
	assert_int_equal(R(guest_linear_address), 0x999);
	assert_int_equal(R(exit_intr_info), 0);
	assert_int_equal(R(idt_vectoring_info), 0);
	assert_int_equal(R(guest_rip), 0x401234);
	assert_int_equal(R(guest_rsp), 0x411234);
	assert_int_equal(R(guest_rflags), 0x246);
	assert_int_equal(R(guest_fs_base), 0x55aa);
	assert_int_equal(R(guest_gdtr_limit), 0x7f);
	assert_int_equal(machine_vcpu->counters.exits_reflected[EXIT_IO], 1);
}

/* Every field of guest state that an exit saves is what the processor left in vmcs02. */
static void assert_all_is_saved(bool insn)
{
	u64 expected[VMCS12_FIELD_COUNT];

	for (unsigned int row = 0; row < VMCS12_FIELD_COUNT; row++) {
		const struct vmcs12_field *f = &vmcs12_fields[row];

		expected[row] = vmcs12_mask_width(f->encoding, 0x1000 + row * 8);
		if (f->flow == FLOW_COPY && row != V12_guest_smbase && row != V12_guest_rflags &&
		    row != V12_guest_cs_ar && row != V12_guest_ss_ar && row != V12_guest_interruptibility &&
		    row != V12_guest_activity_state)
			machine_set_field(f->encoding, expected[row]);
		else
			expected[row] = ~0ull;
	}
	if (insn)
		expected[V12_guest_pending_debug] = 0;
	EXIT_NOW(.reason = insn ? EXIT_CPUID : EXIT_TRIPLE_FAULT);
	assert_false(machine_in_l2());
	for (unsigned int row = 0; row < VMCS12_FIELD_COUNT; row++) {
		u64 value;

		if (expected[row] == ~0ull || vmcs12_find(vmcs12_fields[row].encoding) < 0)
			continue;
		assert_int_equal(l1_vmread(vmcs12_fields[row].encoding, &value), 0);
		if (value != expected[row])
			fail_msg("%s: %llx", vmcs12_fields[row].name, (unsigned long long)value);
	}
}

static void all_guest_state_is_saved(void **state UNUSED)
{
	l1_run_l2();
	assert_all_is_saved(true);
}

static void all_guest_state_is_saved_behind_other_exits(void **state UNUSED)
{
	l1_run_l2();
	assert_all_is_saved(false);
}

/* CVE-2022-2196: what L2 taught the branch predictor is kept from L1, which counts on its VM exit for that.
 */
static void processor_with_ibpb(void)
{
	fake_cpuid_set(7, 0, 0, 0x009c27ab, 0x0000001c, CPUID_7_EDX_IBRS);
	fake_msr_set(MSR_IA32_PRED_CMD, 0);
}

static bool barrier_after_an_exit(void)
{
	fake_msr_set(MSR_IA32_PRED_CMD, 0);
	EXIT_NOW(.reason = EXIT_CPUID);
	assert_false(machine_in_l2());
	return fake_msr_get(MSR_IA32_PRED_CMD) == PRED_CMD_IBPB;
}

/* The guest that runs now writes IA32_SPEC_CTRL, and the write exits. */
static void write_spec_ctrl(u64 value)
{
	machine_vcpu->gpr[GPR_RCX] = MSR_IA32_SPEC_CTRL;
	machine_vcpu->gpr[GPR_RAX] = (u32)value;
	machine_vcpu->gpr[GPR_RDX] = value >> 32;
	EXIT_NOW(.reason = EXIT_WRMSR, .length = 2);
}

/* Does the guest's WRMSR of it exit, by the page that its VMCS names? */
static bool spec_ctrl_exits(u64 bitmap)
{
	const u8 *page = phys_to_ptr(HPA(bitmap));

	return page[0x800 + MSR_IA32_SPEC_CTRL / 8] & BIT(MSR_IA32_SPEC_CTRL % 8);
}

static void a_predictor_barrier_follows_l2(void **state UNUSED)
{
	l1_run_l2();
	assert_false(barrier_after_an_exit());
	assert_true(spec_ctrl_exits(machine_field01(VMCS_msr_bitmap)));
	write_spec_ctrl(SPEC_CTRL_STIBP);
	assert_int_equal(fake_msr_get(MSR_IA32_SPEC_CTRL), SPEC_CTRL_STIBP);
	assert_int_equal(l1_enter(EXIT_VMRESUME), 0);
	assert_false(barrier_after_an_exit());
	assert_true(spec_ctrl_exits(machine_field01(VMCS_msr_bitmap)));
	fake_msr_set(MSR_IA32_PRED_CMD, 0);
	write_spec_ctrl(SPEC_CTRL_IBRS);
	/* L2 has run already */
	assert_int_equal(fake_msr_get(MSR_IA32_PRED_CMD), PRED_CMD_IBPB);
	assert_int_equal(fake_msr_get(MSR_IA32_SPEC_CTRL), SPEC_CTRL_IBRS);
	assert_false(spec_ctrl_exits(machine_field01(VMCS_msr_bitmap)));
	assert_int_equal(l1_enter(EXIT_VMRESUME), 0);
	assert_true(barrier_after_an_exit());
	/* none for L1's own exits; for good, whatever the MSR is now */
	assert_false(barrier_after_an_exit());
	write_spec_ctrl(0);
	assert_int_equal(l1_enter(EXIT_VMRESUME), 0);
	assert_true(barrier_after_an_exit());
}

/* What L2 writes says nothing of L1, and does not exit for L0's sake. */
static void ibrs_of_l2_is_no_wish_of_l1s(void **state UNUSED)
{
	memset(fake_memory + P_MSR, 0, PAGE_SIZE);
	l2_prepare_msr_bitmap();
	assert_int_equal(l1_enter(EXIT_VMLAUNCH), 0);
	write_spec_ctrl(SPEC_CTRL_IBRS);
	assert_true(machine_in_l2());
	assert_false(spec_ctrl_exits(machine_field(VMCS_msr_bitmap)));
	/* the instruction is L2's to execute again */
	assert_int_equal(fake_msr_get(MSR_IA32_SPEC_CTRL), 0);
	fake_msr_set(MSR_IA32_SPEC_CTRL, SPEC_CTRL_IBRS);
	assert_false(barrier_after_an_exit());
	assert_true(spec_ctrl_exits(machine_field01(VMCS_msr_bitmap)));
	assert_int_equal(l1_enter(EXIT_VMRESUME), 0);
	assert_false(barrier_after_an_exit());
}

/* An exit's list is L1's own wish as its WRMSR is; one that the processor refuses is none. */
static void ibrs_of_a_list_counts(void **state UNUSED)
{
	l2_prepare_lists(0, 0, 1);
	l2_put_msr(P_LOAD, 0, MSR_IA32_SPEC_CTRL, 0, SPEC_CTRL_IBRS);
	assert_int_equal(l1_enter(EXIT_VMLAUNCH), 0);
	/* with it, what L2 has taught until now is forgotten */
	assert_true(barrier_after_an_exit());
	assert_false(spec_ctrl_exits(machine_field01(VMCS_msr_bitmap)));
	assert_int_equal(l1_enter(EXIT_VMRESUME), 0);
	assert_true(barrier_after_an_exit());
}

/* A list for L2 counts too, though it need not: L0 makes the write. */
static void ibrs_of_an_entry_list_counts(void **state UNUSED)
{
	l2_prepare_lists(1, 0, 0);
	l2_put_msr(P_ENTRY, 0, MSR_IA32_SPEC_CTRL, 0, SPEC_CTRL_IBRS);
	assert_int_equal(l1_enter(EXIT_VMLAUNCH), 0);
	assert_int_not_equal(machine_field(VMCS_msr_bitmap), machine_field01(VMCS_msr_bitmap));
	assert_true(barrier_after_an_exit());
	assert_false(spec_ctrl_exits(machine_field01(VMCS_msr_bitmap)));
}

/* A write that the processor refuses is L1's #GP, and no wish. */
static void a_refused_ibrs_is_no_wish(void **state UNUSED)
{
	l1_start_vmx();
	write_spec_ctrl(SPEC_CTRL_IBRS | BIT(63));
	assert_int_equal(machine_pending() & INTR_INFO_VECTOR, VEC_GP);
	assert_false(machine_vcpu->wish.ibpb);
}

static void firmware_with_ibrs(void)
{
	processor_with_ibpb();
	fake_msr_set(MSR_IA32_SPEC_CTRL, SPEC_CTRL_IBRS);
}

static void ibrs_of_the_firmware_counts(void **state UNUSED)
{
	l1_run_l2();
	assert_false(spec_ctrl_exits(machine_field01(VMCS_msr_bitmap)));
	assert_true(barrier_after_an_exit());
}

static void no_predictor_barrier_by_option(void **state UNUSED)
{
	l1_run_l2();
	assert_false(barrier_after_an_exit());
	assert_false(spec_ctrl_exits(machine_field01(VMCS_msr_bitmap)));
	write_spec_ctrl(SPEC_CTRL_IBRS);
	assert_int_equal(l1_enter(EXIT_VMRESUME), 0);
	assert_false(barrier_after_an_exit());
}

static void vectoring_reaches_l1(void **state UNUSED)
{
	u32 info = INTR_INFO_VALID | INTR_TYPE_HARD_EXCEPTION << 8 | INTR_INFO_ERROR_CODE | VEC_GP;

	l1_run_l2();
	EXIT_NOW(.reason = EXIT_TASK_SWITCH, .vectoring_info = info, .vectoring_error_code = 0x18);
	assert_false(machine_in_l2());
	assert_int_equal(R(idt_vectoring_info), info);
	assert_int_equal(R(idt_vectoring_error_code), 0x18);
	assert_int_equal(machine_pending(), 0);
}

static void lma_and_preemption_timer_are_saved(void **state UNUSED)
{
	l1_start_vmx();
	l1_load_vmcs(0);
	l1_write_valid_vmcs();
	W(pin_controls, caps12.pin.allowed0 | PIN_PREEMPTION_TIMER);
	W(exit_controls, R(exit_controls) | EXIT_SAVE_PREEMPTION_TIMER | EXIT_SAVE_DEBUG | EXIT_SAVE_PAT);
	W(preemption_timer_value, 500);
	assert_int_equal(l1_enter(EXIT_VMLAUNCH), 0);
	assert_int_equal(machine_field(VMCS_preemption_timer_value), 500);
	machine_set_field(VMCS_preemption_timer_value, 123);
	machine_set_field(VMCS_guest_dr7, 0x455);
	machine_set_field(VMCS_guest_debugctl, 2);
	machine_set_field(VMCS_guest_pat, 0x0606060606060600);
	EXIT_NOW(.reason = EXIT_PREEMPTION_TIMER);
	assert_int_equal(R(preemption_timer_value), 123);
	assert_int_equal(R(guest_dr7), 0x455);
	assert_int_equal(R(guest_debugctl), 2);
	assert_true(R(guest_pat) == 0x0606060606060600);
	assert_true(R(entry_controls) & ENTRY_IA32E_GUEST);
	/* L2 leaves long mode, and LME stays */
	assert_int_equal(l1_enter(EXIT_VMRESUME), 0);
	machine_set_field(VMCS_guest_efer, EFER_LME | EFER_SCE);
	machine_set_field(VMCS_entry_controls, machine_field(VMCS_entry_controls) & ~(u64)ENTRY_IA32E_GUEST);
	EXIT_NOW(.reason = EXIT_PREEMPTION_TIMER);
	assert_false(R(entry_controls) & ENTRY_IA32E_GUEST);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		MACHINE_TEST_BOTH(exit_information_reaches_l1),
		MACHINE_TEST_BOTH(all_guest_state_is_saved),
		MACHINE_TEST_BOTH(all_guest_state_is_saved_behind_other_exits),
		MACHINE_TEST_BEFORE(a_predictor_barrier_follows_l2, "", processor_with_ibpb),
		MACHINE_TEST_BEFORE(ibrs_of_l2_is_no_wish_of_l1s, "", processor_with_ibpb),
		MACHINE_TEST_BEFORE(ibrs_of_a_list_counts, "", processor_with_ibpb),
		MACHINE_TEST_BEFORE(ibrs_of_an_entry_list_counts, "", processor_with_ibpb),
		MACHINE_TEST(a_refused_ibrs_is_no_wish, ""),
		MACHINE_TEST_BEFORE(ibrs_of_the_firmware_counts, "", firmware_with_ibrs),
		MACHINE_TEST_BEFORE(no_predictor_barrier_by_option, "ibpb=off", processor_with_ibpb),
		MACHINE_TEST_BOTH(vectoring_reaches_l1),
		MACHINE_TEST_BOTH(lma_and_preemption_timer_are_saved),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
