/* SPDX-License-Identifier: MIT */
/*
 * See boot/window.h.  The windows keep clear of the boot loader's modules and
 * structures and of the image where it runs now, so nothing has to be moved
 * out of their way.
 */
#include "boot/window.h"

#include "boot/efi_map.h"
#include "drivers/dmar.h"
#include "kernel/bits.h"
#include "kernel/cmdline.h"
#include "kernel/cpuid.h"
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

/*
 * What all CPUs share besides the image and the page tables (EPT01's pool, bitmaps), and what each needs: its
 * stacks and slots of vmcs12s. tests/unit/machines_test.c holds these against what a vCPU takes.
 */
#define SHARED_SIZE (2 * SIZE_1M)
#define CPU_SIZE (2 * SIZE_1M)
#define PARKED_SIZE (SIZE_1M / 8)

/* EPT02's budget of each CPU, where ept02= does not say: so that all of Socle has at most an eighth of
 * memory. */
#define EPT02_MOST (8 * SIZE_1M)
#define EPT02_LEAST SIZE_1M
#define SHARE_OF_MEMORY 8

/* A page table above this would not be in the direct map. */
#define MEMORY_END BIT(46)

u64 image_phys;
static u64 image_to;
static struct memmap_range clear[BOOT_MODULE_MAX + 2 + DMAR_REGION_MAX + EFI_KEPT_MAX];
static struct memmap_avoid loaders,
	all; /* what the loader left, and what firmware's devices use; and what the firmware left besides */
static u64 taken;

static u64 image_size(void)
{
	return ALIGN_UP((u64)(image_end - image_start), PAGE_SIZE);
}

/*
 * Memory that devices of the firmware's go on to write, such as a USB keyboard's controller. It should be
 * reserved in the map; some firmware says so in the DMAR table alone. A table above 4 GiB is not mapped yet.
 */
static void keep_clear_of_firmwares_devices(const struct boot_info *info)
{
	static struct dmar dmar;

	dmar_read(info->rsdp, info->rsdp_size, !info->efi, &dmar);
	for (u32 i = 0; i < dmar.region_count; i++)
		clear[loaders.count++] =
			(struct memmap_range){ dmar.regions[i].base,
					       dmar.regions[i].limit - dmar.regions[i].base + 1, 0 };
}

#define TYPE_LAST 7 /* ACPI, "Address Range Types": 6 is disabled memory, 7 is persistent */

/* Firmware's map, with what it contradicts itself in. */
static enum status add_ranges(const struct boot_info *info)
{
	u32 overlaps = 0, unknown = 0, first = 0;

	for (u32 i = 0; i < info->range_count; i++) {
		const struct memmap_range *r = &info->ranges[i];

		overlaps += memmap_disagrees(r->base, r->size, r->type);
		if (r->type < MEMMAP_USABLE || r->type > TYPE_LAST)
			first = unknown++ ? first : r->type;
		if (!memmap_add(r->base, r->size, r->type))
			return status_with(STATUS_MANY_RANGES, "%u", MEMMAP_MAX);
	}
	if (overlaps)
		log_warn("memory map: %u ranges overlap others of another type; the stricter one counts",
			 overlaps);
	if (unknown)
		log_warn(
			"memory map: %u ranges are of unknown types (the first of %u), and count as reserved",
			unknown, first);
	return STATUS_OK;
}

enum status window_read_map(const struct boot_info *info)
{
	enum status status;

	memmap_init();
	loaders = (struct memmap_avoid){ clear, 0 };
	keep_clear_of_firmwares_devices(info);
	page_alloc_init();
	taken = 0;
	status = add_ranges(info);
	if (status != STATUS_OK)
		return status;
	if (memmap_ram_end() > MEMORY_END)
		return status_with(STATUS_MEMORY_HIGH, "%llx", (unsigned long long)memmap_ram_end());
	for (u32 i = 0; i < info->module_count; i++)
		clear[loaders.count++] =
			(struct memmap_range){ info->modules[i].base, info->modules[i].size, 0 };
	clear[loaders.count++] = (struct memmap_range){ info->info_base, info->info_size, 0 };
	clear[loaders.count++] = (struct memmap_range){ (u64)image_start - IMAGE_BASE, image_size(), 0 };
	all = (struct memmap_avoid){ clear,
				     loaders.count + efi_map_boot_services(info, clear + loaders.count) };
	return STATUS_OK;
}

static u64 find(u64 size, u64 max)
{
	u64 base = memmap_find_high(size, SIZE_2M, SIZE_1M, max, all);

	return base ? base : memmap_find_high(size, SIZE_2M, SIZE_1M, max, loaders);
}

/*
 * Pages of tables that map all memory once, in the largest pages that `has_1g` allows, with cuts at each
 * edge.
 */
static u64 table_pages(bool has_1g, bool large)
{
	u64 end = memmap_ram_end(), pages = 16 + 2 * (end >> 39);

	for (size_t i = 0; i < memmap_count(); i++)
		if (memmap_get(i)->base + memmap_get(i)->size > SIZE_4G)
			pages += 2;
	if (!has_1g)
		pages += end >> 30;
	return large ? pages : pages + (MAX(end, SIZE_4G) >> 21);
}

static bool has_1g_pages(void)
{
	return cpuid(CPUID_LEAF_EXT_FEATURES, 0).edx & CPUID_EXT1_EDX_PDPE1GB;
}

enum status window_take(u64 extra)
{
	u64 size = ALIGN_UP(image_size() + table_pages(has_1g_pages(), true) * PAGE_SIZE + extra, SIZE_2M);
	u64 base = find(size, SIZE_4G);

	if (!base || !memmap_add_window(base, size) ||
	    !page_alloc_add(base + image_size(), size - image_size(), PAGE_ALLOC_ANY))
		return status_with(STATUS_NO_WINDOW,
				   "%llu KiB of Socle's own memory in one piece below 4 GiB",
				   (unsigned long long)(size >> 10));
	taken = size;
	image_to = base;
	return STATUS_OK;
}

static u64 usable_bytes(void)
{
	u64 bytes = 0;

	for (size_t i = 0; i < memmap_count(); i++)
		if (memmap_get(i)->type == MEMMAP_USABLE)
			bytes += memmap_get(i)->size;
	return bytes;
}

/* ept02= as it is, or what is left of Socle's share of memory. */
static u64 ept02_bytes(u64 others, u32 cpus)
{
	u64 most = usable_bytes() / SHARE_OF_MEMORY;

	if (options.ept02_budget)
		return MIN(options.ept02_budget, SIZE_4G);
	return MAX(MIN(most > others ? (most - others) / cpus : 0, EPT02_MOST), EPT02_LEAST);
}

static enum status no_window(u64 size, u32 cpus)
{
	return status_with(STATUS_NO_WINDOW, "%llu KiB of Socle's own memory for %u CPUs in %llu MiB",
			   (unsigned long long)(size >> 10), cpus,
			   (unsigned long long)(usable_bytes() >> 20));
}

static bool take(u64 base, u64 size, u32 node)
{
	return memmap_add_window(base, size) && page_alloc_add(base, size, node);
}

/*
 * In one piece, or in the largest ones that there are. What is allocated at once is less than `share`, so
 * that less than that is lost at the end of each piece.
 */
static bool take_pieces(u64 size, u64 share)
{
	u64 piece = size;

	while (size) {
		u64 base = find(piece, MEMORY_END);

		if (base) {
			if (!take(base, piece, PAGE_ALLOC_ANY))
				return false;
			size -= piece == size ? piece : piece - share;
			piece = MIN(piece, size);
		} else {
			if (piece <= 2 * share)
				return false;
			piece = MAX(ALIGN_UP(piece / 2, SIZE_2M), 2 * share);
		}
	}
	return true;
}

/* The highest place in the node's memory. 0: none. */
static u64 find_on_node(u64 size, const struct srat *srat, u32 node, struct memmap_avoid avoid)
{
	u64 highest = 0;

	for (u32 i = 0; i < srat->range_count; i++) {
		const struct srat_range *r = &srat->ranges[i];
		u64 base = r->node == node ? memmap_find_high(size, SIZE_2M, MAX(r->base, SIZE_1M),
							      MIN(r->end, MEMORY_END), avoid)
					   : 0;

		highest = MAX(highest, base);
	}
	return highest;
}

/*
 * One piece of the node's memory for `cpus` CPUs, with `share` for each, or for as many as it has room for.
 * For so many CPUs less is to be taken elsewhere.
 */
static u32 take_on_node(u32 cpus, u64 share, const struct srat *srat, u32 node)
{
	for (u32 n = cpus; n; n /= 2) {
		u64 size = ALIGN_UP(n * share, SIZE_2M), base = find_on_node(size, srat, node, all);

		if (!base)
			base = find_on_node(size, srat, node, loaders);
		if (base)
			return take(base, size, node) ? n : 0;
	}
	return 0;
}

static u32 take_on_nodes(const struct roster *roster, const struct srat *srat, u64 share)
{
	u32 all_placed = 0;

	for (u32 node = 1; node <= srat->node_count; node++) {
		u32 cpus = 0, placed;

		for (u32 i = 0; i < roster->usable; i++)
			cpus += roster->node[i] == node;
		placed = cpus ? take_on_node(cpus, share, srat, node) : 0;
		if (placed < cpus)
			log_info("memory: NUMA domain %x has room for %u of its %u CPUs' memory",
				 srat->domain[node - 1], placed, cpus);
		all_placed += placed;
	}
	if (srat->node_count)
		log_info("memory: %u NUMA domains; %u of %u CPUs have Socle's memory for them on their own",
			 srat->node_count, all_placed, roster->usable);
	return all_placed;
}

/*
 * Whether EPT has pages of 1 GiB is known when all CPUs have said what they have (vmx/hw/caps_join.c), and
 * they start in this memory: a page for each GiB is little. Each node's window cuts pages of its own.
 */
enum status window_grow(const struct roster *roster, const struct srat *srat)
{
	u64 tables = (table_pages(false, options.ept_large) + 2 * srat->node_count) * PAGE_SIZE;
	u64 cpu = CPU_SIZE + options.trace_size;
	u64 needed = taken + SHARED_SIZE + tables + (roster->count - roster->usable) * PARKED_SIZE +
		     roster->usable * cpu;
	u64 share, size, rest;

	options.ept02_budget = ept02_bytes(needed, roster->usable);
	share = cpu + options.ept02_budget;
	needed += roster->usable * options.ept02_budget;
	size = options.reserve ? options.reserve : needed;
	if (size < needed)
		return status_with(STATUS_RESERVE_SMALL, "%llu", (unsigned long long)(needed >> 10));
	if (options.reserve && (size & (SIZE_2M - 1)))
		log_warn("reserve= is taken as %llu KiB, in whole 2 MiB",
			 (unsigned long long)(ALIGN_UP(size, SIZE_2M) >> 10));
	if (size > MEMORY_END)
		return no_window(size, roster->usable);
	rest = ALIGN_UP(size - take_on_nodes(roster, srat, share) * share, SIZE_2M) - taken;
	if (!take_pieces(rest, ALIGN_UP(share, SIZE_2M)))
		return no_window(size, roster->usable);
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
