/* SPDX-License-Identifier: MIT */
/*
 * Memory types of EPT01's entries, parked and taken up. Under passthru.c's lock.
 */
#ifndef VMX_EPT01_TYPES_H
#define VMX_EPT01_TYPES_H

#include "kernel/types.h"
#include "vmx/l1/mtrr.h"
#include "vmx/hw/vmx.h"

/* A leaf of L1's memory without its address and level. */
static inline u64 ept01_leaf_bits(u32 type)
{
	return EPT_RWX | (u64)type << EPT_MEMTYPE_SHIFT;
}

/* The same at `gpa`: a page of a sleep register's, which no larger leaf contains, is for L0 alone to write
 * to; a closed one (closed.h) lacks what it is closed to. */
u64 ept01_leaf_bits_at(u64 gpa, u32 type);

/* The types may be others from now on: the present entries of this table are parked. */
void ept01_park(u64 *table);

/*
 * The way to `gpa`, as far as there is one, is present and has the types of `mtrr`. Where these cut through a
 * large page a table is taken from `table_alloc`; NULL leaves the page as it was.
 */
void ept01_take_up(u64 *root, u64 gpa, const struct mtrr *mtrr, void *(*table_alloc)(void *context));

#endif
