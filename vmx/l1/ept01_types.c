/* SPDX-License-Identifier: MIT */
/*
 * Memory types of EPT01, which follow L1's MTRRs when memory is touched. A
 * change *parks* the root's entries: they keep where they lead and lose their
 * permissions; what lies below is typed anew on its next touch, a table of each
 * level at most. So no write of L1's costs more than a walk. The tables and the
 * lock are passthru.c's. SDM: "EPT and Memory Typing".
 */
#include "vmx/l1/ept01_types.h"

#include "kernel/hw/phys.h"
#include "kernel/x86.h"
#include "mm/ptab.h"
#include "vmx/l1/closed.h"
#include "vmx/l1/sleep_page.h"

static bool is_parked(u64 entry)
{
	return entry && !(entry & EPT_RWX);
}

static bool is_leaf(u64 entry, unsigned int level)
{
	return level == 1 || (entry & EPT_LEAF);
}

u64 ept01_leaf_bits_at(u64 gpa, u32 type)
{
	return ept01_leaf_bits(type) & ~(u64)(sleep_page_is(gpa) ? EPT_WRITE : 0) & ~(u64)closed_bits(gpa);
}

static u64 typed(u64 leaf, u64 gpa, u32 type)
{
	return (leaf & ~(u64)(EPT_MEMTYPE | EPT_RWX)) | ept01_leaf_bits_at(gpa, type);
}

void ept01_park(u64 *table)
{
	for (unsigned int i = 0; i < 512; i++)
		if (table[i] & EPT_RWX)
			WRITE_ONCE(table[i], table[i] & ~(u64)EPT_RWX);
}

/* All leaves of the table have one type; the tables below it wait for their own touch. */
static void type_entries(u64 *table, u64 gpa, unsigned int level, u32 type)
{
	for (unsigned int i = 0; i < 512; i++, gpa += ptab_level_size(level)) {
		u64 entry = table[i];

		if (!entry)
			continue;
		WRITE_ONCE(table[i], is_leaf(entry, level) ? typed(entry, gpa, type) : entry & ~(u64)EPT_RWX);
	}
}

/*
 * The MTRRs give this large leaf more than one type. A table of smaller leaves, all parked, takes its
 * place. If the pool has no table left, the leaf stays, with its old type.
 */
static void split_parked(u64 *entry, unsigned int level, void *(*table_alloc)(void *context))
{
	u64 *table = table_alloc(NULL);
	u64 old = *entry;

	if (!table) {
		WRITE_ONCE(*entry, old | EPT_RWX);
		return;
	}
	if (level == 2)
		old &= ~(u64)EPT_LEAF;
	for (unsigned int i = 0; i < 512; i++)
		table[i] = old + i * ptab_level_size(level - 1);
	__atomic_store_n(entry, ptr_to_phys(table).v | EPT_RWX, __ATOMIC_RELEASE);
}

/* Below a present link every present entry has the type that the MTRRs give it now. */
static void take_up_entry(u64 *entry, u64 gpa, unsigned int level, const struct mtrr *mtrr,
			  void *(*table_alloc)(void *context))
{
	u64 end;
	u32 type = mtrr_type(mtrr, gpa, &end);
	bool uniform = end - gpa >= ptab_level_size(level);

	if (!is_leaf(*entry, level)) {
		u64 *table = phys_to_ptr(HPA(*entry & PTE_ADDR));

		if (uniform)
			type_entries(table, gpa, level - 1, type);
		else
			ept01_park(table);
		__atomic_store_n(entry, *entry | EPT_RWX, __ATOMIC_RELEASE);
	} else if (uniform) {
		WRITE_ONCE(*entry, typed(*entry, gpa, type));
	} else {
		split_parked(entry, level, table_alloc);
	}
}

void ept01_take_up(u64 *root, u64 gpa, const struct mtrr *mtrr, void *(*table_alloc)(void *context))
{
	u64 *table = root;

	for (unsigned int level = ptab_ept.levels;; level--) {
		u64 size = ptab_level_size(level);
		u64 *entry = &table[gpa / size & 511];

		if (is_parked(*entry))
			take_up_entry(entry, ALIGN_DOWN(gpa, size), level, mtrr, table_alloc);
		if (!*entry || is_leaf(*entry, level))
			return;
		table = phys_to_ptr(HPA(*entry & PTE_ADDR));
	}
}
