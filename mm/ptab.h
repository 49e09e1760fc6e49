/* SPDX-License-Identifier: MIT */
/*
 * One radix walker over 64-bit paging formats: L0's own tables and EPT, told apart by a struct of bits.
 * Tables are reached through phys_to_ptr(); new ones come from the caller's allocator. No TLB is flushed
 * here, and nothing is freed unless the caller asks: when and how far is the owner's.
 */
#ifndef MM_PTAB_H
#define MM_PTAB_H

#include "kernel/types.h"
#include "mm/addr.h"

struct ptab_format {
	u64 present;	/* an entry with any of these bits is present */
	u64 table;	/* bits of an entry that points to a table */
	u64 leaf_large; /* extra bit of a leaf above level 1 (PS) */
	u64 addr;	/* address bits */
	u8 levels;	/* 4 or 5 */
};

extern const struct ptab_format ptab_host;
/* EPT of four levels: R/W/X in bits 2:0; a table entry allows all three. */
extern const struct ptab_format ptab_ept;

/* Sizes that map() may use besides 4 KiB. */
#define PTAB_2M 1u
#define PTAB_1G 2u

struct ptab {
	const struct ptab_format *format; /* constant after init */
	hpa_t root;			  /* constant after init */
	void *(*alloc)(void *context);	  /* a zeroed page in the direct map, or NULL */
	void *context;
	u32 sizes; /* PTAB_* */
};

/* Takes the root from `alloc`. False if there is none. */
bool ptab_init(struct ptab *pt, const struct ptab_format *format, u32 sizes, void *(*alloc)(void *context),
	       void *context);

/*
 * Maps [va, va + size) to pa onwards, all page-aligned, leaf bits `bits` (present ones included), with the
 * largest pages that alignment and `sizes` allow. Replaces what was there; splits large pages at the edges.
 * `bits` without a present bit unmaps. Tables that a larger page replaces are lost, not given back. False:
 * allocator empty; a part may be mapped.
 */
bool ptab_map(struct ptab *pt, u64 va, u64 pa, u64 size, u64 bits);

/*
 * The leaf for va as it was at one moment, and its level (1: 4 KiB, 2: 2 MiB, 3: 1 GiB). False: not present.
 * Needs no lock: each entry is read once, and a table that was linked stays one.
 */
bool ptab_lookup(const struct ptab *pt, u64 va, u64 *leaf, unsigned int *level);

/* The entry for va at `level`, tables above it made and large pages split on the way. NULL: allocator empty.
 */
u64 *ptab_entry(struct ptab *pt, u64 va, unsigned int level);

/* Bytes that an entry of this level covers. */
static inline u64 ptab_level_size(unsigned int level)
{
	return 1ull << (12 + 9 * (level - 1));
}

#endif
