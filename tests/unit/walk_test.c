/* SPDX-License-Identifier: MIT */
/*
 * The walk of a guest's page tables in each paging mode, and the operands of VMX instructions.
 * SDM volume 3: "Paging"; "Information for VM Exits Due to Instruction Execution".
 */
#include "tests/unit/cmocka_all.h"

#include "kernel/x86.h"
#include "mm/guest_walk.h"
#include "tests/unit/machine.h"
#include "vmx/guest/vmx_operand.h"

/* ---- the walk, over an array ---- */

#define SIZE 0x10000
static u8 tables[SIZE];
static unsigned int updates;
static bool racing, refusing;

static bool read_tables(void *context UNUSED, u64 gpa, void *to, size_t length)
{
	if (refusing || gpa + length > SIZE)
		return false;
	memcpy(to, tables + gpa, length);
	return true;
}

static enum walk_update update_tables(void *context UNUSED, u64 gpa, u64 old, u64 value, size_t length)
{
	u64 now = 0;

	updates++;
	memcpy(&now, tables + gpa, length);
	if (racing) {
		/* Another processor sets the flag first. */
		racing = false;
		now |= PTE_A;
		memcpy(tables + gpa, &now, length);
	}
	if (now != old)
		return WALK_UPDATE_CHANGED;
	memcpy(tables + gpa, &value, length);
	return WALK_UPDATE_DONE;
}

static struct guest_walk walk;
static struct walk_page page;

static void put(u64 gpa, u64 value, size_t length)
{
	memcpy(tables + gpa, &value, length);
}

static u64 get(u64 gpa)
{
	u64 value;

	memcpy(&value, tables + gpa, sizeof(value));
	return value;
}

static void begin(u64 cr0, u64 cr4, u64 efer)
{
	memset(tables, 0, sizeof(tables));
	updates = 0;
	racing = refusing = false;
	walk = (struct guest_walk){
		.role = guest_walk_role(cr0, cr4, efer),
		.cr3 = 0x1000,
		.physical_bits = 39,
		.has_1g = true,
		.read = read_tables,
		.update = update_tables,
	};
}

#define PAGING (CR0_PE | CR0_PG | CR0_WP)
#define LONG_EFER (EFER_LME | EFER_LMA | EFER_NXE)

/* 4-level: linear 0x40201000 -> PML4[0], PDPT[1], PD[1], PT[1]. */
#define LINEAR 0x40201234ull
static void make_long(u64 pml4e, u64 pdpte, u64 pde, u64 pte)
{
	begin(PAGING, CR4_PAE, LONG_EFER);
	put(0x1000, 0x2000 | pml4e, 8);
	put(0x2000 + 8, 0x3000 | pdpte, 8);
	put(0x3000 + 8, 0x4000 | pde, 8);
	put(0x4000 + 8, 0x7000 | pte, 8);
}

#define ALL (PTE_P | PTE_W | PTE_U)

static u32 pfec(u32 access)
{
	assert_int_equal(guest_walk(&walk, LINEAR, access, &page), WALK_FAULT);
	return page.pfec;
}

static void no_paging_is_identity(void **state UNUSED)
{
	begin(CR0_PE, 0, 0);
	assert_int_equal(guest_walk(&walk, 0x12345678, WALK_WRITE, &page), WALK_OK);
	assert_int_equal(page.gpa, 0x12345678);
}

static void four_levels(void **state UNUSED)
{
	make_long(ALL, ALL, ALL, ALL);
	assert_int_equal(guest_walk(&walk, LINEAR, WALK_WRITE | WALK_USER, &page), WALK_OK);
	assert_int_equal(page.gpa, 0x7234);
	assert_int_equal(page.size, 0x1000);
	assert_true(get(0x4008) & PTE_D);
	assert_true(get(0x4008) & PTE_A);
	assert_true(get(0x1000) & PTE_A);
	assert_false(get(0x1000) & PTE_D);
	assert_int_equal(updates, 4);
	assert_int_equal(guest_walk(&walk, LINEAR, WALK_WRITE, &page), WALK_OK);
	assert_int_equal(updates, 4);
	/* large pages */
	make_long(ALL, ALL, ALL | PTE_PS, 0);
	put(0x3008, 0x40200000 | ALL | PTE_PS, 8);
	assert_int_equal(guest_walk(&walk, LINEAR, 0, &page), WALK_OK);
	assert_int_equal(page.gpa, 0x40201234);
	assert_int_equal(page.size, SIZE_2M);
	put(0x2008, 0x80000000 | ALL | PTE_PS, 8);
	assert_int_equal(guest_walk(&walk, LINEAR, 0, &page), WALK_OK);
	assert_int_equal(page.gpa, 0x80201234);
	walk.has_1g = false;
	assert_int_equal(pfec(0), PFEC_P | PFEC_RSVD);
}

static void five_levels(void **state UNUSED)
{
	make_long(ALL, ALL, ALL, ALL);
	walk.role |= WALK_LA57;
	walk.cr3 = 0x5000;
	put(0x5000, 0x1000 | ALL, 8);
	assert_int_equal(guest_walk(&walk, LINEAR, 0, &page), WALK_OK);
	assert_int_equal(page.gpa, 0x7234);
}

static void rights(void **state UNUSED)
{
	make_long(ALL, ALL, ALL, PTE_P | PTE_U);
	assert_int_equal(pfec(WALK_WRITE | WALK_USER), PFEC_P | PFEC_W | PFEC_U);
	assert_int_equal(pfec(WALK_WRITE), PFEC_P | PFEC_W);
	walk.role &= ~(u32)WALK_WP;
	assert_int_equal(guest_walk(&walk, LINEAR, WALK_WRITE, &page), WALK_OK);
	make_long(ALL, ALL, ALL, PTE_P | PTE_W);
	assert_int_equal(pfec(WALK_USER), PFEC_P | PFEC_U);
	assert_int_equal(guest_walk(&walk, LINEAR, WALK_WRITE, &page), WALK_OK);
	make_long(ALL, ALL, PTE_P | PTE_U, ALL); /* R/W is the AND of all levels */
	assert_int_equal(pfec(WALK_WRITE), PFEC_P | PFEC_W);
	make_long(ALL, ALL | PTE_NX, ALL, ALL);
	assert_int_equal(pfec(WALK_FETCH), PFEC_P | PFEC_I);
	assert_int_equal(guest_walk(&walk, LINEAR, 0, &page), WALK_OK);
	walk.role &= ~(u32)WALK_NXE;
	assert_int_equal(pfec(0), PFEC_P | PFEC_RSVD);
	make_long(ALL, ALL, 0, ALL);
	assert_int_equal(pfec(WALK_WRITE | WALK_USER), PFEC_W | PFEC_U);
}

static void smep_and_smap(void **state UNUSED)
{
	make_long(ALL, ALL, ALL, ALL);
	walk.role |= WALK_SMEP;
	assert_int_equal(pfec(WALK_FETCH), PFEC_P | PFEC_I);
	assert_int_equal(guest_walk(&walk, LINEAR, WALK_FETCH | WALK_USER, &page), WALK_OK);
	walk.role |= WALK_SMAP;
	assert_int_equal(pfec(0), PFEC_P);
	assert_int_equal(guest_walk(&walk, LINEAR, WALK_AC, &page), WALK_OK);
	assert_int_equal(guest_walk(&walk, LINEAR, WALK_USER, &page), WALK_OK);
}

static void protection_keys(void **state UNUSED)
{
	make_long(ALL, ALL, ALL, ALL | 3ull << PTE_PKEY_SHIFT);
	walk.role |= WALK_PKE;
	assert_int_equal(guest_walk(&walk, LINEAR, WALK_USER, &page), WALK_OK);
	walk.pkru = 1u << 6;
	assert_int_equal(pfec(WALK_USER), PFEC_P | PFEC_U | PFEC_PK);
	assert_int_equal(pfec(0), PFEC_P | PFEC_PK);
	walk.pkru = 2u << 6;
	assert_int_equal(guest_walk(&walk, LINEAR, WALK_USER, &page), WALK_OK);
	assert_int_equal(pfec(WALK_USER | WALK_WRITE), PFEC_P | PFEC_W | PFEC_U | PFEC_PK);
	walk.role &= ~(u32)WALK_WP;
	assert_int_equal(guest_walk(&walk, LINEAR, WALK_WRITE, &page), WALK_OK);
}

static void reserved_bits(void **state UNUSED)
{
	static const struct {
		u64 gpa, bits;
	} bad[] = {
		{ 0x1000, PTE_PS },  { 0x1000, BIT(39) }, { 0x2008, BIT(51) },
		{ 0x3008, BIT(45) }, { 0x4008, BIT(39) },
	};

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		make_long(ALL, ALL, ALL, ALL);
		put(bad[i].gpa, get(bad[i].gpa) | bad[i].bits, 8);
		assert_int_equal(pfec(0), PFEC_P | PFEC_RSVD);
	}
	make_long(ALL, ALL, ALL, ALL);
	put(0x3008, 0x40202000 | ALL | PTE_PS, 8);
	assert_int_equal(pfec(0), PFEC_P | PFEC_RSVD);
}

static void pae(void **state UNUSED)
{
	begin(PAGING, CR4_PAE, 0);
	walk.pdpte[1] = 0x3001;
	put(0x3008, 0x4000 | ALL, 8);
	put(0x4008, 0x7000 | ALL, 8);
	assert_int_equal(guest_walk(&walk, LINEAR, WALK_WRITE | WALK_USER, &page), WALK_OK);
	assert_int_equal(page.gpa, 0x7234);
	walk.pdpte[1] = 0x3000;
	assert_int_equal(pfec(WALK_USER), PFEC_U);
	walk.pdpte[1] = 0x3001;
	put(0x4008, 0x7000 | ALL | PTE_NX, 8); /* no NXE */
	assert_int_equal(pfec(0), PFEC_P | PFEC_RSVD);
	put(0x4008, 0x7000 | ALL | BIT(52), 8);
	assert_int_equal(pfec(0), PFEC_P | PFEC_RSVD);
	put(0x3008, 0x40200000 | ALL | PTE_PS, 8);
	assert_int_equal(guest_walk(&walk, LINEAR, 0, &page), WALK_OK);
	assert_int_equal(page.size, SIZE_2M);
}

/* PD index 0x100, PT index 0x201 of LINEAR */
static void thirty_two_bits(void **state UNUSED)
{
	begin(PAGING, 0, 0);
	put(0x1000 + 0x100 * 4, 0x2000 | ALL, 4);
	put(0x2000 + 0x201 * 4, 0x7000 | ALL, 4);
	assert_int_equal(guest_walk(&walk, LINEAR, WALK_WRITE, &page), WALK_OK);
	assert_int_equal(page.gpa, 0x7234);
	/* PS without CR4.PSE is ignored; with it: 4 MiB, address bits 39:32 in 20:13. */
	put(0x1000 + 0x100 * 4, 0x2000 | ALL | PTE_PS, 4);
	assert_int_equal(guest_walk(&walk, LINEAR, 0, &page), WALK_OK);
	assert_int_equal(page.size, 0x1000);
	walk.role = guest_walk_role(PAGING, CR4_PSE, 0);
	put(0x1000 + 0x100 * 4, 0xc0000000 | 5u << 13 | ALL | PTE_PS, 4);
	assert_int_equal(guest_walk(&walk, LINEAR, 0, &page), WALK_OK);
	assert_true(page.gpa == 0x5c0201234);
	assert_int_equal(page.size, 0x400000);
	put(0x1000 + 0x100 * 4, 0xc0000000 | BIT(21) | ALL | PTE_PS, 4);
	assert_int_equal(pfec(0), PFEC_P | PFEC_RSVD);
	put(0x1000 + 0x100 * 4, 0xc0000000 | 0x80u << 13 | ALL | PTE_PS, 4); /* bit 39 */
	assert_int_equal(pfec(0), PFEC_P | PFEC_RSVD);
}

static void races_and_refusals(void **state UNUSED)
{
	make_long(ALL, ALL, ALL, ALL);
	racing = true;
	assert_int_equal(guest_walk(&walk, LINEAR, 0, &page), WALK_OK);
	refusing = true;
	assert_int_equal(guest_walk(&walk, LINEAR, 0, &page), WALK_STOPPED);
}

/* The role has every bit: each one changes what some walk does (invariant 4). */
static void the_role_has_every_bit(void **state UNUSED)
{
	u32 all = guest_walk_role(~0ull, ~0ull, ~0ull);
	const u64 cr0[] = { CR0_PG, CR0_WP },
		  cr4[] = { CR4_PSE, CR4_PAE, CR4_SMEP, CR4_SMAP, CR4_PKE, CR4_LA57 };
	const u64 efer[] = { EFER_LMA, EFER_NXE };

	for (size_t i = 0; i < ARRAY_SIZE(cr0); i++)
		assert_int_not_equal(guest_walk_role(~cr0[i], ~0ull, ~0ull), all);
	for (size_t i = 0; i < ARRAY_SIZE(cr4); i++)
		assert_int_not_equal(guest_walk_role(~0ull, ~cr4[i], ~0ull), all);
	for (size_t i = 0; i < ARRAY_SIZE(efer); i++)
		assert_int_not_equal(guest_walk_role(~0ull, ~0ull, ~efer[i]), all);
}

/* ---- operands, on the machine ---- */

static struct vmx_operand operand;

static bool decode(u64 displacement, u32 info, size_t length, bool write)
{
	regcache_flush(&machine_vcpu->vmcs->cache);
	regcache_reset(&machine_vcpu->vmcs->cache);
	machine_set_field(VMCS_exit_qualification, displacement);
	machine_set_field(VMCS_exit_instruction_info, info);
	return vmx_operand_decode(machine_vcpu, length, write, &operand) == OUTCOME_NONE;
}

#define NO_INDEX (1u << 22)
#define NO_BASE (1u << 27)
#define ADDRESS_64 (2u << 7)
#define ADDRESS_32 (1u << 7)
#define SEGMENT(s) ((u32)(s) << 15)

static void operands_in_64_bit_mode(void **state UNUSED)
{
	machine_vcpu->gpr[GPR_RBX] = 0x1000;
	machine_vcpu->gpr[GPR_RSI] = 0x20;
	assert_true(decode(8, ADDRESS_64 | SEGMENT(SEG_DS) | GPR_RBX << 23 | GPR_RSI << 18 | 3, 8, false));
	assert_int_equal(operand.linear, 0x1000 + 0x20 * 8 + 8);
	assert_true(decode(-16, ADDRESS_64 | SEGMENT(SEG_SS) | GPR_RBX << 23 | NO_INDEX, 8, false));
	assert_int_equal(operand.linear, 0xff0);
	/* 32-bit addresses wrap */
	machine_vcpu->gpr[GPR_RBX] = 0xfffffffff;
	assert_true(decode(1, ADDRESS_32 | SEGMENT(SEG_DS) | GPR_RBX << 23 | NO_INDEX, 8, false));
	assert_int_equal(operand.linear, 0);
	/* FS and GS have bases, the others none, and RSP comes from the VMCS */
	machine_set_field(VMCS_guest_gs_base, 0x7000);
	machine_set_field(VMCS_guest_ds_base, 0x9000);
	machine_set_field(VMCS_guest_rsp, 0x500);
	assert_true(decode(0, ADDRESS_64 | SEGMENT(SEG_GS) | GPR_RSP << 23 | NO_INDEX, 8, false));
	assert_int_equal(operand.linear, 0x7500);
	assert_true(decode(4, ADDRESS_64 | SEGMENT(SEG_DS) | NO_BASE | NO_INDEX, 8, false));
	assert_int_equal(operand.linear, 4);
	/* non-canonical, and crossing into it */
	assert_false(decode(BIT(47), ADDRESS_64 | SEGMENT(SEG_DS) | NO_BASE | NO_INDEX, 8, false));
	assert_int_equal(machine_vcpu->outcome.fault.vector, VEC_GP);
	assert_false(decode(BIT(47) - 4, ADDRESS_64 | SEGMENT(SEG_SS) | NO_BASE | NO_INDEX, 8, false));
	assert_int_equal(machine_vcpu->outcome.fault.vector, VEC_SS);
	assert_true(decode(BIT(47) - 8, ADDRESS_64 | SEGMENT(SEG_SS) | NO_BASE | NO_INDEX, 8, false));
	/* a register */
	assert_true(decode(0, 1u << 10 | 5u << 3 | 9u << 28, 8, false));
	assert_true(operand.is_register);
}

static void operands_in_protected_mode(void **state UNUSED)
{
	machine_set_field(VMCS_guest_efer, 0);
	machine_set_field(VMCS_guest_cs_ar, 0xc09b);
	machine_set_field(VMCS_guest_ds_base, 0x10000);
	machine_set_field(VMCS_guest_ds_limit, 0xfff);
	machine_set_field(VMCS_guest_ds_ar, 0x4093);
	assert_true(decode(0xff8, ADDRESS_32 | SEGMENT(SEG_DS) | NO_BASE | NO_INDEX, 8, true));
	assert_int_equal(operand.linear, 0x10ff8);
	assert_false(decode(0xff9, ADDRESS_32 | SEGMENT(SEG_DS) | NO_BASE | NO_INDEX, 8, true));
	assert_int_equal(machine_vcpu->outcome.fault.vector, VEC_GP);
	machine_set_field(VMCS_guest_ds_ar, 0x4091); /* read-only */
	assert_false(decode(0, ADDRESS_32 | SEGMENT(SEG_DS) | NO_BASE | NO_INDEX, 8, true));
	assert_true(decode(0, ADDRESS_32 | SEGMENT(SEG_DS) | NO_BASE | NO_INDEX, 8, false));
	machine_set_field(VMCS_guest_ds_ar, 0x4097); /* expand-down */
	assert_false(decode(0xff0, ADDRESS_32 | SEGMENT(SEG_DS) | NO_BASE | NO_INDEX, 8, false));
	assert_true(decode(0x1000, ADDRESS_32 | SEGMENT(SEG_DS) | NO_BASE | NO_INDEX, 8, false));
	machine_set_field(VMCS_guest_ds_ar, AR_UNUSABLE);
	assert_false(decode(0, ADDRESS_32 | SEGMENT(SEG_DS) | NO_BASE | NO_INDEX, 8, false));
	machine_set_field(VMCS_guest_ds_ar, 0x4099); /* execute-only code */
	assert_false(decode(0, ADDRESS_32 | SEGMENT(SEG_DS) | NO_BASE | NO_INDEX, 8, false));
	/* 16-bit addresses wrap at 64 KiB */
	machine_set_field(VMCS_guest_ds_ar, 0x4093);
	machine_vcpu->gpr[GPR_RBX] = 0xffff;
	assert_true(decode(2, SEGMENT(SEG_DS) | GPR_RBX << 23 | NO_INDEX, 8, false));
	assert_int_equal(operand.linear, 0x10001);
}

/* L1's operand faults reach L1 with the right vector, error code and CR2. */
static void operand_faults_are_injected(void **state UNUSED)
{
	l1_start_vmx();
	EXIT_NOW(.reason = EXIT_VMPTRLD, .qualification = 0x100000000,
		 .info = ADDRESS_64 | SEGMENT(SEG_DS) | NO_BASE | NO_INDEX);
	assert_int_equal(machine_pending() & 0xff, VEC_PF);
	assert_int_equal(machine_field(VMCS_entry_exception_error_code), 0);
	EXIT_NOW(.reason = EXIT_VMPTRST, .qualification = 0x100000000,
		 .info = ADDRESS_64 | SEGMENT(SEG_DS) | NO_BASE | NO_INDEX);
	assert_int_equal(machine_pending() & 0xff, VEC_PF);
	assert_int_equal(machine_field(VMCS_entry_exception_error_code), PFEC_W);
	EXIT_NOW(.reason = EXIT_VMPTRLD, .qualification = BIT(47),
		 .info = ADDRESS_64 | SEGMENT(SEG_DS) | NO_BASE | NO_INDEX);
	assert_int_equal(machine_pending() & 0xff, VEC_GP);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(no_paging_is_identity),
		cmocka_unit_test(four_levels),
		cmocka_unit_test(five_levels),
		cmocka_unit_test(rights),
		cmocka_unit_test(smep_and_smap),
		cmocka_unit_test(protection_keys),
		cmocka_unit_test(reserved_bits),
		cmocka_unit_test(pae),
		cmocka_unit_test(thirty_two_bits),
		cmocka_unit_test(races_and_refusals),
		cmocka_unit_test(the_role_has_every_bit),
		MACHINE_TEST(operands_in_64_bit_mode, ""),
		MACHINE_TEST(operands_in_protected_mode, ""),
		MACHINE_TEST(operand_faults_are_injected, ""),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
