/* SPDX-License-Identifier: MIT */
/*
 * L1 images with a multiboot2 header: ELF or flat, and the tags that they
 * find in EBX. What the header asks for is l1_multiboot2_header.c's.
 * Specification: "Multiboot2 Specification version 2.0".
 */
#include "boot/l1_multiboot2.h"

#include "boot/efi_map.h"
#include "boot/elf.h"
#include "boot/l1_space.h"
#include "boot/multiboot_tags.h"
#include "kernel/bits.h"
#include "kernel/hw/phys.h"
#include "kernel/string.h"

#define MB2_LOADER_MAGIC 0x36d76289u

static enum status read_wishes(const struct boot_info *info, u32 header, struct mb2_wishes *w)
{
	const u8 *image = phys_to_ptr(HPA(info->modules[0].base));
	enum status status = l1_multiboot2_read_header(image, info->modules[0].size, header, w);

	if (status != STATUS_OK)
		return status;
	if (w->flat && !w->has_entry)
		return status_with(STATUS_L1_MULTIBOOT, "load addresses without an entry address");
	return w->flat ? STATUS_OK : l1_elf_check(info);
}

enum status l1_multiboot2_check(const struct boot_info *info, u32 header)
{
	struct mb2_wishes wishes = { 0 };

	return read_wishes(info, header, &wishes);
}

static enum status load_image(struct boot_info *info, u32 header, struct mb2_wishes *w, u64 *entry)
{
	enum status status = read_wishes(info, header, w);

	if (status != STATUS_OK)
		return status;
	if (w->flat)
		status = l1_flat_load(info, &w->address, &w->place);
	else
		status = l1_elf_load(info, &w->place, entry);
	if (w->has_entry)
		*entry = w->entry + w->place.offset;
	return status;
}

/* The tags, one after the other, in a claimed block. */
struct tags {
	u8 *base;
	u32 used;
};

static u8 *tag_open(struct tags *t, u32 type, u32 size)
{
	u8 *at = t->base + t->used;

	memcpy(at, &type, 4);
	memcpy(at + 4, &size, 4);
	t->used += (u32)ALIGN_UP(size, 8);
	return at + 8;
}

static void tag_string(struct tags *t, u32 type, const void *head, u32 head_size, const char *s)
{
	u32 length = (u32)strlen(s) + 1;
	u8 *at = tag_open(t, type, 8 + head_size + length);

	memcpy(at, head, head_size);
	memcpy(at + head_size, s, length);
}

static void tag_mmap(struct tags *t)
{
	u32 head[2] = { 24, 0 };
	u8 *at = tag_open(t, MB2_TAG_MMAP, (u32)(16 + 24 * memmap_count()));

	memcpy(at, head, sizeof(head));
	for (size_t i = 0; i < memmap_count(); i++) {
		const struct memmap_range *r = memmap_get(i);
		u8 *e = at + 8 + i * 24;

		memcpy(e, &r->base, 8);
		memcpy(e + 8, &r->size, 8);
		memcpy(e + 16, &r->type, 4);
	}
}

/* KiB below 640 KiB, and from 1 MiB on to the first gap. */
static void tag_memory(struct tags *t)
{
	u32 kib[2] = { (u32)(memmap_usable_from(0, 0xa0000) >> 10),
		       (u32)(memmap_usable_from(SIZE_1M, SIZE_4G) >> 10) };

	memcpy(tag_open(t, MB2_TAG_MEMORY, 8 + sizeof(kib)), kib, sizeof(kib));
}

static void tag_efi_map(struct tags *t, const struct boot_info *info)
{
	u8 *tag = t->base + t->used, *at = tag_open(t, MB2_TAG_EFI_MMAP, 16);
	u32 size, tag_size;

	memcpy(at, &info->efi_descriptor_size, 4);
	memcpy(at + 4, &info->efi_descriptor_version, 4);
	size = efi_map_for_l1(info, at + 8);
	tag_size = 16 + size;
	memcpy(tag + 4, &tag_size, 4);
	t->used += (u32)ALIGN_UP(size, 8);
}

/* Number of headers, bytes of each, index of the section of names; then the headers. */
static void tag_symbols(struct tags *t, const struct boot_info *info, const struct mb2_wishes *w)
{
	struct elf_sections sections;
	u64 size = w->flat ? 0 : l1_symbols_size(info, &sections);
	u32 head[3];
	u8 *at;

	if (!size)
		return;
	head[0] = sections.count;
	head[1] = sections.entry_size;
	head[2] = sections.names;
	at = tag_open(t, MB2_TAG_ELF_SECTIONS, (u32)(8 + sizeof(head) + size));
	memcpy(at, head, sizeof(head));
	l1_symbols_give(info, &sections, ptr_to_phys(at + sizeof(head)).v, w->place.offset);
}

static u64 tags_size(const struct boot_info *info)
{
	struct elf_sections sections;
	u64 size = 512 + 24 * memmap_count() + efi_map_size_for_l1(info) + info->kept_size +
		   l1_symbols_size(info, &sections);

	for (u32 i = 0; i < info->module_count; i++)
		size += strlen(info->modules[i].cmdline) + 32;
	return size;
}

static void give_tags(struct tags *t, const struct boot_info *info, const struct mb2_wishes *w)
{
	u32 base = (u32)w->place.base;

	t->used = 8;
	tag_string(t, MB2_TAG_CMDLINE, "", 0, info->modules[0].cmdline);
	memcpy(t->base + t->used, info->kept, info->kept_size);
	t->used += info->kept_size;
	for (u32 i = 1; i < info->module_count; i++) {
		const struct boot_module *m = &info->modules[i];
		u32 range[2] = { (u32)m->base, (u32)(m->base + m->size) };

		tag_string(t, MB2_TAG_MODULE, range, sizeof(range), m->cmdline);
	}
	tag_memory(t);
	tag_mmap(t);
	if (efi_map_size_for_l1(info))
		tag_efi_map(t, info);
	tag_symbols(t, info, w);
	if (w->place.relocatable)
		memcpy(tag_open(t, MB2_TAG_LOAD_BASE, 12), &base, sizeof(base));
	tag_open(t, MB2_TAG_END, 8);
	memcpy(t->base, &t->used, 4);
}

enum status l1_multiboot2_load(struct boot_info *info, u32 header, struct l1_start *start)
{
	struct mb2_wishes wishes = { 0 };
	struct tags t = { 0 };
	enum status status;
	u64 entry, at;

	status = load_image(info, header, &wishes, &entry);
	if (status != STATUS_OK)
		return status;
	at = l1_space_find(tags_size(info), PAGE_SIZE, 0x10000, SIZE_4G);
	if (!at)
		return status_with(STATUS_L1_NO_ROOM, "its boot information");
	t.base = phys_to_ptr(HPA(at));
	give_tags(&t, info, &wishes);
	start->eip = (u32)entry;
	start->eax = MB2_LOADER_MAGIC;
	start->ebx = (u32)at;
	start->kind = "multiboot2";
	return STATUS_OK;
}
