/* SPDX-License-Identifier: MIT */
/*
 * Where the boot loader brought microcode updates: a module whose command line is `microcode`, or the
 * uncompressed beginning of an initrd, where distributions put them. Boot only, on the BSP.
 */
#ifndef BOOT_MICROCODE_FILE_H
#define BOOT_MICROCODE_FILE_H

#include "boot/boot_info.h"
#include "kernel/status.h"

/*
 * The file of updates and its bytes, in the loader's memory; NULL: none. A module named `microcode` is no
 * module of L1's: it is taken out of `info`, and a line says if nothing is in it that may be a file of
 * updates.
 */
const u8 *microcode_file(struct boot_info *info, u64 *size);

/*
 * Makes the memory map and takes the first window, in which the update for this processor is kept; and loads
 * it. The other CPUs take the same when they start. A line says what became of it.
 */
enum status microcode_start(struct boot_info *info);
void microcode_start_ap(u32 apic_id);

#endif
