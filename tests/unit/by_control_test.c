/* SPDX-License-Identifier: MIT */
/*
 * State that an entry loads by a control, and an exit saves by another: IA32_DEBUGCTL and DR7, IA32_PAT,
 * IA32_EFER. Each pair of controls, before and after; L2 has changed the state; L1 has written nothing, one
 * field or a control. What vmcs02 holds then, and that nothing is written that it holds already.
 * SDM: "Loading Guest Control Registers, Debug Registers, and MSRs", "Saving Control Registers, Debug
 * Registers, and MSRs".
 */
#include "tests/unit/cmocka_all.h"

#include "kernel/msr.h"
#include "kernel/x86.h"
#include "tests/unit/l2_support.h"

static const u32 states[] = { VMCS_guest_debugctl, VMCS_guest_dr7, VMCS_guest_pat, VMCS_guest_efer };
static const u64 loads[] = { ENTRY_LOAD_DEBUG, ENTRY_LOAD_DEBUG, ENTRY_LOAD_PAT, ENTRY_LOAD_EFER };
static const u64 saves[] = { EXIT_SAVE_DEBUG, EXIT_SAVE_DEBUG, EXIT_SAVE_PAT, EXIT_SAVE_EFER };

/* Whose value it is: no two are equal. */
enum whose { WRITTEN, BY_L2, L1S_OWN, WRITTEN_AGAIN };

static const u64 values[][4] = {
	{ 1, DEBUGCTL_BTF, 1 | DEBUGCTL_BTF, 0 },
	{ 0x700, 0x403, 0x40c, 0x430 },
	{ 0x0606060606060606, 0x0007040600070406, 0x0007010600070106, 0x0404040404040404 },
	{ EFER_LME | EFER_LMA | EFER_NXE, EFER_LME | EFER_LMA | EFER_SCE, EFER_LME | EFER_LMA,
	  EFER_LME | EFER_LMA | EFER_NXE | EFER_SCE },
};

/* Controls number k of 64: three that load, three that save. */
static u64 entry_controls(unsigned int k)
{
	return (caps12.entry.allowed0 & ~(u64)ENTRY_LOAD_DEBUG) | ENTRY_IA32E_GUEST |
	       (k & 1 ? ENTRY_LOAD_DEBUG : 0) | (k & 2 ? ENTRY_LOAD_PAT : 0) | (k & 4 ? ENTRY_LOAD_EFER : 0);
}

static u64 exit_controls(unsigned int k)
{
	return (caps12.exit.allowed0 & ~(u64)EXIT_SAVE_DEBUG) | EXIT_HOST_64 | (k & 8 ? EXIT_SAVE_DEBUG : 0) |
	       (k & 16 ? EXIT_SAVE_PAT : 0) | (k & 32 ? EXIT_SAVE_EFER : 0);
}

/* What L1 does between L2's exit and the next entry. */
enum touch { NOTHING, ONE_FIELD, OTHER_CONTROLS = ONE_FIELD + 4, A_HOST_FIELD, A_MODE_FIELD, TOUCH_COUNT };

static u64 expected[4], loaded[4], saved[4]; /* loaded: as in vmcs02 while L2 ran; saved: in vmcs12 */

static void expect(u64 entry)
{
	const struct vmcs12 *v12 = l2_v12();
	const u64 fields[] = { v12->guest_debugctl, (v12->guest_dr7 & ~0xd000ull) | 0x400, v12->guest_pat,
			       v12->guest_efer };

	for (unsigned int i = 0; i < 4; i++)
		expected[i] = entry & loads[i] ? fields[i] : machine_field01(states[i]);
	if (!(entry & ENTRY_LOAD_EFER))
		expected[3] |= EFER_LMA | EFER_LME;
}

static void enter(u32 reason, unsigned int k, enum touch touch, unsigned int after)
{
	u64 vmcs02 = machine_vcpu->nested.current->vmcs02.region.v;

	for (unsigned int i = 0; i < 3; i++) /* L1's own; its EFER stays, or it would be in another mode */
		machine_set_field(states[i], values[i][L1S_OWN]);
	expect(R(entry_controls));
	fake_log_clear();
	assert_int_equal(l1_enter(reason), 0);
	assert_true(machine_in_l2());
	for (unsigned int i = 0; i < 4; i++) {
		bool stays = reason == EXIT_VMRESUME && loaded[i] == expected[i] && saved[i] == loaded[i] &&
			     (entry_controls(after) & loads[i]) && (exit_controls(after) & saves[i]) &&
			     (touch == NOTHING || touch == A_HOST_FIELD);

		if (machine_field(states[i]) != expected[i])
			fail_msg("controls %u, touch %u, then %u: field %x is %llx instead of %llx", k, touch,
				 after, states[i], (unsigned long long)machine_field(states[i]),
				 (unsigned long long)expected[i]);
		if (stays && fake_writes_of(vmcs02, states[i]))
			fail_msg("controls %u, touch %u: field %x is written in vain", k, touch, states[i]);
	}
}

/* L2 has run, and perhaps changed all four. */
static void leave(bool changes)
{
	for (unsigned int i = 0; i < 4; i++) {
		if (changes)
			machine_set_field(states[i], values[i][BY_L2]);
		loaded[i] = machine_field(states[i]);
	}
	EXIT_NOW(.reason = EXIT_CPUID);
	assert_false(machine_in_l2());
	for (unsigned int i = 0; i < 4; i++) {
		assert_int_equal(l1_vmread(states[i], &saved[i]), 0);
		if ((R(exit_controls) & saves[i]) && saved[i] != loaded[i])
			fail_msg("field %x is saved as %llx", states[i], (unsigned long long)saved[i]);
	}
}

static void write_controls(unsigned int k)
{
	W(entry_controls, entry_controls(k));
	W(exit_controls, exit_controls(k));
}

static void one_case(unsigned int k, enum touch touch, unsigned int after, bool changes)
{
	write_controls(k);
	for (unsigned int i = 0; i < 4; i++)
		assert_int_equal(l1_vmwrite(states[i], values[i][WRITTEN]), 0);
	W(host_fs_base, 0x1000);
	W(guest_ss_ar, 0xc093);
	enter(l2_v12()->launched ? EXIT_VMRESUME : EXIT_VMLAUNCH, k, TOUCH_COUNT, k);
	leave(changes);
	if (touch >= ONE_FIELD && touch < OTHER_CONTROLS)
		assert_int_equal(
			l1_vmwrite(states[touch - ONE_FIELD], values[touch - ONE_FIELD][WRITTEN_AGAIN]), 0);
	if (touch == OTHER_CONTROLS)
		write_controls(after);
	if (touch == A_HOST_FIELD)
		W(host_fs_base, 0x2000);
	if (touch == A_MODE_FIELD)
		W(guest_ss_ar, 0xc097);
	enter(EXIT_VMRESUME, k, touch, after);
	leave(false);
}

static void state_follows_the_controls(void **state UNUSED)
{
	l1_start_vmx();
	l1_load_vmcs(0);
	l1_write_valid_vmcs();
	for (unsigned int k = 0; k < 64; k++) {
		for (unsigned int touch = NOTHING; touch < TOUCH_COUNT; touch++)
			for (unsigned int changes = 0; changes < 2; changes++)
				if (touch != OTHER_CONTROLS)
					one_case(k, touch, k, changes);
		/* each control by itself, in both directions */
		for (unsigned int bit = 0; bit < 6; bit++)
			for (unsigned int changes = 0; changes < 2; changes++)
				one_case(k, OTHER_CONTROLS, k ^ 1u << bit, changes);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		MACHINE_TEST_BOTH(state_follows_the_controls),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
