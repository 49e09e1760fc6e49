/* SPDX-License-Identifier: MIT */
/*
 * EPT02 against the model of ept_model.h, under budgets and habits that reach all of its parts. MODEL_STEPS
 * in the environment: steps for each (`make model`).
 */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#include "tests/unit/cmocka_all.h"
#include "tests/unit/ept_model.h"
#include "vmx/nested/ept/ept02.h"

#define STEPS (getenv("MODEL_STEPS") ? strtoull(getenv("MODEL_STEPS"), NULL, 10) : 300000)

/* With `alone` the CPUs keep to one EPT12: the budget is used up by one EPT02. */
static void run_steps(u64 seed, u64 tables, u32 share, bool alone, u64 count)
{
	model_build(seed, tables, share);
	for (int i = 0; i < 3000; i++)
		model_edit();
	while (model_now < count) {
		model_step(alone);
		if (model_now % 4096 == 0)
			model_check_cache(model_vcpus[model_cpu].nested.ept);
	}
	model_free();
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

/* ---- what needs another CPU of L1's at the same moment ---- */

#define RACE_ADDRESS 0x1000ull
#define COUNTER_SHIFT 52 /* bits that the processor ignores */
#define COUNTER_STEP (1ull << COUNTER_SHIFT)

static u64 *race_entry;
static bool race_over;

/* L1 counts in the ignored bits of an entry, as often as it can. */
static void *count_in_entry(void *count)
{
	while (!__atomic_load_n(&race_over, __ATOMIC_RELAXED)) {
		__atomic_fetch_add(race_entry, COUNTER_STEP, __ATOMIC_RELAXED);
		++*(u64 *)count;
	}
	return NULL;
}

/* SDM "Accessed and Dirty Flags for EPT": set by a locked update; no write of L1's between may be lost. */
static void test_flags_lose_no_write(void **state)
{
	struct ept12_role role;
	struct ept12_walk walk;
	enum ept12_result result;
	u64 count = 0, rounds = 0;
	pthread_t l1;

	(void)state;
	model_build(6, 32, 2048);
	model_cpu = 0;
	role = (struct ept12_role){ model_roles[1].eptp, false };
	model_memory[1][0] = EPT_RWX | (MODEL_TABLE_BASE + 8 * PAGE_SIZE);
	model_memory[8][0] = EPT_RWX | (MODEL_TABLE_BASE + 16 * PAGE_SIZE);
	model_memory[16][0] = EPT_RWX | (MODEL_TABLE_BASE + 28 * PAGE_SIZE);
	race_entry = &model_memory[28][ept_index(RACE_ADDRESS, 1)];
	*race_entry = EPT_RWX | MEMTYPE_WB << EPT_MEMTYPE_SHIFT | 0x20000000;
	race_over = false;
	assert_int_equal(pthread_create(&l1, NULL, count_in_entry, &count), 0);
	for (; rounds < STEPS; rounds++) {
		__atomic_fetch_and(race_entry, ~(u64)(EPT_ACCESSED | EPT_DIRTY), __ATOMIC_RELAXED);
		do
			result = ept12_walk(&model_vcpus[0], &role, RACE_ADDRESS, EPT_WRITE, &walk);
		while (result == EPT12_RETRY);
		assert_int_equal(result, EPT12_OK);
		assert_int_equal(*race_entry & (EPT_ACCESSED | EPT_DIRTY), EPT_ACCESSED | EPT_DIRTY);
	}
	__atomic_store_n(&race_over, true, __ATOMIC_RELAXED);
	pthread_join(l1, NULL);
	assert_int_equal(*race_entry >> COUNTER_SHIFT, count % (1u << (64 - COUNTER_SHIFT)));
	model_free();
}

/* An address that a walk of four levels does not reach is mapped by nothing. */
static void test_beyond_the_walk(void **state)
{
	struct ept12_role role;
	struct ept12_walk walk;

	(void)state;
	model_build(7, 32, 2048);
	role = (struct ept12_role){ model_roles[0].eptp, false };
	assert_int_equal(ept12_walk(&model_vcpus[0], &role, BIT(48), EPT_READ, &walk), EPT12_VIOLATION);
	model_free();
}

/* An instruction that touches more absent pages than are remembered: the oldest is taken back. */
static void test_absent_pages_of_one_instruction(void **state)
{
	struct vcpu *vcpu = &model_vcpus[0];
	struct ept02_cache *cache;

	(void)state;
	model_build(8, 32, 2048);
	model_cpu = 0;
	cache = vcpu->nested.ept;
	for (u64 i = 0; i < EPT02_STEP_MAX + 2; i++)
		assert_true(ept02_absent_map(vcpu, i * PAGE_SIZE, true).rwx & EPT_WRITE);
	assert_int_equal(cache->step_count, EPT02_STEP_MAX);
	assert_int_equal(cache->steps[0].address, 2 * PAGE_SIZE);
	assert_int_equal(cache->steps[EPT02_STEP_MAX - 1].address, (EPT02_STEP_MAX + 1) * PAGE_SIZE);
	vcpu->exit_reason = EXIT_MTF;
	assert_true(ept02_absent_finish(vcpu));
	assert_int_equal(cache->step_count, 0);
	model_free();
}

/*
 * So many tables that their descriptions end where a page ends: nothing behind is anybody's. One EPT02 has
 * all of them, and gives them back from the first to the last and on from the first.
 */
#define FULL_PAGES_OF_TABLES 512

static void test_reclaim_comes_round(void **state)
{
	struct ept02_cache *cache;
	struct ept02_root *root;
	u32 table, hands = 0, last;

	(void)state;
	static_assert(FULL_PAGES_OF_TABLES * sizeof(struct ept02_table) % PAGE_SIZE == 0, "nothing is left");
	model_cpu_count = 1;
	model_build(9, FULL_PAGES_OF_TABLES, 2048);
	model_cpu = 0;
	cache = model_vcpus[0].nested.ept;
	assert_int_equal(cache->count, FULL_PAGES_OF_TABLES);
	root = cache->active;
	for (u32 i = 0; hands < 3; i = (i + 1) % EPT_ENTRIES) {
		last = cache->hand;
		if (ept02_is_filled(&cache->tables[root->table], i))
			continue;
		table = ept02_table_get(cache, root, root->table);
		cache->tables[table].level = 3;
		cache->tables[table].parent = root->table;
		cache->tables[table].index = (u16)i;
		ept02_set_link(cache, root->table, i, ept02_phys(cache, table) | EPT_RWX);
		assert_true(cache->hand < cache->count);
		hands += cache->hand < last;
	}
	model_check_cache(cache);
	model_free();
	model_cpu_count = MODEL_CPUS;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_model_small_budget),
		cmocka_unit_test(test_model_large_budget),
		cmocka_unit_test(test_model_one_root),
		cmocka_unit_test(test_model_parked),
		cmocka_unit_test(test_flags_lose_no_write),
		cmocka_unit_test(test_beyond_the_walk),
		cmocka_unit_test(test_absent_pages_of_one_instruction),
		cmocka_unit_test(test_reclaim_comes_round),
	};
	int failed;

	setvbuf(stdout, NULL, _IONBF, 0);
	failed = cmocka_run_group_tests(tests, NULL, NULL);
	model_print_counts();
	return failed;
}
