/* SPDX-License-Identifier: MIT */
/*
 * Which EPT02 an L2 runs on when VMCSs take turns on one CPU, and when all that the last entry knew still
 * holds: L2s of one VPID, and a processor whose VPIDs Socle does not use, for there an entry may find that
 * nothing has to be looked up. SDM: "EPT Translation Mechanism", "Caching Translation Information".
 */
#include "tests/unit/cmocka_all.h"

#include "kernel/msr.h"
#include "kernel/x86.h"
#include "tests/unit/ept_support.h"
#include "vmx/l1/vm.h"
#include "vmx/nested/ept/ept.h"

/* Each EPT12 has four tables of its own, and maps the page at BASE to one of its own. */
#define TABLES(n) (P_EPT + (n)*0x4000ull)
#define FRAME(n) (M_SPARE + 0x400000 + (n)*PAGE_SIZE)
#define LEAF_OF(n) (TABLES(n) + 0x3000)
#define NO_EPT 9u

static u64 pointer(unsigned int n)
{
	return TABLES(n) | 3 << EPTP_WALK_SHIFT | MEMTYPE_WB;
}

static void make_tables(unsigned int n)
{
	l1_write64(TABLES(n), (TABLES(n) + 0x1000) | EPT_RWX);
	l1_write64(TABLES(n) + 0x1000, EPT_RWX | EPT_LEAF | WB);
	l1_write64(TABLES(n) + 0x1008, (TABLES(n) + 0x2000) | EPT_RWX);
	l1_write64(TABLES(n) + 0x2000, LEAF_OF(n) | EPT_RWX);
	l1_write64(LEAF_OF(n), FRAME(n) | EPT_RWX | WB);
}

/* What the VMCS that is current says of EPT. */
static void choose(unsigned int ept)
{
	if (ept == NO_EPT) {
		W(proc2_controls, R(proc2_controls) & ~(u64)(PROC2_EPT | PROC2_UNRESTRICTED_GUEST));
		return;
	}
	W(ept_pointer, pointer(ept));
	W(proc2_controls, R(proc2_controls) | PROC2_EPT | PROC2_UNRESTRICTED_GUEST);
}

/* VMCSs 0 to `count` - 1 have run once, each with the EPT12 of its number, all with one VPID. */
static void start(unsigned int count)
{
	l1_start_vmx();
	for (unsigned int n = 0; n < 8; n++)
		make_tables(n);
	for (unsigned int n = 0; n < count; n++) {
		l1_load_vmcs(n);
		l1_write_valid_vmcs();
		W(vpid, 5);
		W(proc2_controls, PROC2_VPID);
		choose(n);
		assert_int_equal(l1_enter(EXIT_VMLAUNCH), 0);
		assert_true(machine_in_l2());
		EXIT_NOW(.reason = EXIT_CPUID);
	}
}

static void turn_to(unsigned int n)
{
	assert_int_equal(l1_memory_insn(EXIT_VMPTRLD, M_VMCS(n)), 0);
	ept_resume();
}

/* Where L2's page leads by the tables that it runs on; 0: nowhere yet. */
static u64 leads_to(u64 gpa)
{
	return ept02_leaf(gpa) & EPT_ADDRESS;
}

/* L2 runs on the tables of this EPT12 and of no other, and what it touches there becomes part of them. */
static void assert_runs_on(unsigned int ept)
{
	if (ept == NO_EPT) {
		assert_int_equal(machine_field(VMCS_ept_pointer), vm.ept01_pointer);
		return;
	}
	assert_true(!leads_to(BASE) || leads_to(BASE) == FRAME(ept));
	ept_touch(BASE, EPTV_READ);
	assert_int_equal(leads_to(BASE), FRAME(ept));
}

static void leave(void)
{
	EXIT_NOW(.reason = EXIT_CPUID);
	assert_false(machine_in_l2());
}

static void in_turn(void **state UNUSED)
{
	static const unsigned int turns[] = { 0, 0, 1, 0, 2, 2, 1, 1, 0, 3, 0, 3, 3, 1 };

	start(4);
	assert_int_equal(l1_memory_insn(EXIT_VMPTRLD, M_VMCS(3)), 0);
	choose(NO_EPT);
	for (size_t i = 0; i < 3 * ARRAY_SIZE(turns); i++) {
		unsigned int n = turns[i % ARRAY_SIZE(turns)];

		turn_to(n);
		/* in every second round nothing is touched: what an entry finds is what the last one left */
		if (i / ARRAY_SIZE(turns) != 1)
			assert_runs_on(n == 3 ? NO_EPT : n);
		leave();
	}
}

/* Nothing but the EPT pointer, or a control that shapes the tables, changes between two entries. */
static void l1_chooses_another(void **state UNUSED)
{
	static const unsigned int chosen[] = { 0, 1, 2, 2, NO_EPT, 2, NO_EPT, NO_EPT, 0 };

	start(1);
	for (size_t i = 0; i < ARRAY_SIZE(chosen); i++) {
		choose(chosen[i]);
		ept_resume();
		assert_runs_on(chosen[i]);
		leave();
		ept_resume();
		assert_runs_on(chosen[i]);
		leave();
	}
}

static void mode_based_execute(void **state UNUSED)
{
	start(1);
	l1_write64(TABLES(0), (TABLES(0) + 0x1000) | EPT_PERMISSIONS);
	l1_write64(TABLES(0) + 0x1008, (TABLES(0) + 0x2000) | EPT_PERMISSIONS);
	l1_write64(TABLES(0) + 0x2000, LEAF_OF(0) | EPT_PERMISSIONS);
	l1_write64(LEAF_OF(0), FRAME(0) | EPT_READ | EPT_USER_EXEC | WB);
	for (unsigned int i = 0; i < 4; i++) {
		u64 control = i & 1 ? PROC2_MODE_BASED_EXECUTE : 0;

		W(proc2_controls, (R(proc2_controls) & ~(u64)PROC2_MODE_BASED_EXECUTE) | control);
		ept_resume();
		EXIT_NOW(.reason = EXIT_EPT_VIOLATION, .qualification = EPTV_FETCH | EPTV_USER | TRANSLATED,
			 .guest_physical = BASE);
		assert_int_equal(machine_in_l2(), i & 1);
		if (i & 1)
			leave();
	}
}

/* L1 repairs one L2's violation, and another L2 runs in between: each gets its own entries. */
static void a_repair_meets_its_own_tables(void **state UNUSED)
{
	start(2);
	for (unsigned int between = 0; between < 2; between++) {
		assert_int_equal(l1_invalidate(EXIT_INVEPT, INVEPT_ALL, 0, 0), 0);
		l1_write64(LEAF_OF(0), 0);
		turn_to(0);
		EXIT_NOW(.reason = EXIT_EPT_VIOLATION, .qualification = EPTV_READ | TRANSLATED,
			 .guest_physical = BASE);
		assert_false(machine_in_l2());
		l1_write64(LEAF_OF(0), FRAME(0) | EPT_RWX | WB);
		if (between) {
			turn_to(1);
			assert_true(!leads_to(BASE) || leads_to(BASE) == FRAME(1));
			leave();
		}
		turn_to(0);
		assert_int_equal(leads_to(BASE), between ? 0 : FRAME(0));
		assert_runs_on(0);
		leave();
	}
}

/*
 * All EPT02s go, and one is made again in its old place with another root table. A VMCS that named it before
 * finds it there by its hint, with the pointer that it has now.
 */
static void made_again_with_another_root_table(void **state UNUSED)
{
	u64 before, now;

	start(3);
	assert_int_equal(l1_memory_insn(EXIT_VMPTRLD, M_VMCS(1)), 0);
	choose(0);
	turn_to(1);
	leave();
	turn_to(0);
	before = machine_field(VMCS_ept_pointer);
	leave();
	/* two others are made first, and go: the list of free tables has another order */
	nested_ept01_changed(machine_vcpu);
	assert_int_equal(l1_memory_insn(EXIT_VMPTRLD, M_VMCS(2)), 0);
	for (unsigned int n = 2; n < 4; n++) {
		choose(n);
		ept_resume();
		leave();
	}
	nested_ept01_changed(machine_vcpu);
	turn_to(1);
	now = machine_field(VMCS_ept_pointer);
	assert_int_not_equal(now, before);
	leave();
	turn_to(0);
	assert_int_equal(machine_field(VMCS_ept_pointer), now);
	assert_runs_on(0);
}

#define MACHINE_TEST_VPID(test) MACHINE_TEST(test, "vpid=on"), MACHINE_TEST(test, "vpid=off")

/* ---- what ends the knowledge that EPT pointer and VPID stand in vmcs02 ---- */

/* From now on entries of the VMCS that is current do not look. */
static void settle(void)
{
	for (unsigned int n = 0; n < 3; n++) {
		ept_resume();
		leave();
	}
	assert_int_equal(machine_vcpu->nested.current->translation, machine_vcpu->nested.translations);
}

static void run_and_settle(void)
{
	start(2);
	turn_to(0);
	assert_runs_on(0);
	leave();
	settle();
}

static void an_invept_is_looked_at(void **state UNUSED)
{
	run_and_settle();
	l1_write64(LEAF_OF(0), FRAME(7) | EPT_RWX | WB);
	assert_int_equal(l1_invalidate(EXIT_INVEPT, INVEPT_SINGLE, pointer(0), 0), 0);
	ept_resume();
	assert_int_equal(leads_to(BASE), 0);
}

/* What L1 has repaired is filled before L2 faults on it again. */
static void a_repair_is_looked_at(void **state UNUSED)
{
	run_and_settle();
	l1_write64(LEAF_OF(0) + 8, 0);
	ept_resume();
	EXIT_NOW(.reason = EXIT_EPT_VIOLATION, .qualification = EPTV_READ | TRANSLATED,
		 .guest_physical = BASE + PAGE_SIZE);
	assert_false(machine_in_l2());
	l1_write64(LEAF_OF(0) + 8, FRAME(6) | EPT_RWX | WB);
	ept_resume();
	assert_int_equal(leads_to(BASE + PAGE_SIZE), FRAME(6));
}

/* L2's write at this page is L1's violation. */
static void violate(u64 address)
{
	ept_resume();
	EXIT_NOW(.reason = EXIT_EPT_VIOLATION, .qualification = EPTV_WRITE | TRANSLATED,
		 .guest_physical = address);
	assert_false(machine_in_l2());
	assert_int_equal(R(exit_reason), EXIT_EPT_VIOLATION);
}

/* L1 repairs it by another table, another large page, or none: the way there is looked at from the top. */
static void a_repair_above_the_page(void **state UNUSED)
{
	u64 page = BASE + 2 * PAGE_SIZE, table = TABLES(0) + 0x2000;

	run_and_settle();
	violate(page);
	/* in the table that was, a leaf that must not count any more */
	l1_write64(LEAF_OF(0) + 16, FRAME(5) | EPT_RWX | WB);
	l1_write64(LEAF_OF(3) + 16, FRAME(6) | EPT_RWX | WB);
	l1_write64(table, LEAF_OF(3) | EPT_RWX);
	ept_resume();
	assert_int_equal(leads_to(page), FRAME(6));
	leave();
	violate(page + PAGE_SIZE);
	l1_write64(LEAF_OF(3) + 24, FRAME(5) | EPT_RWX | WB);
	l1_write64(TABLES(0) + 0x1008, 0);
	ept_resume();
	assert_int_equal(leads_to(page + PAGE_SIZE), 0);
	leave();
	/* the last entry that was read is a table's now */
	violate(page + SIZE_1G);
	l1_write64(TABLES(4) + 0x2000, LEAF_OF(4) | EPT_RWX);
	l1_write64(LEAF_OF(4) + 16, FRAME(4) | EPT_RWX | WB);
	l1_write64(TABLES(0) + 0x1010, (TABLES(4) + 0x2000) | EPT_RWX);
	ept_resume();
	assert_int_equal(leads_to(page + SIZE_1G), FRAME(4));
}

/* A table above that lets L2 read alone. */
static void a_repair_without_permission(void **state UNUSED)
{
	u64 page = BASE + 2 * PAGE_SIZE;

	start(1);
	l1_write64(TABLES(0) + 0x2000, LEAF_OF(0) | EPT_READ | EPT_EXEC);
	violate(page);
	l1_write64(LEAF_OF(0) + 16, FRAME(5) | EPT_RWX | WB);
	ept_resume();
	assert_int_equal(leads_to(page), 0);
}

static void another_vmcs_is_looked_at(void **state UNUSED)
{
	run_and_settle();
	turn_to(1);
	leave();
	settle();
	turn_to(0);
	assert_ptr_equal(machine_vcpu->nested.ept->active, machine_vcpu->nested.current->ept02);
	assert_runs_on(0);
}

static void the_end_of_an_ept02_is_looked_at(void **state UNUSED)
{
	u64 rebuilds;

	run_and_settle();
	rebuilds = machine_vcpu->nested.counters.ept02_rebuilds;
	nested_ept01_changed(machine_vcpu);
	ept_resume();
	assert_int_equal(machine_vcpu->nested.counters.ept02_rebuilds, rebuilds + 1);
	assert_runs_on(0);
}

static void an_invvpid_is_looked_at(void **state UNUSED)
{
	u64 flushes;

	run_and_settle();
	assert_int_equal(l1_invalidate(EXIT_INVVPID, INVVPID_ALL, 0, 0), 0);
	flushes = machine_vcpu->nested.counters.vpid_flushes;
	ept_resume();
	assert_int_equal(machine_vcpu->nested.counters.vpid_flushes, flushes + 1);
}

/* Without a VPID of L1's each entry flushes. */
static void without_vpid_each_entry_looks(void **state UNUSED)
{
	u64 flushes;

	start(1);
	W(proc2_controls, R(proc2_controls) & ~(u64)PROC2_VPID);
	for (unsigned int n = 0; n < 4; n++) {
		flushes = machine_vcpu->nested.counters.vpid_flushes;
		ept_resume();
		assert_int_equal(machine_vcpu->nested.counters.vpid_flushes, flushes + 2);
		leave();
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		MACHINE_TEST_VPID(in_turn),
		MACHINE_TEST_VPID(l1_chooses_another),
		MACHINE_TEST_BEFORE(mode_based_execute, "vpid=on", processor_with_mode_based_execute),
		MACHINE_TEST_BEFORE(mode_based_execute, "vpid=off", processor_with_mode_based_execute),
		MACHINE_TEST_VPID(a_repair_meets_its_own_tables),
		MACHINE_TEST_VPID(made_again_with_another_root_table),
		MACHINE_TEST_BOTH(an_invept_is_looked_at),
		MACHINE_TEST_BOTH(a_repair_is_looked_at),
		MACHINE_TEST_BOTH(a_repair_above_the_page),
		MACHINE_TEST_BOTH(a_repair_without_permission),
		MACHINE_TEST_BOTH(another_vmcs_is_looked_at),
		MACHINE_TEST_BOTH(the_end_of_an_ept02_is_looked_at),
		MACHINE_TEST_BOTH(an_invvpid_is_looked_at),
		MACHINE_TEST_BOTH(without_vpid_each_entry_looks),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
