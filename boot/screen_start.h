/* SPDX-License-Identifier: MIT */
/*
 * The screen that the boot loader left, as drivers/screen.c wants it.
 */
#ifndef BOOT_SCREEN_START_H
#define BOOT_SCREEN_START_H

#include "boot/boot_info.h"

/*
 * Lines go to the screen from now on; if its memory is above 4 GiB, from screen_start_mapped() on. False: the
 * loader names one where none can be, in RAM or out of reach.
 */
bool screen_start(const struct boot_info *info);

/* L0's own page tables are in use: they get the screen's memory, if the early ones had not. BSP only. */
void screen_start_mapped(void);

#endif
