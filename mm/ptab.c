/* SPDX-License-Identifier: MIT */
/*
 * The walk over 64-bit paging entries, 9 bits a level. SDM volume 3: "4-Level Paging and 5-Level Paging",
 * "The Extended Page Table Mechanism (EPT)".
 */
#include "mm/ptab.h"

#include "kernel/hw/phys.h"
#include "kernel/panic.h"
#include "kernel/x86.h"

const struct ptab_format ptab_host = {
	.present = PTE_P,
	.table = PTE_P | PTE_W,
	.leaf_large = PTE_PS,
	.addr = PTE_ADDR,
	.levels = 4,
};

const struct ptab_format ptab_ept = {
	.present = GENMASK(2, 0),
	.table = GENMASK(2, 0),
	.leaf_large = BIT(7),
	.addr = GENMASK(51, 12),
	.levels = 4,
};

static u64 *table_of(const struct ptab *pt, u64 entry)
{
	return phys_to_ptr(HPA(entry & pt->format->addr));
}

static unsigned int index_of(u64 va, unsigned int level)
{
	return va >> (PAGE_SHIFT + 9 * (level - 1)) & 511;
}

static bool is_present(const struct ptab *pt, u64 entry)
{
	return entry & pt->format->present;
}

static bool is_leaf(const struct ptab *pt, u64 entry, unsigned int level)
{
	return level == 1 || (entry & pt->format->leaf_large);
}

bool ptab_init(struct ptab *pt, const struct ptab_format *format, u32 sizes, void *(*alloc)(void *context),
	       void *context)
{
	void *root;

	*pt = (struct ptab){ .format = format, .alloc = alloc, .context = context, .sizes = sizes };
	root = alloc(context);
	if (!root)
		return false;
	pt->root = ptr_to_phys(root);
	return true;
}

/* A table below `entry`: new, or made of the large page that was there, with the same bits in 512 smaller
 * ones. */
static u64 *descend(struct ptab *pt, u64 *entry, unsigned int level)
{
	const struct ptab_format *format = pt->format;
	u64 old = *entry, step = ptab_level_size(level - 1);
	u64 *table;

	if (is_present(pt, old) && !is_leaf(pt, old, level))
		return table_of(pt, old);
	table = pt->alloc(pt->context);
	if (!table)
		return NULL;
	if (is_present(pt, old)) {
		if (level == 2)
			old &= ~format->leaf_large;
		for (unsigned int i = 0; i < 512; i++)
			table[i] = old + i * step;
	}
	/* The new table says what the large page said, so there is no moment in which nothing is mapped; and
	 * it says so before anybody can find it. */
	__atomic_store_n(entry, ptr_to_phys(table).v | format->table, __ATOMIC_RELEASE);
	return table;
}

u64 *ptab_entry(struct ptab *pt, u64 va, unsigned int level)
{
	u64 *table = phys_to_ptr(pt->root);

	for (unsigned int l = pt->format->levels; l > level && table; l--)
		table = descend(pt, &table[index_of(va, l)], l);
	return table ? &table[index_of(va, level)] : NULL;
}

static unsigned int best_level(const struct ptab *pt, u64 va, u64 pa, u64 size)
{
	if ((pt->sizes & PTAB_1G) && IS_ALIGNED(va | pa, SIZE_1G) && size >= SIZE_1G)
		return 3;
	if ((pt->sizes & PTAB_2M) && IS_ALIGNED(va | pa, SIZE_2M) && size >= SIZE_2M)
		return 2;
	return 1;
}

bool ptab_map(struct ptab *pt, u64 va, u64 pa, u64 size, u64 bits)
{
	ASSERT(IS_ALIGNED(va | pa | size, PAGE_SIZE));
	while (size) {
		unsigned int level = best_level(pt, va, pa, size);
		u64 step = ptab_level_size(level);
		u64 *entry = ptab_entry(pt, va, level);

		if (!entry)
			return false;
		if (is_present(pt, bits))
			WRITE_ONCE(*entry, pa | bits | (level > 1 ? pt->format->leaf_large : 0));
		else
			WRITE_ONCE(*entry, 0);
		va += step;
		pa += step;
		size -= step;
	}
	return true;
}

bool ptab_lookup(const struct ptab *pt, u64 va, u64 *leaf, unsigned int *level)
{
	u64 entry = pt->root.v;

	for (unsigned int l = pt->format->levels;; l--) {
		entry = READ_ONCE(table_of(pt, entry)[index_of(va, l)]);
		if (!is_present(pt, entry))
			return false;
		if (is_leaf(pt, entry, l)) {
			*leaf = entry;
			*level = l;
			return true;
		}
	}
}
