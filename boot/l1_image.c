/* SPDX-License-Identifier: MIT */
/*
 * What the loaders of multiboot images share: an ELF or a flat image, and where
 * it may lie.
 */
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
