/* SPDX-License-Identifier: MIT */
/*
 * L1 images with a multiboot2 header: ELF or flat, and the tags that they
 * find in EBX.  Specification: "Multiboot2 Specification version 2.0".
 */
#include "boot/efi_map.h"
#include "boot/elf.h"
#include "boot/l1_internal.h"
#include "boot/l1_space.h"
#include "kernel/bits.h"
#include "kernel/hw/phys.h"
#include "kernel/string.h"

#define MB2_HEADER_MAGIC 0xe85250d6u
#define MB2_LOADER_MAGIC 0x36d76289u
#define MB2_SEARCH 32768
#define MB2_ARCH_386 0
#define MB2_OPTIONAL BIT(0)
#define LOADER_NAME "Socle"

enum { /* header tags */
       MB2_HTAG_END,
       MB2_HTAG_REQUEST,
       MB2_HTAG_ADDRESS,
       MB2_HTAG_ENTRY,
       MB2_HTAG_CONSOLE,
       MB2_HTAG_FRAMEBUFFER,
       MB2_HTAG_ALIGN,
       MB2_HTAG_EFI_BS,
       MB2_HTAG_ENTRY_EFI32,
       MB2_HTAG_ENTRY_EFI64,
       MB2_HTAG_RELOCATABLE,
};

enum { /* information tags */
       MB2_TAG_END = 0,
       MB2_TAG_CMDLINE = 1,
       MB2_TAG_LOADER = 2,
       MB2_TAG_MODULE = 3,
       MB2_TAG_MEMORY = 4,
       MB2_TAG_MMAP = 6,
       MB2_TAG_FRAMEBUFFER = 8,
       MB2_TAG_EFI64 = 12,
       MB2_TAG_ACPI_OLD = 14,
       MB2_TAG_ACPI_NEW = 15,
       MB2_TAG_EFI_MMAP = 17,
};

struct mb2_wishes {
	bool flat, has_entry;
	struct l1_flat address;
	u32 entry;
};

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

static enum status read_tag(const u8 *tag, u16 type, u16 flags, u32 size, u32 header, struct mb2_wishes *w)
{
	u32 f[4];

	switch (type) {
	case MB2_HTAG_ADDRESS:
		if (size < 24)
			break;
		memcpy(f, tag + 8, sizeof(f));
		w->flat = true;
		w->address = (struct l1_flat){ header, f[0], f[1], f[2], f[3] };
		return STATUS_OK;
	case MB2_HTAG_ENTRY:
		if (size < 12)
			break;
		memcpy(&w->entry, tag + 8, sizeof(w->entry));
		w->has_entry = true;
		return STATUS_OK;
	case MB2_HTAG_REQUEST:
	case MB2_HTAG_CONSOLE:
	case MB2_HTAG_FRAMEBUFFER:
	case MB2_HTAG_ALIGN:
	case MB2_HTAG_ENTRY_EFI32:
	case MB2_HTAG_ENTRY_EFI64:
	case MB2_HTAG_RELOCATABLE:
		/* Given as far as there is one; the EFI entries are not taken, boot services have ended. */
		return STATUS_OK;
	default:
		return flags & MB2_OPTIONAL ? STATUS_OK
					    : status_with(STATUS_L1_MULTIBOOT, "header tag %u", type);
	}
	return status_with(STATUS_L1_MULTIBOOT, "size of header tag %u", type);
}

static enum status read_header(const u8 *image, u64 size, u32 header, struct mb2_wishes *w)
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

static enum status load_image(struct boot_info *info, u32 header, u64 *entry)
{
	const u8 *image = phys_to_ptr(HPA(info->modules[0].base));
	struct mb2_wishes w = { 0 };
	enum status status = read_header(image, info->modules[0].size, header, &w);

	if (status != STATUS_OK)
		return status;
	if (w.flat && !w.has_entry)
		return status_with(STATUS_L1_MULTIBOOT, "load addresses without an entry address");
	if (w.flat)
		status = l1_flat_load(info, &w.address);
	else if (elf_is(image, info->modules[0].size))
		status = l1_elf_load(info, entry);
	else
		status = status_with(STATUS_L1_ELF, "neither ELF nor load addresses");
	if (w.has_entry)
		*entry = w.entry;
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

static void tag_framebuffer(struct tags *t, const struct boot_framebuffer *fb)
{
	u8 colors[6] = {
		fb->red_pos, fb->red_size, fb->green_pos, fb->green_size, fb->blue_pos, fb->blue_size
	};
	u8 *at;

	if (fb->type == BOOT_FRAMEBUFFER_NONE || fb->type == BOOT_FRAMEBUFFER_INDEXED)
		return;
	at = tag_open(t, MB2_TAG_FRAMEBUFFER, 8 + 24 + sizeof(colors));
	memcpy(at, &fb->addr, 8);
	memcpy(at + 8, &fb->pitch, 4);
	memcpy(at + 12, &fb->width, 4);
	memcpy(at + 16, &fb->height, 4);
	at[20] = fb->bpp;
	at[21] = fb->type;
	memcpy(at + 24, colors, sizeof(colors));
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

static void tag_firmware(struct tags *t, const struct boot_info *info)
{
	if (info->rsdp_size)
		memcpy(tag_open(t, info->rsdp_size > 20 ? MB2_TAG_ACPI_NEW : MB2_TAG_ACPI_OLD,
				8 + info->rsdp_size),
		       info->rsdp, info->rsdp_size);
	if (info->efi_system_table)
		memcpy(tag_open(t, MB2_TAG_EFI64, 16), &info->efi_system_table, 8);
	if (efi_map_size_for_l1(info))
		tag_efi_map(t, info);
}

static u64 tags_size(const struct boot_info *info)
{
	u64 size = 512 + 24 * memmap_count() + efi_map_size_for_l1(info) + info->rsdp_size;

	for (u32 i = 0; i < info->module_count; i++)
		size += strlen(info->modules[i].cmdline) + 32;
	return size;
}

static void give_tags(struct tags *t, const struct boot_info *info)
{
	t->used = 8;
	tag_string(t, MB2_TAG_CMDLINE, "", 0, info->modules[0].cmdline);
	tag_string(t, MB2_TAG_LOADER, "", 0, LOADER_NAME);
	for (u32 i = 1; i < info->module_count; i++) {
		const struct boot_module *m = &info->modules[i];
		u32 range[2] = { (u32)m->base, (u32)(m->base + m->size) };

		tag_string(t, MB2_TAG_MODULE, range, sizeof(range), m->cmdline);
	}
	tag_memory(t);
	tag_mmap(t);
	tag_framebuffer(t, &info->framebuffer);
	tag_firmware(t, info);
	tag_open(t, MB2_TAG_END, 8);
	memcpy(t->base, &t->used, 4);
}

enum status l1_multiboot2_load(struct boot_info *info, u32 header, struct l1_start *start)
{
	struct tags t = { 0 };
	enum status status;
	u64 entry, at;

	status = load_image(info, header, &entry);
	if (status != STATUS_OK)
		return status;
	at = l1_space_find(tags_size(info), PAGE_SIZE, 0x10000, SIZE_4G);
	if (!at)
		return status_with(STATUS_L1_NO_ROOM, "its boot information");
	t.base = phys_to_ptr(HPA(at));
	give_tags(&t, info);
	start->eip = (u32)entry;
	start->eax = MB2_LOADER_MAGIC;
	start->ebx = (u32)at;
	start->kind = "multiboot2";
	return STATUS_OK;
}
