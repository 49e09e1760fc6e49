/* SPDX-License-Identifier: MIT */
/*
 * See boot/window.h.  The window keeps clear of the boot loader's modules and
 * structures and of the image where it runs now, so nothing has to be moved
 * out of its way.
 */
#include "boot/window.h"

#include "boot/efi_map.h"
#include "kernel/bits.h"
#include "kernel/cmdline.h"
#include "kernel/hw/cpu.h"
#include "kernel/hw/phys.h"
#include "kernel/log.h"
#include "mm/host_map.h"
#include "mm/memmap.h"
#include "mm/page_alloc.h"

extern const char image_start[], image_end[];
extern const char image_text[], image_text_end[], image_rodata[], image_rodata_end[], image_data[],
	image_data_end[];
void start_relocate(void *to, const void *from, u64 size, u64 cr3);

/* What all CPUs share (image, EPT01, tables), and what each needs: slots of vmcs12s, EPT02s' budget, stacks.
 */
#define SHARED_SIZE (6 * SIZE_1M)
#define CPU_SIZE (5 * SIZE_1M)
#define PARKED_SIZE (SIZE_1M / 8)
#define EPT02_DEFAULT (8 * SIZE_1M)

u64 image_phys;
static u64 image_to;

static u64 image_size(void)
{
	return (u64)(image_end - image_start);
}

/* Saturates: an option may ask for any number of bytes. */
static u64 size_needed(u32 cpus, u32 parked)
{
	u64 ept02 = options.ept02_budget ? options.ept02_budget : EPT02_DEFAULT;

	return SHARED_SIZE + parked * PARKED_SIZE + cpus * (CPU_SIZE + MIN(ept02, SIZE_4G));
}

enum status window_read_map(const struct boot_info *info)
{
	memmap_init();
	for (u32 i = 0; i < info->range_count; i++)
		if (!memmap_add(info->ranges[i].base, info->ranges[i].size, info->ranges[i].type))
			return status_with(STATUS_MANY_RANGES, "%u", MEMMAP_MAX);
	return STATUS_OK;
}

enum status window_choose(const struct boot_info *info, u32 cpus, u32 parked)
{
	static struct memmap_range clear[BOOT_MODULE_MAX + 2 + EFI_KEPT_MAX];
	struct memmap_avoid avoid = { clear, 0 }, all;
	u64 needed = size_needed(cpus, parked), size = options.reserve ? options.reserve : needed, base;

	if (size < needed)
		return status_with(STATUS_RESERVE_SMALL, "%llu", (unsigned long long)(needed >> 10));
	if (size > SIZE_4G)
		return status_with(STATUS_NO_WINDOW, "%llu", (unsigned long long)(size >> 10));
	for (u32 i = 0; i < info->module_count; i++)
		clear[avoid.count++] =
			(struct memmap_range){ info->modules[i].base, info->modules[i].size, 0 };
	clear[avoid.count++] = (struct memmap_range){ info->info_base, info->info_size, 0 };
	clear[avoid.count++] = (struct memmap_range){ (u64)image_start - IMAGE_BASE, image_size(), 0 };
	if (options.reserve && (size & (SIZE_2M - 1)))
		log_warn("reserve= is taken as %llu KiB, in whole 2 MiB",
			 (unsigned long long)(ALIGN_UP(size, SIZE_2M) >> 10));
	size = ALIGN_UP(size, SIZE_2M);
	all = (struct memmap_avoid){ clear, avoid.count + efi_map_boot_services(info, clear + avoid.count) };
	base = memmap_find_high(size, SIZE_2M, SIZE_1M, SIZE_4G, all);
	if (!base)
		base = memmap_find_high(size, SIZE_2M, SIZE_1M, SIZE_4G, avoid);
	if (!base || !memmap_set_window(base, size))
		return status_with(STATUS_NO_WINDOW, "%llu", (unsigned long long)(size >> 10));
	image_to = base;
	page_alloc_init(base + ALIGN_UP(image_size(), PAGE_SIZE), size - ALIGN_UP(image_size(), PAGE_SIZE));
	return STATUS_OK;
}

void window_relocate(void)
{
	const struct host_image parts = {
		.text = (u64)image_text - IMAGE_BASE,
		.text_end = (u64)image_text_end - IMAGE_BASE,
		.rodata = (u64)image_rodata - IMAGE_BASE,
		.rodata_end = (u64)image_rodata_end - IMAGE_BASE,
		.data = (u64)image_data - IMAGE_BASE,
		.data_end = (u64)image_data_end - IMAGE_BASE,
	};
	u64 base = image_to - ((u64)image_start - IMAGE_BASE);
	u64 cr3 = host_map_build(&parts, base);

	image_phys = base;
	start_relocate(phys_to_ptr(HPA(image_to)), image_start, image_size(), cr3);
}
