/* SPDX-License-Identifier: MIT */
/*
 * The walk of a violation that L1 may have repaired goes on where it ended, and the one of the next violation
 * where both ways part: with whatever L1 has changed meanwhile it must find what a walk from the top finds.
 * Random tables, of four and five levels, with
 * misconfigurations, large pages, flags, and tables that are no RAM. SDM: "EPT Translation Mechanism".
 */
#include "tests/unit/cmocka_all.h"

#include <stdlib.h>

#include "kernel/x86.h"
#include "tests/unit/ept_support.h"
#include "vmx/nested/ept/ept.h"

#define WALKS 40000
#define TABLES 4u
#define TABLE(n) (P_EPT + 0x40000 + (n)*0x1000ull)
#define USED 3u /* entries of each table that walks meet */

static unsigned int below(unsigned int limit)
{
	return (unsigned int)rand() % limit;
}

static u64 random_entry(unsigned int level)
{
	static const u64 no_ram[] = { 0xfee00000ull, M_WINDOW };
	u64 entry = below(16) ? TABLE(below(TABLES)) : no_ram[below(2)];

	entry |= below(4) ? EPT_RWX : below(8);
	entry |= below(3) ? 0 : EPT_USER_EXEC;
	entry |= below(2) ? EPT_ACCESSED : 0;
	entry |= below(2) ? EPT_DIRTY : 0;
	if (level == 1 || !below(6))
		entry |= WB;
	if (level > 1 && !below(8))
		entry = (entry & ~(EPT_ADDRESS & GENMASK(21, 0))) | EPT_LEAF | WB;
	if (!below(12))
		entry |= BIT(below(63));
	return below(10) ? entry : 0;
}

static struct ept12_role random_role(void)
{
	unsigned int levels = below(5) ? 4 : 5;

	return (struct ept12_role){ .eptp = TABLE(below(TABLES)) | (u64)(levels - 1) << EPTP_WALK_SHIFT |
					    MEMTYPE_WB | (below(2) ? EPTP_AD : 0),
				    .user_exec = below(2) };
}

static u64 random_address(void)
{
	u64 at = 0x123;

	for (unsigned int shift = 12; shift <= 39; shift += 9)
		at |= (u64)below(USED) << shift;
	return below(40) ? at : at | BIT(48);
}

static void change_tables(void)
{
	for (unsigned int n = 0; n < TABLES; n++)
		for (unsigned int i = 0; i < USED; i++)
			if (!below(4))
				l1_write64(TABLE(n) + 8ull * i, random_entry(1 + below(4)));
}

/* L1 changes some entry that the walk has met: the last one, or one above. */
static void repair(const struct ept12_role *role, const struct ept12_walk *walk)
{
	for (unsigned int n = below(3); n; n--) {
		unsigned int level = walk->leaf + below(2);

		if (level <= ept12_role_levels(role) && walk->where[level])
			*walk->where[level] = random_entry(level);
	}
}

/* But for `flags`, which the first of two walks may have set. */
static void assert_same(const struct ept12_role *role, const struct ept12_walk *walk,
			const struct ept12_walk *fresh, u64 flags)
{
	assert_int_equal(walk->leaf, fresh->leaf);
	assert_int_equal(walk->permissions & EPT_PERMISSIONS, fresh->permissions & EPT_PERMISSIONS);
	for (unsigned int level = walk->leaf; level <= ept12_role_levels(role); level++) {
		assert_int_equal(walk->entry[level] | flags, fresh->entry[level] | flags);
		assert_ptr_equal(walk->where[level], fresh->where[level]);
	}
}

static void a_walk_that_goes_on_is_a_walk(void **state UNUSED)
{
	static const u64 needs[] = { EPT_READ, EPT_WRITE | EPT_READ, EPT_EXEC, EPT_USER_EXEC };
	unsigned int repaired = 0;

	srand(7);
	l1_run_l2();
	for (unsigned int i = 0; i < WALKS; i++) {
		struct ept12_role role = random_role();
		u64 at = random_address(), need = needs[below(ARRAY_SIZE(needs))];
		struct ept12_walk walk, fresh = { .leaf = ept12_role_levels(&role) };
		bool leads;

		change_tables();
		if (ept12_walk(machine_vcpu, &role, at, need, &walk) != EPT12_VIOLATION)
			continue;
		repair(&role, &walk);
		leads = ept12_peek_on(machine_vcpu, &role, at, need, &walk);
		assert_int_equal(leads, ept12_peek_on(machine_vcpu, &role, at, need, &fresh));
		if (!leads)
			continue;
		repaired++;
		assert_int_equal(walk.gpa, fresh.gpa);
		assert_same(&role, &walk, &fresh, 0);
	}
	assert_true(repaired > 100);
}

static void assert_accessed(const struct ept12_role *role, const struct ept12_walk *walk)
{
	for (unsigned int level = walk->leaf; level <= ept12_role_levels(role); level++)
		if (ept12_role_has_ad(role) && walk->where[level])
			assert_true(*walk->where[level] & EPT_ACCESSED);
}

/* The next violation: mostly of the same tables and 2 MiB, and of other pages there. */
static void a_walk_after_a_walk(void **state UNUSED)
{
	static const u64 needs[] = { EPT_READ, EPT_WRITE | EPT_READ, EPT_EXEC, EPT_USER_EXEC };
	struct ept12_role role = random_role();
	u64 at = random_address();
	struct ept12_walk walk = { 0 };
	unsigned int found = 0;

	srand(9);
	l1_run_l2();
	for (unsigned int i = 0; i < WALKS; i++) {
		u64 need = needs[below(ARRAY_SIZE(needs))];
		struct ept12_walk fresh;
		enum ept12_result result;

		if (!below(4))
			change_tables();
		if (!below(8))
			role = random_role();
		role.user_exec ^= !below(8);
		at = below(3) ? (at & ~GENMASK(20, 12)) | (u64)below(USED) << 12 : random_address();
		result = ept12_walk_again(machine_vcpu, &role, at, need, &walk);
		assert_int_equal(result, ept12_walk(machine_vcpu, &role, at, need, &fresh));
		assert_same(&role, &walk, &fresh, EPT_ACCESSED | EPT_DIRTY);
		if (result != EPT12_OK)
			continue;
		found++;
		assert_int_equal(walk.gpa, fresh.gpa);
		assert_accessed(&role, &walk);
	}
	assert_true(found > 100);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		MACHINE_TEST(a_walk_that_goes_on_is_a_walk, ""),
		MACHINE_TEST_BEFORE(a_walk_that_goes_on_is_a_walk, "", processor_with_mode_based_execute),
		MACHINE_TEST(a_walk_after_a_walk, ""),
		MACHINE_TEST_BEFORE(a_walk_after_a_walk, "", processor_with_mode_based_execute),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
