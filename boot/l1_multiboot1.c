/* SPDX-License-Identifier: MIT */
/*
 * L1 images with a multiboot1 header: ELF or flat, and the information
 * structure they find in EBX.  Specification: "Multiboot Specification version 0.6.96".
 */
#include "boot/elf.h"
#include "boot/l1_internal.h"
#include "boot/l1_space.h"
#include "boot/multiboot_tags.h"
#include "kernel/bits.h"
#include "kernel/hw/phys.h"
#include "kernel/string.h"

#define MB1_HEADER_MAGIC 0x1badb002u
#define MB1_LOADER_MAGIC 0x2badb002u
#define MB1_SEARCH 8192
#define MB1_FLAT BIT(16)
/* Modules on pages, memory information, video mode (a wish); the other bits of 15:0 are demands that nobody
 * knows. */
#define MB1_KNOWN 7u

struct mb1_header {
	u32 magic, flags, checksum;
	u32 header_addr, load_addr, load_end_addr, bss_end_addr, entry_addr;
};

#define MB1_INFO_MEMORY BIT(0)
#define MB1_INFO_BOOT_DEVICE BIT(1)
#define MB1_INFO_CMDLINE BIT(2)
#define MB1_INFO_MODS BIT(3)
#define MB1_INFO_ELF BIT(5)
#define MB1_INFO_MMAP BIT(6)
#define MB1_INFO_LOADER BIT(9)
#define MB1_INFO_VBE BIT(11)
#define MB1_INFO_FRAMEBUFFER BIT(12)

struct mb1_info {
	u32 flags, mem_lower, mem_upper, boot_device, cmdline, mods_count, mods_addr;
	u32 elf_count, elf_entry_size, elf_addr, elf_names;
	u32 mmap_length, mmap_addr, drives_length, drives_addr, config_table, boot_loader_name, apm_table;
	u32 vbe_control_info, vbe_mode_info;
	u16 vbe_mode, vbe_interface[3]; /* segment, offset, length */
	u8 framebuffer[28];
};
static_assert(sizeof(struct mb1_info) == 116, "Multiboot 0.6.96: Boot information format");

/* Bodies of multiboot2's tags. */
#define MB2_VBE_CONTROL 8
#define MB2_VBE_MODE 520
#define MB2_VBE_SIZE 776
#define MB2_BOOT_DEVICE_SIZE 12

struct mb1_module {
	u32 start, end, string, reserved;
};

struct mb1_mmap {
	u32 size; /* of the rest */
	u64 base, length;
	u32 type;
} PACKED;

i64 l1_multiboot1_find(const void *image, u64 size)
{
	u64 end = MIN(size, (u64)MB1_SEARCH);
	u32 h[3];

	for (u64 at = 0; at + sizeof(h) <= end; at += 4) {
		memcpy(h, (const u8 *)image + at, sizeof(h));
		if (h[0] == MB1_HEADER_MAGIC && !(u32)(h[0] + h[1] + h[2]))
			return (i64)at;
	}
	return -1;
}

static enum status read_header(const struct boot_info *info, u32 at, struct mb1_header *h)
{
	const u8 *image = phys_to_ptr(HPA(info->modules[0].base));
	u64 size = info->modules[0].size;

	*h = (struct mb1_header){ 0 };
	memcpy(h, image + at, MIN(sizeof(*h), size - at));
	if (h->flags & 0xffff & ~MB1_KNOWN)
		return status_with(STATUS_L1_MULTIBOOT, "flags 0x%x", h->flags & 0xffff & ~MB1_KNOWN);
	if (!(h->flags & MB1_FLAT))
		return l1_elf_check(info);
	if (size - at < sizeof(*h))
		return status_with(STATUS_L1_TRUNCATED, "multiboot header");
	return STATUS_OK;
}

enum status l1_multiboot1_check(const struct boot_info *info, u32 header)
{
	struct mb1_header h;

	return read_header(info, header, &h);
}

static enum status load_image(struct boot_info *info, u32 at, u64 *entry, bool *flat)
{
	struct l1_place place = { 0 };
	struct mb1_header h;
	enum status status = read_header(info, at, &h);

	if (status != STATUS_OK)
		return status;
	*flat = h.flags & MB1_FLAT;
	if (!*flat)
		return l1_elf_load(info, &place, entry);
	*entry = h.entry_addr;
	return l1_flat_load(
		info, &(struct l1_flat){ at, h.header_addr, h.load_addr, h.load_end_addr, h.bss_end_addr },
		&place);
}

/* Strings and tables behind the information structure, in one claimed block. */
struct block {
	u64 base;
	u32 used;
};

static u32 block_take(struct block *b, const void *data, u32 size)
{
	u32 at = (u32)b->base + b->used;

	memcpy(phys_to_ptr(HPA(at)), data, size);
	b->used += ALIGN_UP(size, 8);
	return at;
}

static u32 block_string(struct block *b, const char *s)
{
	return block_take(b, s, (u32)strlen(s) + 1);
}

static u64 block_size(const struct boot_info *info)
{
	u64 size = sizeof(struct mb1_info) + strlen(info->loader_name) + 64 +
		   memmap_count() * sizeof(struct mb1_mmap) + info->kept_size;
	struct elf_sections sections;

	size += l1_symbols_size(info, &sections) + 8;
	for (u32 i = 0; i < info->module_count; i++)
		size += strlen(info->modules[i].cmdline) + 16 + sizeof(struct mb1_module);
	return size + 8 * memmap_count();
}

static void give_mmap(struct block *b, struct mb1_info *mbi)
{
	u32 first = (u32)b->base + b->used;

	for (size_t i = 0; i < memmap_count(); i++) {
		const struct memmap_range *r = memmap_get(i);
		struct mb1_mmap e = { sizeof(e) - sizeof(e.size), r->base, r->size, r->type };

		memcpy(phys_to_ptr(HPA(first + i * sizeof(e))), &e, sizeof(e));
	}
	mbi->mmap_addr = first;
	mbi->mmap_length = (u32)(memmap_count() * sizeof(struct mb1_mmap));
	b->used += ALIGN_UP(mbi->mmap_length, 8);
}

static void give_modules(struct block *b, struct mb1_info *mbi, const struct boot_info *info)
{
	struct mb1_module mods[BOOT_MODULE_MAX] = { 0 };

	if (info->module_count > 1)
		mbi->flags |= MB1_INFO_MODS;
	for (u32 i = 1; i < info->module_count; i++) {
		const struct boot_module *m = &info->modules[i];

		mods[i - 1] = (struct mb1_module){ (u32)m->base, (u32)(m->base + m->size),
						   block_string(b, m->cmdline), 0 };
	}
	mbi->mods_count = info->module_count - 1;
	mbi->mods_addr = block_take(b, mods, mbi->mods_count * (u32)sizeof(mods[0]));
}

/* Drive, partition and sub-partitions, a byte each; FFH where there is none. */
static void give_boot_device(struct mb1_info *mbi, const struct boot_info *info)
{
	u32 size, device[3];
	const u8 *tag = boot_info_kept(info, MB2_TAG_BOOT_DEVICE, &size);

	if (!tag || size < MB2_BOOT_DEVICE_SIZE)
		return;
	memcpy(device, tag, sizeof(device));
	mbi->boot_device = device[0] << 24 | (device[1] & 0xff) << 16 | (device[2] & 0xff) << 8 | 0xff;
	mbi->flags |= MB1_INFO_BOOT_DEVICE;
}

static void give_video(struct block *b, struct mb1_info *mbi, const struct boot_info *info)
{
	u32 size;
	const u8 *tag = boot_info_kept(info, MB2_TAG_VBE, &size);

	if (tag && size >= MB2_VBE_SIZE) {
		memcpy(&mbi->vbe_mode, tag, sizeof(mbi->vbe_mode));
		memcpy(mbi->vbe_interface, tag + 2, sizeof(mbi->vbe_interface));
		mbi->vbe_control_info = block_take(b, tag + MB2_VBE_CONTROL, MB2_VBE_MODE - MB2_VBE_CONTROL);
		mbi->vbe_mode_info = block_take(b, tag + MB2_VBE_MODE, MB2_VBE_SIZE - MB2_VBE_MODE);
		mbi->flags |= MB1_INFO_VBE;
	}
	tag = boot_info_kept(info, MB2_TAG_FRAMEBUFFER, &size);
	/* A palette would be a pointer here. */
	if (tag && size >= 24 && tag[21] != BOOT_FRAMEBUFFER_INDEXED) {
		memcpy(mbi->framebuffer, tag, 22);
		memcpy(mbi->framebuffer + 22, tag + 24, MIN(size - 24, 6u));
		mbi->flags |= MB1_INFO_FRAMEBUFFER;
	}
}

/* What the loader told Socle and means the same to L1 (but the APM table, which no loader of today gives a
 * multiboot1 image). */
static void give_kept(struct block *b, struct mb1_info *mbi, const struct boot_info *info)
{
	if (*info->loader_name) {
		mbi->boot_loader_name = block_string(b, info->loader_name);
		mbi->flags |= MB1_INFO_LOADER;
	}
	give_boot_device(mbi, info);
	give_video(b, mbi, info);
}

static void give_symbols(struct block *b, struct mb1_info *mbi, const struct boot_info *info)
{
	struct elf_sections sections;
	u64 size = l1_symbols_size(info, &sections);

	if (!size)
		return;
	mbi->elf_count = sections.count;
	mbi->elf_entry_size = sections.entry_size;
	mbi->elf_names = sections.names;
	mbi->elf_addr = (u32)b->base + b->used;
	b->used += (u32)ALIGN_UP(size, 8);
	l1_symbols_give(info, &sections, mbi->elf_addr, 0);
	mbi->flags |= MB1_INFO_ELF;
}

enum status l1_multiboot1_load(struct boot_info *info, u32 header, struct l1_start *start)
{
	struct mb1_info mbi = { 0 };
	struct block b = { 0 };
	enum status status;
	bool flat = false;
	u64 entry;

	status = load_image(info, header, &entry, &flat);
	if (status != STATUS_OK)
		return status;
	b.base = l1_space_find(block_size(info), PAGE_SIZE, 0x10000, SIZE_4G);
	if (!b.base)
		return status_with(STATUS_L1_NO_ROOM, "its boot information");
	b.used = ALIGN_UP(sizeof(mbi), 8);
	mbi.flags = MB1_INFO_MEMORY | MB1_INFO_CMDLINE | MB1_INFO_MMAP;
	mbi.mem_lower = (u32)(memmap_usable_from(0, 0xa0000) >> 10);
	mbi.mem_upper = (u32)(memmap_usable_from(SIZE_1M, SIZE_4G) >> 10);
	mbi.cmdline = block_string(&b, info->modules[0].cmdline);
	give_kept(&b, &mbi, info);
	if (!flat)
		give_symbols(&b, &mbi, info);
	give_modules(&b, &mbi, info);
	give_mmap(&b, &mbi);
	memcpy(phys_to_ptr(HPA(b.base)), &mbi, sizeof(mbi));
	start->eip = (u32)entry;
	start->eax = MB1_LOADER_MAGIC;
	start->ebx = (u32)b.base;
	start->kind = "multiboot1";
	return STATUS_OK;
}
