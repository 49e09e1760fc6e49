/* SPDX-License-Identifier: MIT */
/*
 * The header of a multiboot2 L1: what the image asks for, and whether it can be met. mb2_header_tags.def says
 * what becomes of each tag. Specification: "Multiboot2 Specification version 2.0", "OS image format".
 */
#include "boot/l1_multiboot2.h"

#include "boot/multiboot_tags.h"
#include "kernel/bits.h"
#include "kernel/string.h"

#define MB2_HEADER_MAGIC 0xe85250d6u
#define MB2_SEARCH 32768
#define MB2_ARCH_386 0
#define MB2_OPTIONAL BIT(0)
#define PREFERENCE_HIGH 2

i64 l1_multiboot2_find(const void *image, u64 size)
{
	u64 end = MIN(size, (u64)MB2_SEARCH);
	u32 h[4];

	for (u64 at = 0; at + sizeof(h) <= end; at += 8) {
		memcpy(h, (const u8 *)image + at, sizeof(h));
		if (h[0] == MB2_HEADER_MAGIC && h[1] == MB2_ARCH_386 && !(u32)(h[0] + h[1] + h[2] + h[3]))
			return (i64)at;
	}
	return -1;
}

/*
 * "If this tag is present and 'optional' is 0, information conveyed by requested tag types must be provided":
 * what Socle can give is given where this machine has it; what it never gives, or does not know, refuses the
 * image.
 */
static enum status read_request(const u8 *tag, u16 flags, u32 size)
{
	for (u32 at = 8; at + 4 <= size; at += 4) {
		enum mb2_answer answer;
		u32 type;

		memcpy(&type, tag + at, sizeof(type));
		answer = mb2_info_answer(type);
		if (!(flags & MB2_OPTIONAL) && (answer == MB2_UNKNOWN || answer == MB2_NOT_GIVEN))
			return status_with(STATUS_L1_MULTIBOOT, "information tag %u", type);
	}
	return STATUS_OK;
}

static enum status read_relocatable(const u8 *tag, struct l1_place *place)
{
	u32 f[4]; /* lowest and highest address, alignment, preference */

	memcpy(f, tag + 8, sizeof(f));
	*place = (struct l1_place){ .relocatable = true,
				    .high = f[3] == PREFERENCE_HIGH,
				    .min = f[0],
				    .max = f[1],
				    .align = MAX(f[2], 1u) };
	if ((place->align & (place->align - 1)) || place->min > place->max)
		return status_with(STATUS_L1_MULTIBOOT, "addresses of a relocatable image");
	return STATUS_OK;
}

/* The bytes that a tag has at least. */
static u32 tag_size_min(u16 type)
{
	switch (type) {
	case MB2_HTAG_ADDRESS:
	case MB2_HTAG_RELOCATABLE: return 24;
	case MB2_HTAG_ENTRY: return 12;
	default: return 8;
	}
}

static enum status read_tag(const u8 *tag, u16 type, u16 flags, u32 size, u32 header, struct mb2_wishes *w)
{
	u32 f[4];

	if (mb2_header_answer(type) == MB2_UNKNOWN)
		return flags & MB2_OPTIONAL ? STATUS_OK
					    : status_with(STATUS_L1_MULTIBOOT, "header tag %u", type);
	if (size < tag_size_min(type))
		return status_with(STATUS_L1_MULTIBOOT, "size of header tag %u", type);
	switch (type) {
	case MB2_HTAG_REQUEST: return read_request(tag, flags, size);
	case MB2_HTAG_ADDRESS:
		memcpy(f, tag + 8, sizeof(f));
		w->flat = true;
		w->address = (struct l1_flat){ header, f[0], f[1], f[2], f[3] };
		return STATUS_OK;
	case MB2_HTAG_ENTRY:
		memcpy(&w->entry, tag + 8, sizeof(w->entry));
		w->has_entry = true;
		return STATUS_OK;
	case MB2_HTAG_RELOCATABLE: return read_relocatable(tag, &w->place);
	default: return STATUS_OK;
	}
}

enum status l1_multiboot2_read_header(const u8 *image, u64 size, u32 header, struct mb2_wishes *w)
{
	u32 length, at = 16;

	memcpy(&length, image + header + 8, sizeof(length));
	if (length < 16 || length > size - header || length > MB2_SEARCH)
		return status_with(STATUS_L1_TRUNCATED, "multiboot2 header");
	while (at + 8 <= length) {
		const u8 *tag = image + header + at;
		u16 type, flags;
		u32 bytes;
		enum status status;

		memcpy(&type, tag, 2);
		memcpy(&flags, tag + 2, 2);
		memcpy(&bytes, tag + 4, 4);
		if (type == MB2_HTAG_END)
			return STATUS_OK;
		if (bytes < 8 || bytes > length - at)
			return status_with(STATUS_L1_MULTIBOOT, "size of header tag %u", type);
		status = read_tag(tag, type, flags, bytes, header, w);
		if (status != STATUS_OK)
			return status;
		at += (u32)ALIGN_UP(bytes, 8);
	}
	return STATUS_OK;
}
