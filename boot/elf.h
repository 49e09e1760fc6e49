/* SPDX-License-Identifier: MIT */
/*
 * ELF executables, 32 and 64 bits, little endian, x86: where their segments
 * want to lie, and putting them there.  Every field is checked against the
 * image's size; the image is untrusted.
 */
#ifndef BOOT_ELF_H
#define BOOT_ELF_H

#include "kernel/status.h"
#include "kernel/types.h"

bool elf_is(const void *image, u64 size);

/* Physical extent [*low, *high) of all loadable segments, below 4 GiB, and the physical entry point. */
enum status elf_extent(const void *image, u64 size, u64 *low, u64 *high, u64 *entry);

/*
 * Copies the segments to their physical addresses plus `offset` (modulo 4 GiB) and zeroes the rest of them.
 * elf_extent() has passed.
 */
void elf_copy(const void *image, u64 size, u64 offset);

/* The section headers of an executable: a table in the image. False: it has none, or none that lies in the
 * image. */
struct elf_sections {
	const u8 *table;
	u32 count, entry_size, names; /* number of headers, bytes of each, index of the section of names */
	bool is64;
};
bool elf_sections_get(const void *image, u64 size, struct elf_sections *sections);

#endif
