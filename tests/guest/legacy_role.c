/* SPDX-License-Identifier: MIT */
/*
 * Guest test "legacy", the paging role: a 32-bit L1 switches what shapes a walk (CR4.PSE, SMEP, SMAP, CR0.WP,
 * EFER.NXE) with paging on, or goes to another task with other PDPTEs; the next memory operand of a VMX
 * instruction, which L0 walks for, must reach what the processor itself would. SDM: "Paging", "Task
 * Switching".
 */
#include "tests/guest/legacy.h"

#define WINDOW 0xc0000000u /* where the formats and the bits make a difference */
#define ALL_CR0 (CR0_PE | CR0_ET | CR0_NE | CR0_PG)
extern u8 legacy_task[], legacy_stack[];

static u64 vmcs_steps(u64 cr3, u64 cr4)
{
	u64 vmcs = legacy_vmcs(VM_32, 0, l_vmcall, cr3, cr4);

	legacy_reset();
	legacy_words[0] = vmx_region();
	legacy_words[1] = vmcs;
	legacy_add(VMXON, addr_of(legacy_words), 0);
	legacy_add(VMPTRLD, addr_of(legacy_words + 1), 0);
	return vmcs;
}

/* A write and a read by L0's walk, and a read by the processor's. */
static void touch(u32 offset)
{
	legacy_add(VMREAD_MEMORY, F_HOST_CS, WINDOW + offset);
	legacy_add(VMWRITE_MEMORY, F_CR0_SHADOW, WINDOW + offset);
	legacy_add(LOAD, WINDOW + offset, 0);
}

static bool may_set(u64 bits)
{
	return (caps.cr4_fixed1 & bits) == bits;
}

/* 32-bit tables of 4 KiB pages, 96 MiB at their own addresses. */
static u32 *small_pages(void)
{
	u32 *root = page_alloc(), *tables = page_alloc_contig(24), i;

	for (i = 0; i < 24 * 1024; i++)
		tables[i] = i << 12 | (u32)(PTE_P | PTE_W | PTE_A | PTE_D);
	for (i = 0; i < 24; i++)
		root[i] = (u32)(addr_of(tables + 1024 * i) | PTE_P | PTE_W | PTE_A);
	return root;
}

/* A page-directory entry with PS set is a 4 MiB page or, without CR4.PSE, a table; here both are valid. */
TEST(toggle_pse)
{
	u64 pool = addr_of(page_alloc_contig(2048));
	u32 *table = ptr_of((pool + 4 * MIB - 1) & ~(4 * MIB - 1)), *page = page_alloc(),
	    *root = small_pages();
	u64 cr4 = legacy_cr4(false);
	u32 turn;

	table[0] = (u32)(addr_of(page) | PTE_P | PTE_W | PTE_A | PTE_D);
	root[WINDOW >> 22] = (u32)(addr_of(table) | PTE_P | PTE_W | PTE_A | PTE_D | PTE_PS);
	vmcs_steps(addr_of(root), cr4);
	for (turn = 0; turn < 4; turn++) {
		legacy_add(CR4, turn & 1 ? cr4 & ~CR4_PSE : cr4 | CR4_PSE, 0);
		touch(0x100 + turn * 4);
	}
	legacy_add(VMXOFF, 0, 0);
	legacy_execute(addr_of(root), cr4, SEL_CODE32, SEL_DATA, 0);
	legacy_report("pse");
	result("large=%x,%x,%x,%x small=%x,%x,%x,%x", table[64], table[65], table[66], table[67], page[64],
	       page[65], page[66], page[67]);
	CHECK(table[64] == SEL_CODE32 && !table[65] && table[66] == SEL_CODE32 && !table[67]);
	CHECK(!page[64] && page[65] == SEL_CODE32 && !page[66] && page[67] == SEL_CODE32);
}

/* Write protection, and what supervisor mode may not touch, in both formats. */
static void protection(bool pae)
{
	u64 cr3 = pae ? paging_create_pae() : paging_create32(), cr4 = legacy_cr4(pae) | CR4_PSE;
	u32 *page = page_alloc_contig(2);
	u64 leaf = PTE_P | PTE_A | PTE_D;
	u32 turn, i;

	/* L1's own code is not the user's */
	for (i = 0; i < (pae ? 2048 : 1024); i++) {
		if (pae)
			((u64 *)ptr_of(((u64 *)ptr_of(cr3))[i / 512] & PTE_ADDR))[i % 512] &= ~PTE_U;
		else
			((u32 *)ptr_of(cr3))[i] &= (u32)~PTE_U;
	}
	if (pae) {
		u64 *pt = page_alloc();

		pt[0] = addr_of(page) | leaf;
		pt[1] = addr_of(page + 1024) | leaf | PTE_W | PTE_U;
		((u64 *)ptr_of(((u64 *)ptr_of(cr3))[3] & PTE_ADDR))[0] =
			addr_of(pt) | PTE_P | PTE_W | PTE_U | PTE_A;
	} else {
		u32 *pt = page_alloc();

		pt[0] = (u32)(addr_of(page) | leaf);
		pt[1] = (u32)(addr_of(page + 1024) | leaf | PTE_W | PTE_U);
		((u32 *)ptr_of(cr3))[WINDOW >> 22] = (u32)(addr_of(pt) | PTE_P | PTE_W | PTE_U | PTE_A);
	}
	vmcs_steps(cr3, cr4);
	for (turn = 0; turn < 4; turn++) {
		legacy_add(CR0, ALL_CR0 | (turn & 1 ? 0 : CR0_WP), 0);
		touch(turn * 8);
		if (may_set(CR4_SMEP)) {
			legacy_add(CR4, cr4 | (turn & 1 ? 0 : CR4_SMEP), 0);
			touch(0x1000 + turn * 8);
		}
		if (may_set(CR4_SMAP)) {
			legacy_add(CR4, cr4 | (turn & 1 ? 0 : CR4_SMAP), 0);
			touch(0x1004 + turn * 8);
		}
	}
	legacy_add(CR4, cr4, 0);
	legacy_add(VMXOFF, 0, 0);
	legacy_execute(cr3, cr4, SEL_CODE32, SEL_DATA, 0);
	legacy_report(pae ? "pae" : "32");
	result("pae=%u read_only=%x,%x,%x,%x", pae, page[0], page[2], page[4], page[6]);
	CHECK(!page[0] && page[2] == SEL_CODE32 && !page[4] && page[6] == SEL_CODE32);
}

TEST(toggle_protection)
{
	protection(false);
	protection(true);
}

/* Bit 63 is reserved without EFER.NXE. */
TEST(toggle_nxe)
{
	u64 cr3 = paging_create_pae(), cr4 = legacy_cr4(true);
	u64 *pt = page_alloc();
	u32 *page = page_alloc(), turn;

	pt[0] = addr_of(page) | PTE_P | PTE_W | PTE_A | PTE_D | PTE_XD;
	((u64 *)ptr_of(((u64 *)ptr_of(cr3))[3] & PTE_ADDR))[0] = addr_of(pt) | PTE_P | PTE_W | PTE_A;
	vmcs_steps(cr3, cr4);
	for (turn = 0; turn < 4; turn++) {
		legacy_add(EFER, turn & 1 ? EFER_NXE : 0, 0);
		legacy_add(INVLPG, WINDOW, 0);
		touch(turn * 4);
	}
	legacy_add(VMXOFF, 0, 0);
	legacy_execute(cr3, cr4, SEL_CODE32, SEL_DATA, 0);
	legacy_report("nxe");
	result("page=%x,%x,%x,%x", page[0], page[1], page[2], page[3]);
	CHECK(!page[0] && page[1] == SEL_CODE32 && !page[2] && page[3] == SEL_CODE32);
}

struct PACKED tss32 {
	u32 link, stacks[6], cr3, eip, eflags, gpr[8], segment[6], ldt, map;
};

static u64 tss_descriptor(const struct tss32 *t)
{
	u64 at = addr_of(t);

	return 0x67 | (at & 0xffffff) << 16 | 0x89ul << 40 | (at >> 24) << 56;
}

/* PAE tables whose fourth GiB starts with `page`. */
static u64 tables_to(const u32 *page)
{
	u64 cr3 = paging_create_pae(), *pt = page_alloc();

	pt[0] = addr_of(page) | PTE_P | PTE_W | PTE_A | PTE_D;
	((u64 *)ptr_of(((u64 *)ptr_of(cr3))[3] & PTE_ADDR))[0] = addr_of(pt) | PTE_P | PTE_W | PTE_A;
	return cr3;
}

/*
 * A task switch to a CR3 with other PDPTEs, and to one whose table changed in memory: both walks see the new
 * ones.
 */
TEST(task_loads_pdptes)
{
	struct tss32 *old = page_alloc(), *new = page_alloc();
	u32 *page_a = page_alloc(), *page_b = page_alloc(), i;
	u64 cr3_a = tables_to(page_a), cr3_b = tables_to(page_b);
	u64 tss_low = this_cpu()->gdt[SEL_TSS / 8];

	page_a[1] = 0xaaaa1111;
	page_b[1] = 0xbbbb2222;
	new->cr3 = (u32)cr3_b;
	new->eip = (u32)addr_of(legacy_task);
	new->eflags = 2;
	new->gpr[4] = (u32)addr_of(legacy_stack);
	for (i = 0; i < 6; i++)
		new->segment[i] = i == 1 ? SEL_CODE32 : SEL_DATA;
	new->map = 0x680000;
	gdt_set(SEL_FREE, tss_descriptor(old));
	gdt_set(SEL_FREE + 8, tss_descriptor(new));
	vmcs_steps(cr3_a, legacy_cr4(true));
	legacy_add(LOAD, WINDOW + 4, 0);
	legacy_add(TASK, SEL_FREE, SEL_FREE + 8);
	legacy_add(LOAD, WINDOW + 4, 0);
	touch(0);
	legacy_add(CR3, cr3_a, 0);
	touch(8);
	legacy_add(VMXOFF, 0, 0);
	legacy_execute(cr3_a, legacy_cr4(true), SEL_CODE32, SEL_DATA, 0);
	this_cpu()->gdt[SEL_TSS / 8] = tss_low & ~BIT(41); /* not busy */
	tr_load(SEL_TSS);
	gdt_set(SEL_FREE, 0);
	gdt_set(SEL_FREE + 8, 0);
	legacy_report("task");
	result("a=%x,%x b=%x,%x old_cr3=%u", page_a[0], page_a[2], page_b[0], page_b[2], old->cr3 == 0);
	CHECK(!page_a[0] && page_b[0] == SEL_CODE32 && page_a[2] == SEL_CODE32 && !page_b[2]);
}
