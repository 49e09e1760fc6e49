/* SPDX-License-Identifier: MIT */
/*
 * EPT02 against the model of ept_model.h, under budgets and habits that reach all of its parts.
 */
#include "tests/unit/cmocka_all.h"
#include "tests/unit/ept_model.h"

#define STEPS 300000

/* With `alone` the CPUs keep to one EPT12: the budget is used up by one EPT02. */
static void run_steps(u64 seed, u64 tables, u32 share, bool alone, u64 count)
{
	build_world(seed, tables, share);
	for (int i = 0; i < 3000; i++)
		step_edit();
	while (now < count) {
		run_step(alone);
		if (now % 4096 == 0)
			check_cache(vcpus[cpu].nested.ept);
	}
	free_world();
}

/* "a translation may be old only if no INVEPT came since" */
static void test_model_small_budget(void **state)
{
	(void)state;
	run_steps(1, 32, 2048, false, STEPS);
}

static void test_model_large_budget(void **state)
{
	(void)state;
	run_steps(2, 400, 2048, false, STEPS);
}

static void test_model_one_root(void **state)
{
	(void)state;
	run_steps(5, 32, 2048, true, STEPS);
}

/* What an INVEPT leaves uncompared is parked and compared at its next use. */
static void test_model_parked(void **state)
{
	(void)state;
	run_steps(3, 400, 8, false, STEPS);
	run_steps(4, 48, 3, false, STEPS);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_model_small_budget),
		cmocka_unit_test(test_model_large_budget),
		cmocka_unit_test(test_model_one_root),
		cmocka_unit_test(test_model_parked),
	};
	int failed;

	setvbuf(stdout, NULL, _IONBF, 0);
	failed = cmocka_run_group_tests(tests, NULL, NULL);
	printf("accesses %llu, violations %llu, misconfigurations %llu, absent %llu, flushes %llu\n",
	       (unsigned long long)steps_ok, (unsigned long long)steps_violation,
	       (unsigned long long)steps_misconfig, (unsigned long long)steps_absent,
	       (unsigned long long)flushes);
	return failed;
}
