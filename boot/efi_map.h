/* SPDX-License-Identifier: MIT */
/*
 * The firmware's memory map (UEFI specification, "GetMemoryMap") as L1 is told it: with L0's window in it as
 * reserved memory. At start, on the first CPU; the window has been taken.
 */
#ifndef BOOT_EFI_MAP_H
#define BOOT_EFI_MAP_H

#include "boot/boot_info.h"
#include "mm/memmap.h"

#define EFI_KEPT_MAX 512

/* Bytes that efi_map_for_l1() may need; 0: the firmware's map is not known. */
u32 efi_map_size_for_l1(const struct boot_info *info);
/* Writes the map, with descriptors of info->efi_descriptor_size bytes; its size in bytes. */
u32 efi_map_for_l1(const struct boot_info *info, u8 *to);

/*
 * The memory of boot services, which is free by the map, but in which firmware leaves tables that a system
 * looks at later: at most EFI_KEPT_MAX ranges into `to`, their number. What L0 puts into memory keeps clear
 * of it while there is room elsewhere.
 */
u32 efi_map_boot_services(const struct boot_info *info, struct memmap_range *to);

#endif
