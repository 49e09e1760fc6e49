/* SPDX-License-Identifier: MIT */
/*
 * MOV to control registers, CLTS and LMSW of L1 where L0 emulates them (intercept=cr): each rule that makes
 * one fault, alone, and what the others change. SDM volume 2, "MOV - Move to/from Control Registers"; volume
 * 3, "Restrictions on VMX Operation".
 */
#include "tests/unit/cmocka_all.h"

#include "kernel/hw/cpu.h"
#include "kernel/x86.h"
#include "tests/unit/l2_support.h"

#define BASE0 (CR0_PE | CR0_NE | CR0_ET | CR0_WP)
#define LONG0 (BASE0 | CR0_PG)
#define LONG_MODE (EFER_LME | EFER_LMA)
#define CS64 0xa09b
#define CS32 0xc09b
#define TSS32 0x8b
#define TSS16 0x83

/* L1 as it is before an access; what is 0 of the last two is as in 64-bit mode. */
struct before {
	u64 cr0, cr4, efer, cr3;
	u32 cs_ar, tr_ar;
};

static void l1_is(const struct before *l1)
{
	u64 controls;

	EXIT_NOW(.reason = EXIT_CPUID);
	controls = machine_field(VMCS_entry_controls) & ~(u64)ENTRY_IA32E_GUEST;
	machine_set_field(VMCS_guest_cr0, l1->cr0);
	machine_set_field(VMCS_cr0_read_shadow, machine_vcpu->l1.cr0_shadow = l1->cr0);
	machine_set_field(VMCS_guest_cr4, l1->cr4 | CR4_VMXE);
	machine_set_field(VMCS_cr4_read_shadow, machine_vcpu->l1.cr4_shadow = l1->cr4);
	machine_set_field(VMCS_guest_cr3, l1->cr3 ? l1->cr3 : 0x1000);
	machine_set_field(VMCS_guest_efer, l1->efer);
	machine_set_field(VMCS_entry_controls, controls | (l1->efer & EFER_LMA ? ENTRY_IA32E_GUEST : 0));
	machine_set_field(VMCS_guest_cs_ar, l1->cs_ar ? l1->cs_ar : CS64);
	machine_set_field(VMCS_guest_tr_ar, l1->tr_ar ? l1->tr_ar : TSS32);
}

static void access_cr(u64 qualification, u64 value)
{
	machine_vcpu->gpr[GPR_RBX] = value;
	EXIT_NOW(.reason = EXIT_CR_ACCESS, .qualification = qualification);
}

/* MOV to the register: true if it did not fault. A fault is #GP(0), and changes nothing. */
static bool moves(unsigned int cr, u64 value)
{
	static const u32 fields[] = { VMCS_guest_cr0, 0, 0, VMCS_guest_cr3, VMCS_guest_cr4 };
	u64 before = machine_field(fields[cr]), rip = machine_field(VMCS_guest_rip);

	access_cr(QUAL_MOV_TO(cr, GPR_RBX), value);
	if (!machine_pending()) {
		assert_int_equal(machine_field(VMCS_guest_rip), rip + 3);
		return true;
	}
	assert_int_equal(machine_pending() & 0xff, VEC_GP);
	assert_int_equal(machine_field(VMCS_entry_exception_error_code), 0);
	assert_int_equal(machine_field(VMCS_guest_rip), rip);
	assert_int_equal(machine_field(fields[cr]), before);
	return false;
}

static void each_rule_of_cr0(void **state UNUSED)
{
	static const struct {
		struct before l1;
		u64 value;
		bool good;
	} rows[] = {
		{ { LONG0, CR4_PAE, LONG_MODE, 0, 0, 0 }, LONG0 | CR0_TS, true },
		{ { LONG0, CR4_PAE, LONG_MODE, 0, 0, 0 }, LONG0 | BIT(32), false },
		{ { LONG0, CR4_PAE, LONG_MODE, 0, 0, 0 }, LONG0 & ~(u64)CR0_PE, false },
		{ { LONG0, CR4_PAE, LONG_MODE, 0, 0, 0 }, LONG0 | CR0_NW, false },
		{ { LONG0, CR4_PAE, LONG_MODE, 0, 0, 0 }, LONG0 | CR0_CD, true },
		{ { LONG0, CR4_PAE, LONG_MODE, 0, 0, 0 }, LONG0 | CR0_CD | CR0_NW, true },
		/* Paging ends: not in 64-bit mode, not with PCIDs. */
		{ { LONG0, CR4_PAE, LONG_MODE, 0, 0, 0 }, BASE0, false },
		{ { LONG0, CR4_PAE, LONG_MODE, 0, CS32, 0 }, BASE0, true },
		{ { LONG0, CR4_PAE | CR4_PCIDE, LONG_MODE, 0, CS32, 0 }, BASE0, false },
		{ { LONG0, CR4_PAE | CR4_PCIDE, LONG_MODE, 0, CS32, 0 }, LONG0 | CR0_TS, true },
		/* It begins: IA-32e mode wants PAE, no 64-bit code segment, no 16-bit TSS. */
		{ { BASE0, CR4_PAE, EFER_LME, 0, CS32, 0 }, LONG0, true },
		{ { BASE0, 0, EFER_LME, 0, CS32, 0 }, LONG0, false },
		{ { BASE0, CR4_PAE, EFER_LME, 0, CS64, 0 }, LONG0, false },
		{ { BASE0, CR4_PAE, EFER_LME, 0, CS32, TSS16 }, LONG0, false },
		{ { BASE0, 0, 0, 0, CS32, TSS16 }, LONG0, true },
		{ { BASE0, 0, EFER_LME, 0, CS32, TSS16 }, BASE0 | CR0_TS, true },
		/* Without PE there is no PG; outside VMX operation NE is L1's. */
		{ { BASE0, 0, 0, 0, CS32, 0 }, CR0_NE | CR0_ET, true },
		{ { BASE0, 0, 0, 0, CS32, 0 }, BASE0 & ~(u64)CR0_NE, true },
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		l1_is(&rows[i].l1);
		if (moves(0, rows[i].value) != rows[i].good)
			fail_msg("row %zu", i);
		if (rows[i].good)
			assert_int_equal(machine_field(VMCS_cr0_read_shadow), rows[i].value);
	}
}

/* IA-32e mode begins and ends with paging, in IA32_EFER and in the entry control. */
static void lma_follows_paging(void **state UNUSED)
{
	l1_is(&(struct before){ BASE0, CR4_PAE, EFER_LME, 0, CS32, 0 });
	assert_true(moves(0, LONG0));
	assert_int_equal(machine_field(VMCS_guest_efer), LONG_MODE);
	assert_true(machine_field(VMCS_entry_controls) & ENTRY_IA32E_GUEST);
	assert_true(moves(0, BASE0));
	assert_int_equal(machine_field(VMCS_guest_efer), EFER_LME);
	assert_false(machine_field(VMCS_entry_controls) & ENTRY_IA32E_GUEST);
	l1_is(&(struct before){ BASE0, 0, 0, 0, CS32, 0 });
	assert_true(moves(0, LONG0));
	assert_int_equal(machine_field(VMCS_guest_efer), 0);
}

/* Undefined bits are ignored, ET reads as 1; CD and NW are the register's own. */
static void cr0_keeps_what_is_defined(void **state UNUSED)
{
	l1_is(&(struct before){ LONG0, CR4_PAE, LONG_MODE, 0, 0, 0 });
	assert_true(moves(0, (LONG0 & ~(u64)CR0_ET) | BIT(6) | BIT(28) | CR0_CD));
	assert_int_equal(machine_field(VMCS_cr0_read_shadow), LONG0 | CR0_CD);
	assert_int_equal(read_cr0() & (CR0_CD | CR0_NW), CR0_CD);
	assert_true(moves(0, LONG0));
	assert_int_equal(read_cr0() & (CR0_CD | CR0_NW), 0);
}

static void vmx_operation_fixes_bits(void **state UNUSED)
{
	l1_start_vmx();
	assert_false(moves(0, LONG0 & ~(u64)CR0_NE));
	EXIT_NOW(.reason = EXIT_CPUID);
	assert_false(moves(4, CR4_PAE));
	EXIT_NOW(.reason = EXIT_CPUID);
	assert_true(moves(4, CR4_PAE | CR4_VMXE | CR4_PGE));
	machine_set_field(VMCS_guest_cs_ar, CS32);
	assert_false(moves(0, BASE0));
	EXIT_NOW(.reason = EXIT_CPUID);
	machine_set_field(VMCS_guest_cs_ar, CS64);
	assert_int_equal(l1_vmxoff(), 0);
	assert_true(moves(4, CR4_PAE));
	assert_true(moves(0, LONG0 & ~(u64)CR0_NE));
	/* The processor itself keeps what it needs. */
	assert_true(machine_field(VMCS_guest_cr0) & CR0_NE);
	assert_true(machine_field(VMCS_guest_cr4) & CR4_VMXE);
}

static void lmsw_and_clts(void **state UNUSED)
{
	l1_is(&(struct before){ LONG0, CR4_PAE, LONG_MODE, 0, 0, 0 });
	access_cr(QUAL_LMSW(0x1f | CR0_TS | CR0_MP | CR0_EM), 0);
	assert_int_equal(machine_field(VMCS_guest_cr0), LONG0 | CR0_MP | CR0_EM | CR0_TS);
	access_cr(QUAL_CLTS, 0);
	assert_int_equal(machine_field(VMCS_guest_cr0), LONG0 | CR0_MP | CR0_EM);
	access_cr(QUAL_LMSW(0), 0);
	assert_int_equal(machine_field(VMCS_guest_cr0), LONG0);
}

static void each_rule_of_cr4(void **state UNUSED)
{
	static const struct {
		struct before l1;
		u64 value;
		bool good;
	} rows[] = {
		{ { LONG0, CR4_PAE, LONG_MODE, 0, 0, 0 }, CR4_PAE | CR4_PGE, true },
		{ { LONG0, CR4_PAE, LONG_MODE, 0, 0, 0 }, CR4_PAE | BIT(31), false },
		{ { LONG0, CR4_PAE, LONG_MODE, 0, 0, 0 }, CR4_PAE | CR4_LA57, false },
		{ { LONG0, CR4_PAE, LONG_MODE, 0, 0, 0 }, CR4_PAE | CR4_CET, false },
		{ { LONG0, CR4_PAE, LONG_MODE, 0, 0, 0 }, CR4_PGE, false },
		{ { BASE0, CR4_PAE, 0, 0, CS32, 0 }, CR4_PGE, true },
		/* PCIDs begin in IA-32e mode, with number 0. */
		{ { LONG0, CR4_PAE, LONG_MODE, 0, 0, 0 }, CR4_PAE | CR4_PCIDE, true },
		{ { LONG0, CR4_PAE, LONG_MODE, 0x1001, 0, 0 }, CR4_PAE | CR4_PCIDE, false },
		{ { LONG0, CR4_PAE, LONG_MODE, 0x1800, 0, 0 }, CR4_PAE | CR4_PCIDE, false },
		{ { LONG0, CR4_PAE | CR4_PCIDE, LONG_MODE, 0x1001, 0, 0 },
		  CR4_PAE | CR4_PCIDE | CR4_PGE,
		  true },
		{ { BASE0, CR4_PAE, 0, 0, CS32, 0 }, CR4_PAE | CR4_PCIDE, false },
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		l1_is(&rows[i].l1);
		if (moves(4, rows[i].value) != rows[i].good)
			fail_msg("row %zu", i);
		if (rows[i].good)
			assert_int_equal(machine_field(VMCS_cr4_read_shadow), rows[i].value);
	}
}

static void each_rule_of_cr3(void **state UNUSED)
{
	l1_is(&(struct before){ LONG0, CR4_PAE, LONG_MODE, 0, 0, 0 });
	assert_true(moves(3, 0x2018));
	assert_int_equal(machine_field(VMCS_guest_cr3), 0x2018);
	assert_true(moves(3, BIT(38)));
	assert_false(moves(3, BIT(39)));
	EXIT_NOW(.reason = EXIT_CPUID);
	assert_false(moves(3, BIT(63) | 0x2000));
	l1_is(&(struct before){ LONG0, CR4_PAE | CR4_PCIDE, LONG_MODE, 0, 0, 0 });
	assert_true(moves(3, BIT(63) | 0x2001));
	assert_int_equal(machine_field(VMCS_guest_cr3), 0x2001);
	/* 32 bits elsewhere; there is no width to pass. */
	l1_is(&(struct before){ LONG0, 0, 0, 0, CS32, 0 });
	assert_true(moves(3, BIT(45) | 0x3000));
	assert_int_equal(machine_field(VMCS_guest_cr3), 0x3000);
}

static void cr3_is_read(void **state UNUSED)
{
	l1_is(&(struct before){ LONG0, CR4_PAE, LONG_MODE, 0x123456000, 0, 0 });
	access_cr(QUAL_MOV_FROM(3, GPR_RCX), 0);
	assert_int_equal(machine_vcpu->gpr[GPR_RCX], 0x123456000);
	machine_set_field(VMCS_guest_cs_ar, CS32);
	access_cr(QUAL_MOV_FROM(3, GPR_RCX), 0);
	assert_int_equal(machine_vcpu->gpr[GPR_RCX], 0x23456000);
}

/* SDM "Operations that Invalidate TLBs and Paging-Structure Caches": these bits, and MOV to CR3 but for bit
 * 63. */
static void what_flushes(void **state UNUSED)
{
	static const struct {
		struct before l1;
		unsigned int cr;
		u64 value;
		bool flushes;
	} rows[] = {
		{ { LONG0, CR4_PAE, LONG_MODE, 0, 0, 0 }, 0, LONG0 | CR0_TS, false },
		{ { LONG0, CR4_PAE, LONG_MODE, 0, CS32, 0 }, 0, BASE0, true },
		{ { BASE0, CR4_PAE, EFER_LME, 0, CS32, 0 }, 0, LONG0, true },
		{ { LONG0, CR4_PAE, LONG_MODE, 0, 0, 0 }, 4, CR4_PAE | CR4_TSD, false },
		{ { LONG0, CR4_PAE, LONG_MODE, 0, 0, 0 }, 4, CR4_PAE | CR4_PGE, true },
		{ { LONG0, CR4_PAE, LONG_MODE, 0, 0, 0 }, 4, CR4_PAE | CR4_PSE, true },
		{ { LONG0, CR4_PAE, LONG_MODE, 0, 0, 0 }, 4, CR4_PAE | CR4_SMEP, true },
		{ { LONG0, CR4_PAE, LONG_MODE, 0, 0, 0 }, 4, CR4_PAE | CR4_PCIDE, true },
		{ { LONG0, CR4_PAE | CR4_PCIDE, LONG_MODE, 0, 0, 0 }, 4, CR4_PAE, true },
		{ { BASE0, CR4_PAE, 0, 0, CS32, 0 }, 4, 0, true },
		{ { LONG0, CR4_PAE, LONG_MODE, 0, 0, 0 }, 3, 0x2000, true },
		{ { LONG0, CR4_PAE | CR4_PCIDE, LONG_MODE, 0, 0, 0 }, 3, 0x2000, true },
		{ { LONG0, CR4_PAE | CR4_PCIDE, LONG_MODE, 0, 0, 0 }, 3, BIT(63) | 0x2000, false },
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		u64 before;

		l1_is(&rows[i].l1);
		before = fake_invvpid_count;
		assert_true(moves(rows[i].cr, rows[i].value));
		if ((fake_invvpid_count != before) != rows[i].flushes)
			fail_msg("row %zu", i);
	}
}

/* SDM "PDPTE Registers": loaded where PAE paging results and CD, NW or PG changes, or by MOV to CR3. */
static void bad_pdptes_fault(void **state UNUSED)
{
	static const struct {
		struct before l1;
		unsigned int cr;
		u64 value;
		bool loads;
	} rows[] = {
		{ { LONG0, CR4_PAE, 0, M_SPARE, CS32, 0 }, 0, LONG0 | CR0_TS, false },
		{ { LONG0, CR4_PAE, 0, M_SPARE, CS32, 0 }, 0, LONG0 | CR0_CD, true },
		{ { LONG0 | CR0_CD, CR4_PAE, 0, M_SPARE, CS32, 0 }, 0, LONG0 | CR0_CD | CR0_NW, true },
		{ { BASE0, CR4_PAE, 0, M_SPARE, CS32, 0 }, 0, LONG0, true },
		{ { BASE0, 0, 0, M_SPARE, CS32, 0 }, 0, LONG0, false },
		{ { LONG0, CR4_PAE, 0, M_SPARE, CS32, 0 }, 0, BASE0, false },
		{ { LONG0, 0, 0, M_SPARE, CS32, 0 }, 4, CR4_PAE, true },
		{ { BASE0, 0, 0, M_SPARE, CS32, 0 }, 4, CR4_PAE, false },
		{ { LONG0, CR4_PAE, 0, M_SPARE, CS32, 0 }, 4, CR4_PAE | CR4_PGE, true },
		{ { LONG0, CR4_PAE, 0, M_SPARE, CS32, 0 }, 4, CR4_PAE | CR4_PSE, true },
		{ { LONG0, CR4_PAE, 0, M_SPARE, CS32, 0 }, 4, CR4_PAE | CR4_SMEP, true },
		{ { LONG0, CR4_PAE, 0, M_SPARE, CS32, 0 }, 4, CR4_PAE | CR4_TSD, false },
		{ { LONG0, CR4_PAE, 0, M_SPARE, CS32, 0 }, 3, M_SPARE, true },
		{ { LONG0, 0, 0, M_SPARE, CS32, 0 }, 3, M_SPARE, false },
		{ { LONG0, CR4_PAE, LONG_MODE, M_SPARE, 0, 0 }, 3, M_SPARE, false },
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		l1_is(&rows[i].l1);
		l1_write64(M_SPARE + 8, 0x1003); /* a reserved bit */
		if (moves(rows[i].cr, rows[i].value) == rows[i].loads)
			fail_msg("row %zu", i);
		l1_is(&rows[i].l1);
		l1_write64(M_SPARE + 8, 0x1001);
		assert_true(moves(rows[i].cr, rows[i].value));
		if (rows[i].loads)
			assert_int_equal(machine_field(VMCS_guest_pdpte1), 0x1001);
		machine_set_field(VMCS_guest_pdpte1, 0);
	}
}

/* ---- L2 ---- */

static u64 l2_writes_cr0(u64 value)
{
	access_cr(QUAL_MOV_TO(0, GPR_RBX), value);
	assert_true(machine_in_l2());
	return machine_field(VMCS_guest_cr0);
}

/* SDM "Guest/Host Masks and Read Shadows for CR0 and CR4": bits of L1's keep their values, and L2 goes on
 * reading them in L1's shadow; its own ones it reads as it wrote them. */
static void l2_writes_its_own_bits_of_cr0(void **state UNUSED)
{
	u64 cr0;

	l1_start_vmx();
	l1_load_vmcs(0);
	l1_write_valid_vmcs();
	W(cr0_guest_host_mask, CR0_MP | CR0_EM);
	W(cr0_read_shadow, CR0_EM);
	W(guest_cr0, R(guest_cr0) | CR0_MP);
	assert_int_equal(l1_enter(EXIT_VMLAUNCH), 0);
	assert_true(machine_in_l2());
	cr0 = machine_field(VMCS_guest_cr0);
	assert_int_equal(cr0 & (CR0_MP | CR0_EM | CR0_TS), CR0_MP);
	assert_int_equal(l2_writes_cr0((cr0 & ~(u64)CR0_MP) | CR0_EM | CR0_TS), cr0 | CR0_TS);
	assert_int_equal(machine_field(VMCS_cr0_read_shadow), (cr0 & ~(u64)CR0_MP) | CR0_EM | CR0_TS);
	access_cr(QUAL_CLTS, 0);
	assert_true(machine_in_l2());
	assert_int_equal(machine_field(VMCS_guest_cr0), cr0);
	/* CR0.NE is fixed. */
	assert_int_equal(l2_writes_cr0((cr0 & ~(u64)(CR0_MP | CR0_NE)) | CR0_EM), cr0);
	assert_int_equal(machine_pending() & INTR_INFO_VECTOR, VEC_GP);
}

/* SDM "VMX-Fixed Bits in CR0": PE and PG may be 0 in an unrestricted guest alone. */
static void who_may_end_paging_in_l2(void **state UNUSED)
{
	u64 cr0;

	l2_run_pae();
	cr0 = machine_field(VMCS_guest_cr0);
	assert_int_equal(l2_writes_cr0(cr0 & ~(u64)CR0_PG), cr0 & ~(u64)CR0_PG);
	assert_int_equal(machine_pending(), 0);
	assert_int_equal(l2_writes_cr0(cr0 & ~(u64)(CR0_PG | CR0_NE)), cr0 & ~(u64)CR0_PG);
	assert_int_equal(machine_pending() & INTR_INFO_VECTOR, VEC_GP);
}

static void paging_is_fixed_in_a_restricted_l2(void **state UNUSED)
{
	u64 cr0;

	l1_start_vmx();
	l1_load_vmcs(0);
	l1_write_valid_vmcs();
	W(guest_cs_ar, CS32);
	assert_int_equal(l1_enter(EXIT_VMLAUNCH), 0);
	assert_true(machine_in_l2());
	cr0 = machine_field(VMCS_guest_cr0);
	assert_int_equal(l2_writes_cr0(cr0 & ~(u64)CR0_PG), cr0);
	assert_int_equal(machine_pending() & INTR_INFO_VECTOR, VEC_GP);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		MACHINE_TEST(each_rule_of_cr0, "intercept=cr"),
		MACHINE_TEST(lma_follows_paging, "intercept=cr"),
		MACHINE_TEST(cr0_keeps_what_is_defined, "intercept=cr"),
		MACHINE_TEST(vmx_operation_fixes_bits, "intercept=cr"),
		MACHINE_TEST(lmsw_and_clts, "intercept=cr"),
		MACHINE_TEST(each_rule_of_cr4, "intercept=cr"),
		MACHINE_TEST(each_rule_of_cr3, "intercept=cr"),
		MACHINE_TEST(cr3_is_read, "intercept=cr"),
		MACHINE_TEST(what_flushes, "intercept=cr"),
		MACHINE_TEST(bad_pdptes_fault, "intercept=cr"),
		MACHINE_TEST(l2_writes_its_own_bits_of_cr0, "intercept=cr"),
		MACHINE_TEST(who_may_end_paging_in_l2, "intercept=cr"),
		MACHINE_TEST(paging_is_fixed_in_a_restricted_l2, "intercept=cr"),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
