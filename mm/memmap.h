/* SPDX-License-Identifier: MIT */
/*
 * The machine's memory map as L1 may see it: sorted, without overlaps, with L0's windows as reserved.
 * Built while starting from the boot loader's map, constant afterwards. Types are those of ACPI's E820.
 */
#ifndef MM_MEMMAP_H
#define MM_MEMMAP_H

#include "kernel/types.h"

enum memmap_type {
	MEMMAP_USABLE = 1,
	MEMMAP_RESERVED = 2,
	MEMMAP_ACPI = 3, /* ACPI tables, reclaimable */
	MEMMAP_NVS = 4,
	MEMMAP_BAD = 5,
};

struct memmap_range {
	u64 base;
	u64 size;
	u32 type;
};

#define MEMMAP_MAX 2048

/* Boot only. Where ranges overlap, the more restrictive type wins. False if the table is full. */
void memmap_init(void);
bool memmap_add(u64 base, u64 size, u32 type);
/* Does the map say another type for any of these bytes? */
bool memmap_disagrees(u64 base, u64 size, u32 type);
/* Boot only: whatever the map said there, it is `type` now. */
bool memmap_override(u64 base, u64 size, u32 type);
/* Boot only: takes a window for L0 out of L1's memory, clear of the others; windows that touch become one.
 * False: there are MEMMAP_WINDOWS_MAX, or the table is full. */
#define MEMMAP_WINDOWS_MAX 96 /* remapping units and NUMA nodes among them */
bool memmap_add_window(u64 base, u64 size);

size_t memmap_count(void);
const struct memmap_range *memmap_get(size_t index);

/* True only if all of it is RAM that L1 sees (usable or ACPI's), so outside the windows. */
bool memmap_is_ram(u64 pa, u64 len);
/* True only if all of it is usable. */
bool memmap_is_usable(u64 pa, u64 len);
/* The range that `pa` is in; NULL: none. */
const struct memmap_range *memmap_range_of(u64 pa);
/* The type at `pa`, 0 where the map says nothing, and where that ends (exclusive). */
u32 memmap_type_at(u64 pa, u64 *end);
/* Bytes of usable memory from `from` on, without a gap, up to `to`. */
u64 memmap_usable_from(u64 from, u64 to);
/* L0's windows from the lowest to the highest; NULL past the last. */
const struct memmap_range *memmap_window(size_t index);
/* The first window that ends above `pa`; NULL: none. */
const struct memmap_range *memmap_window_from(u64 pa);
/* True if any byte is a window's. */
bool memmap_in_window(u64 pa, u64 len);
/* One above the last byte of RAM. */
u64 memmap_ram_end(void);

/* Lowest/highest usable place of `size` bytes, aligned, within [min, max), that keeps clear of `avoid`. 0:
 * none. */
struct memmap_avoid {
	const struct memmap_range *ranges; /* their types do not matter */
	size_t count;
};
u64 memmap_find_low(u64 size, u64 align, u64 min, u64 max, struct memmap_avoid avoid);
u64 memmap_find_high(u64 size, u64 align, u64 min, u64 max, struct memmap_avoid avoid);

#endif
