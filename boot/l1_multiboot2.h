/* SPDX-License-Identifier: MIT */
/*
 * What a multiboot2 L1's header asks for, between l1_multiboot2_header.c, which reads it, and
 * l1_multiboot2.c, which loads the image and tells L1 what it wants to know.
 */
#ifndef BOOT_L1_MULTIBOOT2_H
#define BOOT_L1_MULTIBOOT2_H

#include "boot/l1_internal.h"

struct mb2_wishes {
	bool flat, has_entry;
	struct l1_flat address; /* if flat */
	u32 entry;		/* if has_entry */
	struct l1_place place;
};

/* Reads the header at offset `header` of the image; `w` starts as zeroes. */
enum status l1_multiboot2_read_header(const u8 *image, u64 size, u32 header, struct mb2_wishes *w);

#endif
