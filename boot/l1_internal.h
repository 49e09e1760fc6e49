/* SPDX-License-Identifier: MIT */
/*
 * What boot/l1.c knows of the loaders of each kind of L1 image.
 */
#ifndef BOOT_L1_INTERNAL_H
#define BOOT_L1_INTERNAL_H

#include "boot/elf.h"
#include "boot/l1.h"

bool l1_linux_is(const void *image, u64 size);
/* The setup header, the command line's length and the number of modules. */
enum status l1_linux_check(const struct boot_info *info);
enum status l1_linux_load(struct boot_info *info, struct l1_start *start);

/* The header's offset in the image, or -1. */
i64 l1_multiboot1_find(const void *image, u64 size);
i64 l1_multiboot2_find(const void *image, u64 size);
/* The header, and the ELF headers where it is none that names load addresses. */
enum status l1_multiboot1_check(const struct boot_info *info, u32 header);
enum status l1_multiboot2_check(const struct boot_info *info, u32 header);
enum status l1_multiboot1_load(struct boot_info *info, u32 header, struct l1_start *start);
enum status l1_multiboot2_load(struct boot_info *info, u32 header, struct l1_start *start);

/*
 * Where an image may lie: where it is linked, or, if it is relocatable and that place is taken, anywhere
 * within [min, max] at a multiple of `align` (a power of two), as low or as `high` as can be. `base` and
 * `offset` are results: where its lowest byte lies now, and how far that is from where it is linked (modulo
 * 2^64).
 */
struct l1_place {
	bool relocatable, high;
	u32 min, max, align;
	u64 base, offset;
};

/* Is module 0 an ELF that can be loaded, but for the room? */
enum status l1_elf_check(const struct boot_info *info);

/* Loads the ELF in module 0; the physical entry point. */
enum status l1_elf_load(struct boot_info *info, struct l1_place *place, u64 *entry);

/*
 * The section headers of the ELF in module 0, as multiboot hands them on: copied to physical address `to`
 * (room for l1_symbols_size() bytes), those of sections that are not loaded with the address where they are
 * now. 0: none.
 */
u64 l1_symbols_size(const struct boot_info *info, struct elf_sections *sections);
void l1_symbols_give(const struct boot_info *info, const struct elf_sections *sections, u64 to, u64 offset);

/*
 * Loads module 0 by the address fields of a multiboot header: file offset of `header`, which lies at
 * `header_addr` in memory; zero `load_end` means the file's end, zero `bss_end` no bss.
 */
struct l1_flat {
	u32 header, header_addr, load_addr, load_end, bss_end;
};
enum status l1_flat_load(struct boot_info *info, const struct l1_flat *flat, struct l1_place *place);

#endif
