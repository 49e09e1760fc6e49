/* SPDX-License-Identifier: MIT */
/*
 * Where L1's pieces go in its memory: claims of fixed places, from which
 * modules in the way are moved, and places of our choosing.  Boot only, on
 * the BSP.  What goes there is the loaders'.
 */
#ifndef BOOT_L1_SPACE_H
#define BOOT_L1_SPACE_H

#include "boot/boot_info.h"

/* Begins anew; modules of `info` are kept clear from now on. */
void l1_space_init(struct boot_info *info);

/* Claims [base, base + size): usable memory, not claimed yet; modules that lie there are moved, so take their
 * addresses again. */
enum status l1_space_claim(u64 base, u64 size, const char *what);

/* Claims a place of our choosing within [min, max); by pointer, zeroed.  0: none. */
u64 l1_space_find(u64 size, u64 align, u64 min, u64 max);

/* The same from the top down, or (`high` false) from the bottom up. */
u64 l1_space_find_from(u64 size, u64 align, u64 min, u64 max, bool high);

/* Could l1_space_claim() have it?  Modules in the way do not count: they would be moved. */
bool l1_space_is_free(u64 base, u64 size);

/* Moves a module so that all of it lies within [min, max), if it does not. */
enum status l1_space_move_module(u32 index, u64 min, u64 max);

#endif
