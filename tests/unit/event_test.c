/* SPDX-License-Identifier: MIT */
/*
 * Events in the middle of whose delivery L2 has exited, and exceptions that meet another one. SDM:
 * "Information for VM Exits That Occur During Event Delivery", "Double Fault Exception (#DF)".
 */
#include "tests/unit/cmocka_all.h"

#include "kernel/x86.h"
#include "tests/unit/l2_support.h"

/* An exit that L0 handles itself: the event that it broke off is delivered again, with its length. */
static void vectoring_survives_l0s_own_exits(void **state UNUSED)
{
	u32 info = INTR_INFO_VALID | INTR_TYPE_SOFT_INTERRUPT << 8 | 0x80;

	l1_run_l2();
	EXIT_NOW(.reason = EXIT_EPT_VIOLATION,
		 .qualification = EPTV_WRITE | EPTV_LINEAR_VALID | EPTV_TRANSLATED,
		 .guest_physical = 0xfd0000000, .vectoring_info = info, .length = 2);
	assert_true(machine_in_l2());
	assert_int_equal(machine_pending(), info);
	assert_int_equal(machine_field(VMCS_entry_instruction_length), 2);
}

static void nmi_blocking_is_taken_back_for_an_nmi_delivered_again(void **state UNUSED)
{
	u32 info = INTR_INFO_VALID | INTR_TYPE_NMI << 8 | VEC_NMI;

	l1_run_l2();
	machine_set_field(VMCS_guest_interruptibility, INTERRUPTIBILITY_NMI);
	EXIT_NOW(.reason = EXIT_EPT_VIOLATION, .qualification = EPTV_WRITE, .guest_physical = 0xfd0000000,
		 .vectoring_info = info);
	assert_true(machine_in_l2());
	assert_int_equal(machine_pending(), info);
	assert_int_equal(machine_field(VMCS_guest_interruptibility) & INTERRUPTIBILITY_NMI, 0);
}

/* SDM "Handling Multiple NMIs": what faults in an NMI's delivery finds NMIs blocked. */
static void a_fault_in_an_nmis_delivery_leaves_nmis_blocked(void **state UNUSED)
{
	machine_set_field(VMCS_guest_interruptibility, INTERRUPTIBILITY_NMI);
	EXIT_NOW(.reason = EXIT_EXCEPTION_NMI,
		 .intr_info = INTR_INFO_VALID | INTR_INFO_ERROR_CODE |
			      INTR_TYPE_HARD_EXCEPTION << INTR_INFO_TYPE_SHIFT | VEC_PF,
		 .vectoring_info = INTR_INFO_VALID | INTR_TYPE_NMI << INTR_INFO_TYPE_SHIFT | VEC_NMI);
	assert_int_equal(machine_pending() & 0xff, VEC_PF);
	assert_int_equal(machine_field(VMCS_guest_interruptibility), INTERRUPTIBILITY_NMI);
}

/* A triple fault while L0 combines two exceptions: L1's exit, no vectoring information. */
static void exceptions_combine(void **state UNUSED)
{
	enum { HELD = 0xffff };
	static const struct {
		u8 first_type, first, second;
		u32 bitmap;
		u32 reason, info; /* HELD: pending for L2 with this vector */
	} cases[] = {
		{ INTR_TYPE_HARD_EXCEPTION, VEC_GP, VEC_GP, 0, HELD, VEC_DF },
		{ INTR_TYPE_HARD_EXCEPTION, VEC_PF, VEC_GP, 0, HELD, VEC_DF },
		{ INTR_TYPE_HARD_EXCEPTION, VEC_UD, VEC_GP, 0, HELD, VEC_GP },
		{ INTR_TYPE_EXTERNAL, 0x30, VEC_GP, 0, HELD, VEC_GP },
		{ INTR_TYPE_HARD_EXCEPTION, VEC_GP, VEC_GP, 1u << VEC_DF, EXIT_EXCEPTION_NMI, VEC_DF },
		{ INTR_TYPE_HARD_EXCEPTION, VEC_GP, VEC_GP, 1u << VEC_GP, EXIT_EXCEPTION_NMI, VEC_GP },
		{ INTR_TYPE_HARD_EXCEPTION, VEC_DF, VEC_GP, 0, EXIT_TRIPLE_FAULT, 0 },
	};

	l1_run_l2();
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct event second = { .vector = cases[i].second,
					.type = INTR_TYPE_HARD_EXCEPTION,
					.has_error_code = true };

		if (!machine_in_l2())
			assert_int_equal(l1_enter(EXIT_VMRESUME), 0);
		l2_v12()->exception_bitmap = cases[i].bitmap;
		machine_vcpu->pending =
			(struct event){ .vector = cases[i].first, .type = cases[i].first_type };
		machine_vcpu->pending_valid = true;
		run_carry_out(machine_vcpu, nested_exception(machine_vcpu, &second, 0));
		if (cases[i].reason == HELD) {
			if (!machine_in_l2())
				fail_msg("case %zu", i);
			assert_int_equal(machine_vcpu->pending.vector, cases[i].info);
			machine_vcpu->pending_valid = false;
			continue;
		}
		if (machine_in_l2())
			fail_msg("case %zu", i);
		assert_int_equal(l2_v12()->exit_reason, cases[i].reason);
		if (cases[i].reason == EXIT_EXCEPTION_NMI)
			assert_int_equal(l2_v12()->exit_intr_info & 0xff, cases[i].info);
		regcache_flush(&machine_vcpu->vmcs->cache);
	}
}

/* SDM "Information for VM Exits That Occur During Event Delivery": an NMI under delivery blocks NMIs. */
static void an_nmi_that_l0_holds_is_vectoring_information(void **state UNUSED)
{
	const struct exit_record record = { .reason = EXIT_EPT_VIOLATION };

	l1_run_l2();
	machine_vcpu->pending = (struct event){ .vector = VEC_NMI, .type = INTR_TYPE_NMI };
	machine_vcpu->pending_valid = true;
	run_carry_out(machine_vcpu, outcome_reflect(machine_vcpu, &record));
	regcache_flush(&machine_vcpu->vmcs->cache);
	assert_false(machine_in_l2());
	assert_int_equal(R(idt_vectoring_info), INTR_INFO_VALID | INTR_TYPE_NMI << 8 | VEC_NMI);
	assert_int_equal(R(guest_interruptibility), INTERRUPTIBILITY_NMI);
	/* vmcs02 did not have that blocking. A pending MTF is none. */
	assert_int_equal(l1_enter(EXIT_VMRESUME), 0);
	assert_int_equal(machine_field(VMCS_guest_interruptibility), INTERRUPTIBILITY_NMI);
	machine_vcpu->pending = (struct event){ .type = INTR_TYPE_OTHER };
	machine_vcpu->pending_valid = true;
	run_carry_out(machine_vcpu, outcome_reflect(machine_vcpu, &record));
	regcache_flush(&machine_vcpu->vmcs->cache);
	assert_int_equal(R(idt_vectoring_info), 0);
}

/* With what the delivery of its kind has: an error code, an instruction's length. */
static void a_held_event_takes_its_details_along(void **state UNUSED)
{
	const struct exit_record record = { .reason = EXIT_EPT_VIOLATION };

	l1_run_l2();
	machine_vcpu->pending = (struct event){
		.vector = VEC_GP, .type = INTR_TYPE_HARD_EXCEPTION, .has_error_code = true, .error_code = 0x18
	};
	machine_vcpu->pending_valid = true;
	run_carry_out(machine_vcpu, outcome_reflect(machine_vcpu, &record));
	regcache_flush(&machine_vcpu->vmcs->cache);
	assert_int_equal(R(idt_vectoring_info),
			 INTR_INFO_VALID | INTR_INFO_ERROR_CODE | INTR_TYPE_HARD_EXCEPTION << 8 | VEC_GP);
	assert_int_equal(R(idt_vectoring_error_code), 0x18);
	assert_int_equal(l1_enter(EXIT_VMRESUME), 0);
	machine_vcpu->pending =
		(struct event){ .vector = 0x80, .type = INTR_TYPE_SOFT_INTERRUPT, .instruction_length = 2 };
	machine_vcpu->pending_valid = true;
	run_carry_out(machine_vcpu, outcome_reflect(machine_vcpu, &record));
	regcache_flush(&machine_vcpu->vmcs->cache);
	assert_int_equal(R(idt_vectoring_info), INTR_INFO_VALID | INTR_TYPE_SOFT_INTERRUPT << 8 | 0x80);
	assert_int_equal(R(exit_instruction_length), 2);
	assert_int_equal(R(guest_interruptibility), 0);
}

/* The first event gives way to the second; that it was an NMI is not forgotten. */
static void an_exception_in_an_nmis_delivery_to_l2(void **state UNUSED)
{
	static const u8 types[] = { INTR_TYPE_NMI, INTR_TYPE_EXTERNAL };

	for (size_t i = 0; i < ARRAY_SIZE(types); i++) {
		const struct event fault = { .vector = VEC_PF,
					     .type = INTR_TYPE_HARD_EXCEPTION,
					     .has_error_code = true };

		if (i == 0)
			l1_run_l2();
		l2_v12()->exception_bitmap = 0;
		vcpu_set_reg(machine_vcpu, REG_INTERRUPTIBILITY, 0);
		machine_vcpu->pending = (struct event){ .vector = VEC_NMI, .type = types[i] };
		machine_vcpu->pending_valid = true;
		run_carry_out(machine_vcpu, nested_exception(machine_vcpu, &fault, 0x1234));
		assert_true(machine_in_l2());
		assert_int_equal(machine_vcpu->pending.vector, VEC_PF);
		assert_int_equal(vcpu_reg(machine_vcpu, REG_INTERRUPTIBILITY),
				 types[i] == INTR_TYPE_NMI ? INTERRUPTIBILITY_NMI : 0);
		regcache_flush(&machine_vcpu->vmcs->cache);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		MACHINE_TEST_BOTH(vectoring_survives_l0s_own_exits),
		MACHINE_TEST_BOTH(nmi_blocking_is_taken_back_for_an_nmi_delivered_again),
		MACHINE_TEST(a_fault_in_an_nmis_delivery_leaves_nmis_blocked, "intercept=pf"),
		MACHINE_TEST_BOTH(an_nmi_that_l0_holds_is_vectoring_information),
		MACHINE_TEST_BOTH(a_held_event_takes_its_details_along),
		MACHINE_TEST_BOTH(an_exception_in_an_nmis_delivery_to_l2),
		MACHINE_TEST(exceptions_combine, "shadow-vmcs=off"),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
