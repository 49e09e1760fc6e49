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

/*
 * SDM "Saving Segment Registers and Descriptor-Table Registers" and what follows: PDPTEs are saved with EPT
 * and in PAE paging, whatever else EFER and CR4 hold; else L1's stay.
 */
static void an_exit_saves_them_in_pae_paging_alone(void **state UNUSED)
{
	static const struct {
		u64 cr0, cr4, efer;
		bool ept, saved;
	} rows[] = { { CR0_PG, CR4_PAE, 0, true, true },
		     { CR0_PG, CR4_PAE, EFER_NXE, true, true },
		     { CR0_PG, CR4_PSE, 0, true, false },
		     { 0, CR4_PAE, 0, true, false },
		     { CR0_PG, CR4_PAE, EFER_LME | EFER_LMA, true, false },
		     { CR0_PG, CR4_PAE, 0, false, false } };

	l2_run_pae();
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		u64 cr0 = machine_field(VMCS_guest_cr0);

		/* L2 has brought itself there */
		machine_set_field(VMCS_guest_cr0, (cr0 & ~CR0_PG) | rows[i].cr0);
		machine_set_field(VMCS_guest_cr4, CR4_VMXE | rows[i].cr4);
		machine_set_field(VMCS_guest_efer, rows[i].efer);
		l2_v12_to_write()->proc2_controls = rows[i].ept ? PROC2_EPT | PROC2_UNRESTRICTED_GUEST : 0;
		for (u32 n = 0; n < 4; n++) {
			(&l2_v12_to_write()->guest_pdpte0)[n] = 0x10001 + n;
			machine_set_field(VMCS_guest_pdpte0 + 2 * n, 0x20001 + n);
		}
		EXIT_NOW(.reason = EXIT_CPUID);
		assert_int_equal(R(guest_pdpte0), rows[i].saved ? 0x20001 : 0x10001);
		assert_int_equal(R(guest_pdpte1), rows[i].saved ? 0x20002 : 0x10002);
		assert_int_equal(R(guest_pdpte2), rows[i].saved ? 0x20003 : 0x10003);
		assert_int_equal(R(guest_pdpte3), rows[i].saved ? 0x20004 : 0x10004);
		W(guest_cr0, cr0);
		W(guest_cr4, CR4_VMXE | CR4_PAE);
		W(guest_efer, 0);
		W(entry_controls, caps12.entry.allowed0 | ENTRY_LOAD_EFER);
		W(proc2_controls, PROC2_EPT | PROC2_UNRESTRICTED_GUEST);
		W(guest_pdpte0, 1);
		W(guest_pdpte1, 0x1001);
		W(guest_pdpte2, 0x1001);
		W(guest_pdpte3, 0x1001);
		assert_int_equal(l1_enter(EXIT_VMRESUME), 0);
		assert_true(machine_in_l2());
	}
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
		MACHINE_TEST_BOTH(an_exit_saves_them_in_pae_paging_alone),
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
