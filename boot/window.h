/* SPDX-License-Identifier: MIT */
/*
 * L0's memory: a window below 4 GiB for the image and L0's page tables, and the move of the image into it;
 * then, when it is known how many CPUs there are, the rest, near the top of memory wherever that is. Boot
 * only, on the BSP, in this order.
 */
#ifndef BOOT_WINDOW_H
#define BOOT_WINDOW_H

#include "boot/boot_info.h"
#include "boot/roster.h"
#include "kernel/status.h"

/* Makes the memory map of `info`. */
enum status window_read_map(const struct boot_info *info);

/* Takes the first window, with `extra` bytes beyond what the start needs, and gives its pages to page_alloc.
 */
enum status window_take(u64 extra);

/* Builds L0's page tables, copies the image into the window and goes on there: all memory is mapped from now
 * on. */
void window_relocate(void);

/*
 * Takes what the CPUs of `roster` need: for L1's each on its own NUMA node while there is room, for the
 * parked ones and for all together wherever there is. Where ept02= was not given, options.ept02_budget
 * becomes what the machine's memory allows.
 */
enum status window_grow(const struct roster *roster, const struct srat *srat);

#endif
