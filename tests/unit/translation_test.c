/* SPDX-License-Identifier: MIT */
/*
 * A short entry does not look whether EPT pointer and VPID still stand in vmcs02 while nothing has counted
 * nested.translations up (merge.c). Random steps of L1 and L2 with all that could make them other ones: after
 * each entry vmcs02 must have those of the VMCS that is current. SDM: "Caching Translation Information".
 */
#include "tests/unit/cmocka_all.h"

#include <stdlib.h>

#include "kernel/x86.h"
#include "tests/unit/ept_support.h"
#include "vmx/hw/tlb.h"
#include "vmx/l1/vm.h"
#include "vmx/nested/ept/ept.h"
#include "vmx/nested/ept/ept02.h"
#include "vmx/nested/ept/vpid.h"

#define STEPS 4000
#define EPTS 6u
#define VMCSS 5u
#define PAGES 8u
#define P_LIST (M_SPARE + 0x8000)
#define TABLES(n) (P_EPT + (n)*0x4000ull)
#define LEAF(n, page) (TABLES(n) + 0x3000 + 8ull * (page))

static unsigned int current;
static bool live[VMCSS], launched[VMCSS];
static u64 entries, known;

static unsigned int below(unsigned int limit)
{
	return (unsigned int)rand() % limit;
}

static u64 pointer(unsigned int n)
{
	return TABLES(n) | 3 << EPTP_WALK_SHIFT | MEMTYPE_WB;
}

static void make_tables(unsigned int n)
{
	l1_write64(P_LIST + 8ull * n, pointer(n));
	l1_write64(TABLES(n), (TABLES(n) + 0x1000) | EPT_RWX);
	l1_write64(TABLES(n) + 0x1000, EPT_RWX | EPT_LEAF | WB);
	l1_write64(TABLES(n) + 0x1008, (TABLES(n) + 0x2000) | EPT_RWX);
	l1_write64(TABLES(n) + 0x2000, LEAF(n, 0) | EPT_RWX);
	for (unsigned int page = 0; page < PAGES; page++)
		l1_write64(LEAF(n, page), (FRAMES + (PAGES * n + page) * PAGE_SIZE) | EPT_RWX | WB);
}

/* EPTS: none. */
static void choose_ept(unsigned int n)
{
	u64 proc2 = R(proc2_controls) & PROC2_VPID;

	if (n < EPTS) {
		W(ept_pointer, pointer(n));
		W(vm_function_controls, 1);
		W(eptp_list_addr, P_LIST);
		proc2 |= PROC2_EPT | PROC2_UNRESTRICTED_GUEST | PROC2_VMFUNC;
	}
	W(proc2_controls, proc2);
}

static void choose_vpid(unsigned int vpid)
{
	W(vpid, vpid ? vpid : 1);
	W(proc2_controls, (R(proc2_controls) & ~(u64)PROC2_VPID) | (vpid ? PROC2_VPID : 0));
}

static void load(unsigned int n)
{
	current = n;
	if (live[n]) {
		assert_int_equal(l1_memory_insn(EXIT_VMPTRLD, M_VMCS(n)), 0);
		return;
	}
	l1_load_vmcs(n);
	l1_write_valid_vmcs();
	W(vpid, 5);
	W(proc2_controls, PROC2_VPID);
	choose_ept(below(EPTS + 1));
	live[n] = true;
	launched[n] = false;
}

static u32 entry_instruction(void)
{
	return launched[current] ? EXIT_VMRESUME : EXIT_VMLAUNCH;
}

static void check(void)
{
	struct nested_vmcs *slot = machine_vcpu->nested.current;
	const struct vmcs12 *v12 = &slot->v12;
	u64 eptp = vm.ept01_pointer;

	assert_true(machine_in_l2());
	entries++;
	known += slot->translation == machine_vcpu->nested.translations;
	assert_ptr_equal(slot->ept02, machine_vcpu->nested.ept->active);
	assert_null(machine_vcpu->nested.ept->retry);
	assert_int_equal(!slot->ept02, !v12_has_proc2(v12, PROC2_EPT));
	if (slot->ept02) {
		assert_true(slot->ept02->used && !slot->ept02->stale);
		assert_int_equal(slot->ept02->role.eptp, v12->ept_pointer);
		eptp = slot->ept02->pointer;
	}
	assert_int_equal(machine_field(VMCS_ept_pointer), eptp);
	if (tlb_uses_vpid() && v12_has_proc2(v12, PROC2_VPID)) {
		assert_true(vpid02_stands(machine_vcpu, slot));
		assert_int_equal(machine_field(VMCS_vpid), slot->vpid02);
	}
}

static void enter(void)
{
	assert_int_equal(l1_enter(entry_instruction()), 0);
	launched[current] = true;
	check();
}

static void leave(void)
{
	EXIT_NOW(.reason = EXIT_CPUID);
	assert_false(machine_in_l2());
}

/* By a check, or by the processor, which may let it pass the second time. */
static void fail_to_enter(bool by_processor)
{
	if (by_processor) {
		machine_refusals = 1;
		machine_refusal = VMXERR_ENTRY_CONTROLS;
	} else {
		W(guest_rip, BIT(63));
	}
	l1_enter(entry_instruction());
	machine_refusals = 0;
	if (machine_in_l2()) {
		launched[current] = true;
		check();
		leave();
	}
	W(guest_rip, 0x400000);
}

static void clear(unsigned int n)
{
	if (live[n])
		assert_int_equal(l1_memory_insn(EXIT_VMCLEAR, M_VMCS(n)), 0);
	live[n] = false;
	if (n == current)
		load(current);
}

static void leave_vmx(void)
{
	assert_int_equal(l1_vmxoff(), 0);
	memset(live, 0, sizeof(live));
	l1_start_vmx();
	load(current);
}

static void step_of_l1(void)
{
	switch (below(40)) {
	case 0: load(below(VMCSS)); break;
	case 1: choose_ept(below(EPTS + 1)); break;
	case 2: choose_vpid(below(4)); break;
	case 3:
		assert_int_equal(l1_invalidate(EXIT_INVEPT, INVEPT_SINGLE, pointer(below(EPTS)), 0), 0);
		break;
	case 4: assert_int_equal(l1_invalidate(EXIT_INVEPT, INVEPT_ALL, 0, 0), 0); break;
	case 5: assert_int_equal(l1_invalidate(EXIT_INVVPID, INVVPID_ALL, 0, 0), 0); break;
	case 6: assert_int_equal(l1_invalidate(EXIT_INVVPID, INVVPID_SINGLE, 1 + below(5), 0), 0); break;
	case 7: nested_ept01_changed(machine_vcpu); break;
	case 8: clear(below(VMCSS)); break;
	case 9:
		if (!below(8))
			leave_vmx();
		break;
	case 10: fail_to_enter(false); break;
	case 11: fail_to_enter(true); break;
	default: break;
	}
}

/* L2 touches a page; L1 may have to map it again first. */
static void touch(unsigned int page)
{
	unsigned int n = (unsigned int)((l2_v12()->ept_pointer - P_EPT) / 0x4000);
	u64 leaf = l1_read64(LEAF(n, page)), at = BASE + page * PAGE_SIZE;

	if (ept02_leaf(at))
		return;
	if (below(2)) {
		ept_touch(at, EPTV_READ);
	} else {
		l1_write64(LEAF(n, page), 0);
		EXIT_NOW(.reason = EXIT_EPT_VIOLATION, .qualification = EPTV_READ | TRANSLATED,
			 .guest_physical = at);
		assert_false(machine_in_l2());
		l1_write64(LEAF(n, page), leaf);
		ept_resume();
	}
	assert_int_equal(ept02_leaf(at) & EPT_ADDRESS, leaf & EPT_ADDRESS);
}

static void step_of_l2(void)
{
	if (!v12_has_proc2(l2_v12(), PROC2_EPT))
		return;
	switch (below(8)) {
	case 0:
		machine_vcpu->gpr[GPR_RAX] = 0;
		machine_vcpu->gpr[GPR_RCX] = below(EPTS);
		EXIT_NOW(.reason = EXIT_VMFUNC);
		break;
	case 1: nested_ept01_changed(machine_vcpu); break;
	case 2:
	case 3:
	case 4: touch(below(PAGES)); break;
	default: break;
	}
	check();
}

static void whatever_happens_between_entries(void **state UNUSED)
{
	srand(1);
	entries = known = 0;
	memset(live, 0, sizeof(live));
	l1_start_vmx();
	for (unsigned int n = 0; n < EPTS; n++)
		make_tables(n);
	load(0);
	for (unsigned int i = 0; i < STEPS; i++) {
		step_of_l1();
		enter();
		for (unsigned int n = below(3); n; n--)
			step_of_l2();
		leave();
	}
	/* most entries did not look */
	assert_true(known * 2 > entries);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		MACHINE_TEST(whatever_happens_between_entries, "vpid=on"),
		MACHINE_TEST(whatever_happens_between_entries, "vpid=off"),
		MACHINE_TEST(whatever_happens_between_entries, "shadow-vmcs=off ept02=4K"),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
