/* SPDX-License-Identifier: MIT */
/*
 * L2 at memory that is no plain RAM: the window, what is mapped when it is first touched, a sleep register's
 * page, a closed page. By each kind of access, with and without EPT12: where it leads, whether the
 * instruction is stepped, and what is left behind the step. SDM: "Monitor Trap Flag", "EPT Violations".
 */
#include "tests/unit/cmocka_all.h"

#include "drivers/acpi_sleep.h"
#include "kernel/msr.h"
#include "kernel/x86.h"
#include "mm/page_alloc.h"
#include "tests/unit/ept_support.h"
#include "vmx/hw/caps.h"
#include "vmx/l1/closed.h"
#include "vmx/l1/sleep_page.h"
#include "vmx/l1/vm.h"
#include "vmx/nested/ept/ept.h"

#define HOLE (M_WINDOW + 0x3000)
#define DEVICE 0x4000000000ull	   /* above RAM: EPT01 has it from the first access on */
#define SLEEP_PAGE 0x5000000000ull /* the same, and a sleep register is there */
#define CLOSED (M_SPARE + 0x300000)

static bool may_pass;
static u32 asked;

static bool ask(struct vcpu *vcpu UNUSED, gpa_t gpa, u32 access)
{
	assert_int_equal(gpa.v, CLOSED);
	asked = access;
	return may_pass;
}

static void add_register(void)
{
	static const struct acpi_sleep sleep = { .control = { SLEEP_MEMORY, SLEEP_PAGE + 0x10, 1 } };

	sleep_add_pages(&sleep);
}

/* 64-bit L2: 1 GiB as it is; from BASE page n is whatever map() says. */
static void run_l2(bool ept, u64 proc)
{
	ept_make(EPT_RWX, EPT_RWX);
	W(proc_controls, R(proc_controls) | proc);
	if (ept) {
		ept_run(0, 0);
		return;
	}
	assert_int_equal(l1_enter(EXIT_VMLAUNCH), 0);
	assert_true(machine_in_l2());
}

static void map(u64 n, u64 gpa)
{
	l1_write64(P_PT + n * 8, gpa | EPT_RWX | WB);
}

static u64 page_of_ones(void)
{
	return page_phys(machine_vcpu->nested.ept->absent).v;
}

static void violation(u64 gpa, u64 bits)
{
	machine_set_field(VMCS_guest_interruptibility, 0);
	EXIT_NOW(.reason = EXIT_EPT_VIOLATION, .qualification = bits | TRANSLATED, .guest_physical = gpa,
		 .guest_linear = gpa);
	assert_true(machine_in_l2());
}

static bool is_stepped(void)
{
	return machine_field(VMCS_proc_controls) & PROC_MTF;
}

static u64 steps(void)
{
	return nested_resources(machine_vcpu).steps;
}

/* ---- each kind of memory by each access ---- */

enum where { ITSELF, ONES };

static const struct {
	const char *name;
	u64 gpa;
	struct {
		enum where where;
		u64 permissions; /* of EPT02's leaf */
		bool stepped, stepped01;
	} read, write;
} memory[] = {
	{ "window", HOLE, { ONES, EPT_READ | EPT_EXEC, false, true }, { ONES, EPT_RWX, true, true } },
	{ "device", DEVICE, { ITSELF, EPT_RWX, false, false }, { ITSELF, EPT_RWX, false, false } },
	/* not by a plain store: there is none at RIP */
	{ "sleep", SLEEP_PAGE, { ITSELF, EPT_READ | EPT_EXEC, false, false }, { ONES, EPT_RWX, true, true } },
};

static void access_each(bool ept, bool write, u64 bits)
{
	for (size_t i = 0; i < ARRAY_SIZE(memory); i++) {
		enum where where = write ? memory[i].write.where : memory[i].read.where;
		u64 permissions = write ? memory[i].write.permissions : memory[i].read.permissions;
		bool stepped = ept ? (write ? memory[i].write.stepped : memory[i].read.stepped)
				   : (write ? memory[i].write.stepped01 : memory[i].read.stepped01);
		u64 at = ept ? BASE + i * PAGE_SIZE : memory[i].gpa;

		violation(at, bits | EPTV_NMI_UNBLOCKING);
		assert_int_equal(machine_field(VMCS_guest_interruptibility), INTERRUPTIBILITY_NMI);
		if (is_stepped() != stepped || steps() != stepped)
			fail_msg("%s: stepped %d", memory[i].name, is_stepped());
		if (ept && (ept02_leaf(at) & EPT_RWX) != permissions)
			fail_msg("%s: %llx", memory[i].name, (unsigned long long)ept02_leaf(at));
		if (ept || stepped)
			assert_int_equal(ept02_leaf(at) & EPT_ADDRESS &
						 ~(u64)(where == ITSELF ? SIZE_1G - 1 : 0),
					 where == ONES ? page_of_ones() : memory[i].gpa & ~(SIZE_1G - 1));
		if (stepped) {
			EXIT_NOW(.reason = EXIT_MTF);
			assert_true(machine_in_l2());
			assert_int_equal(steps(), 0);
			assert_true(!ept02_leaf(at) || (ept02_leaf(at) & EPT_ADDRESS) != page_of_ones());
		}
		assert_false(is_stepped());
		violation(at, bits);
		assert_int_equal(machine_field(VMCS_guest_interruptibility), 0);
		if (stepped)
			EXIT_NOW(.reason = EXIT_MTF);
	}
}

static void by_each_access(bool ept)
{
	run_l2(ept, 0);
	for (size_t i = 0; i < ARRAY_SIZE(memory); i++)
		map(i, memory[i].gpa);
	access_each(ept, false, EPTV_READ);
	access_each(ept, false, EPTV_FETCH);
	access_each(ept, true, EPTV_WRITE);
	access_each(ept, true, EPTV_READ | EPTV_WRITE);
}

static void with_ept(void **state UNUSED)
{
	by_each_access(true);
}

static void without_ept(void **state UNUSED)
{
	by_each_access(false);
}

/* ---- steps ---- */

/* An instruction under way over absent memory comes by a device that nobody has touched: it finds it. */
static void a_device_in_the_middle_of_a_step(void **state UNUSED)
{
	run_l2(false, 0);
	violation(HOLE, EPTV_WRITE);
	violation(DEVICE, EPTV_WRITE);
	assert_int_not_equal(machine_field(VMCS_ept_pointer), vm.ept01_pointer);
	assert_true(ept02_leaf(DEVICE) & EPT_WRITE);
	assert_int_equal(ept02_leaf(HOLE) & EPT_ADDRESS, page_of_ones());
	EXIT_NOW(.reason = EXIT_MTF);
	assert_int_equal(machine_field(VMCS_ept_pointer), vm.ept01_pointer);
	assert_int_equal(ept02_leaf(HOLE), 0);
}

/* L1 has the flag on for its L2: the step's end is L1's exit too. */
static void l1s_own_flag(void **state UNUSED)
{
	for (unsigned int ept = 0; ept < 2; ept++) {
		run_l2(ept, PROC_MTF);
		map(0, HOLE);
		violation(ept ? BASE : HOLE, EPTV_WRITE);
		assert_int_equal(steps(), 1);
		EXIT_NOW(.reason = EXIT_MTF);
		assert_false(machine_in_l2());
		assert_int_equal(R(exit_reason), EXIT_MTF);
		assert_int_equal(steps(), 0);
		assert_int_equal(l1_vmxoff(), 0);
	}
}

/* One instruction at more pages than are remembered: of the oldest nothing is left, of the others all. */
static void more_pages_than_are_remembered(void **state UNUSED)
{
	u64 flushes;

	run_l2(true, 0);
	for (u64 n = 0; n <= EPT02_STEP_MAX; n++) {
		flushes = fake_invept_count;
		map(n, M_WINDOW + n * PAGE_SIZE);
		violation(BASE + n * PAGE_SIZE, EPTV_WRITE);
		assert_int_equal(fake_invept_count - flushes, n == EPT02_STEP_MAX);
	}
	assert_int_equal(steps(), EPT02_STEP_MAX);
	for (u64 n = 0; n <= EPT02_STEP_MAX; n++)
		assert_int_equal(ept02_leaf(BASE + n * PAGE_SIZE) & EPT_WRITE, n ? EPT_WRITE : 0);
	EXIT_NOW(.reason = EXIT_MTF);
	assert_true(machine_in_l2());
	for (u64 n = 0; n <= EPT02_STEP_MAX; n++)
		assert_int_equal(ept02_leaf(BASE + n * PAGE_SIZE) & EPT_WRITE, 0);
	/* and the end of the next step takes nothing else away */
	violation(BASE, EPTV_WRITE);
	flushes = fake_invept_count;
	EXIT_NOW(.reason = EXIT_MTF);
	assert_int_equal(fake_invept_count - flushes, 1);
}

/* ---- closed pages ---- */

static const struct {
	u32 closed;
	u64 access;
	u32 asked;
} closings[] = {
	{ EPT_WRITE, EPTV_WRITE, EPT_WRITE },
	{ EPT_WRITE, EPTV_READ | EPTV_WRITE, EPT_WRITE },
	{ EPT_EXEC, EPTV_FETCH, EPT_EXEC },
	{ EPT_WRITE | EPT_EXEC, EPTV_WRITE, EPT_WRITE },
	{ EPT_WRITE | EPT_EXEC, EPTV_READ | EPTV_WRITE, EPT_WRITE },
	{ EPT_WRITE | EPT_EXEC, EPTV_FETCH, EPT_EXEC },
};

static void each_closing(bool ept)
{
	const u64 at = ept ? BASE : CLOSED;

	run_l2(ept, 0);
	map(0, CLOSED);
	map(1, CLOSED); /* the same page once more, which stays closed */
	for (size_t i = 0; i < ARRAY_SIZE(closings); i++) {
		assert_true(passthru_close(GPA(CLOSED), closings[i].closed));
		nested_ept01_changed(machine_vcpu);
		for (unsigned int round = 0; round < 4; round++) {
			u64 blocks = round & 1 ? INTERRUPTIBILITY_NMI : 0;

			may_pass = round & 2;
			asked = 0;
			violation(at, closings[i].access | (blocks ? EPTV_NMI_UNBLOCKING : 0));
			if (asked != closings[i].asked)
				fail_msg("row %zu: %x", i, asked);
			assert_int_equal(machine_field(VMCS_guest_interruptibility), blocks);
			assert_int_equal(is_stepped(), may_pass);
			if (may_pass) {
				assert_int_equal(ept02_leaf(at) & (EPT_ADDRESS | EPT_RWX), CLOSED | EPT_RWX);
				EXIT_NOW(.reason = EXIT_MTF);
			}
			assert_false(is_stepped());
			assert_int_equal(ept02_leaf(at) & closings[i].closed, 0);
			if (ept)
				assert_int_equal(ept02_leaf(at + PAGE_SIZE) & closings[i].closed, 0);
		}
	}
	assert_true(passthru_close(GPA(CLOSED), 0));
}

static void closed_with_ept(void **state UNUSED)
{
	closed_ask(ask);
	each_closing(true);
}

static void closed_without_ept(void **state UNUSED)
{
	closed_ask(ask);
	each_closing(false);
}

/* User mode's permission by itself is execute as well: a page that is closed to fetches has neither. */
static void closed_to_user_mode_too(void **state UNUSED)
{
	u64 entry;

	closed_ask(ask);
	run_l2(true, 0);
	EXIT_NOW(.reason = EXIT_CPUID);
	W(proc2_controls, R(proc2_controls) | PROC2_MODE_BASED_EXECUTE);
	assert_int_equal(l1_enter(EXIT_VMRESUME), 0);
	map(0, CLOSED | EPT_USER_EXEC);
	assert_true(passthru_close(GPA(CLOSED), EPT_EXEC));
	nested_ept01_changed(machine_vcpu);
	violation(BASE, EPTV_READ);
	entry = ept02_leaf(BASE);
	assert_int_equal(entry & (EPT_ADDRESS | EPT_PERMISSIONS), CLOSED | EPT_READ | EPT_WRITE);
	assert_true(passthru_close(GPA(CLOSED), EPT_WRITE));
	nested_ept01_changed(machine_vcpu);
	violation(BASE, EPTV_READ);
	entry = ept02_leaf(BASE);
	assert_int_equal(entry & (EPT_ADDRESS | EPT_PERMISSIONS),
			 CLOSED | EPT_READ | EPT_EXEC | EPT_USER_EXEC);
}

/* A page that is closed to writes alone is known to L2 by its first read, and nobody is asked. */
static void the_other_accesses_are_nobodys(void **state UNUSED)
{
	closed_ask(ask);
	run_l2(true, 0);
	map(0, CLOSED);
	map(1, CLOSED + PAGE_SIZE);
	assert_true(passthru_close(GPA(CLOSED), EPT_WRITE));
	nested_ept01_changed(machine_vcpu);
	asked = 0;
	violation(BASE, EPTV_READ);
	assert_int_equal(asked, 0);
	assert_false(is_stepped());
	assert_int_equal(ept02_leaf(BASE) & (EPT_ADDRESS | EPT_RWX), CLOSED | EPT_READ | EPT_EXEC);
	/* nor is it filled by a neighbour's access with more than it may have, nor its neighbour by its own
	 */
	violation(BASE + PAGE_SIZE, EPTV_WRITE);
	assert_int_equal(ept02_leaf(BASE + PAGE_SIZE) & EPT_RWX, EPT_RWX);
	assert_int_equal(ept02_leaf(BASE) & EPT_RWX, EPT_READ | EPT_EXEC);
}

/* The entries are L0's own, and so is their misconfiguration. */
static void a_misconfiguration_is_l0s(void **state UNUSED)
{
	run_l2(true, 0);
	assert_true(fake_panics(EXIT_NOW(.reason = EXIT_EPT_MISCONFIG, .guest_physical = BASE)));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		MACHINE_TEST_BEFORE(with_ept, "", add_register),
		MACHINE_TEST_BEFORE(without_ept, "", add_register),
		MACHINE_TEST(a_device_in_the_middle_of_a_step, ""),
		MACHINE_TEST(l1s_own_flag, ""),
		MACHINE_TEST(more_pages_than_are_remembered, ""),
		MACHINE_TEST(closed_with_ept, ""),
		MACHINE_TEST(closed_without_ept, ""),
		MACHINE_TEST(the_other_accesses_are_nobodys, ""),
		MACHINE_TEST_BEFORE(closed_to_user_mode_too, "", processor_with_mode_based_execute),
		MACHINE_TEST(a_misconfiguration_is_l0s, ""),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
