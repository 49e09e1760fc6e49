/* SPDX-License-Identifier: MIT */
/*
 * A fixed number of pages with a free list, for what comes and goes at run time (EPT02). One owner, no lock;
 * an empty pool is a value for the owner to handle (reclaim), never a failure.
 */
#ifndef MM_POOL_H
#define MM_POOL_H

#include "kernel/types.h"

struct pool {
	void *free;	/* owner only: the first free page, linked through the pages' first word */
	void *base;	/* constant after init */
	u32 count;	/* constant after init */
	u32 free_count; /* owner only */
};

/* `memory` is count pages, page-aligned. */
void pool_init(struct pool *pool, void *memory, u32 count);
/* A zeroed page, or NULL. */
void *pool_get(struct pool *pool);
void pool_put(struct pool *pool, void *page);
/* Index of a page of this pool, 0..count-1, for tables beside it. */
u32 pool_index(const struct pool *pool, const void *page);

#endif
