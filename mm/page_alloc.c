/* SPDX-License-Identifier: MIT */
/*
 * A pointer that moves up through the free part of the window, behind a lock for the APs' start.
 */
#include "mm/page_alloc.h"

#include "kernel/bits.h"
#include "kernel/hw/cpu.h"
#include "kernel/hw/phys.h"
#include "kernel/log.h"
#include "kernel/panic.h"
#include "kernel/status.h"
#include "kernel/string.h"

static u64 next, end;
static u32 lock; /* any CPU, atomic */

void page_alloc_init(u64 base, u64 size)
{
	next = ALIGN_UP(base, PAGE_SIZE);
	end = ALIGN_DOWN(base + size, PAGE_SIZE);
}

void *page_alloc_contig(size_t count)
{
	u64 size = count * PAGE_SIZE, base;
	void *pages;

	while (__atomic_exchange_n(&lock, 1, __ATOMIC_ACQUIRE))
		cpu_pause();
	base = next;
	if (size > end - base) {
		status_report(STATUS_OUT_OF_MEMORY);
		log_error("halted");
		cpu_halt_forever(); /* the lock stays taken: the others stop here too */
	}
	next = base + size;
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
	return (end - next) / PAGE_SIZE;
}

hpa_t page_phys(const void *page)
{
	return ptr_to_phys(page);
}
