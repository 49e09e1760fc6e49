/* SPDX-License-Identifier: MIT */
/*
 * What an INVEPT of L1's takes away of EPT02, entry by entry, and what it leaves; EPT02s of many EPT pointers
 * in turn. SDM: "Guidelines for Use of the INVEPT Instruction", "Accessed and Dirty Flags for EPT".
 */
#include "tests/unit/cmocka_all.h"

#include "kernel/msr.h"
#include "kernel/x86.h"
#include "tests/unit/ept_support.h"
#include "vmx/hw/caps.h"
#include "vmx/nested/ept/ept.h"

#define P_OTHER_PT (P_EPT + 0x4000)
#define P_ROOTS (P_EPT + 0x10000)
#define LARGE 0x1000000ull
#define ROM_TABLE 0xfffff000ull

#define RD EPT_READ
#define RX (EPT_READ | EPT_EXEC)
#define RWX EPT_RWX
#define U EPT_USER_EXEC
#define A EPT_ACCESSED
#define D EPT_DIRTY
#define GONE 0

static void run_on_ept_with(u64 flags, u64 proc2)
{
	ept_make(RWX | U | A, RWX | A | D);
	ept_run(flags, proc2);
}

static void run_on_ept(u64 flags)
{
	run_on_ept_with(flags, 0);
}

static void invept(void)
{
	assert_int_equal(l1_invalidate(EXIT_INVEPT, INVEPT_ALL, 0, 0), 0);
	ept_resume();
}

struct change {
	u64 before, after;
	u64 access; /* that fills EPT02 in between */
	u64 left;
};

static void each_change(const struct change *changes, size_t count, u64 where, u64 gpa)
{
	u64 kept = l1_read64(where);

	for (size_t i = 0; i < count; i++) {
		u64 fills;

		EXIT_NOW(.reason = EXIT_CPUID);
		l1_write64(where, 0);
		invept();
		assert_int_equal(ept02_allowed(gpa), 0);
		l1_write64(where, changes[i].before);
		ept_touch(gpa, changes[i].access);
		EXIT_NOW(.reason = EXIT_CPUID);
		l1_write64(where, changes[i].after);
		fills = machine_vcpu->nested.counters.ept02_fills;
		invept();
		if (ept02_allowed(gpa) != changes[i].left)
			fail_msg("change %zu: %llx", i, (unsigned long long)ept02_allowed(gpa));
		assert_int_equal(machine_vcpu->nested.counters.ept02_fills, fills);
	}
	EXIT_NOW(.reason = EXIT_CPUID);
	l1_write64(where, kept);
	invept();
}

static const struct change leaves[] = {
	{ FRAMES | RWX | WB, FRAMES | RWX | WB, EPTV_WRITE, RWX },
	{ FRAMES | RWX | WB, FRAMES | RWX | WB | BIT(52), EPTV_WRITE, RWX },
	{ FRAMES | RWX | WB, FRAMES | RWX | WB | EPT_USER_EXEC, EPTV_WRITE, RWX },
	{ FRAMES | RWX | WB, FRAMES | RWX | WB | A | D, EPTV_WRITE, RWX },
	{ FRAMES | RWX | WB | A | D, FRAMES | RWX | WB, EPTV_WRITE, RWX },
	{ FRAMES | RWX | WB, FRAMES | RD | WB, EPTV_WRITE, RD },
	{ FRAMES | RWX | WB, FRAMES | RX | WB, EPTV_WRITE, RX },
	{ FRAMES | RD | WB, FRAMES | RWX | WB, EPTV_READ, RD },
	{ FRAMES | RWX | WB, 0, EPTV_WRITE, GONE },
	{ FRAMES | RWX | WB, FRAMES | EPT_WRITE | WB, EPTV_WRITE, GONE },
	{ FRAMES | RWX | WB, FRAMES | RWX, EPTV_WRITE, GONE },
	{ FRAMES | RWX | WB, FRAMES | RWX | WB | EPT_IGNORE_PAT, EPTV_WRITE, GONE },
	{ FRAMES | RWX | WB, (FRAMES + PAGE_SIZE) | RWX | WB, EPTV_WRITE, GONE },
	/* one page: bit 7 means nothing */
	{ FRAMES | RWX | WB, FRAMES | RWX | WB | EPT_LEAF, EPTV_WRITE, RWX },
};

static const struct change leaves_with_flags[] = {
	{ FRAMES | RWX | WB | A | D, FRAMES | RWX | WB | A | D, EPTV_WRITE, RWX },
	{ FRAMES | RWX | WB | A | D, FRAMES | RWX | WB | A, EPTV_WRITE, RX },
	{ FRAMES | RWX | WB | A | D, FRAMES | RWX | WB | D, EPTV_WRITE, GONE },
	{ FRAMES | RWX | WB | A, FRAMES | RWX | WB | A | D, EPTV_READ, RX },
	{ FRAMES | RWX | WB | A | D, FRAMES | RD | WB | A | D, EPTV_WRITE, RD },
	{ FRAMES | RWX | WB | A | D, FRAMES | RWX | WB | A | D | BIT(60), EPTV_WRITE, RWX },
};

static const struct change links[] = {
	{ P_PT | RWX | A, P_PT | RWX | A, EPTV_WRITE, RWX },
	{ P_PT | RWX | A, P_PT | RWX, EPTV_WRITE, RWX },
	{ P_PT | RWX | A, P_PT | RWX | A | D, EPTV_WRITE, RWX },
	{ P_PT | RWX | A, P_PT | RD | A, EPTV_WRITE, RD },
	{ P_PT | RWX | A, P_OTHER_PT | RWX | A, EPTV_WRITE, GONE },
	{ P_PT | RWX | A, 0, EPTV_WRITE, GONE },
	{ P_PT | RWX | A, P_PT | EPT_WRITE | A, EPTV_WRITE, GONE },
	{ P_PT | RWX | A, LARGE | RWX | WB | EPT_LEAF | A, EPTV_WRITE, GONE },
	{ LARGE | RWX | WB | EPT_LEAF | A | D, LARGE | RWX | WB | EPT_LEAF | A | D, EPTV_WRITE, RWX },
	{ LARGE | RWX | WB | EPT_LEAF | A | D, LARGE | RD | WB | EPT_LEAF | A | D, EPTV_WRITE, RD },
	{ LARGE | RWX | WB | EPT_LEAF | A | D, P_PT | RWX | A | D, EPTV_WRITE, GONE },
	{ LARGE | RWX | WB | EPT_LEAF | A | D, (LARGE << 1) | RWX | WB | EPT_LEAF | A | D, EPTV_WRITE, GONE },
	/* nothing but what it is has changed: the page was a table, or will be one */
	{ LARGE | RWX | A, LARGE | RWX | A | EPT_LEAF, EPTV_WRITE, GONE },
	{ LARGE | RWX | A | EPT_LEAF, LARGE | RWX | A, EPTV_WRITE, GONE },
};

/* With the mode-based control user mode's permission is one like others, of links and of leaves. */
static const struct change leaves_by_mode[] = {
	{ FRAMES | RWX | U | WB, FRAMES | RWX | U | WB, EPTV_WRITE, RWX | U },
	{ FRAMES | RWX | U | WB, FRAMES | RWX | WB, EPTV_WRITE, RWX },
	{ FRAMES | RWX | U | WB, FRAMES | RD | U | WB, EPTV_WRITE, RD | U },
	{ FRAMES | RD | U | WB, FRAMES | RD | WB, EPTV_READ, RD },
	{ FRAMES | RWX | WB, FRAMES | RWX | U | WB, EPTV_WRITE, RWX },
};

static const struct change links_by_mode[] = {
	{ P_PT | RWX | U, P_PT | RWX | U, EPTV_WRITE, RWX | U },
	{ P_PT | RWX | U, P_PT | RWX, EPTV_WRITE, RWX },
	{ P_PT | RWX | U, P_PT | RD | U, EPTV_WRITE, RD | U },
};

static const struct change links_with_flags[] = {
	{ P_PT | RWX | A, P_PT | RWX | A | D, EPTV_WRITE, RWX },
	{ P_PT | RWX | A, P_PT | RWX, EPTV_WRITE, GONE },
	{ LARGE | RWX | WB | EPT_LEAF | A | D, LARGE | RWX | WB | EPT_LEAF | A, EPTV_WRITE, RX },
	{ LARGE | RWX | WB | EPT_LEAF | A | D, LARGE | RWX | WB | EPT_LEAF | D, EPTV_WRITE, GONE },
};

static void a_leaf_changes(void **state UNUSED)
{
	run_on_ept(0);
	each_change(leaves, ARRAY_SIZE(leaves), P_PT + 20 * 8, BASE + 20 * PAGE_SIZE);
	l1_write64(P_PT + 20 * 8, FRAMES | RWX | WB);
	l1_write64(LARGE + 20 * 8, FRAMES | RWX | WB);
	each_change(links, ARRAY_SIZE(links), P_PD, BASE + 20 * PAGE_SIZE);
}

static void a_leaf_changes_by_mode(void **state UNUSED)
{
	run_on_ept_with(0, PROC2_MODE_BASED_EXECUTE);
	each_change(leaves_by_mode, ARRAY_SIZE(leaves_by_mode), P_PT + 20 * 8, BASE + 20 * PAGE_SIZE);
	l1_write64(P_PT + 20 * 8, FRAMES | RWX | U | WB);
	each_change(links_by_mode, ARRAY_SIZE(links_by_mode), P_PD, BASE + 20 * PAGE_SIZE);
}

static void a_leaf_changes_with_flags(void **state UNUSED)
{
	run_on_ept(EPTP_AD);
	each_change(leaves_with_flags, ARRAY_SIZE(leaves_with_flags), P_PT + 20 * 8, BASE + 20 * PAGE_SIZE);
	l1_write64(P_PT + 20 * 8, FRAMES | RWX | WB | A | D);
	each_change(links_with_flags, ARRAY_SIZE(links_with_flags), P_PD, BASE + 20 * PAGE_SIZE);
}

/* A run of entries that are all filled: whichever has changed goes, and no other. */
static void a_full_run(void **state UNUSED)
{
	run_on_ept(0);
	for (u64 i = 0; i < 128; i++)
		l1_write64(P_PT + i * 8, (FRAMES + i * PAGE_SIZE) | RWX | WB);
	for (u64 i = 0; i < 128; i += 8)
		ept_touch(BASE + i * PAGE_SIZE, EPTV_WRITE);
	/* 128: one that is not among them */
	for (u64 changed = 0; changed <= 128; changed++) {
		EXIT_NOW(.reason = EXIT_CPUID);
		l1_write64(P_PT + changed * 8, 0);
		invept();
		for (u64 i = 0; i < 128; i++)
			assert_int_equal(ept02_allowed(BASE + i * PAGE_SIZE), i == changed ? 0 : RWX);
		if (changed < 128) {
			l1_write64(P_PT + changed * 8, (FRAMES + changed * PAGE_SIZE) | RWX | WB);
			ept_touch(BASE + changed * PAGE_SIZE, EPTV_WRITE);
		}
	}
}

/* A run of links that are as they were: each leads to tables that are looked at all the same. */
static void a_full_run_of_links(void **state UNUSED)
{
	run_on_ept(0);
	for (u64 i = 0; i < 64; i++)
		l1_write64(P_PD + i * 8, P_PT | RWX | A);
	l1_write64(P_PT + 20 * 8, FRAMES | RWX | WB);
	for (u64 i = 0; i < 64; i++)
		ept_touch(BASE + i * SIZE_2M + 20 * PAGE_SIZE, EPTV_WRITE);
	EXIT_NOW(.reason = EXIT_CPUID);
	l1_write64(P_PT + 20 * 8, 0);
	invept();
	for (u64 i = 0; i < 64; i++)
		assert_int_equal(ept02_allowed(BASE + i * SIZE_2M + 20 * PAGE_SIZE), 0);
}

/* A table of L1's in ROM has no flags to set, and no neighbours; after an INVEPT it is read anew. */
static void a_table_in_rom(void **state UNUSED)
{
	run_on_ept(EPTP_AD);
	for (u64 i = 0; i < 512; i++)
		l1_write64(ROM_TABLE + i * 8, (FRAMES + i * PAGE_SIZE) | RWX | WB);
	l1_write64(P_PD, ROM_TABLE | RWX | A);
	ept_touch(BASE + 20 * PAGE_SIZE, EPTV_READ);
	assert_int_equal(ept02_allowed(BASE + 20 * PAGE_SIZE) & RD, RD);
	assert_int_equal(ept02_allowed(BASE + 21 * PAGE_SIZE), 0);
	ept_touch(BASE + 20 * PAGE_SIZE, EPTV_WRITE);
	assert_int_equal(ept02_allowed(BASE + 20 * PAGE_SIZE), RWX);
	assert_int_equal(l1_read64(ROM_TABLE + 20 * 8), (FRAMES + 20 * PAGE_SIZE) | RWX | WB);
	EXIT_NOW(.reason = EXIT_CPUID);
	invept();
	assert_int_equal(ept02_allowed(BASE + 20 * PAGE_SIZE), 0);
	ept_touch(BASE + 20 * PAGE_SIZE, EPTV_WRITE);
	assert_int_equal(ept02_allowed(BASE + 20 * PAGE_SIZE), RWX);
}

/* A directory of L1's in ROM: the violation that ended below it is looked at from above once more. */
static void a_directory_in_rom(void **state UNUSED)
{
	run_on_ept(0);
	l1_write64(ROM_TABLE, P_PT | RWX);
	l1_write64(P_PDPT + 8, ROM_TABLE | RWX);
	EXIT_NOW(.reason = EXIT_EPT_VIOLATION, .qualification = EPTV_WRITE | TRANSLATED,
		 .guest_physical = BASE + 20 * PAGE_SIZE);
	assert_false(machine_in_l2());
	l1_write64(P_PT + 20 * 8, FRAMES | RWX | WB);
	assert_int_equal(l1_enter(EXIT_VMRESUME), 0);
	assert_true(machine_in_l2());
	ept_touch(BASE + 20 * PAGE_SIZE, EPTV_WRITE);
	assert_int_equal(ept02_allowed(BASE + 20 * PAGE_SIZE), RWX);
}

/* Single-context INVEPT goes by the address of the root, and leaves others' entries. */
static void one_context(void **state UNUSED)
{
	u64 pointer;

	run_on_ept(0);
	l1_write64(P_PT + 20 * 8, FRAMES | RWX | WB);
	ept_touch(BASE + 20 * PAGE_SIZE, EPTV_WRITE);
	EXIT_NOW(.reason = EXIT_CPUID);
	assert_int_equal(l1_vmread(VMCS_ept_pointer, &pointer), 0);
	l1_write64(P_PT + 20 * 8, 0);
	assert_int_equal(l1_invalidate(EXIT_INVEPT, INVEPT_SINGLE, pointer + PAGE_SIZE, 0), 0);
	assert_int_equal(l1_enter(EXIT_VMRESUME), 0);
	assert_int_equal(ept02_allowed(BASE + 20 * PAGE_SIZE), RWX);
	EXIT_NOW(.reason = EXIT_CPUID);
	assert_int_equal(l1_invalidate(EXIT_INVEPT, INVEPT_SINGLE, pointer, 0), 0);
	assert_int_equal(l1_enter(EXIT_VMRESUME), 0);
	assert_int_equal(ept02_allowed(BASE + 20 * PAGE_SIZE), 0);
}

/* EPT pointers in turn: each finds its own EPT02 again; with too many the one used least lately is made anew.
 */
static void many_pointers_in_turn(void **state UNUSED)
{
	u64 rebuilds, wanted = EPT02_ROOTS;

	run_on_ept(0);
	EXIT_NOW(.reason = EXIT_CPUID);
	for (u64 i = 0; i < wanted + 1; i++)
		l1_write64(P_ROOTS + i * PAGE_SIZE, P_PDPT | RWX | A);
	for (unsigned int round = 0; round < 2; round++) {
		rebuilds = machine_vcpu->nested.counters.ept02_rebuilds;
		for (u64 i = 0; i < wanted; i++) {
			W(ept_pointer, (P_ROOTS + i * PAGE_SIZE) | 3 << EPTP_WALK_SHIFT | MEMTYPE_WB);
			assert_int_equal(l1_enter(EXIT_VMRESUME), 0);
			EXIT_NOW(.reason = EXIT_CPUID);
		}
		assert_int_equal(machine_vcpu->nested.counters.ept02_rebuilds - rebuilds, round ? 0 : wanted);
	}
	assert_int_equal(nested_resources(machine_vcpu).ept02_roots, wanted);
	/* number 0 is used again, then one more comes: number 1 goes */
	for (unsigned int step = 0; step < 4; step++) {
		static const u64 which[] = { 0, EPT02_ROOTS, 0, 1 };
		static const u64 made[] = { 0, 1, 0, 1 };

		rebuilds = machine_vcpu->nested.counters.ept02_rebuilds;
		W(ept_pointer, (P_ROOTS + which[step] * PAGE_SIZE) | 3 << EPTP_WALK_SHIFT | MEMTYPE_WB);
		assert_int_equal(l1_enter(EXIT_VMRESUME), 0);
		assert_int_equal(machine_vcpu->nested.counters.ept02_rebuilds - rebuilds, made[step]);
		EXIT_NOW(.reason = EXIT_CPUID);
	}
	assert_int_equal(nested_resources(machine_vcpu).ept02_roots, wanted);
	/* nothing is left of those that went: each root has its one table */
	assert_int_equal(nested_resources(machine_vcpu).ept02_tables, wanted);
	/* and when all have gone there is room for others */
	nested_ept01_changed(machine_vcpu);
	assert_int_equal(nested_resources(machine_vcpu).ept02_roots, 0);
	assert_int_equal(l1_enter(EXIT_VMRESUME), 0);
	assert_int_equal(nested_resources(machine_vcpu).ept02_roots, 1);
	/* a pointer names one of them, or none */
	assert_true(ept02_is_in_use(machine_vcpu, machine_field(VMCS_ept_pointer)));
	assert_false(ept02_is_in_use(machine_vcpu, machine_field(VMCS_ept_pointer) + PAGE_SIZE));
	assert_false(ept02_is_in_use(machine_vcpu, 0));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		MACHINE_TEST(a_leaf_changes, ""),
		MACHINE_TEST(a_leaf_changes, "ept-large=off"),
		MACHINE_TEST(a_leaf_changes_with_flags, ""),
		MACHINE_TEST(a_leaf_changes_with_flags, "ept-large=off"),
		MACHINE_TEST_BEFORE(a_leaf_changes_by_mode, "", processor_with_mode_based_execute),
		MACHINE_TEST_BEFORE(a_leaf_changes_by_mode, "ept-large=off",
				    processor_with_mode_based_execute),
		MACHINE_TEST(a_full_run, ""),
		MACHINE_TEST(a_full_run_of_links, ""),
		MACHINE_TEST(a_table_in_rom, ""),
		MACHINE_TEST(a_directory_in_rom, ""),
		MACHINE_TEST(one_context, ""),
		MACHINE_TEST(many_pointers_in_turn, ""),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
