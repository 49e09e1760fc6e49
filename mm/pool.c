/* SPDX-License-Identifier: MIT */
/*
 * Free pages are a list through their own first words.
 */
#include "mm/pool.h"

#include "kernel/bits.h"
#include "kernel/panic.h"
#include "kernel/string.h"

void pool_init(struct pool *pool, void *memory, u32 count)
{
	*pool = (struct pool){ .base = memory, .count = count, .free_count = count };
	for (u32 i = count; i-- > 0;) {
		void **page = (void **)((char *)memory + i * PAGE_SIZE);

		*page = pool->free;
		pool->free = page;
	}
}

void *pool_get(struct pool *pool)
{
	void *page = pool->free;

	if (!page)
		return NULL;
	pool->free = *(void **)page;
	pool->free_count--;
	memset(page, 0, PAGE_SIZE);
	return page;
}

u32 pool_index(const struct pool *pool, const void *page)
{
	u64 offset = (u64)page - (u64)pool->base;

	ASSERT(IS_ALIGNED(offset, PAGE_SIZE) && offset / PAGE_SIZE < pool->count);
	return (u32)(offset / PAGE_SIZE);
}

void pool_put(struct pool *pool, void *page)
{
	(void)pool_index(pool, page); /* one of ours */
	*(void **)page = pool->free;
	pool->free = page;
	pool->free_count++;
}
