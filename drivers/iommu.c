/* SPDX-License-Identifier: MIT */
/*
 * One root table, one context table for all buses, one set of second-level tables.  See drivers/iommu.h.
 */
#include "drivers/iommu.h"

#include "drivers/apic.h"
#include "drivers/vtd.h"
#include "kernel/hw/cpu.h"
#include "kernel/hw/phys.h"
#include "kernel/log.h"
#include "mm/memmap.h"
#include "mm/page_alloc.h"
#include "mm/ptab.h"

#define SECOND_LEVEL_RW (BIT(0) | BIT(1))
#define SECOND_LEVEL_LARGE BIT(7)
#define TABLES_END_MAX (1ull << 43) /* peer-to-peer above RAM: so far only, and with pages of 1 GiB */
#define THREE_LEVELS_END (1ull << 39)

#define ENTRIES 256u /* of a root table: buses; of a context table: functions */
#define ROOT_PRESENT BIT(0)
/* Untranslated requests only (type 0). */
#define CONTEXT_PRESENT BIT(0)
#define CONTEXT_WIDTH_39 1u
#define CONTEXT_WIDTH_48 2u
#define CONTEXT_DOMAIN (1u << 8)

#define STATUS_LASTING 0x96ffffffu /* the bits of the status that are written back with a command */
#define CONTEXT_INVALIDATE (BIT(63) | BIT(61)) /* all of it */
#define IOTLB_REGISTER 8u
#define IOTLB_INVALIDATE (BIT(63) | BIT(60) | BIT(49) | BIT(48)) /* all of it, reads and writes drained */
#define FAULT_INTERRUPT_MASKED BIT(31)
#define FAULT_RECORD_SIZE 16u
#define FAULT_VALID BIT(63)
#define PROTECTED_ON BIT(31)
#define PROTECTED_STATUS BIT(0)
#define ACPI_CHECKSUM 9

#define WAIT_MAX 100000u /* microseconds */

static const struct ptab_format second_level = {
	.present = SECOND_LEVEL_RW,
	.table = SECOND_LEVEL_RW,
	.leaf_large = SECOND_LEVEL_LARGE,
	.addr = GENMASK(51, 12),
	.levels = 4,
};

/* What all units can. */
struct common {
	bool four_levels, three_levels, pages_2m, pages_1g, coherent;
};

struct entry {
	u64 low, high;
};

static struct ptab tables;

static enum status unit_fails(u64 base, const char *what)
{
	return status_with(STATUS_IOMMU_UNIT, "%llx %s", (unsigned long long)base, what);
}

static bool wait_until(u64 base, u32 at, u32 mask, u32 value)
{
	for (u32 i = 0; i < WAIT_MAX; i++) {
		if ((vtd_read32(base, at) & mask) == value)
			return true;
		apic_delay(1);
	}
	return false;
}

/* One bit of the command, and the wait until the status has it. */
static bool switch_bit(u64 base, u32 bit, bool on)
{
	u32 now = vtd_read32(base, VTD_GLOBAL_STATUS) & STATUS_LASTING;

	vtd_write32(base, VTD_GLOBAL_COMMAND, on ? now | bit : now & ~bit);
	return wait_until(base, VTD_GLOBAL_STATUS, bit, on ? bit : 0);
}

static bool switch_off(u64 base, u32 bit)
{
	return !(vtd_read32(base, VTD_GLOBAL_STATUS) & bit) || switch_bit(base, bit, false);
}

static bool flush_write_buffer(u64 base)
{
	u32 now = vtd_read32(base, VTD_GLOBAL_STATUS) & STATUS_LASTING;

	if (!(vtd_read64(base, VTD_CAP) & VTD_CAP_RWBF))
		return true;
	vtd_write32(base, VTD_GLOBAL_COMMAND, now | (u32)VTD_WRITE_BUFFER);
	return wait_until(base, VTD_GLOBAL_STATUS, (u32)VTD_WRITE_BUFFER, 0);
}

/* The upper half of a register clears its highest bit when the unit is done. */
static bool invalidate(u64 base)
{
	u32 iotlb = (u32)((vtd_read64(base, VTD_ECAP) & VTD_ECAP_IRO) >> 8) * 16 + IOTLB_REGISTER;

	vtd_write64(base, VTD_CONTEXT_COMMAND, CONTEXT_INVALIDATE);
	if (!wait_until(base, VTD_CONTEXT_COMMAND + 4, 1u << 31, 0))
		return false;
	vtd_write64(base, iotlb, IOTLB_INVALIDATE);
	return wait_until(base, iotlb + 4, 1u << 31, 0);
}

static bool end_protected_ranges(u64 base)
{
	if (!(vtd_read64(base, VTD_CAP) & (VTD_CAP_PLMR | VTD_CAP_PHMR)))
		return true;
	vtd_write32(base, VTD_PROTECTED_ENABLE, vtd_read32(base, VTD_PROTECTED_ENABLE) & ~(u32)PROTECTED_ON);
	return wait_until(base, VTD_PROTECTED_ENABLE, (u32)PROTECTED_STATUS, 0);
}

/*
 * Where firmware has translation on, it stays on all the way: from its tables to these. Interrupt remapping
 * goes off, for L1 is not told of the unit and writes interrupts in the form that is not remapped.
 */
static enum status start_unit(u64 base, u64 root)
{
	if (!switch_off(base, (u32)VTD_QUEUED_INVALIDATION) ||
	    !switch_off(base, (u32)VTD_INTERRUPT_REMAPPING))
		return unit_fails(base, "does not end what firmware left on");
	vtd_write32(base, VTD_FAULT_CONTROL, (u32)FAULT_INTERRUPT_MASKED);
	if (!flush_write_buffer(base))
		return unit_fails(base, "does not flush its buffer");
	vtd_write64(base, VTD_ROOT_TABLE, root);
	if (!switch_bit(base, (u32)VTD_ROOT_POINTER, true))
		return unit_fails(base, "does not take tables");
	if (!invalidate(base))
		return unit_fails(base, "does not forget what it held");
	if (!switch_bit(base, (u32)VTD_TRANSLATION, true))
		return unit_fails(base, "does not translate");
	if (!end_protected_ranges(base))
		return unit_fails(base, "does not end the firmware's protection");
	return STATUS_OK;
}

static enum status look_at_unit(u64 base, struct common *all)
{
	u64 cap;

	if (base >= SIZE_4G)
		return unit_fails(base, "is above 4 GiB");
	if (memmap_in_window(base, PAGE_SIZE) || memmap_is_ram(base, PAGE_SIZE))
		return unit_fails(base, "is in memory");
	if (!vtd_is_there(base))
		return unit_fails(base, "does not answer");
	cap = vtd_read64(base, VTD_CAP);
	all->four_levels &= !!(cap & VTD_CAP_SAGAW_4);
	all->three_levels &= !!(cap & VTD_CAP_SAGAW_3);
	all->pages_2m &= !!(cap & VTD_CAP_SLLPS_2M);
	all->pages_1g &= !!(cap & VTD_CAP_SLLPS_1G);
	all->coherent &= !!(vtd_read64(base, VTD_ECAP) & VTD_ECAP_COHERENT);
	return STATUS_OK;
}

static enum status look_at_units(const struct dmar *dmar, struct common *all)
{
	enum status status = STATUS_OK;

	*all = (struct common){ true, true, true, true, true };
	for (u32 i = 0; i < dmar->unit_count && status == STATUS_OK; i++)
		status = look_at_unit(dmar->units[i], all);
	if (status == STATUS_OK && !all->pages_2m)
		status = unit_fails(dmar->units[0], "or another one has no pages of 2 MiB");
	if (status == STATUS_OK && !all->four_levels &&
	    (!all->three_levels || memmap_ram_end() > THREE_LEVELS_END))
		status = unit_fails(dmar->units[0], "or another one cannot address all memory");
	return status;
}

static void *table_alloc(void *context UNUSED)
{
	return page_alloc();
}

/* [from, to) without the windows. */
static bool map_around_windows(u64 from, u64 to)
{
	while (from < to) {
		const struct memmap_range *window = memmap_window_from(from);
		u64 end = window && window->base < to ? window->base : to;

		if (from < end && !ptab_map(&tables, from, from, end - from, SECOND_LEVEL_RW))
			return false;
		from = end < to ? window->base + window->size : to;
	}
	return true;
}

/* Where the tables end: with pages of 1 GiB all that a device can address, or nearly. */
static u64 tables_end(const struct common *all, u32 physical_bits)
{
	u64 end = MAX(ALIGN_UP(memmap_ram_end(), SIZE_1G), SIZE_4G);

	if (all->pages_1g)
		end = MAX(end, MIN(TABLES_END_MAX, 1ull << physical_bits));
	return all->four_levels ? end : MIN(end, THREE_LEVELS_END);
}

u64 iommu_memory(u64 ram_end)
{
	u64 gigabytes = MAX(ALIGN_UP(ram_end, SIZE_1G), SIZE_4G) >> 30;

	/* With pages of 2 MiB, a table for each GiB; tables around the windows; root, context, the upper
	 * levels. */
	return (gigabytes + 4 * MEMMAP_WINDOWS_MAX + (TABLES_END_MAX >> 39) + 8) << PAGE_SHIFT;
}

/* The root of all: every bus has the same context table, every function the same context. */
static u64 make_root(const struct common *all)
{
	struct entry *root = page_alloc(), *context = page_alloc();
	u64 first = *(u64 *)phys_to_ptr(tables.root) & second_level.addr;

	for (u32 i = 0; i < ENTRIES; i++) {
		root[i] = (struct entry){ ptr_to_phys(context).v | ROOT_PRESENT, 0 };
		context[i] = (struct entry){ (all->four_levels ? tables.root.v : first) | CONTEXT_PRESENT,
					     CONTEXT_DOMAIN | (all->four_levels ? CONTEXT_WIDTH_48
										: CONTEXT_WIDTH_39) };
	}
	if (!all->coherent)
		wbinvd();
	return ptr_to_phys(root).v;
}

enum status iommu_check_regions(const struct dmar *dmar)
{
	for (u32 i = 0; i < dmar->region_count; i++)
		if (memmap_in_window(dmar->regions[i].base,
				     dmar->regions[i].limit - dmar->regions[i].base + 1))
			return status_with(STATUS_IOMMU_REGION, "%llx",
					   (unsigned long long)dmar->regions[i].base);
	return STATUS_OK;
}

enum status iommu_protect(const struct dmar *dmar, u32 physical_bits)
{
	struct common all;
	enum status status;
	u64 root;

	if (!dmar->found || !dmar->unit_count || dmar->damaged)
		return status_with(STATUS_IOMMU_NONE, "%s",
				   !dmar->found	      ? "no DMAR table"
				   : dmar->unit_count ? "the DMAR table is damaged"
						      : "no unit in the DMAR table");
	status = look_at_units(dmar, &all);
	for (u32 i = 0; i < dmar->unit_count && status == STATUS_OK; i++)
		if (!memmap_add_window(dmar->units[i], PAGE_SIZE))
			status = unit_fails(dmar->units[i], "cannot be hidden from L1");
	if (status == STATUS_OK)
		status = iommu_check_regions(dmar);
	if (status != STATUS_OK)
		return status;
	if (!ptab_init(&tables, &second_level, PTAB_2M | (all.pages_1g ? PTAB_1G : 0), table_alloc, NULL) ||
	    !map_around_windows(0, tables_end(&all, physical_bits)))
		return STATUS_OUT_OF_MEMORY;
	root = make_root(&all);
	for (u32 i = 0; i < dmar->unit_count && status == STATUS_OK; i++)
		status = start_unit(dmar->units[i], root);
	if (status == STATUS_OK)
		log_info("iommu: devices do not reach Socle's memory (%u units, %s)", dmar->unit_count,
			 all.four_levels ? "four levels" : "three levels");
	return status;
}

bool iommu_hide_table(const struct dmar *dmar)
{
	volatile u8 *table = phys_to_ptr(HPA(dmar->table));
	u8 sum = (u8)(table[ACPI_CHECKSUM] + table[0] - 'Z');

	table[0] = 'Z';
	table[ACPI_CHECKSUM] = sum;
	return table[0] == 'Z';
}

bool iommu_fault(const struct dmar *dmar, u32 *function, u64 *page)
{
	for (u32 i = 0; i < dmar->unit_count; i++) {
		u64 base = dmar->units[i];
		u32 at = (u32)((vtd_read64(base, VTD_CAP) & VTD_CAP_FRO) >> 24) * FAULT_RECORD_SIZE;
		u64 high = vtd_read64(base, at + 8);

		if (!(high & FAULT_VALID))
			continue;
		*function = (u32)(high & 0xffff);
		*page = vtd_read64(base, at) & ~(u64)(PAGE_SIZE - 1);
		vtd_write64(base, at + 8, FAULT_VALID);
		return true;
	}
	return false;
}
