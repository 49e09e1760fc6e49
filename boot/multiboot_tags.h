/* SPDX-License-Identifier: MIT */
/*
 * The tags of Multiboot2 as numbers, and what becomes of each: mb2_info_tags.def and
 * mb2_header_tags.def.
 * Specification: "Multiboot2 Specification version 2.0".
 */
#ifndef BOOT_MULTIBOOT_TAGS_H
#define BOOT_MULTIBOOT_TAGS_H

#include "kernel/types.h"

enum mb2_answer { MB2_UNKNOWN, MB2_KEPT, MB2_MADE, MB2_NOT_GIVEN, MB2_OBEYED, MB2_WISH, MB2_NOT_TAKEN };

enum mb2_info_tag {
#define INFO_TAG(number, name, answer) MB2_TAG_##name = number,
#include "boot/mb2_info_tags.def"
#undef INFO_TAG
};

enum mb2_header_tag {
#define HEADER_TAG(number, name, answer) MB2_HTAG_##name = number,
#include "boot/mb2_header_tags.def"
#undef HEADER_TAG
};

static inline enum mb2_answer mb2_info_answer(u32 type)
{
	switch (type) {
#define INFO_TAG(number, name, answer)                                                                       \
	case number:                                                                                         \
		return MB2_##answer;
#include "boot/mb2_info_tags.def"
#undef INFO_TAG
	default: return MB2_UNKNOWN;
	}
}

static inline enum mb2_answer mb2_header_answer(u32 type)
{
	switch (type) {
#define HEADER_TAG(number, name, answer)                                                                     \
	case number:                                                                                         \
		return MB2_##answer;
#include "boot/mb2_header_tags.def"
#undef HEADER_TAG
	default: return MB2_UNKNOWN;
	}
}

#endif
