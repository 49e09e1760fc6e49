/* SPDX-License-Identifier: MIT */
/*
 * Between the two files that load a Linux kernel: l1_linux.c reads and places the image, l1_linux_give.c
 * fills in what Linux is told of the machine. Boot only, on the BSP.
 */
#ifndef BOOT_L1_LINUX_H
#define BOOT_L1_LINUX_H

#include "boot/boot_info.h"

/*
 * Fills the memory map, the ACPI root pointer, the firmware's tables and the initrd into `bp`, the zero page.
 * `version` is the kernel's boot protocol; `initrd_max` is the highest address that the initrd may have, 0
 * where the protocol names none.
 */
enum status l1_linux_give(u8 *bp, const struct boot_info *info, u32 version, u32 initrd_max);

#endif
