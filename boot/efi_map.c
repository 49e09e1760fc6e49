/* SPDX-License-Identifier: MIT */
/*
 * The firmware's memory map for L1: descriptors that hold L0's window are split.
 */
#include "boot/efi_map.h"
#include "kernel/bits.h"
#include "kernel/string.h"
#include "mm/addr.h"

#define EFI_RESERVED 0
#define EFI_BOOT_SERVICES_CODE 3
#define EFI_BOOT_SERVICES_DATA 4

/* A memory descriptor; the map's stride may be larger. */
struct efi_descriptor {
	u32 type, pad;
	u64 physical, virtual, pages, attributes;
};

u32 efi_map_size_for_l1(const struct boot_info *info)
{
	if (!info->efi_map_size || info->efi_descriptor_size < sizeof(struct efi_descriptor))
		return 0;
	/* the window splits one in up to three */
	return info->efi_map_size + 2 * info->efi_descriptor_size;
}

/* Writes [base, end) of the descriptor `raw`, if that is not empty; the number of bytes. */
static u32 write_piece(u8 *to, const u8 *raw, u32 stride, u64 base, u64 end, bool reserved)
{
	struct efi_descriptor d;

	if (base >= end)
		return 0;
	memcpy(to, raw, stride);
	memcpy(&d, raw, sizeof(d));
	d.physical = base;
	d.pages = (end - base) >> PAGE_SHIFT;
	if (reserved)
		d.type = EFI_RESERVED;
	memcpy(to, &d, sizeof(d));
	return stride;
}

u32 efi_map_for_l1(const struct boot_info *info, u8 *to)
{
	u64 window = memmap_window_base(), window_end = window + memmap_window_size();
	u32 stride = info->efi_descriptor_size, size = 0;

	for (u32 i = 0; i + stride <= info->efi_map_size; i += stride) {
		const u8 *raw = info->efi_map + i;
		struct efi_descriptor d;
		u64 end;

		memcpy(&d, raw, sizeof(d));
		end = d.physical + (d.pages << PAGE_SHIFT);
		size += write_piece(to + size, raw, stride, d.physical, MIN(end, MAX(window, d.physical)),
				    false);
		size += write_piece(to + size, raw, stride, MAX(d.physical, window), MIN(end, window_end),
				    true);
		size += write_piece(to + size, raw, stride, MIN(end, MAX(d.physical, window_end)), end,
				    false);
	}
	return size;
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
