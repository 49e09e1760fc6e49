/* SPDX-License-Identifier: MIT */
/*
 * What a Linux L1 is told of the machine, in its zero page: memory, ACPI, the firmware's tables, the initrd.
 * Documentation of the protocol: Linux' "The Linux/x86 Boot Protocol" and "The zero page".
 */
#include "boot/l1_linux.h"

#include "boot/efi_map.h"
#include "boot/l1_space.h"
#include "kernel/bits.h"
#include "kernel/hw/phys.h"
#include "kernel/log.h"
#include "kernel/string.h"
#include "mm/memmap.h"

#define HDR_RAMDISK_IMAGE 0x218
#define HDR_RAMDISK_SIZE 0x21c
#define HDR_SETUP_DATA 0x250
#define SETUP_DATA_VERSION 0x209u /* of the protocol, the first with HDR_SETUP_DATA */

#define BP_ACPI_RSDP_ADDR 0x070
#define BP_EFI_SIGNATURE 0x1c0
#define BP_EFI_SYSTEM_TABLE 0x1c4
#define BP_EFI_DESCRIPTOR_SIZE 0x1c8
#define BP_EFI_DESCRIPTOR_VERSION 0x1cc
#define BP_EFI_MAP 0x1d0
#define BP_EFI_MAP_SIZE 0x1d4
#define BP_EFI_SYSTEM_TABLE_HIGH 0x1d8
#define BP_E820_ENTRIES 0x1e8
#define BP_SECURE_BOOT 0x1ec
#define BP_E820_TABLE 0x2d0
#define BP_E820_MAX 128u
#define E820_ENTRY_SIZE 20u

#define EFI_64BIT 0x34364c45u /* "EL64" */
#define SECURE_BOOT_OFF 2
#define SETUP_E820_EXT 1u

struct setup_data {
	u64 next;
	u32 type, length;
};

static void put32(u8 *p, u32 offset, u32 value)
{
	memcpy(p + offset, &value, sizeof(value));
}

static void put64(u8 *p, u32 offset, u64 value)
{
	memcpy(p + offset, &value, sizeof(value));
}

static void put_ranges(u8 *to, size_t first, size_t count)
{
	for (size_t i = 0; i < count; i++, to += E820_ENTRY_SIZE) {
		const struct memmap_range *r = memmap_get(first + i);

		put64(to, 0, r->base);
		put64(to, 8, r->size);
		put32(to, 16, r->type);
	}
}

/* The ranges that the zero page has no room for are a setup_data of their own. False: there is no place for
 * it. */
static bool give_more_ranges(u8 *bp, size_t count)
{
	struct setup_data head = { 0, SETUP_E820_EXT, (u32)count * E820_ENTRY_SIZE };
	u64 at = l1_space_find(sizeof(head) + head.length, 16, 0x10000, SIZE_4G);

	if (!at)
		return false;
	memcpy(phys_to_ptr(HPA(at)), &head, sizeof(head));
	put_ranges(phys_to_ptr(HPA(at + sizeof(head))), BP_E820_MAX, count);
	put64(bp, HDR_SETUP_DATA, at);
	return true;
}

static void give_ranges(u8 *bp, u32 version)
{
	size_t n = MIN(memmap_count(), (size_t)BP_E820_MAX), more = memmap_count() - n;

	bp[BP_E820_ENTRIES] = (u8)n;
	put_ranges(bp + BP_E820_TABLE, 0, n);
	if (more && (version < SETUP_DATA_VERSION || !give_more_ranges(bp, more)))
		log_warn("L1: this Linux takes %u ranges of memory from a loader, and the machine has %u "
			 "more: those are "
			 "left out",
			 BP_E820_MAX, (u32)more);
}

/* EFI has no RSDP where a BIOS has it: a copy in memory that Linux keeps. */
static enum status give_rsdp(u8 *bp, const struct boot_info *info)
{
	u64 page;

	if (!info->efi || !info->rsdp_size)
		return STATUS_OK;
	page = l1_space_find(PAGE_SIZE, PAGE_SIZE, SIZE_1M, SIZE_4G);
	if (!page || !memmap_override(page, PAGE_SIZE, MEMMAP_ACPI))
		return status_with(STATUS_L1_NO_ROOM, "the ACPI root pointer");
	memcpy(phys_to_ptr(HPA(page)), info->rsdp, info->rsdp_size);
	put64(bp, BP_ACPI_RSDP_ADDR, page);
	return STATUS_OK;
}

/*
 * The kernel reserves the firmware's map when it runs; but its decompressor, which chooses a random place for
 * the kernel, does not know where the map lies. Below 1 MiB no kernel is ever put. Elsewhere the memory is
 * called ACPI's, in this map as well, for such memory is not chosen. 0: there is no place.
 */
static u64 place_efi_map(u32 size)
{
	u64 at = l1_space_find(size, PAGE_SIZE, 0x10000, SIZE_1M);

	if (at)
		return at;
	at = l1_space_find(size, PAGE_SIZE, SIZE_1M, SIZE_4G);
	return at && memmap_override(at, size, MEMMAP_ACPI) ? at : 0;
}

/*
 * struct efi_info: Linux uses the firmware's runtime services and tables. Nobody has verified L1: Secure Boot
 * is off for it.
 */
static void give_efi(u8 *bp, const struct boot_info *info)
{
	u64 size = ALIGN_UP((u64)efi_map_size_for_l1(info), PAGE_SIZE), map;

	if (!info->efi_system_table || !size)
		return;
	map = place_efi_map((u32)size);
	if (!map) {
		log_warn("L1: no room below 4 GiB for the firmware's memory map (%u KiB): L1 runs without "
			 "the firmware's "
			 "services",
			 (u32)(size >> 10));
		return;
	}
	put32(bp, BP_EFI_SIGNATURE, EFI_64BIT);
	put32(bp, BP_EFI_SYSTEM_TABLE, (u32)info->efi_system_table);
	put32(bp, BP_EFI_SYSTEM_TABLE_HIGH, (u32)(info->efi_system_table >> 32));
	put32(bp, BP_EFI_DESCRIPTOR_SIZE, info->efi_descriptor_size);
	put32(bp, BP_EFI_DESCRIPTOR_VERSION, info->efi_descriptor_version);
	put32(bp, BP_EFI_MAP, (u32)map);
	put32(bp, BP_EFI_MAP_SIZE, efi_map_for_l1(info, phys_to_ptr(HPA(map))));
	bp[BP_SECURE_BOOT] = SECURE_BOOT_OFF;
}

/* All modules behind the first, one after the other, as GRUB's initrd command lays them: each on 4 bytes. */
static u64 join_initrds(const struct boot_info *info, u64 max, u64 *size)
{
	u64 at, to;

	*size = 0;
	for (u32 i = 1; i < info->module_count; i++)
		*size = ALIGN_UP(*size, 4) + info->modules[i].size;
	to = at = *size ? l1_space_find_from(*size, PAGE_SIZE, SIZE_1M, max, true) : 0;
	for (u32 i = 1; at && i < info->module_count; i++) {
		const struct boot_module *m = &info->modules[i];

		to = ALIGN_UP(to, 4);
		memcpy(phys_to_ptr(HPA(to)), phys_to_ptr(HPA(m->base)), m->size);
		to += m->size;
	}
	return at;
}

static enum status give_initrd(u8 *bp, const struct boot_info *info, u32 initrd_max)
{
	u64 max = initrd_max ? (u64)initrd_max + 1 : SIZE_4G, at, size;

	if (info->module_count < 2)
		return STATUS_OK;
	if (info->module_count == 2) {
		enum status status = l1_space_move_module(1, SIZE_1M, max);

		if (status != STATUS_OK)
			return status;
		at = info->modules[1].base;
		size = info->modules[1].size;
	} else {
		at = join_initrds(info, max, &size);
		if (!at && size)
			return status_with(STATUS_L1_NO_ROOM, "its %u initrds as one, of %llu KiB",
					   info->module_count - 1, (unsigned long long)(size >> 10));
	}
	put32(bp, HDR_RAMDISK_IMAGE, (u32)at);
	put32(bp, HDR_RAMDISK_SIZE, (u32)size);
	return STATUS_OK;
}

enum status l1_linux_give(u8 *bp, const struct boot_info *info, u32 version, u32 initrd_max)
{
	enum status status = give_initrd(bp, info, initrd_max);

	if (status == STATUS_OK)
		status = give_rsdp(bp, info);
	if (status != STATUS_OK)
		return status;
	give_efi(bp, info);
	give_ranges(bp, version);
	return STATUS_OK;
}
