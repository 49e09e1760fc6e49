/* SPDX-License-Identifier: MIT */
/*
 * L2 in PAE paging loads its PDPTEs through L0: when, from where, and what a bad one does. SDM:
 * "Page-Directory-Pointer-Table Registers".
 */
#include "tests/unit/cmocka_all.h"

#include "kernel/x86.h"
#include "tests/unit/l2_support.h"
#include "vmx/guest/guest_mem.h"

static void new_pdptes_survive_a_reflected_exit(void **state UNUSED)
{
	l2_run_pae();
	for (u64 i = 0; i < 4; i++)
		l1_write64(M_SPARE + 0x40 + i * 8, (0x5000 + i * 0x1000) | 1);
	machine_vcpu->gpr[GPR_RBX] = M_SPARE + 0x40;
	l2_set_proc(PROC_MTF);
	EXIT_NOW(.reason = EXIT_CR_ACCESS, .qualification = QUAL_MOV_TO(3, GPR_RBX));
	assert_false(machine_in_l2());
	assert_int_equal(R(exit_reason), EXIT_MTF);
	assert_int_equal(R(guest_cr3), M_SPARE + 0x40);
	assert_int_equal(R(guest_pdpte0), 0x5001);
	assert_int_equal(R(guest_pdpte3), 0x8001);
	assert_int_equal(l1_enter(EXIT_VMRESUME), 0);
	assert_int_equal(machine_field(VMCS_guest_pdpte2), 0x7001);
}

/* SDM "Page-Directory-Pointer-Table Registers": PAE, PGE, PSE and SMEP load them, SMAP and TSD do not. */
static void pdptes_load_by_these_bits_of_cr4(void **state UNUSED)
{
	static const struct {
		u64 bit;
		bool loads;
	} rows[] = { { CR4_SMAP, false },
		     { CR4_TSD, false },
		     { CR4_SMEP, true },
		     { CR4_PSE, true },
		     { CR4_PGE, true } };

	l2_run_pae();
	for (u64 i = 0; i < ARRAY_SIZE(rows); i++) {
		u64 before = machine_field(VMCS_guest_pdpte0), now = (0x10000 + i * 0x1000) | 1;

		l1_write64(M_SPARE, now);
		machine_vcpu->gpr[GPR_RBX] = machine_field(VMCS_guest_cr4) ^ rows[i].bit;
		EXIT_NOW(.reason = EXIT_CR_ACCESS, .qualification = QUAL_MOV_TO(4, GPR_RBX));
		assert_true(machine_in_l2());
		assert_int_equal(machine_pending(), 0);
		assert_int_equal(machine_field(VMCS_guest_cr4), machine_vcpu->gpr[GPR_RBX]);
		assert_int_equal(machine_field(VMCS_guest_pdpte0), rows[i].loads ? now : before);
	}
}

static void a_reserved_bit_in_a_pdpte_changes_nothing(void **state UNUSED)
{
	l2_run_pae();
	l1_write64(M_SPARE + 0x40, 0x5003);
	machine_vcpu->gpr[GPR_RBX] = M_SPARE + 0x40;
	EXIT_NOW(.reason = EXIT_CR_ACCESS, .qualification = QUAL_MOV_TO(3, GPR_RBX));
	assert_true(machine_in_l2());
	assert_int_equal(machine_pending() & 0xff, VEC_GP);
	assert_int_equal(machine_field(VMCS_guest_cr3), M_SPARE);
	assert_int_equal(machine_field(VMCS_guest_pdpte0), 0x1001);
}

/* CR3 may name what is no RAM: PDPTEs in ROM count as they stand, those in absent memory are ones. */
static void pdptes_may_lie_in_rom(void **state UNUSED)
{
	l2_run_pae();
	l1_write64(0xffffffe0, 0x6001);
	machine_vcpu->gpr[GPR_RBX] = 0xffffffff;
	EXIT_NOW(.reason = EXIT_CR_ACCESS, .qualification = QUAL_MOV_TO(3, GPR_RBX));
	assert_true(machine_in_l2());
	assert_int_equal(machine_pending(), 0);
	assert_int_equal(machine_field(VMCS_guest_pdpte0), 0x6001);
	machine_vcpu->gpr[GPR_RBX] = 0xfe000000;
	EXIT_NOW(.reason = EXIT_CR_ACCESS, .qualification = QUAL_MOV_TO(3, GPR_RBX));
	assert_int_equal(machine_pending() & 0xff, VEC_GP);
	assert_int_equal(machine_field(VMCS_guest_pdpte0), 0x6001);
}

/* The end of such an address is 0 in 64 bits: still no ROM. */
static void the_last_address_is_no_rom(void **state UNUSED)
{
	u64 value = 0;

	assert_false(guest_mem_read(machine_vcpu, GPA(~7ull), &value, sizeof(value)));
	assert_true(value == ~0ull);
}

static void an_unmapped_pdpte_page_is_l1s_violation(void **state UNUSED)
{
	l2_run_pae();
	machine_vcpu->gpr[GPR_RBX] = 0xc0000000;
	l1_write64(P_EPT + 0x1000 + 3 * 8, 0);
	EXIT_NOW(.reason = EXIT_CR_ACCESS, .qualification = QUAL_MOV_TO(3, GPR_RBX));
	assert_false(machine_in_l2());
	assert_int_equal(R(exit_reason), EXIT_EPT_VIOLATION);
	assert_int_equal(R(guest_physical_address), 0xc0000000);
	assert_int_equal(R(exit_qualification) & 0x1bf, EPTV_READ);
	assert_int_equal(R(guest_cr3), M_SPARE);
	assert_int_equal(R(guest_rip), 0x400000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		MACHINE_TEST(pdptes_load_by_these_bits_of_cr4, "intercept=cr"),
		MACHINE_TEST(new_pdptes_survive_a_reflected_exit, "intercept=cr"),
		MACHINE_TEST(new_pdptes_survive_a_reflected_exit, "intercept=cr shadow-vmcs=off"),
		MACHINE_TEST(a_reserved_bit_in_a_pdpte_changes_nothing, "intercept=cr"),
		MACHINE_TEST(an_unmapped_pdpte_page_is_l1s_violation, "intercept=cr"),
		MACHINE_TEST(the_last_address_is_no_rom, ""),
		MACHINE_TEST(pdptes_may_lie_in_rom, "intercept=cr"),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
