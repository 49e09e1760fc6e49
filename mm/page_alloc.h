/* SPDX-License-Identifier: MIT */
/*
 * Pages of L0's windows, handed out while starting and never given back: a run that got through its start
 * cannot run out of memory. What is needed at run time is a mm/pool.h of fixed size, or a budget of its
 * owner's. When the windows are used up, an allocation reports STATUS_OUT_OF_MEMORY and halts: callers need
 * no check.
 */
#ifndef MM_PAGE_ALLOC_H
#define MM_PAGE_ALLOC_H

#include "kernel/types.h"
#include "mm/addr.h"

#define PAGE_ALLOC_ANY 0

/* Zeroed, page-aligned, in the direct map; contiguous in physical memory too. */
void *page_alloc(void);
void *page_alloc_contig(size_t count);
u64 page_free_count(void);
/* Where it is in physical memory: for those who may not include kernel/hw (vmx/nested). */
hpa_t page_phys(const void *page);

/* Boot only, BSP: begins anew; then the free part of each window, which is mapped, and of which NUMA node
 * it is. The first is used up first. False: there are MEMMAP_WINDOWS_MAX. */
void page_alloc_init(void);
bool page_alloc_add(u64 base, u64 size, u32 node);

/*
 * While starting: what is allocated from now on is for a CPU of this NUMA node, and comes from what was added
 * for it while there is some; PAGE_ALLOC_ANY, as at first: from what was added for no node. The CPUs start
 * one after the other, and each sets it for as long as it is its turn.
 */
void page_alloc_near(u32 node);

#endif
