/* SPDX-License-Identifier: MIT */
/*
 * L0's window: its place near the top of RAM below 4 GiB, and the move of the
 * image into it.
 */
#ifndef BOOT_WINDOW_H
#define BOOT_WINDOW_H

#include "boot/boot_info.h"
#include "kernel/status.h"

/* Makes the memory map of `info`: first of all. */
enum status window_read_map(const struct boot_info *info);

/* Chooses the window for `cpus` CPUs and the `parked` ones besides, and gives its pages to page_alloc. */
enum status window_choose(const struct boot_info *info, u32 cpus, u32 parked);

/* Builds L0's page tables, copies the image into the window and goes on there. */
void window_relocate(void);

#endif
