/* SPDX-License-Identifier: MIT */
/*
 * Guest test "legacy", large pages: operands of a 32-bit L1 in 4 MiB pages (their PSE-36 bits, too) and in
 * 2 MiB pages of PAE paging, and across the border to a small page, beside plain loads and stores. SDM:
 * volume 3, "32-Bit Paging", "PAE Paging".
 */
#include "tests/guest/legacy.h"

#define WINDOW 0xc0000000u /* the large page; a small one before it and one behind it */

static const struct {
	const char *name;
	u32 at; /* of the operand, relative to the window; 0x400000: the large page's size */
	u64 set, clear;
	bool pae;
} cases[] = {
	{ "plain", 0x1000, 0, 0, false },
	{ "ro", 0x1000, 0, PTE_W, false },
	{ "absent", 0x1000, 0, PTE_P, false },
	{ "pat", 0x1000, BIT(12), 0, false },
	{ "pse36_13", 0x1000, BIT(13), 0, false },
	{ "pse36_16", 0x1000, BIT(16), 0, false },
	{ "pse36_17", 0x1000, BIT(17), 0, false },
	{ "pse36_20", 0x1000, BIT(20), 0, false },
	{ "bit_21", 0x1000, BIT(21), 0, false },
	{ "to_large", -4u, 0, 0, false },
	{ "to_large_ro", -4u, 0, PTE_W, false },
	{ "to_large_pse36", -4u, BIT(13), 0, false },
	{ "to_large_21", -4u, BIT(21), 0, false },
	{ "from_large", 0x3ffffc, 0, 0, false },
	{ "from_large_ro", 0x3ffffc, 0, PTE_W, false },
	{ "from_large_21", 0x3ffffc, BIT(21), 0, false },
	{ "pae_plain", 0x1000, 0, 0, true },
	{ "pae_pat", 0x1000, BIT(12), 0, true },
	{ "pae_13", 0x1000, BIT(13), 0, true },
	{ "pae_20", 0x1000, BIT(20), 0, true },
	{ "pae_52", 0x1000, BIT(52), 0, true },
	{ "pae_62", 0x1000, BIT(62), 0, true },
	{ "pae_to_large", -4u, 0, 0, true },
	{ "pae_from_large", 0x1ffffc, 0, 0, true },
	{ "pae_from_large_ro", 0x1ffffc, 0, PTE_W, true },
};

#define SMALL_FLAGS (PTE_P | PTE_W | PTE_A | PTE_D)
#define LARGE_FLAGS (SMALL_FLAGS | PTE_PS)

/* Tables in which the window is `large`, and `small` lies on both sides of it. */
static u64 tables32(u64 large, u64 small)
{
	u64 cr3 = paging_create32();
	u32 *root = ptr_of(cr3), *table = page_alloc();

	table[0] = table[1023] = (u32)(small | SMALL_FLAGS);
	root[(WINDOW >> 22) - 1] = root[(WINDOW >> 22) + 1] = (u32)(addr_of(table) | SMALL_FLAGS);
	root[WINDOW >> 22] = (u32)large;
	return cr3;
}

static u64 tables_pae(u64 large, u64 small)
{
	u64 cr3 = paging_create_pae();
	u64 *table = page_alloc(), *below = ptr_of(((u64 *)ptr_of(cr3))[2] & PTE_ADDR),
	    *above = ptr_of(((u64 *)ptr_of(cr3))[3] & PTE_ADDR);

	table[0] = table[511] = small | SMALL_FLAGS;
	below[511] = above[1] = addr_of(table) | SMALL_FLAGS;
	above[0] = large;
	return cr3;
}

TEST(large_pages)
{
	u64 pool = addr_of(page_alloc_contig(2048)), large = (pool + 4 * MIB - 1) & ~(4 * MIB - 1);
	u64 small = addr_of(page_alloc());
	u32 i;

	for (i = 0; i < ARRAY_SIZE(cases); i++) {
		u64 mark = page_mark(), entry = ((large | LARGE_FLAGS) & ~cases[i].clear) | cases[i].set;
		u64 cr3 = cases[i].pae ? tables_pae(entry, small) : tables32(entry, small);
		u64 cr4 = legacy_cr4(cases[i].pae);
		u64 vmcs = legacy_vmcs(VM_32, 0, l_vmcall, cr3, cr4);
		u32 at = WINDOW + cases[i].at, size = cases[i].pae ? 0x1ffffc : 0x3ffffc;
		struct step *stored;

		legacy_reset();
		memset(ptr_of(small), 0, PAGE_SIZE);
		/* no region's address */
		*(u64 *)ptr_of(large) = *(u64 *)ptr_of(large + 0x1000) = *(u64 *)ptr_of(large + size) = 0x600;
		legacy_words[0] = vmx_region();
		legacy_words[1] = vmcs;
		legacy_add(VMXON, addr_of(legacy_words), 0);
		legacy_add(VMPTRLD, addr_of(legacy_words + 1), 0);
		legacy_add(VMREAD_MEMORY, F_HOST_CS, at);
		legacy_add(VMPTRST, at, 0);
		legacy_add(LOAD, at + 4, 0);
		stored = legacy_add(LOAD, at, 0);
		legacy_add(STORE, at, 0x600);
		legacy_add(STORE, at + 4, 0);
		legacy_add(VMWRITE_MEMORY, F_CR0_SHADOW, at + 2);
		legacy_add(VMREAD, F_CR0_SHADOW, 0);
		legacy_add(VMCLEAR, at, 0); /* absent memory: ones, not aligned */
		legacy_add(VMPTRLD, at, 0);
		legacy_add(VMXOFF, 0, 0);
		legacy_execute(cr3, cr4, SEL_CODE32, SEL_DATA, 0);
		if (stored->result == (u32)vmcs) /* the image's addresses are nobody's business */
			stored->result = 0x111;
		legacy_report(cases[i].name);
		page_release(mark);
	}
}
