/* SPDX-License-Identifier: MIT */
/*
 * Sleep registers in memory: their pages are read-only in EPT01, and so in
 * every EPT02.  Plain stores to such a page are decoded and carried out by
 * L0, if they do not put the machine to sleep; what else writes there finds
 * absent memory.  The page is never opened, for EPT01 is all CPUs'.
 */
#ifndef VMX_SLEEP_PAGE_H
#define VMX_SLEEP_PAGE_H

#include "mm/addr.h"

struct acpi_sleep;
struct vcpu;

/* BSP, before vm_init(): the machine's sleep registers that are memory. */
void sleep_add_pages(const struct acpi_sleep *sleep);

/* Is it in such a page?  The first such page at or above `gpa`; ~0: none.  Any CPU. */
bool sleep_page_is(u64 gpa);
u64 sleep_page_next(u64 gpa);

/*
 * The exit in hand is an EPT violation by a write to such a page, which is at `gpa` of L1's.  True: L0 has
 * carried the instruction out or dropped it, and it is to be skipped.  False: it is none that L0 knows.
 */
bool sleep_page_store(struct vcpu *vcpu, gpa_t gpa);

#endif
