/* SPDX-License-Identifier: MIT */
/*
 * A fixed number of pages, set aside while starting for what is needed at run time (tables of EPT01). One
 * owner or the owner's lock; an empty pool is a value for the owner to handle, never a failure.
 */
#ifndef MM_POOL_H
#define MM_POOL_H

#include "kernel/types.h"

struct pool {
	u8 *next;	/* owner only: the first page that is left */
	u32 free_count; /* owner only */
};

/* `memory` is count pages, page-aligned. */
void pool_init(struct pool *pool, void *memory, u32 count);
/* A zeroed page, or NULL. */
void *pool_get(struct pool *pool);

#endif
