/* SPDX-License-Identifier: MIT */
/*
 * A pointer that moves up through the free part of each window, behind a lock for the APs' start.
 */
#include "mm/page_alloc.h"

#include "kernel/bits.h"
#include "kernel/hw/cpu.h"
#include "kernel/hw/phys.h"
#include "kernel/log.h"
#include "kernel/panic.h"
#include "kernel/status.h"
#include "kernel/string.h"
#include "mm/memmap.h"

static struct region {
	u64 next, end; /* under the lock */
	u32 node;      /* constant */
} regions[MEMMAP_WINDOWS_MAX];
static u32 region_count; /* BSP, while it is alone */
static u32 lock;	 /* any CPU, atomic */
static u32 near;	 /* the CPU whose turn it is: a node, or PAGE_ALLOC_ANY */

void page_alloc_init(void)
{
	region_count = 0;
	near = PAGE_ALLOC_ANY;
}

bool page_alloc_add(u64 base, u64 size, u32 node)
{
	if (region_count == MEMMAP_WINDOWS_MAX)
		return false;
	regions[region_count++] =
		(struct region){ ALIGN_UP(base, PAGE_SIZE), ALIGN_DOWN(base + size, PAGE_SIZE), node };
	return true;
}

void page_alloc_near(u32 node)
{
	near = node;
}

/* Under the lock, as what follows: the first region of the node that has room for it; NULL: none has. */
static struct region *find_on(u32 node, u64 size)
{
	for (u32 i = 0; i < region_count; i++)
		if (regions[i].node == node && size <= regions[i].end - regions[i].next)
			return &regions[i];
	return NULL;
}

/* What is no node's comes before another node's. */
static struct region *find_region(u64 size)
{
	struct region *found = find_on(near, size);

	if (!found)
		found = find_on(PAGE_ALLOC_ANY, size);
	for (u32 i = 0; i < region_count && !found; i++)
		found = find_on(regions[i].node, size);
	return found;
}

void *page_alloc_contig(size_t count)
{
	u64 size = count * PAGE_SIZE, base;
	struct region *region;
	void *pages;

	while (__atomic_exchange_n(&lock, 1, __ATOMIC_ACQUIRE))
		cpu_pause();
	region = find_region(size);
	if (!region) {
		status_report(STATUS_OUT_OF_MEMORY);
		log_error("halted");
		cpu_halt_forever(); /* the lock stays taken: the others stop here too */
	}
	base = region->next;
	region->next += size;
	__atomic_store_n(&lock, 0, __ATOMIC_RELEASE);

	pages = phys_to_ptr(HPA(base));
	memset(pages, 0, size);
	return pages;
}

void *page_alloc(void)
{
	return page_alloc_contig(1);
}

u64 page_free_count(void)
{
	u64 bytes = 0;

	for (u32 i = 0; i < region_count; i++)
		bytes += regions[i].end - regions[i].next;
	return bytes / PAGE_SIZE;
}

hpa_t page_phys(const void *page)
{
	return ptr_to_phys(page);
}
