/* SPDX-License-Identifier: MIT */
/*
 * An ELF L1's section headers, which multiboot tells the kernel so that it finds its own symbols: the table
 * is copied, and so are the sections that are no part of the loaded image (symbols, their names, debug
 * information). Specifications: Multiboot 0.6.96 "Boot information format" (bit 5), Multiboot2 "ELF-Symbols".
 */
#include "boot/l1_internal.h"
#include "boot/l1_space.h"
#include "kernel/bits.h"
#include "kernel/hw/phys.h"
#include "kernel/log.h"
#include "kernel/string.h"

#define SECTION_NOBITS 8
#define TABLE_MAX (1u << 20)
#define CONTENTS_MAX (64u << 20)

struct section {
	u32 type;
	u64 address, offset, size;
};

static struct section section_get(const struct elf_sections *s, u32 i)
{
	const u8 *at = s->table + (u64)i * s->entry_size;
	u64 w64[3];
	u32 type, w32[3];

	memcpy(&type, at + 4, sizeof(type));
	if (s->is64) {
		memcpy(w64, at + 16, sizeof(w64));
		return (struct section){ type, w64[0], w64[1], w64[2] };
	}
	memcpy(w32, at + 12, sizeof(w32));
	return (struct section){ type, w32[0], w32[1], w32[2] };
}

/* Bytes of the section that the image holds and loading does not bring into memory. */
static u64 extra_bytes(const struct boot_info *info, const struct section *s)
{
	u64 size = info->modules[0].size;

	if (s->address || s->type == SECTION_NOBITS || s->offset > size || s->size > size - s->offset)
		return 0;
	return s->size;
}

u64 l1_symbols_size(const struct boot_info *info, struct elf_sections *sections)
{
	const void *image = phys_to_ptr(HPA(info->modules[0].base));
	u64 size;

	if (!elf_sections_get(image, info->modules[0].size, sections))
		return 0;
	size = (u64)sections->count * sections->entry_size;
	return size <= TABLE_MAX ? size : 0;
}

static void set_address(const struct elf_sections *s, u8 *table, u32 i, u64 address)
{
	memcpy(table + (u64)i * s->entry_size + (s->is64 ? 16 : 12), &address, s->is64 ? 8 : 4);
}

/* Where the contents that are not loaded go: one block for all; 0: nowhere, and their addresses stay 0. */
static u64 place_contents(const struct boot_info *info, const struct elf_sections *s)
{
	u64 total = 0;

	for (u32 i = 0; i < s->count && total <= CONTENTS_MAX; i++) {
		struct section section = section_get(s, i);

		total += ALIGN_UP(extra_bytes(info, &section), 16);
	}
	if (!total)
		return 0;
	if (total <= CONTENTS_MAX) {
		u64 at = l1_space_find(total, PAGE_SIZE, SIZE_1M, SIZE_4G);

		if (at)
			return at;
	}
	log_warn("no room for the symbols of L1's image: L1 is given their headers only");
	return 0;
}

void l1_symbols_give(const struct boot_info *info, const struct elf_sections *sections, u64 to, u64 offset)
{
	const u8 *image = phys_to_ptr(HPA(info->modules[0].base));
	u64 at = place_contents(info, sections);
	u8 *table = phys_to_ptr(HPA(to));

	memcpy(table, sections->table, (u64)sections->count * sections->entry_size);
	for (u32 i = 0; i < sections->count; i++) {
		struct section s = section_get(sections, i);
		u64 bytes = at ? extra_bytes(info, &s) : 0;

		if (s.address && offset)
			set_address(sections, table, i, s.address + offset);
		if (!bytes)
			continue;
		memcpy(phys_to_ptr(HPA(at)), image + s.offset, bytes);
		set_address(sections, table, i, at);
		at += ALIGN_UP(bytes, 16);
	}
}
