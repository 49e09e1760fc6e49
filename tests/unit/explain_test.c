/* SPDX-License-Identifier: MIT */
/*
 * explain=: the texts in the image are those of rules.def; what is told once, always or never; what a
 * paragraph says.
 */
#include "tests/unit/cmocka_all.h"

#include "kernel/hw/cpu.h"
#include "kernel/pace.h"
#include "kernel/x86.h"
#include "tests/unit/machine.h"
#include "vmx/nested/explain/explain.h"
#include "vmx/nested/explain/rules.h"

static void texts_are_those_of_the_tables(void **state)
{
	static const char *const texts[RULE_COUNT] = {
#define RULE(id, section, field, set, text) text,
#define REFUSAL(id, outcome, section, text) text,
#include "vmx/nested/explain/rules.def"
#undef REFUSAL
#undef RULE
	};
	static const char *const titles[SECTION_COUNT] = {
#define TITLE(id, stage, qualification, title) title,
#include "vmx/nested/explain/sections.def"
#undef TITLE
	};
	char text[RULE_TEXT_MAX];

	(void)state;
	for (unsigned int i = 0; i < RULE_COUNT; i++) {
		rule_expand(rule_rows[i].text, text, sizeof(text));
		assert_string_equal(text, texts[i]);
		assert_true(strlen(text) + 1 < sizeof(text));
	}
	for (unsigned int i = 0; i < SECTION_COUNT; i++) {
		rule_expand(section_rows[i].title, text, sizeof(text));
		assert_string_equal(text, titles[i]);
	}
	/* What does not fit is cut off. */
	rule_expand(rule_rows[RULE_eptp_walk].text, text, 10);
	assert_string_equal(text, "bits 5:3 ");
}

/* How often `what` stands in the log. */
static unsigned int told(const char *what)
{
	unsigned int count = 0;

	for (const char *at = fake_log(); (at = strstr(at, what)); at++)
		count++;
	return count;
}

/* A field of a segment's stands for that of the segment at hand, as many as the rule has. */
static void others_are_of_the_segment_at_hand(void **state)
{
	static const u16 own[][2] = { { V12_guest_es_selector, V12_guest_gs_selector },
				      { V12_guest_es_base, V12_guest_gs_base },
				      { V12_guest_es_limit, V12_guest_gs_limit },
				      { V12_guest_es_ar, V12_guest_gs_ar } };
	unsigned int moved = 0;

	(void)state;
	for (unsigned int rule = 0; rule < RULE_COUNT; rule++) {
		unsigned int field = rule_rows[rule].field;
		struct check_failure first = { .rule = (u16)rule, .field = (u16)field }, of_gs = first;

		/* GS is the fifth behind ES */
		of_gs.field = (u16)(field + 5);
		for (unsigned int n = 0; n <= RULE_OTHERS; n++) {
			unsigned int other = rule_other(&first, n), expected = other;

			for (unsigned int i = 0; i < ARRAY_SIZE(own); i++)
				if (other == own[i][0]) {
					expected = own[i][1];
					moved++;
				}
			assert_int_equal(rule_other(&of_gs, n), expected);
			assert_true(n < RULE_OTHERS || other == RULE_NO_FIELD);
		}
	}
	assert_true(moved >= 8);
}

#define REFUSED_7 "VMLAUNCH at 0x"

static void fail_twice(void)
{
	l1_start_vmx();
	l1_load_vmcs(0);
	l1_write_valid_vmcs();
	l1_vmwrite(VMCS_pin_controls, 0);
	assert_int_equal(l1_enter(EXIT_VMLAUNCH), 7);
	fake_pass_time();
	assert_int_equal(l1_enter(EXIT_VMLAUNCH), 7);
	fake_pass_time();
}

static void a_rule_is_told_once(void **state)
{
	(void)state;
	fail_twice();
	assert_int_equal(told(REFUSED_7), 1);
	assert_int_equal(told("field  pin_controls (4000) = 0: allowed-0 "), 1);
	assert_int_equal(told("bit 4 must be 1") + told("4 must be 1"), 1);
	/* Another rule is told, and how many were not. */
	l1_vmwrite(VMCS_pin_controls, 0x16);
	l1_vmwrite(VMCS_host_cs_selector, 0);
	assert_int_equal(l1_enter(EXIT_VMLAUNCH), 8);
	assert_int_equal(told("VM-instruction error 8, host-state fields"), 1);
	assert_int_equal(told("more   1 refusals before this one were only counted"), 1);
}

static void all_are_told(void **state)
{
	(void)state;
	fail_twice();
	assert_int_equal(told(REFUSED_7), 2);
}

/* What is not refused has nothing to tell, whatever failed before it. */
static void an_entry_that_succeeds_tells_nothing(void **state)
{
	u64 value;

	(void)state;
	l1_start_vmx();
	l1_load_vmcs(0);
	l1_write_valid_vmcs();
	assert_int_equal(l1_vmread(0x7ffe, &value), VMXERR_UNSUPPORTED_FIELD);
	assert_int_equal(told(" refused: "), 1);
	assert_int_equal(l1_enter(EXIT_VMLAUNCH), 0);
	assert_true(machine_in_l2());
	assert_int_equal(told(" refused: "), 1);
	/* what is noted where nothing is wrong is no rule */
	fake_pass_time();
	machine_vcpu->nested.failure = (struct check_failure){ .rule = RULE_COUNT, .field = RULE_NO_FIELD };
	explain_refusal(machine_vcpu);
	assert_int_equal(told(" refused: "), 1);
}

static void nothing_is_told(void **state)
{
	(void)state;
	fail_twice();
	assert_int_equal(told(REFUSED_7), 0);
}

static void two_come_a_tenth_of_a_second_apart(void **state)
{
	(void)state;
	pace_init();
	l1_start_vmx();
	l1_load_vmcs(0);
	l1_write_valid_vmcs();
	l1_vmwrite(VMCS_pin_controls, 0);
	assert_int_equal(l1_enter(EXIT_VMLAUNCH), 7);
	for (unsigned int i = 0; i < 5; i++)
		assert_int_equal(l1_enter(EXIT_VMLAUNCH), 7);
	assert_int_equal(told(REFUSED_7), 1);
	fake_pass_time();
	assert_int_equal(l1_enter(EXIT_VMLAUNCH), 7);
	assert_int_equal(told(REFUSED_7), 2);
	assert_int_equal(told("more   5 refusals"), 1);
}

/* The pause begins when a paragraph has been written, which takes longer than the pause if it is a long one.
 */
static void the_pause_begins_at_the_end(void **state)
{
	const u64 *next = &machine_vcpu->nested.explain.next;
	u64 own = 0, interval;

	(void)state;
	pace_init();
	assert_true(pace_allows(&own));
	interval = own - rdtsc();
	l1_start_vmx();
	l1_load_vmcs(0);
	l1_write_valid_vmcs();
	l1_vmwrite(VMCS_pin_controls, 0);
	assert_int_equal(l1_enter(EXIT_VMLAUNCH), 7);
	assert_int_equal(told(REFUSED_7), 1);
	assert_true(*next - rdtsc() > interval - 2000);
	pace_rest(&own);
	assert_false(pace_allows(&own));
	fake_pass_time();
	assert_true(pace_allows(&own));
}

/* Where the field was written is in the trace, unless the processor wrote it in the shadow VMCS. */
static void the_writer_is_named(void **state)
{
	(void)state;
	fail_twice();
	assert_int_equal(told("write  VMWRITE of the field at 0x"), 1);
}

static void instructions_are_explained(void **state)
{
	u64 value;

	(void)state;
	assert_int_equal(l1_vmread(VMCS_guest_es_base, &value), L1_FAULT(VEC_UD));
	assert_int_equal(told("VMREAD at 0x"), 1);
	assert_int_equal(told("refused: #UD"), 1);
	assert_int_equal(told("rule   L1 is in VMX operation"), 1);
	fake_pass_time();
	l1_start_vmx();
	assert_int_equal(l1_vmread(VMCS_guest_es_base, &value), L1_FAIL_INVALID);
	assert_int_equal(told("refused: VMfailInvalid (CF is 1)"), 1);
	fake_pass_time();
	l1_load_vmcs(0);
	assert_int_equal(l1_vmwrite(0x4ffe, 0), VMXERR_UNSUPPORTED_FIELD);
	assert_int_equal(told("VMWRITE at 0x"), 1);
	assert_int_equal(told("field  encoding 4ffe"), 1);
	fake_pass_time();
	assert_int_equal(l1_memory_insn(EXIT_VMPTRLD, M_VMCS(1) + 1), VMXERR_VMPTRLD_ADDRESS);
	assert_int_equal(told("VM-instruction error 9"), 1);
	fake_pass_time();
	assert_int_equal(l1_memory_insn(EXIT_VMPTRLD, M_SPARE), VMXERR_VMPTRLD_REVISION);
	assert_int_equal(told("where L1's IA32_VMX_BASIC says"), 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(texts_are_those_of_the_tables),
		cmocka_unit_test(others_are_of_the_segment_at_hand),
		MACHINE_TEST_BOTH(a_rule_is_told_once),
		MACHINE_TEST(all_are_told, "explain=all"),
		MACHINE_TEST(an_entry_that_succeeds_tells_nothing, "explain=all"),
		MACHINE_TEST(nothing_is_told, "explain=off"),
		MACHINE_TEST(two_come_a_tenth_of_a_second_apart, "explain=all"),
		MACHINE_TEST(the_pause_begins_at_the_end, "explain=all"),
		MACHINE_TEST(the_writer_is_named, "shadow-vmcs=off"),
		MACHINE_TEST_BOTH(instructions_are_explained),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
