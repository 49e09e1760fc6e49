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
#include "tests/unit/l2_support.h"
#include "vmx/hw/caps.h"
#include "vmx/nested/ept/ept.h"

#define P_PML4 P_EPT
#define P_PDPT (P_EPT + 0x1000)
#define P_PD (P_EPT + 0x2000)
#define P_PT (P_EPT + 0x3000)
#define P_OTHER_PT (P_EPT + 0x4000)
#define TRANSLATED (EPTV_LINEAR_VALID | EPTV_TRANSLATED)
#define BASE 0x40000000ull
#define FRAME (M_SPARE + 0x400000)
#define LARGE 0x1000000ull
#define LINKS (EPT_RWX | EPT_USER_EXEC | EPT_ACCESSED)

#define RD EPT_READ
#define RX (EPT_READ | EPT_EXEC)
#define RWX EPT_RWX
#define U EPT_USER_EXEC
#define A EPT_ACCESSED
#define D EPT_DIRTY
#define WB (MEMTYPE_WB << EPT_MEMTYPE_SHIFT)
#define PAT EPT_IGNORE_PAT

/* The pages of BASE's 2 MiB: what is filled first, what is touched then, far enough apart to be no
 * neighbours. */
#define KEPT (BASE + 20 * PAGE_SIZE)
#define TOUCHED (BASE + 40 * PAGE_SIZE)

static void run_on_ept(u64 flags, u64 proc2)
{
	l1_start_vmx();
	l1_load_vmcs(0);
	l1_write_valid_vmcs();
	l1_write64(P_PML4, P_PDPT | LINKS);
	l1_write64(P_PDPT, LINKS | EPT_LEAF | WB | D);
	l1_write64(P_PDPT + 8, P_PD | LINKS);
	l1_write64(P_PD, P_PT | LINKS);
	for (u64 i = 0; i < 512; i++) {
		l1_write64(P_PT + i * 8, (FRAME + i * PAGE_SIZE) | RWX | WB | A | D);
		l1_write64(P_OTHER_PT + i * 8, (FRAME + (i + 1) * PAGE_SIZE) | RWX | WB | A | D);
	}
	W(ept_pointer, P_PML4 | 3 << EPTP_WALK_SHIFT | MEMTYPE_WB | flags);
	W(proc2_controls, PROC2_EPT | PROC2_UNRESTRICTED_GUEST | proc2);
	assert_int_equal(l1_enter(EXIT_VMLAUNCH), 0);
	assert_true(machine_in_l2());
}

static void touch(u64 gpa, u64 access)
{
	EXIT_NOW(.reason = EXIT_EPT_VIOLATION, .qualification = access | TRANSLATED, .guest_physical = gpa);
	assert_true(machine_in_l2());
}

struct found {
	u64 permissions; /* the AND of all entries; 0: one is missing */
	u64 leaf;
	u64 flags; /* the AND of the links' accessed flags */
	unsigned int level;
};

static struct found look(u64 gpa)
{
	u64 entry = machine_field(VMCS_ept_pointer);
	struct found found = { .permissions = EPT_PERMISSIONS, .flags = A };

	for (found.level = 4; found.level > 0; found.level--) {
		entry = l1_read64((entry & EPT_ADDRESS) + ept_index(gpa, found.level) * 8);
		found.permissions &= entry;
		found.flags &= entry;
		if (!(entry & EPT_PERMISSIONS) || ept_is_leaf(entry, found.level))
			break;
	}
	found.leaf = entry;
	return found;
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
		touch(KEPT, EPTV_READ);
		touch(TOUCHED, EPTV_READ);
		assert_true(look(KEPT).permissions & look(TOUCHED).permissions & RD);
		l1_write64(P_PD, changes[i].after);
		touch(TOUCHED, changes[i].access);
		kept = look(KEPT).permissions & RWX;
		if (kept != changes[i].kept)
			fail_msg("change %zu: %llx", i, (unsigned long long)kept);
		assert_true(look(TOUCHED).permissions & (changes[i].access & EPTV_WRITE ? EPT_WRITE : RD));
		assert_int_equal(look(TOUCHED).leaf & (EPT_MEMTYPE | PAT),
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
	touch(KEPT, EPTV_READ);
	for (unsigned int n = 0; n < 3; n++) {
		touch(TOUCHED + n * SIZE_2M, EPTV_FETCH | EPTV_USER);
		for (unsigned int m = 0; m <= n; m++) {
			struct found found = look(TOUCHED + m * SIZE_2M);

			assert_int_equal(found.level, 1);
			assert_int_equal(found.permissions, EPT_PERMISSIONS);
			assert_int_equal(found.leaf & EPT_ADDRESS, TOUCHED - BASE + m * SIZE_2M);
			assert_int_equal(found.flags, A);
		}
		assert_int_equal(look(KEPT).permissions, EPT_PERMISSIONS);
	}
	/* and an INVEPT finds nothing of them changed, whatever is in the page itself */
	for (u64 i = 0; i < 512; i++)
		l1_write64(i * 8, 0);
	EXIT_NOW(.reason = EXIT_CPUID);
	assert_int_equal(l1_invalidate(EXIT_INVEPT, INVEPT_ALL, 0, 0), 0);
	assert_int_equal(l1_enter(EXIT_VMRESUME), 0);
	assert_int_equal(look(KEPT).permissions, EPT_PERMISSIONS);
	/* all of it goes with L1's entry */
	EXIT_NOW(.reason = EXIT_CPUID);
	l1_write64(P_PDPT + 8, RX | EPT_LEAF | WB | A | D);
	assert_int_equal(l1_invalidate(EXIT_INVEPT, INVEPT_ALL, 0, 0), 0);
	assert_int_equal(l1_enter(EXIT_VMRESUME), 0);
	assert_int_equal(look(KEPT).permissions, RX);
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
	touch(BASE + 8 * PAGE_SIZE, EPTV_WRITE);
	assert_int_equal(look(BASE + 8 * PAGE_SIZE).leaf & EPT_ADDRESS, M_WINDOW - PAGE_SIZE);
	for (u64 n = 9; n < 12; n++)
		assert_int_equal(look(BASE + n * PAGE_SIZE).permissions, 0);
}

/* The page of ones is in the window. L1 may guess where: it is no neighbour of what is not there. */
static void a_neighbour_that_is_the_page_of_ones(void **state UNUSED)
{
	u64 ones = page_phys(machine_vcpu->nested.ept->absent).v;

	run_on_ept(0, 0);
	l1_write64(P_PT + 8 * 8, (M_WINDOW + 0x3000) | RWX | WB);
	l1_write64(P_PT + 9 * 8, ones | RWX | WB);
	touch(BASE + 8 * PAGE_SIZE, EPTV_WRITE);
	assert_int_equal(look(BASE + 8 * PAGE_SIZE).leaf & EPT_ADDRESS, ones);
	assert_int_equal(look(BASE + 8 * PAGE_SIZE).leaf & (EPT_MEMTYPE | PAT), WB | PAT);
	assert_int_equal(look(BASE + 9 * PAGE_SIZE).permissions, 0);
	EXIT_NOW(.reason = EXIT_MTF);
	touch(BASE + 9 * PAGE_SIZE, EPTV_READ);
	assert_int_equal(look(BASE + 9 * PAGE_SIZE).permissions & RWX, RX);
	assert_int_equal(look(BASE + 8 * PAGE_SIZE).permissions, 0);
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

static void processor_with_mode_based_execute(void)
{
	fake_msr_set(MSR_IA32_VMX_EPT_VPID_CAP, fake_msr_get(MSR_IA32_VMX_EPT_VPID_CAP) | EPT_CAP_ADVANCED);
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
