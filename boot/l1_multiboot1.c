/* SPDX-License-Identifier: MIT */
/*
 * L1 images with a multiboot1 header: ELF or flat, and the information
 * structure they find in EBX.  Specification: "Multiboot Specification version 0.6.96".
 */
#include "boot/elf.h"
#include "boot/l1_internal.h"
#include "boot/l1_space.h"
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
#define LOADER_NAME "Socle"

struct mb1_header {
	u32 magic, flags, checksum;
	u32 header_addr, load_addr, load_end_addr, bss_end_addr, entry_addr;
};

#define MB1_INFO_MEMORY BIT(0)
#define MB1_INFO_CMDLINE BIT(2)
#define MB1_INFO_MODS BIT(3)
#define MB1_INFO_MMAP BIT(6)
#define MB1_INFO_LOADER BIT(9)

struct mb1_info {
	u32 flags, mem_lower, mem_upper, boot_device, cmdline, mods_count, mods_addr, syms[4];
	u32 mmap_length, mmap_addr, drives_length, drives_addr, config_table, boot_loader_name, apm_table;
	u32 vbe[4];
};

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

static enum status load_image(struct boot_info *info, u32 at, u64 *entry)
{
	const u8 *image = phys_to_ptr(HPA(info->modules[0].base));
	u64 size = info->modules[0].size;
	struct mb1_header h = { 0 };

	memcpy(&h, image + at, MIN(sizeof(h), size - at));
	if (h.flags & 0xffff & ~MB1_KNOWN)
		return status_with(STATUS_L1_MULTIBOOT, "flags 0x%x", h.flags & 0xffff & ~MB1_KNOWN);
	if (!(h.flags & MB1_FLAT))
		return elf_is(image, size) ? l1_elf_load(info, entry)
					   : status_with(STATUS_L1_ELF, "neither ELF nor load addresses");
	if (size - at < sizeof(h))
		return status_with(STATUS_L1_TRUNCATED, "multiboot header");
	*entry = h.entry_addr;
	return l1_flat_load(
		info, &(struct l1_flat){ at, h.header_addr, h.load_addr, h.load_end_addr, h.bss_end_addr });
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
	u64 size =
		sizeof(struct mb1_info) + sizeof(LOADER_NAME) + 64 + memmap_count() * sizeof(struct mb1_mmap);

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

	for (u32 i = 1; i < info->module_count; i++) {
		const struct boot_module *m = &info->modules[i];

		mods[i - 1] = (struct mb1_module){ (u32)m->base, (u32)(m->base + m->size),
						   block_string(b, m->cmdline), 0 };
	}
	mbi->mods_count = info->module_count - 1;
	mbi->mods_addr = block_take(b, mods, mbi->mods_count * (u32)sizeof(mods[0]));
}

enum status l1_multiboot1_load(struct boot_info *info, u32 header, struct l1_start *start)
{
	struct mb1_info mbi = { 0 };
	struct block b = { 0 };
	enum status status;
	u64 entry;

	status = load_image(info, header, &entry);
	if (status != STATUS_OK)
		return status;
	b.base = l1_space_find(block_size(info), PAGE_SIZE, 0x10000, SIZE_4G);
	if (!b.base)
		return status_with(STATUS_L1_NO_ROOM, "its boot information");
	b.used = ALIGN_UP(sizeof(mbi), 8);
	mbi.flags = MB1_INFO_MEMORY | MB1_INFO_CMDLINE | MB1_INFO_MODS | MB1_INFO_MMAP | MB1_INFO_LOADER;
	mbi.mem_lower = (u32)(memmap_usable_from(0, 0xa0000) >> 10);
	mbi.mem_upper = (u32)(memmap_usable_from(SIZE_1M, SIZE_4G) >> 10);
	mbi.cmdline = block_string(&b, info->modules[0].cmdline);
	mbi.boot_loader_name = block_string(&b, LOADER_NAME);
	give_modules(&b, &mbi, info);
	give_mmap(&b, &mbi);
	memcpy(phys_to_ptr(HPA(b.base)), &mbi, sizeof(mbi));
	start->eip = (u32)entry;
	start->eax = MB1_LOADER_MAGIC;
	start->ebx = (u32)b.base;
	start->kind = "multiboot1";
	return STATUS_OK;
}
