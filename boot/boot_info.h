/* SPDX-License-Identifier: MIT */
/*
 * What the boot loader said, as plain data of our own: copied out of its tags with every bound checked, so
 * that nobody reads the loader's memory later, which L1 may overwrite.
 */
#ifndef BOOT_BOOT_INFO_H
#define BOOT_BOOT_INFO_H

#include "kernel/status.h"
#include "kernel/types.h"
#include "mm/memmap.h"

#define BOOT_MODULE_MAX 256
#define BOOT_STRING_SPACE 65536
#define BOOT_EFI_MAP_SPACE 131072
#define BOOT_RANGE_MAX 1024
#define BOOT_KEPT_SPACE 16384

struct boot_module {
	u64 base;
	u64 size;
	const char *cmdline; /* all of the string that GRUB passed; in boot_info's own space */
};

/* As the multiboot2 framebuffer tag has it. */
struct boot_framebuffer {
	u64 addr;
	u32 pitch, width, height;
	u8 bpp;
	u8 type; /* BOOT_FRAMEBUFFER_* */
	u8 red_pos, red_size, green_pos, green_size, blue_pos, blue_size;
};

#define BOOT_FRAMEBUFFER_INDEXED 0
#define BOOT_FRAMEBUFFER_RGB 1
#define BOOT_FRAMEBUFFER_TEXT 2
#define BOOT_FRAMEBUFFER_NONE 0xff

struct boot_info {
	const char *cmdline;	 /* never NULL */
	const char *loader_name; /* never NULL */
	struct boot_module modules[BOOT_MODULE_MAX];
	u32 module_count;
	struct memmap_range ranges[BOOT_RANGE_MAX]; /* raw, as the loader gave them */
	u32 range_count;
	struct boot_framebuffer framebuffer;
	u8 rsdp[36];	      /* the loader's copy; */
	u8 rsdp_size;	      /* 0: none, 20: ACPI 1.0, 36: ACPI 2.0 */
	bool efi;	      /* started by EFI firmware */
	u64 efi_system_table; /* 0: not told */
	u32 efi_map_size;     /* bytes of efi_map; 0: not told */
	u32 efi_descriptor_size;
	u32 efi_descriptor_version;
	u8 efi_map[BOOT_EFI_MAP_SPACE] ALIGNED(8);
	u32 kept_size; /* bytes of kept: */
	u8 kept[BOOT_KEPT_SPACE] ALIGNED(
		8);		  /* whole tags that L1 gets as they came, each padded to 8 bytes */
	u64 info_base, info_size; /* where the loader's own structure lies */
	u32 string_used;
	char strings[BOOT_STRING_SPACE];
};

/* Reads the tags at physical address `info` (left in EBX by a loader that left `magic` in EAX). */
enum status multiboot2_parse(u32 magic, u32 info, struct boot_info *out);

/* The body of the first kept tag of this type (boot/multiboot_tags.h), and its bytes; NULL: the loader gave
 * none. */
const u8 *boot_info_kept(const struct boot_info *info, u32 type, u32 *size);

/* Is any of these bytes RAM, as the loader's map has it? For what comes before mm/memmap.h has a map. */
bool boot_info_has_ram(const struct boot_info *info, u64 pa, u64 size);

#endif
