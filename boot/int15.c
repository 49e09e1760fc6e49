/* SPDX-License-Identifier: MIT */
/*
 * Places the stub of boot/int15_stub.S in conventional memory, fills in its table
 * from the memory map that L1 may see, and puts it into the interrupt vector.
 * ACPI specification: "INT 15H, E820H"; the BIOS data area is the IBM PC's.
 */
#include "boot/int15.h"

#include "kernel/bits.h"
#include "kernel/hw/phys.h"
#include "kernel/string.h"
#include "mm/memmap.h"

#define VECTOR_15H (0x15 * 4)
#define BDA_BASE_MEMORY 0x413 /* KiB of conventional memory, u16 */
#define STUB_MAX 0x10000      /* it has a segment of its own */
#define ENTRY_SIZE 20

extern const u8 int15_start[], int15_header[], int15_end[];

struct int15_header {
	u32 chain; /* segment:offset of the BIOS's own */
	u32 count;
	u16 below_16m;	 /* KiB */
	u16 above_16m;	 /* 64 KiB blocks */
	u16 function_88; /* KiB */
	u16 pad;
};

/* With the two ranges that its own place may add. */
static u64 stub_size(void)
{
	return ALIGN_UP((u64)(int15_end - int15_start) + (memmap_count() + 2) * ENTRY_SIZE, PAGE_SIZE);
}
static_assert((MEMMAP_MAX + 2) * ENTRY_SIZE + PAGE_SIZE <= STUB_MAX, "the stub's table fits its segment");

static void fill_table(u8 *stub, u32 chain)
{
	size_t table = (size_t)(int15_end - int15_start), count = memmap_count();
	u64 low = memmap_usable_from(SIZE_1M, 16 * SIZE_1M);
	struct int15_header h = {
		.chain = chain,
		.count = (u32)count,
		.below_16m = (u16)(low >> 10),
		.above_16m = low == 15 * SIZE_1M ? (u16)(memmap_usable_from(16 * SIZE_1M, SIZE_4G) >> 16) : 0,
		.function_88 = (u16)MIN(memmap_usable_from(SIZE_1M, 64 * SIZE_1M) >> 10, 0xfc00ull),
	};

	memcpy(stub, int15_start, table);
	memcpy(stub + (int15_header - int15_start), &h, sizeof(h));
	for (size_t i = 0; i < count; i++) {
		const struct memmap_range *r = memmap_get(i);
		u8 *e = stub + table + i * ENTRY_SIZE;

		memcpy(e, &r->base, 8);
		memcpy(e + 8, &r->size, 8);
		memcpy(e + 16, &r->type, 4);
	}
}

enum status int15_install(void)
{
	u8 *bda = phys_to_ptr(HPA(BDA_BASE_MEMORY));
	u32 *vector = phys_to_ptr(HPA(VECTOR_15H));
	u64 end = (u64)(bda[0] | bda[1] << 8) << 10, base;
	u16 kib;

	if (end < 256 * 1024 || end > 0xa0000)
		return status_with(STATUS_BOOT_INFO, "conventional memory");
	base = ALIGN_DOWN(end - stub_size(), PAGE_SIZE);
	if (!memmap_override(base, ALIGN_UP(end, PAGE_SIZE) - base, MEMMAP_RESERVED))
		return status_with(STATUS_BOOT_INFO, "memory map");
	fill_table(phys_to_ptr(HPA(base)), *vector);
	kib = (u16)(base >> 10);
	memcpy(bda, &kib, sizeof(kib));
	*vector = (u32)(base >> 4) << 16;
	return STATUS_OK;
}
