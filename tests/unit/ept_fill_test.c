/* SPDX-License-Identifier: MIT */
/*
 * One entry of EPT02 and the links on the way to it: what is made, what is kept of the tables below when L1
 * has changed its entries and flushed nothing, and what is filled beside the page that L2 touched. A large
 * page of L1's is in pieces wherever EPT01 is (ept-large=off). SDM: "EPT Translation Mechanism".
 */
#include "tests/unit/cmocka_all.h"

#include "kernel/msr.h"
#include "kernel/x86.h"
#include "mm/page_alloc.h"
#include "tests/unit/ept_support.h"
#include "vmx/hw/caps.h"
#include "vmx/nested/ept/ept.h"

#define P_OTHER_PT (P_EPT + 0x4000)
#define LARGE 0x1000000ull
#define LINKS (EPT_RWX | EPT_USER_EXEC | EPT_ACCESSED)

#define RD EPT_READ
#define RX (EPT_READ | EPT_EXEC)
#define RWX EPT_RWX
#define U EPT_USER_EXEC
#define A EPT_ACCESSED
#define D EPT_DIRTY
#define PAT EPT_IGNORE_PAT

/* The pages of BASE's 2 MiB: what is filled first, what is touched then, far enough apart to be no
 * neighbours. */
#define KEPT (BASE + 20 * PAGE_SIZE)
#define TOUCHED (BASE + 40 * PAGE_SIZE)

static void run_on_ept(u64 flags, u64 proc2)
{
	ept_make(LINKS, LINKS | D);
	ept_fill_table(P_PT, FRAMES, RWX | WB | A | D);
	ept_fill_table(P_OTHER_PT, FRAMES + PAGE_SIZE, RWX | WB | A | D);
	ept_run(flags, proc2);
}

/* ---- the table below, when its link is looked at again ---- */

struct change {
	u64 before, after; /* of P_PD's entry */
	u64 access;	   /* that does not get along with what was made of `before` */
	u64 kept;	   /* permissions of the other page then; 0: its table went */
};

/* Nothing tells L0 of a change but the violation that follows. */
static void each_change(const struct change *changes, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		u64 kept;

		EXIT_NOW(.reason = EXIT_CPUID);
		l1_write64(P_PD, changes[i].before);
		assert_int_equal(l1_invalidate(EXIT_INVEPT, INVEPT_ALL, 0, 0), 0);
		nested_ept01_changed(machine_vcpu);
		assert_int_equal(l1_enter(EXIT_VMRESUME), 0);
		ept_touch(KEPT, EPTV_READ);
		ept_touch(TOUCHED, EPTV_READ);
		assert_true(ept02_look(KEPT).permissions & ept02_look(TOUCHED).permissions & RD);
		l1_write64(P_PD, changes[i].after);
		ept_touch(TOUCHED, changes[i].access);
		kept = ept02_look(KEPT).permissions & RWX;
		if (kept != changes[i].kept)
			fail_msg("change %zu: %llx", i, (unsigned long long)kept);
		assert_true(ept02_look(TOUCHED).permissions &
			    (changes[i].access & EPTV_WRITE ? EPT_WRITE : RD));
		assert_int_equal(ept02_look(TOUCHED).entry & (EPT_MEMTYPE | PAT),
				 changes[i].after & EPT_LEAF ? changes[i].after & (EPT_MEMTYPE | PAT) : WB);
	}
}

#define LEAF (LARGE | WB | EPT_LEAF | A)

static const struct change tables[] = {
	{ P_PT | RD | A, P_PT | RWX | A, EPTV_WRITE, RWX },
	{ P_PT | RD | A, P_PT | RWX | A | BIT(52), EPTV_WRITE, RWX },
	{ P_PT | RD | A, P_OTHER_PT | RWX | A, EPTV_WRITE, 0 },
};

/* The other pieces have all permissions: what L1's entry has is the link's. */
static const struct change pieces[] = {
	{ LEAF | RD, LEAF | RWX, EPTV_WRITE, RWX },
	{ LEAF | RD, LEAF | RWX | BIT(52), EPTV_WRITE, RWX },
	{ LEAF | RD, (LEAF | RWX) + LARGE, EPTV_WRITE, 0 },
	{ LEAF | RD, (LEAF | RWX) & ~(u64)EPT_MEMTYPE, EPTV_WRITE, 0 },
	{ LEAF | RD, LEAF | RWX | PAT, EPTV_WRITE, 0 },
	{ LEAF | RD, P_PT | RWX | A, EPTV_WRITE, 0 },
	{ P_PT | RD | A, LEAF | RWX, EPTV_WRITE, 0 },
};

/* The first write sets L1's dirty flag, and may follow then everywhere. */
static const struct change pieces_with_flags[] = {
	{ LEAF | RWX, LEAF | RWX, EPTV_WRITE, RWX },
	{ LEAF | RWX | D, LEAF | RWX | D, EPTV_WRITE, RWX },
	{ LEAF | RX | D, LEAF | RWX | D, EPTV_WRITE, RWX },
};

static void a_table_below(void **state UNUSED)
{
	run_on_ept(0, 0);
	each_change(tables, ARRAY_SIZE(tables));
}

static void pieces_below(void **state UNUSED)
{
	run_on_ept(0, 0);
	each_change(pieces, ARRAY_SIZE(pieces));
}

static void pieces_below_with_flags(void **state UNUSED)
{
	run_on_ept(EPTP_AD, 0);
	each_change(pieces_with_flags, ARRAY_SIZE(pieces_with_flags));
}

/* 1 GiB in pieces: two tables that stand for nothing of L1's, and a second page leaves the first where it is.
 */
static void a_gigabyte_in_pieces(void **state UNUSED)
{
	run_on_ept(0, PROC2_MODE_BASED_EXECUTE);
	l1_write64(P_PDPT + 8, RWX | U | EPT_LEAF | WB | A | D);
	ept_touch(KEPT, EPTV_READ);
	for (unsigned int n = 0; n < 3; n++) {
		ept_touch(TOUCHED + n * SIZE_2M, EPTV_FETCH | EPTV_USER);
		for (unsigned int m = 0; m <= n; m++) {
			struct ept02_found found = ept02_look(TOUCHED + m * SIZE_2M);

			assert_int_equal(found.level, 1);
			assert_int_equal(found.permissions, EPT_PERMISSIONS);
			assert_int_equal(found.entry & EPT_ADDRESS, TOUCHED - BASE + m * SIZE_2M);
			assert_int_equal(found.flags, A);
		}
		assert_int_equal(ept02_look(KEPT).permissions, EPT_PERMISSIONS);
	}
	/* and an INVEPT finds nothing of them changed, whatever is in the page itself */
	for (u64 i = 0; i < 512; i++)
		l1_write64(i * 8, 0);
	EXIT_NOW(.reason = EXIT_CPUID);
	assert_int_equal(l1_invalidate(EXIT_INVEPT, INVEPT_ALL, 0, 0), 0);
	assert_int_equal(l1_enter(EXIT_VMRESUME), 0);
	assert_int_equal(ept02_look(KEPT).permissions, EPT_PERMISSIONS);
	/* all of it goes with L1's entry */
	EXIT_NOW(.reason = EXIT_CPUID);
	l1_write64(P_PDPT + 8, RX | EPT_LEAF | WB | A | D);
	assert_int_equal(l1_invalidate(EXIT_INVEPT, INVEPT_ALL, 0, 0), 0);
	assert_int_equal(l1_enter(EXIT_VMRESUME), 0);
	assert_int_equal(ept02_look(KEPT).permissions, RX);
}

/* ---- beside the page ---- */

/* EPT01's piece ends where L0's window begins: a neighbour that leads there is not filled with it. */
static void a_neighbour_in_the_window(void **state UNUSED)
{
	run_on_ept(0, 0);
	l1_write64(P_PT + 8 * 8, (M_WINDOW - PAGE_SIZE) | RWX | WB);
	for (u64 n = 0; n < 3; n++)
		l1_write64(P_PT + (9 + n) * 8, (M_WINDOW + n * PAGE_SIZE) | RWX | WB);
	l1_write64(P_PT + 12 * 8, (M_WINDOW - 2 * PAGE_SIZE) | RWX | WB);
	ept_touch(BASE + 8 * PAGE_SIZE, EPTV_WRITE);
	assert_int_equal(ept02_look(BASE + 8 * PAGE_SIZE).entry & EPT_ADDRESS, M_WINDOW - PAGE_SIZE);
	for (u64 n = 9; n < 12; n++)
		assert_int_equal(ept02_look(BASE + n * PAGE_SIZE).permissions, 0);
}

/* The page of ones is in the window. L1 may guess where: it is no neighbour of what is not there. */
static void a_neighbour_that_is_the_page_of_ones(void **state UNUSED)
{
	u64 ones = page_phys(machine_vcpu->nested.ept->absent).v;

	run_on_ept(0, 0);
	l1_write64(P_PT + 8 * 8, (M_WINDOW + 0x3000) | RWX | WB);
	l1_write64(P_PT + 9 * 8, ones | RWX | WB);
	ept_touch(BASE + 8 * PAGE_SIZE, EPTV_WRITE);
	assert_int_equal(ept02_look(BASE + 8 * PAGE_SIZE).entry & EPT_ADDRESS, ones);
	assert_int_equal(ept02_look(BASE + 8 * PAGE_SIZE).entry & (EPT_MEMTYPE | PAT), WB | PAT);
	assert_int_equal(ept02_look(BASE + 9 * PAGE_SIZE).permissions, 0);
	EXIT_NOW(.reason = EXIT_MTF);
	ept_touch(BASE + 9 * PAGE_SIZE, EPTV_READ);
	assert_int_equal(ept02_look(BASE + 9 * PAGE_SIZE).permissions & RWX, RX);
	assert_int_equal(ept02_look(BASE + 8 * PAGE_SIZE).permissions, 0);
}

/* ---- L1's tables ---- */

/* What is remembered of where tables are is of these tables, the one at address 0 among them. */
static void each_table_in_its_place(void **state UNUSED)
{
	static const u64 at[] = { 0x40000, 0, 0x80000, 0x1000, 0x41000, 0, 0x40000 };

	for (size_t i = 0; i < 3 * ARRAY_SIZE(at); i++)
		assert_ptr_equal(ept12_page(machine_vcpu, at[i % ARRAY_SIZE(at)]),
				 fake_memory + at[i % ARRAY_SIZE(at)]);
	assert_null(ept12_page(machine_vcpu, M_WINDOW));
	assert_null(ept12_page(machine_vcpu, M_WINDOW));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		MACHINE_TEST(a_table_below, ""),
		MACHINE_TEST(a_table_below, "ept-large=off"),
		MACHINE_TEST(pieces_below, "ept-large=off"),
		MACHINE_TEST(pieces_below_with_flags, "ept-large=off"),
		MACHINE_TEST_BEFORE(a_gigabyte_in_pieces, "ept-large=off", processor_with_mode_based_execute),
		MACHINE_TEST(a_neighbour_in_the_window, ""),
		MACHINE_TEST(a_neighbour_that_is_the_page_of_ones, ""),
		MACHINE_TEST(each_table_in_its_place, ""),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
