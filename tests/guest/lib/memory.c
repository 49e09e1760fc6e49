/* SPDX-License-Identifier: MIT */
/*
 * Pages for the tests, from a pool behind the image (the same addresses on every platform), and page tables
 * in the three formats. Marks give back all pages allocated since: the harness does so after each test.
 */
#include "tests/guest/lib/x86.h"

extern u8 image_end[];
extern u64 page_pml4[], page_directories[]; /* start.S */

enum { POOL_SIZE = 64 << 20 };
static u64 used;

void *page_alloc_contig(size_t count)
{
	u64 base = (addr_of(image_end) + 2 * MIB - 1) & ~(2 * MIB - 1);
	void *p = ptr_of(base + used);

	if (used + count * PAGE_SIZE > POOL_SIZE) {
		print("\nFAIL out of memory\nDONE\n");
		machine_stop();
	}
	used += count * PAGE_SIZE;
	asm volatile("rep stosq"
		     : "=&D"((u64){ 0 }), "=&c"((u64){ 0 })
		     : "0"(p), "1"(count * 512), "a"(0)
		     : "memory");
	return p;
}

void *page_alloc(void)
{
	return page_alloc_contig(1);
}
u64 page_mark(void)
{
	return used;
}
void page_release(u64 mark)
{
	used = mark;
}

u64 *paging_entry(u64 root, u64 va, int level)
{
	u64 *table = ptr_of(root & PTE_ADDR);
	int at;

	for (at = 4;; at--) {
		u64 *e = &table[va >> (12 + 9 * (at - 1)) & 511];

		if (at == level)
			return e;
		if (!(*e & PTE_P)) {
			*e = addr_of(page_alloc()) | PTE_P | PTE_W | PTE_U;
		} else if (*e & PTE_PS) {
			u64 *split = page_alloc();
			u64 step = 1ull << (12 + 9 * (at - 2));
			u64 flags = (*e & ~PTE_ADDR) & ~(at == 2 ? PTE_PS : 0);
			int i;

			for (i = 0; i < 512; i++)
				split[i] = ((*e & PTE_ADDR) + i * step) | flags;
			*e = addr_of(split) | PTE_P | PTE_W | PTE_U;
		}
		*e |= PTE_U;
		table = ptr_of(*e & PTE_ADDR);
	}
}

void paging_map(u64 va, u64 pa, u64 flags)
{
	*paging_entry(cr3_read(), va, 1) = pa | flags;
	invlpg(va);
}

static void fill_directories(u64 *pd, u64 flags)
{
	u64 i;

	for (i = 0; i < 2048; i++)
		pd[i] = i * 2 * MIB | flags | PTE_P | PTE_W | PTE_A | PTE_D | PTE_PS;
}

void paging_reset(void)
{
	memset(page_pml4 + 1, 0, PAGE_SIZE - 8);
	fill_directories(page_directories, 0);
	cr3_write(addr_of(page_pml4));
}

u64 paging_create64(void)
{
	u64 *pages = page_alloc_contig(6);
	int i;

	pages[0] = addr_of(pages + 512) | PTE_P | PTE_W | PTE_U | PTE_A;
	for (i = 0; i < 4; i++)
		pages[512 + i] = addr_of(pages + 1024 + 512 * i) | PTE_P | PTE_W | PTE_U | PTE_A;
	fill_directories(pages + 1024, 0);
	return addr_of(pages);
}

u64 paging_create_pae(void)
{
	u64 *pages = page_alloc_contig(5);
	int i;

	for (i = 0; i < 4; i++)
		pages[i] = addr_of(pages + 512 + 512 * i) | PTE_P;
	fill_directories(pages + 512, PTE_U);
	return addr_of(pages);
}

u64 paging_create32(void)
{
	u32 *pd = page_alloc();
	u32 i;

	for (i = 0; i < 1024; i++)
		pd[i] = i << 22 | (u32)(PTE_P | PTE_W | PTE_U | PTE_A | PTE_D | PTE_PS);
	return addr_of(pd);
}
