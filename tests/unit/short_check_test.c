/* SPDX-License-Identifier: MIT */
/*
 * What a short entry looks at instead of the checks: each event with each state that its rules ask for lets
 * L2 run exactly where the checks themselves would. check_test.c has the checks. SDM: "VM Entries".
 */
#include "tests/unit/cmocka_all.h"

#include "kernel/x86.h"
#include "tests/unit/l2_support.h"
#include "vmx/guest/vcpu.h"
#include "vmx/nested/entry/check.h"
#include "vmx/nested/entry/entry.h"

#define EVENT(type, vector) (INTR_INFO_VALID | (u64)(type) << INTR_INFO_TYPE_SHIFT | (vector))

static const u64 events[] = {
	0,
	EVENT(INTR_TYPE_EXTERNAL, 0),
	EVENT(INTR_TYPE_EXTERNAL, 0xff),
	EVENT(INTR_TYPE_EXTERNAL, 0x40) & ~(u64)INTR_INFO_VALID,
	EVENT(INTR_TYPE_EXTERNAL, 0x40) | INTR_INFO_ERROR_CODE,
	EVENT(INTR_TYPE_EXTERNAL, 0x40) | BIT(12),
	EVENT(1, 0x40),
	EVENT(INTR_TYPE_NMI, VEC_NMI),
	EVENT(INTR_TYPE_NMI, 0x40),
	EVENT(INTR_TYPE_HARD_EXCEPTION, VEC_UD),
	EVENT(INTR_TYPE_HARD_EXCEPTION, VEC_GP) | INTR_INFO_ERROR_CODE,
	EVENT(INTR_TYPE_HARD_EXCEPTION, 0x40),
	EVENT(INTR_TYPE_SOFT_INTERRUPT, 0x40),
	EVENT(7, 0),
	EVENT(7, 1),
};

static const u64 rflags[] = {
	RFLAGS_FIXED1,
	RFLAGS_FIXED1 | RFLAGS_IF,
	RFLAGS_IF,
	0,
	RFLAGS_FIXED1 | RFLAGS_IF | BIT(3),
	RFLAGS_FIXED1 | RFLAGS_IF | BIT(63),
	RFLAGS_FIXED1 | RFLAGS_IF | RFLAGS_VM,
	RFLAGS_FIXED1 | RFLAGS_IF | RFLAGS_TF,
};

static const u64 blockings[] = {
	0,
	INTERRUPTIBILITY_STI,
	INTERRUPTIBILITY_MOV_SS,
	BIT(2), /* by SMI */
	INTERRUPTIBILITY_NMI,
	INTERRUPTIBILITY_NMI | INTERRUPTIBILITY_STI,
	BIT(5),
	BIT(31),
};

static const u64 activities[] = { ACTIVITY_ACTIVE, ACTIVITY_HLT, 7 };

/* As the entry, by the checks alone. */
static bool is_valid(void)
{
	struct nested_vmcs *slot = machine_vcpu->nested.current;
	struct check_env env = entry_env(machine_vcpu, slot);
	struct check_failure ignored;

	return check_event_injection(&slot->v12, &env, &ignored) &&
	       check_guest_hot(&slot->v12, &env, &ignored);
}

/* L2 has run and exited with nothing but this: the next entry may be short. */
static void settle(void)
{
	W(guest_rip, 0x400000);
	W(entry_intr_info, 0);
	W(entry_instruction_length, 1);
	W(guest_rflags, RFLAGS_FIXED1 | RFLAGS_IF);
	W(guest_interruptibility, 0);
	W(guest_activity_state, ACTIVITY_ACTIVE);
	assert_int_equal(l1_enter(EXIT_VMRESUME), 0);
	assert_true(machine_in_l2());
	EXIT_NOW(.reason = EXIT_CPUID);
	assert_false(machine_in_l2());
}

static void try(u64 event, u64 flags, u64 blocking, u64 activity)
{
	bool valid;

	W(entry_intr_info, event);
	W(guest_rflags, flags);
	W(guest_interruptibility, blocking);
	W(guest_activity_state, activity);
	l1_enter(EXIT_VMRESUME);
	if (machine_in_l2()) {
		/* the entry has fetched all of it, and L2's exit saves what is to be judged here */
		machine_vcpu->nested.current->v12.entry_intr_info = event;
		valid = is_valid();
		assert_int_equal(machine_field(VMCS_guest_rflags), flags);
		EXIT_NOW(.reason = EXIT_CPUID);
	} else {
		valid = !is_valid();
	}
	if (!valid)
		fail_msg("event %llx, RFLAGS %llx, blocking %llx, activity %llu", (unsigned long long)event,
			 (unsigned long long)flags, (unsigned long long)blocking,
			 (unsigned long long)activity);
	settle();
}

static void each_event_in_each_state(void **state UNUSED)
{
	l1_run_l2();
	EXIT_NOW(.reason = EXIT_CPUID);
	settle();
	for (size_t e = 0; e < ARRAY_SIZE(events); e++)
		for (size_t f = 0; f < ARRAY_SIZE(rflags); f++)
			for (size_t b = 0; b < ARRAY_SIZE(blockings); b++)
				for (size_t a = 0; a < ARRAY_SIZE(activities); a++)
					try(events[e], rflags[f], blockings[b], activities[a]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		MACHINE_TEST_BOTH(each_event_in_each_state),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
