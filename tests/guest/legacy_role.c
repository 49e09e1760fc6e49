/* SPDX-License-Identifier: MIT */
/*
 * Guest test "legacy", the paging role: a 32-bit L1 switches what shapes a walk (CR4.PSE, SMEP, SMAP, CR0.WP,
 * EFER.NXE) with paging on; the next memory operand of a VMX instruction, which L0 walks for, must reach what
 * the processor itself would. SDM: "Paging".
 */
#include "tests/guest/legacy.h"

#define ALL_CR0 (CR0_PE | CR0_ET | CR0_NE | CR0_PG)

void legacy_start(u64 cr3, u64 cr4)
{
	u64 vmcs = legacy_vmcs(VM_32, 0, l_vmcall, cr3, cr4);

	legacy_reset();
	legacy_words[0] = vmx_region();
	legacy_words[1] = vmcs;
	legacy_add(VMXON, addr_of(legacy_words), 0);
	legacy_add(VMPTRLD, addr_of(legacy_words + 1), 0);
}

/* A write and a read by L0's walk, and a read by the processor's. */
void legacy_touch(u32 offset)
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
	legacy_start(addr_of(root), cr4);
	for (turn = 0; turn < 4; turn++) {
		legacy_add(CR4, turn & 1 ? cr4 & ~CR4_PSE : cr4 | CR4_PSE, 0);
		legacy_touch(0x100 + turn * 4);
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
	legacy_start(cr3, cr4);
	for (turn = 0; turn < 4; turn++) {
		legacy_add(CR0, ALL_CR0 | (turn & 1 ? 0 : CR0_WP), 0);
		legacy_touch(turn * 8);
		if (may_set(CR4_SMEP)) {
			legacy_add(CR4, cr4 | (turn & 1 ? 0 : CR4_SMEP), 0);
			legacy_touch(0x1000 + turn * 8);
		}
		if (may_set(CR4_SMAP)) {
			legacy_add(CR4, cr4 | (turn & 1 ? 0 : CR4_SMAP), 0);
			legacy_touch(0x1004 + turn * 8);
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
	legacy_start(cr3, cr4);
	for (turn = 0; turn < 4; turn++) {
		legacy_add(EFER, turn & 1 ? EFER_NXE : 0, 0);
		legacy_add(INVLPG, WINDOW, 0);
		legacy_touch(turn * 4);
	}
	legacy_add(VMXOFF, 0, 0);
	legacy_execute(cr3, cr4, SEL_CODE32, SEL_DATA, 0);
	legacy_report("nxe");
	result("page=%x,%x,%x,%x", page[0], page[1], page[2], page[3]);
	CHECK(!page[0] && page[1] == SEL_CODE32 && !page[2] && page[3] == SEL_CODE32);
}
