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

/* Copies the segments to their physical addresses and zeroes the rest of them.  elf_extent() has passed. */
void elf_copy(const void *image, u64 size);

#endif
