/* SPDX-License-Identifier: MIT */
/*
 * Guest test "invariants": the page tables of invariants_l2role.c, in the three formats: pages at WINDOW that
 * a supervisor may read only, that are the user's, that must not be executed, and a 4 MiB page that is a
 * table too.
 */
#include "tests/guest/invariants.h"

static void fill_pages(u32 *pages, u32 mark)
{
	u32 i;

	for (i = 0; i < WINDOW_PAGES; i++) {
		u32 *page = pages + 1024 * i;

		page[AT_DATA / 4] = page[AT_TSS / 4] = mark;
		page[AT_CODE / 4] = 0xbd | mark << 8;
		page[AT_CODE / 4 + 1] = 0xc300 | mark >> 24;
	}
}

static u64 window_wide(const u32 *pages)
{
	u64 *pd = page_alloc(), *pt = page_alloc(), i;

	for (i = 0; i < WINDOW_PAGES; i++)
		pt[i] = addr_of(pages + 1024 * i) | PTE_P | PTE_A | PTE_D | (i == READ_ONLY ? 0 : PTE_W) |
			(i == USER ? PTE_U : 0) | (i == NO_EXECUTE ? PTE_XD : 0);
	pd[0] = addr_of(pt) | PTE_P | PTE_W | PTE_U | PTE_A;
	return addr_of(pd) | PTE_P;
}

void window_make(struct world *w)
{
	u32 *root = identity32(), *pt = page_alloc(), i;
	u64 *pd = identity_wide(), *pml4 = page_alloc(), *pdpt64 = page_alloc();
	u32 *large = ptr_of((addr_of(page_alloc_contig(2048)) + 4 * MIB - 1) & ~(4 * MIB - 1));

	w->code = page_alloc();
	for (i = 0; i < 2; i++) {
		w->pages[i] = page_alloc_contig(WINDOW_PAGES);
		fill_pages(w->pages[i], i ? MARK_B : MARK_A);
	}
	for (i = 0; i < WINDOW_PAGES; i++)
		pt[i] = (u32)(addr_of(w->pages[0] + 1024 * i) | PTE_P | PTE_A | PTE_D |
			      (i == READ_ONLY ? 0 : PTE_W) | (i == USER ? PTE_U : 0));
	root[WINDOW >> 22] = (u32)(addr_of(pt) | PTE_P | PTE_W | PTE_U | PTE_A);
	/* a 4 MiB page or, without CR4.PSE, a table of one page, of which both have their own marks */
	fill_pages(large, MARK_B);
	w->pages[2] = large;
	large[LARGE] = (u32)(addr_of(w->pages[0] + 1024 * LARGE) | PTE_P | PTE_W | PTE_A | PTE_D);
	root[(WINDOW >> 22) + 1] = (u32)(addr_of(large) | PTE_P | PTE_W | PTE_A | PTE_D | PTE_PS);
	w->cr3_32 = addr_of(root);
	w->pdpt = page_alloc();
	w->pdpt[0] = addr_of(pd) | PTE_P;
	w->pdpte_a = window_wide(w->pages[0]);
	w->pdpte_b = window_wide(w->pages[1]);
	w->cr3_pae = addr_of(w->pdpt);
	pml4[0] = addr_of(pdpt64) | PTE_P | PTE_W | PTE_U | PTE_A;
	pdpt64[0] = addr_of(pd) | PTE_P | PTE_W | PTE_A;
	pdpt64[3] = w->pdpte_a | PTE_W | PTE_U | PTE_A;
	w->cr3_64 = addr_of(pml4);
}

u32 window_mark(u64 pa)
{
	const u32 *at = ptr_of(pa);

	return (pa & 0xfff) == AT_CODE ? at[0] >> 8 | at[1] << 24 : at[0];
}
