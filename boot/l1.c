/* SPDX-License-Identifier: MIT */
/*
 * The first module is L1: tells by its content which boot protocol it speaks
 * and has it loaded.  Also what the multiboot loaders share: ELF or flat
 * image, and the flat GDT that each protocol leaves valid.
 */
#include "boot/l1.h"

#include "boot/elf.h"
#include "boot/l1_internal.h"
#include "boot/l1_space.h"
#include "kernel/bits.h"
#include "kernel/hw/phys.h"
#include "kernel/string.h"

static const void *image_get(const struct boot_info *info)
{
	return phys_to_ptr(HPA(info->modules[0].base));
}

static bool is_right_for(const struct l1_place *place, u64 low, u64 size)
{
	return low >= place->min && low + size <= (u64)place->max + 1 && !(low & (place->align - 1));
}

/* Claims the image's memory: where it is linked, or where a relocatable one may go if that place is taken. */
static enum status place_image(u64 low, u64 size, struct l1_place *place, const char *what)
{
	place->base = low;
	if (!place->relocatable || (is_right_for(place, low, size) && l1_space_is_free(low, size)))
		return l1_space_claim(low, size, what);
	place->base = l1_space_find_from(size, place->align, MAX(place->min, (u32)SIZE_1M),
					 (u64)place->max + 1, place->high);
	return place->base ? STATUS_OK : status_with(STATUS_L1_NO_ROOM, "%s", what);
}

enum status l1_elf_check(const struct boot_info *info)
{
	u64 low, high, entry;

	if (!elf_is(image_get(info), info->modules[0].size))
		return status_with(STATUS_L1_ELF, "neither ELF nor load addresses");
	return elf_extent(image_get(info), info->modules[0].size, &low, &high, &entry);
}

enum status l1_elf_load(struct boot_info *info, struct l1_place *place, u64 *entry)
{
	u64 low, high;
	enum status status = elf_extent(image_get(info), info->modules[0].size, &low, &high, entry);

	if (status != STATUS_OK)
		return status;
	status = place_image(low, high - low, place, "the L1 image's segments");
	if (status != STATUS_OK)
		return status;
	place->offset = place->base - low;
	elf_copy(image_get(info), info->modules[0].size, place->offset);
	*entry += place->offset;
	return STATUS_OK;
}

enum status l1_flat_load(struct boot_info *info, const struct l1_flat *flat, struct l1_place *place)
{
	u64 size = info->modules[0].size, offset, file, end, high;
	enum status status;

	if (flat->header_addr < flat->load_addr || flat->header_addr - flat->load_addr > flat->header)
		return status_with(STATUS_L1_MULTIBOOT, "load address after the header's");
	offset = flat->header - (flat->header_addr - flat->load_addr);
	end = flat->load_end ? flat->load_end : flat->load_addr + (size - offset);
	if (end <= flat->load_addr)
		return status_with(STATUS_L1_MULTIBOOT, "end of load before its start");
	file = end - flat->load_addr;
	if (file > size - offset)
		return status_with(STATUS_L1_TRUNCATED, "multiboot image");
	high = MAX(end, (u64)flat->bss_end);
	if (high > SIZE_4G)
		return status_with(STATUS_L1_MULTIBOOT, "end beyond 4 GiB");
	status = place_image(flat->load_addr, high - flat->load_addr, place, "the L1 image");
	if (status != STATUS_OK)
		return status;
	place->offset = place->base - flat->load_addr;
	memcpy(phys_to_ptr(HPA(place->base)), (const u8 *)image_get(info) + offset, file);
	memset(phys_to_ptr(HPA(place->base + file)), 0, high - end);
	return STATUS_OK;
}

/* Null, null, flat code at 0x10, flat data at 0x18: the selectors of Linux' protocol serve all three. */
static enum status give_gdt(struct l1_start *start)
{
	static const u64 gdt[4] = { 0, 0, 0x00cf9b000000ffffull, 0x00cf93000000ffffull };
	u64 at = l1_space_find(sizeof(gdt), 16, 0x10000, SIZE_4G);

	if (!at)
		return status_with(STATUS_L1_NO_ROOM, "its first GDT");
	memcpy(phys_to_ptr(HPA(at)), gdt, sizeof(gdt));
	start->gdt_base = (u32)at;
	start->gdt_limit = sizeof(gdt) - 1;
	start->code_selector = 0x10;
	start->data_selector = 0x18;
	return STATUS_OK;
}

enum l1_kind { L1_LINUX, L1_MULTIBOOT2, L1_MULTIBOOT1, L1_OTHER };

/* By the content; `header` is the offset of a multiboot header. */
static enum l1_kind identify(const struct boot_info *info, i64 *header)
{
	const void *image = image_get(info);
	u64 size = info->modules[0].size;

	if (l1_linux_is(image, size))
		return L1_LINUX;
	*header = l1_multiboot2_find(image, size);
	if (*header >= 0)
		return L1_MULTIBOOT2;
	*header = l1_multiboot1_find(image, size);
	return *header >= 0 ? L1_MULTIBOOT1 : L1_OTHER;
}

enum status l1_check(const struct boot_info *info)
{
	i64 header;

	if (!info->module_count)
		return STATUS_L1_MISSING;
	switch (identify(info, &header)) {
	case L1_LINUX: return l1_linux_check(info);
	case L1_MULTIBOOT2: return l1_multiboot2_check(info, (u32)header);
	case L1_MULTIBOOT1: return l1_multiboot1_check(info, (u32)header);
	default: return STATUS_L1_UNKNOWN;
	}
}

enum status l1_load(struct boot_info *info, struct l1_start *start)
{
	enum status status = l1_check(info);
	i64 header;

	*start = (struct l1_start){ 0 };
	if (status != STATUS_OK)
		return status;
	l1_space_init(info);
	switch (identify(info, &header)) {
	case L1_LINUX: status = l1_linux_load(info, start); break;
	case L1_MULTIBOOT2: status = l1_multiboot2_load(info, (u32)header, start); break;
	default: status = l1_multiboot1_load(info, (u32)header, start); break;
	}
	return status == STATUS_OK ? give_gdt(start) : status;
}
