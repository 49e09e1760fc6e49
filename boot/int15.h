/* SPDX-License-Identifier: MIT */
/*
 * L0's window hidden from an L1 that asks the BIOS: a stub before INT 15h.
 */
#ifndef BOOT_INT15_H
#define BOOT_INT15_H

#include "kernel/status.h"

/*
 * BIOS machines only; after window_grow() and before l1_load().  Takes
 * 4 KiB, or what the table of a large memory map takes, from the top of
 * conventional memory, which the BIOS data area and the memory map then show as
 * gone.
 */
enum status int15_install(void);

#endif
