/* SPDX-License-Identifier: MIT */
/*
 * Pages one after the other; none comes back, since what they hold lives as long as the machine.
 */
#include "mm/pool.h"

#include "kernel/bits.h"
#include "kernel/string.h"

void pool_init(struct pool *pool, void *memory, u32 count)
{
	*pool = (struct pool){ .next = memory, .free_count = count };
}

void *pool_get(struct pool *pool)
{
	void *page = pool->next;

	if (!pool->free_count)
		return NULL;
	pool->next += PAGE_SIZE;
	pool->free_count--;
	return memset(page, 0, PAGE_SIZE);
}
