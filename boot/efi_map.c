/* SPDX-License-Identifier: MIT */
/*
 * The firmware's memory map for L1: what L0 has taken of the memory that the firmware calls free is cut out.
 */
#include "boot/efi_map.h"
#include "kernel/bits.h"
#include "kernel/string.h"
#include "mm/addr.h"

#define EFI_RESERVED 0
#define EFI_LOADER_CODE 1
#define EFI_BOOT_SERVICES_CODE 3
#define EFI_BOOT_SERVICES_DATA 4
#define EFI_CONVENTIONAL 7
#define EFI_ACPI_RECLAIM 9

/* A memory descriptor; the map's stride may be larger. */
struct efi_descriptor {
	u32 type, pad;
	u64 physical, virtual, pages, attributes;
};

/* Free once boot services have ended. */
static bool is_free(u32 type)
{
	return (type >= EFI_LOADER_CODE && type <= EFI_BOOT_SERVICES_DATA) || type == EFI_CONVENTIONAL;
}

/* What L1 is told of memory that the firmware calls `type` and the memory map calls `ours`. */
static u32 type_for_l1(u32 type, u32 ours)
{
	if (!is_free(type))
		return type;
	return ours == MEMMAP_RESERVED ? EFI_RESERVED : ours == MEMMAP_ACPI ? EFI_ACPI_RECLAIM : type;
}

/* The part of `raw` from `at` on that is one thing to L1, written if `to` is there; where it ends. */
static u64 write_piece(u8 *to, const u8 *raw, u32 stride, u64 at)
{
	struct efi_descriptor d;
	u64 end, next;
	u32 type;

	memcpy(&d, raw, sizeof(d));
	end = d.physical + (d.pages << PAGE_SHIFT);
	type = type_for_l1(d.type, memmap_type_at(at, &next));
	while (next < end) {
		u64 after;

		if (type_for_l1(d.type, memmap_type_at(next, &after)) != type)
			break;
		next = after;
	}
	next = MIN(ALIGN_DOWN(next, PAGE_SIZE), end);
	if (next <= at) /* a page of two kinds is what its start is */
		next = at + PAGE_SIZE;
	if (to) {
		memcpy(to, raw, stride);
		d.type = type;
		d.physical = at;
		d.pages = (next - at) >> PAGE_SHIFT;
		memcpy(to, &d, sizeof(d));
	}
	return next;
}

/* To `to`, or, if that is NULL, counted only. */
static u32 make_map(const struct boot_info *info, u8 *to)
{
	u32 stride = info->efi_descriptor_size, size = 0;

	for (u32 i = 0; i + stride <= info->efi_map_size; i += stride) {
		const u8 *raw = info->efi_map + i;
		struct efi_descriptor d;
		u64 end;

		memcpy(&d, raw, sizeof(d));
		end = d.physical + (d.pages << PAGE_SHIFT);
		for (u64 at = d.physical; at < end; size += stride)
			at = write_piece(to ? to + size : NULL, raw, stride, at);
	}
	return size;
}

u32 efi_map_size_for_l1(const struct boot_info *info)
{
	if (!info->efi_map_size || info->efi_descriptor_size < sizeof(struct efi_descriptor))
		return 0;
	/* a place that is taken for the map itself may cut one more in three */
	return make_map(info, NULL) + 2 * info->efi_descriptor_size;
}

u32 efi_map_for_l1(const struct boot_info *info, u8 *to)
{
	return make_map(info, to);
}

u32 efi_map_boot_services(const struct boot_info *info, struct memmap_range *to)
{
	u32 stride = info->efi_descriptor_size, count = 0;

	if (!efi_map_size_for_l1(info))
		return 0;
	for (u32 i = 0; i + stride <= info->efi_map_size; i += stride) {
		struct efi_descriptor d;

		memcpy(&d, info->efi_map + i, sizeof(d));
		if (d.type != EFI_BOOT_SERVICES_CODE && d.type != EFI_BOOT_SERVICES_DATA)
			continue;
		if (count && to[count - 1].base + to[count - 1].size == d.physical)
			to[count - 1].size += d.pages << PAGE_SHIFT;
		else if (count < EFI_KEPT_MAX)
			to[count++] = (struct memmap_range){ d.physical, d.pages << PAGE_SHIFT, 0 };
	}
	return count;
}
