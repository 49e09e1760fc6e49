/* SPDX-License-Identifier: MIT */
/*
 * The boot loader's tags into struct boot_info, every bound checked: a
 * damaged structure is a status.  Multiboot2 specification: "Boot information".
 */
#include "boot/boot_info.h"
#include "boot/multiboot_tags.h"
#include "kernel/bits.h"
#include "kernel/hw/phys.h"
#include "kernel/string.h"

#define MB2_LOADER_MAGIC 0x36d76289u
#define MB2_SIZE_MAX (1u << 20)

/* Copies a string of at most `size` bytes into the information's own space. */
static const char *keep_string(struct boot_info *out, const u8 *s, u32 size)
{
	u32 length = (u32)strnlen((const char *)s, size);
	char *to = out->strings + out->string_used;

	if (length == size || length + 1 > BOOT_STRING_SPACE - out->string_used)
		return NULL;
	memcpy(to, s, length + 1);
	out->string_used += length + 1;
	return to;
}

static enum status read_module(const u8 *body, u32 size, struct boot_info *out)
{
	struct boot_module *m = &out->modules[out->module_count];
	u32 range[2];

	if (size < sizeof(range) + 1)
		return status_with(STATUS_BOOT_INFO, "module");
	if (out->module_count == BOOT_MODULE_MAX)
		return status_with(STATUS_L1_MODULES, "Socle hands on at most %u", BOOT_MODULE_MAX - 1);
	memcpy(range, body, sizeof(range));
	if (range[1] < range[0])
		return status_with(STATUS_BOOT_INFO, "module's end before its start");
	m->base = range[0];
	m->size = range[1] - range[0];
	m->cmdline = keep_string(out, body + sizeof(range), size - (u32)sizeof(range));
	if (!m->cmdline)
		return status_with(STATUS_BOOT_INFO, "module's command line");
	out->module_count++;
	return STATUS_OK;
}

static enum status read_mmap(const u8 *body, u32 size, struct boot_info *out)
{
	u32 head[2];

	if (size < sizeof(head))
		return status_with(STATUS_BOOT_INFO, "memory map");
	memcpy(head, body, sizeof(head));
	if (head[0] < 20)
		return status_with(STATUS_BOOT_INFO, "memory map's entries");
	for (u32 at = sizeof(head); head[0] <= size - at; at += head[0]) {
		struct memmap_range *r = &out->ranges[out->range_count];

		/* One left out might be the firmware's own memory. */
		if (out->range_count++ == BOOT_RANGE_MAX)
			return status_with(STATUS_MANY_RANGES, "%u", BOOT_RANGE_MAX);
		memcpy(&r->base, body + at, 8);
		memcpy(&r->size, body + at + 8, 8);
		memcpy(&r->type, body + at + 16, 4);
	}
	return STATUS_OK;
}

static void read_framebuffer(const u8 *body, u32 size, struct boot_framebuffer *fb)
{
	if (size < 24)
		return;
	memcpy(&fb->addr, body, 8);
	memcpy(&fb->pitch, body + 8, 4);
	memcpy(&fb->width, body + 12, 4);
	memcpy(&fb->height, body + 16, 4);
	fb->bpp = body[20];
	fb->type = body[21];
	if (fb->type != BOOT_FRAMEBUFFER_RGB)
		return;
	if (size < 30) {
		fb->type = BOOT_FRAMEBUFFER_NONE;
		return;
	}
	fb->red_pos = body[24];
	fb->red_size = body[25];
	fb->green_pos = body[26];
	fb->green_size = body[27];
	fb->blue_pos = body[28];
	fb->blue_size = body[29];
}

static void read_rsdp(const u8 *body, u32 size, u32 wanted, struct boot_info *out)
{
	if (size < wanted || out->rsdp_size > wanted)
		return;
	memcpy(out->rsdp, body, wanted);
	out->rsdp_size = (u8)wanted;
}

static enum status read_efi_map(const u8 *body, u32 size, struct boot_info *out)
{
	out->efi = true;
	if (size < 8 || size - 8 > BOOT_EFI_MAP_SPACE)
		return status_with(STATUS_BOOT_INFO, "the firmware's memory map has %u bytes, allowed are %u",
				   size - 8, BOOT_EFI_MAP_SPACE);
	memcpy(&out->efi_descriptor_size, body, 4);
	memcpy(&out->efi_descriptor_version, body + 4, 4);
	if (out->efi_descriptor_size < 40 || out->efi_descriptor_size > 256)
		return status_with(STATUS_BOOT_INFO, "firmware's memory map");
	out->efi_map_size = size - 8;
	memcpy(out->efi_map, body + 8, out->efi_map_size);
	return STATUS_OK;
}

/* UEFI specification, "GetMemoryMap": memory that is free once boot services have ended, ACPI's, and the
 * rest. */
static u32 efi_type(u32 type)
{
	switch (type) {
	case 1: /* loader code and data, boot services code and data, conventional */
	case 2:
	case 3:
	case 4:
	case 7: return MEMMAP_USABLE;
	case 9: return MEMMAP_ACPI;
	case 10: return MEMMAP_NVS;
	default: return MEMMAP_RESERVED;
	}
}

/* Where the loader gave the firmware's map only. */
static enum status use_efi_map(struct boot_info *out)
{
	u32 stride = out->efi_descriptor_size;

	for (u32 at = 0; at + stride <= out->efi_map_size; at += stride) {
		struct memmap_range *r = &out->ranges[out->range_count];
		u64 pages;

		if (out->range_count++ == BOOT_RANGE_MAX)
			return status_with(STATUS_MANY_RANGES, "%u", BOOT_RANGE_MAX);
		memcpy(&r->type, out->efi_map + at, 4);
		memcpy(&r->base, out->efi_map + at + 8, 8);
		memcpy(&pages, out->efi_map + at + 24, 8);
		r->type = efi_type(r->type);
		r->size = pages << PAGE_SHIFT;
	}
	return STATUS_OK;
}

/* The whole tag, for an L1 that understands it. */
static enum status keep_tag(const u8 *tag, u32 size, struct boot_info *out)
{
	u32 padded = (u32)ALIGN_UP(size, 8);

	if (padded > BOOT_KEPT_SPACE - out->kept_size)
		return status_with(STATUS_BOOT_INFO, "size of all tags");
	memcpy(out->kept + out->kept_size, tag, size);
	out->kept_size += padded;
	return STATUS_OK;
}

const u8 *boot_info_kept(const struct boot_info *info, u32 type, u32 *size)
{
	u32 head[2];

	for (u32 at = 0; at < info->kept_size; at += (u32)ALIGN_UP(head[1], 8)) {
		memcpy(head, info->kept + at, sizeof(head));
		if (head[0] == type) {
			*size = head[1] - 8;
			return info->kept + at + 8;
		}
	}
	return NULL;
}

bool boot_info_has_ram(const struct boot_info *info, u64 pa, u64 size)
{
	for (u32 i = 0; i < MIN(info->range_count, (u32)BOOT_RANGE_MAX); i++) {
		const struct memmap_range *r = &info->ranges[i];

		if ((r->type == MEMMAP_USABLE || r->type == MEMMAP_ACPI || r->type == MEMMAP_NVS) &&
		    (pa < r->base ? r->base - pa < size : pa - r->base < r->size))
			return true;
	}
	return false;
}

static enum status read_tag(u32 type, const u8 *body, u32 size, struct boot_info *out)
{
	switch (type) {
	case MB2_TAG_CMDLINE:
		out->cmdline = keep_string(out, body, size);
		return out->cmdline ? STATUS_OK : status_with(STATUS_BOOT_INFO, "command line");
	case MB2_TAG_LOADER:
		out->loader_name = keep_string(out, body, size);
		return out->loader_name ? STATUS_OK : status_with(STATUS_BOOT_INFO, "name of the loader");
	case MB2_TAG_MODULE: return read_module(body, size, out);
	case MB2_TAG_MMAP: return read_mmap(body, size, out);
	case MB2_TAG_FRAMEBUFFER: read_framebuffer(body, size, &out->framebuffer); break;
	case MB2_TAG_EFI64:
		if (size >= 8)
			memcpy(&out->efi_system_table, body, 8);
		out->efi = true;
		break;
	case MB2_TAG_EFI32:
	case MB2_TAG_EFI_BS: out->efi = true; break;
	case MB2_TAG_ACPI_OLD: read_rsdp(body, size, 20, out); break;
	case MB2_TAG_ACPI_NEW: read_rsdp(body, size, 36, out); break;
	case MB2_TAG_EFI_MMAP: return read_efi_map(body, size, out);
	}
	return STATUS_OK;
}

enum status multiboot2_parse(u32 magic, u32 info, struct boot_info *out)
{
	const u8 *base = phys_to_ptr(HPA(info));
	u32 total, at = 8;

	memset(out, 0, sizeof(*out));
	out->cmdline = out->loader_name = "";
	out->framebuffer.type = BOOT_FRAMEBUFFER_NONE;
	if (magic != MB2_LOADER_MAGIC || (info & 7))
		return STATUS_NOT_MULTIBOOT2;
	memcpy(&total, base, sizeof(total));
	if (total < 16 || total > MB2_SIZE_MAX || total > SIZE_4G - info)
		return status_with(STATUS_BOOT_INFO, "size");
	out->info_base = info;
	out->info_size = total;
	while (total - at >= 8) {
		u32 head[2];
		enum status status;

		memcpy(head, base + at, sizeof(head));
		if (head[0] == MB2_TAG_END)
			break;
		if (head[1] < 8 || head[1] > total - at)
			return status_with(STATUS_BOOT_INFO, "size of tag %u", head[0]);
		status = read_tag(head[0], base + at + 8, head[1] - 8, out);
		if (status == STATUS_OK && mb2_info_answer(head[0]) == MB2_KEPT)
			status = keep_tag(base + at, head[1], out);
		if (status != STATUS_OK)
			return status;
		if (ALIGN_UP(head[1], 8) > total - at)
			break;
		at += (u32)ALIGN_UP(head[1], 8);
	}
	if (!out->range_count && out->efi_map_size) {
		enum status status = use_efi_map(out);

		if (status != STATUS_OK)
			return status;
	}
	return out->range_count ? STATUS_OK : STATUS_NO_MEMORY_MAP;
}
