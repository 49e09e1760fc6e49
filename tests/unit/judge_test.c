/* SPDX-License-Identifier: MIT */
/*
 * All broken rules of a vmcs12, for a person. In a file of its own, for tests/why takes check_test.c with a
 * check_fail() of another kind.
 */
#include "tests/unit/cmocka_all.h"

#include "kernel/x86.h"
#include "tests/unit/valid12.h"

static struct vmcs12 v12;
static struct check_env env;

static bool is_told(const struct check_failures *all, unsigned int field, unsigned int rule)
{
	unsigned int times = 0;

	for (u32 i = 0; i < all->count; i++)
		times += all->failures[i].field == field && all->failures[i].rule == rule;
	assert_true(times <= 1);
	return times;
}

/* Each once, in the order of the checks, with its value, and those of a segment by its field. */
static void all_broken_rules(void **state)
{
	const struct check_failures *all;
	u32 count;

	(void)state;
	valid12_init(&v12, &env);
	assert_int_equal(check_all(&v12, &env)->count, 0);
	v12.guest_ds_ar &= ~1ull;
	v12.guest_gs_ar &= ~1ull;
	v12.guest_rip = BIT(60);
	v12.guest_rflags = 0;
	v12.entry_intr_info =
		INTR_INFO_VALID | INTR_TYPE_HARD_EXCEPTION << INTR_INFO_TYPE_SHIFT | BIT(20) | 40;
	v12.host_cs_selector = 0;
	all = check_all(&v12, &env);
	assert_int_equal(all->failures[0].field, V12_entry_intr_info);
	assert_true(is_told(all, V12_entry_intr_info, RULE_event_exception_vector));
	assert_true(is_told(all, V12_entry_intr_info, RULE_event_reserved));
	assert_true(is_told(all, V12_host_cs_selector, all->failures[1].rule));
	assert_int_equal(all->failures[1].field, V12_host_cs_selector);
	assert_true(is_told(all, V12_guest_ds_ar, RULE_data_accessed));
	assert_true(is_told(all, V12_guest_gs_ar, RULE_data_accessed));
	assert_false(is_told(all, V12_guest_es_ar, RULE_data_accessed));
	assert_true(is_told(all, V12_guest_rip, RULE_guest_rip_64));
	assert_true(is_told(all, V12_guest_rflags, RULE_rflags_bit_1));
	count = all->count;
	assert_int_equal(all->more, 0);
	/* the next time begins anew, and an entry's own check adds nothing */
	assert_int_equal(check_all(&v12, &env)->count, count);
	for (unsigned int i = 0; i < 2; i++) {
		struct check_failure failure = { .rule = RULE_COUNT };

		assert_false(check_guest(&v12, &env, &failure));
	}
	assert_int_equal(check_collected()->count, count);
	valid12_init(&v12, &env);
	assert_int_equal(check_all(&v12, &env)->count, 0);
}

/* What there is no room for is counted. */
static void more_broken_rules_than_there_is_room_for(void **state)
{
	const struct check_failures *all;
	u32 more;

	(void)state;
	valid12_init(&v12, &env);
	memset(&v12, 0xff, sizeof(v12));
	all = check_all(&v12, &env);
	more = all->more;
	for (u32 i = 0; i < all->count; i++)
		assert_true(is_told(all, all->failures[i].field, all->failures[i].rule));
	assert_int_equal(all->count, CHECK_FAILURES_MAX);
	assert_in_range(more, 20, 100);
	assert_int_equal(check_all(&v12, &env)->more, more);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(all_broken_rules),
		cmocka_unit_test(more_broken_rules_than_there_is_room_for),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
