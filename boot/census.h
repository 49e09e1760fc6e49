/* SPDX-License-Identifier: MIT */
/*
 * Which other processors are there, asked of themselves: an INIT and a SIPI to all of them, named by a table
 * or not. It comes before any of them is in VMX operation, where an INIT would stay pending for L1 to find.
 * Those that answered wait in the trampoline's page until smp.c starts them. SDM: "MP Initialization Protocol
 * Algorithm for MP Systems".
 */
#ifndef BOOT_CENSUS_H
#define BOOT_CENSUS_H

#include "boot/trampoline.h"
#include "kernel/status.h"

struct census {
	u32 count;			/* may be more than TRAMPOLINE_ID_MAX */
	u32 apic_id[TRAMPOLINE_ID_MAX]; /* of those that answered, in the order of their answers; not this
					   CPU's */
};

/* Boot only, BSP, with the memory map in place; tells when the last one that answered is 100 ms ago. */
enum status census_take(struct census *out);

#endif
