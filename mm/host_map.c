/* SPDX-License-Identifier: MIT */
/*
 * Nothing is both writable and executable: the direct map is NX, and its view of the image's code and
 * constants is read-only. Every mapping is the supervisor's. SDM volume 3: "Paging".
 */
#include "mm/host_map.h"

#include "kernel/cpuid.h"
#include "kernel/hw/cpu.h"
#include "kernel/hw/phys.h"
#include "kernel/panic.h"
#include "kernel/x86.h"
#include "mm/memmap.h"
#include "mm/page_alloc.h"
#include "mm/ptab.h"

#define BITS_RW (PTE_P | PTE_W | PTE_NX | PTE_A | PTE_D | PTE_G)
#define BITS_RO (PTE_P | PTE_NX | PTE_A | PTE_G)
#define BITS_RX (PTE_P | PTE_A | PTE_G)

static struct ptab host;

static void *table_alloc(void *context)
{
	(void)context;
	return page_alloc();
}

/* page_alloc() halts before it gives NULL, so mapping cannot fail. */
static void map(u64 va, u64 pa, u64 size, u64 bits)
{
	bool done = ptab_map(&host, va, pa, size, bits);

	ASSERT(done);
}

/*
 * No page larger than what the MTRRs tell apart: 4 KiB below 2 MiB, where the fixed ones hold, and nothing of
 * 1 GiB below 4 GiB, where RAM and devices mix (SDM: "Large Page Size Considerations").
 */
static void map_direct(u32 sizes)
{
	host.sizes = 0;
	map(DIRECT_MAP_BASE, 0, SIZE_2M, BITS_RW);
	host.sizes = PTAB_2M;
	map(DIRECT_MAP_BASE + SIZE_2M, SIZE_2M, SIZE_4G - SIZE_2M, BITS_RW);
	host.sizes = sizes;
	for (size_t i = 0; i < memmap_count(); i++) {
		const struct memmap_range *r = memmap_get(i);
		u64 base = MAX(ALIGN_DOWN(r->base, SIZE_2M), SIZE_4G);
		u64 end = ALIGN_UP(r->base + r->size, SIZE_2M);

		if ((r->type == MEMMAP_USABLE || r->type == MEMMAP_ACPI || r->type == MEMMAP_NVS) &&
		    base < end)
			map(DIRECT_MAP_BASE + base, base, end - base, BITS_RW);
	}
}

static void map_part(u64 image_pa, u64 from, u64 to, u64 bits)
{
	map(IMAGE_BASE + from, image_pa + from, to - from, bits);
	if (bits != BITS_RW)
		map(DIRECT_MAP_BASE + image_pa + from, image_pa + from, to - from, BITS_RO);
}

static bool has_1g_pages(void)
{
	return cpuid(CPUID_LEAF_EXT_FEATURES, 0).edx & CPUID_EXT1_EDX_PDPE1GB;
}

/* An entry with a bit beyond the processor's width is a reserved one. SDM: "Paging-Structure Entries". */
enum status host_map_check_cpu(void)
{
	u32 width = cpuid(CPUID_LEAF_ADDRESS_SIZE, 0).eax & 0xff;

	if ((host.sizes & PTAB_1G) && !has_1g_pages())
		return status_with(STATUS_CPU_PAGING, "has no pages of 1 GiB");
	if (memmap_ram_end() > 1ull << width)
		return status_with(STATUS_CPU_PAGING, "addresses %u bits, and memory has more", width);
	return STATUS_OK;
}

u64 host_map_build(const struct host_image *image, u64 image_pa)
{
	bool large = has_1g_pages();
	bool done = ptab_init(&host, &ptab_host, large ? PTAB_2M | PTAB_1G : PTAB_2M, table_alloc, NULL);

	ASSERT(done);
	map_direct(host.sizes);
	map_part(image_pa, image->text, image->text_end, BITS_RX);
	map_part(image_pa, image->rodata, image->rodata_end, BITS_RO);
	map_part(image_pa, image->data, image->data_end, BITS_RW);
	return host.root.v;
}

void host_map_stack(u64 va, u64 pages)
{
	for (; pages; pages--, va += PAGE_SIZE)
		map(va, ptr_to_phys(page_alloc()).v, PAGE_SIZE, BITS_RW);
}

void host_map_device(u64 pa, u64 size)
{
	u64 base = ALIGN_DOWN(pa, SIZE_2M), end = ALIGN_UP(pa + size, SIZE_2M);

	map(DIRECT_MAP_BASE + base, base, end - base, BITS_RW | PTE_PCD | PTE_PWT);
}

void host_map_identity(u64 pa, bool mapped)
{
	map(pa, pa, PAGE_SIZE, mapped ? PTE_P | PTE_A : 0);
	invlpg(pa);
}
