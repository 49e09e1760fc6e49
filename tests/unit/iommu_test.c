/* SPDX-License-Identifier: MIT */
/*
 * `iommu=protect` on remapping units made of data: the tables that they are given, the order in which they
 * are told, what firmware had left on, and units that fail.  The functions of drivers/vtd.c are this file's
 * own here.
 */
#include "tests/unit/cmocka_all.h"

#include "drivers/iommu.h"
#include "drivers/vtd.h"
#include "kernel/cmdline.h"
#include "mm/memmap.h"
#include "mm/page_alloc.h"
#include "tests/fake/fake.h"

#define WINDOW 0x20000000u
#define WINDOW_SIZE 0x1000000u
#define HIGH_WINDOW 0x140000000u
#define UNIT(n) (0xfed90000u + (n)*0x1000u)
#define CAP_USUAL (VTD_CAP_SAGAW_4 | VTD_CAP_SAGAW_3 | VTD_CAP_SLLPS_2M | VTD_CAP_SLLPS_1G | 0x20ull << 24)
#define TABLE 0x90000u

/* A unit: what it is, what it has been told, and what is wrong with it. */
static struct unit {
	u64 cap, ecap, root, used_root;
	u32 status, protected, fault_control;
	u32 deaf;			  /* bits of the command that have no effect */
	bool keeps_contexts, keeps_iotlb; /* an invalidation never ends */
	bool contexts_stale, iotlb_stale; /* the tables changed, and it was not told to forget */
	bool was_off;			  /* translation went off, or on with stale tables */
	u32 flushes;
	u64 fault[2];
} units[2];

static struct unit *unit_of(u64 base)
{
	size_t i = (base - UNIT(0)) / 0x1000;

	assert_true(i < ARRAY_SIZE(units));
	return &units[i];
}

u64 vtd_read64(u64 base, u32 at)
{
	struct unit *u = unit_of(base);

	switch (at) {
	case VTD_CAP: return u->cap;
	case VTD_ECAP: return u->ecap | 0x10ull << 8;
	case 0x200: return u->fault[0];
	case 0x208: return u->fault[1];
	default: fail_msg("read of %x", at); return 0;
	}
}

u32 vtd_read32(u64 base, u32 at)
{
	struct unit *u = unit_of(base);

	switch (at) {
	case VTD_GLOBAL_STATUS: return u->status;
	case VTD_PROTECTED_ENABLE: return u->protected;
	case VTD_CONTEXT_COMMAND + 4: return u->keeps_contexts ? 1u << 31 : 0;
	case 0x10c: return u->keeps_iotlb ? 1u << 31 : 0;
	default: fail_msg("read of %x", at); return 0;
	}
}

void vtd_write64(u64 base, u32 at, u64 value)
{
	struct unit *u = unit_of(base);

	switch (at) {
	case VTD_ROOT_TABLE: u->root = value; break;
	case VTD_CONTEXT_COMMAND:
		assert_true(value >> 61 == 5); /* all of it, now */
		u->contexts_stale = false;
		break;
	case 0x108:
		assert_true(value >> 60 == 9);
		u->iotlb_stale = u->contexts_stale;
		break;
	case 0x208: u->fault[1] &= ~value; break;
	default: fail_msg("write of %x", at);
	}
}

static void command(struct unit *u, u32 value)
{
	const u32 lasting = (u32)(VTD_TRANSLATION | VTD_QUEUED_INVALIDATION | VTD_INTERRUPT_REMAPPING);

	if (value & (u32)VTD_WRITE_BUFFER)
		u->flushes++;
	if (value & (u32)VTD_ROOT_POINTER & ~u->deaf) {
		u->used_root = u->root;
		u->contexts_stale = u->iotlb_stale = true;
		u->status |= (u32)VTD_ROOT_POINTER;
	}
	if ((u->status & ~value & (u32)VTD_TRANSLATION) ||
	    (value & ~u->status & (u32)VTD_TRANSLATION &&
	     (!u->used_root || u->contexts_stale || u->iotlb_stale)))
		u->was_off = true;
	u->status = (u->status & ~(lasting & ~u->deaf)) | (value & lasting & ~u->deaf);
}

void vtd_write32(u64 base, u32 at, u32 value)
{
	struct unit *u = unit_of(base);

	switch (at) {
	case VTD_GLOBAL_COMMAND: command(u, value); break;
	case VTD_FAULT_CONTROL: u->fault_control = value; break;
	case VTD_PROTECTED_ENABLE: u->protected = value & BIT(31) || u->deaf == 1 ? 1 | BIT(31) : 0; break;
	default: fail_msg("write of %x", at);
	}
}

bool vtd_is_there(u64 base)
{
	return unit_of(base)->cap;
}

static struct dmar dmar;

static int setup(void **state UNUSED)
{
	fake_reset();
	cmdline_parse("");
	memset(units, 0, sizeof(units));
	memset(&dmar, 0, sizeof(dmar));
	dmar.found = true;
	dmar.unit_count = 2;
	for (size_t i = 0; i < 2; i++) {
		dmar.units[i] = UNIT(i);
		units[i].cap = CAP_USUAL;
		units[i].ecap = VTD_ECAP_COHERENT;
	}
	memmap_init();
	memmap_add(0, 0xa0000, MEMMAP_USABLE);
	memmap_add(SIZE_1M, 0x30000000, MEMMAP_USABLE);
	memmap_add(SIZE_4G, 2ull << 30, MEMMAP_USABLE);
	memmap_add_window(WINDOW, WINDOW_SIZE);
	memmap_add_window(HIGH_WINDOW, SIZE_2M);
	page_alloc_init();
	page_alloc_add(WINDOW, WINDOW_SIZE, PAGE_ALLOC_ANY);
	return 0;
}

/* ---- the tables, as a unit reads them ---- */

static const u64 *table_at(u64 entry)
{
	return (const u64 *)(fake_memory + (entry & GENMASK(51, 12)));
}

static const u64 *context_of(u32 function)
{
	const u64 *root = table_at(units[0].used_root);

	assert_true(root[2 * (function >> 8)] & 1);
	return table_at(root[2 * (function >> 8)]) + (size_t)2 * (function & 255);
}

/* Where a function's access to `address` goes; ~0: nowhere. */
static u64 translate(u32 function, u64 address)
{
	const u64 *context = context_of(function);
	u32 levels = (u32)(context[1] & 7) + 2;
	u64 entry = context[0];

	/* present, untranslated requests only, in the one domain */
	assert_int_equal(context[0] & 0xfff, 1);
	assert_int_equal(context[1] >> 8, 1);
	if (address >> (12 + 9 * levels))
		return ~0ull;
	for (u32 level = levels; level; level--) {
		entry = table_at(entry)[address >> (12 + 9 * (level - 1)) & 511];
		if ((entry & 3) != 3)
			return ~0ull;
		if (level == 1 || (entry & BIT(7))) {
			u64 size = 1ull << (12 + 9 * (level - 1));

			assert_true(level < 3 || (units[0].cap & VTD_CAP_SLLPS_1G));
			return (entry & GENMASK(51, 12) & ~(size - 1)) + (address & (size - 1));
		}
	}
	return ~0ull;
}

static void reaches(u64 address)
{
	assert_int_equal(translate(0, address), address);
	assert_int_equal(translate(0xffff, address), address);
}

static void does_not_reach(u64 address)
{
	assert_true(translate(0, address) == ~0ull);
	assert_true(translate(0x1234, address) == ~0ull);
}

static void all_but_socles(void)
{
	reaches(0);
	reaches(WINDOW - 1);
	does_not_reach(WINDOW);
	does_not_reach(WINDOW + WINDOW_SIZE / 2);
	does_not_reach(WINDOW + WINDOW_SIZE - 1);
	reaches(WINDOW + WINDOW_SIZE);
	reaches(HIGH_WINDOW - 1);
	does_not_reach(HIGH_WINDOW);
	does_not_reach(HIGH_WINDOW + SIZE_2M - 1);
	reaches(HIGH_WINDOW + SIZE_2M);
	reaches(0xe0000000);
	reaches(UNIT(0) - 1);
	does_not_reach(UNIT(0));
	does_not_reach(UNIT(1));
	reaches(UNIT(2));
	reaches(SIZE_4G + (2ull << 30) - 1);
}

static void works(const struct unit *u)
{
	assert_int_equal(u->status &
				 (u32)(VTD_TRANSLATION | VTD_QUEUED_INVALIDATION | VTD_INTERRUPT_REMAPPING),
			 (u32)VTD_TRANSLATION);
	assert_int_equal(u->used_root, units[0].used_root);
	assert_false(u->contexts_stale || u->iotlb_stale || u->was_off);
	assert_int_equal(u->protected, 0);
	assert_int_equal(u->fault_control, BIT(31));
}

static void devices_reach_all_but_socles_memory(void **state UNUSED)
{
	u64 free = page_free_count();

	assert_int_equal(iommu_protect(&dmar, 39), STATUS_OK);
	works(&units[0]);
	works(&units[1]);
	all_but_socles();
	reaches((1ull << 39) - 1);
	assert_true((free - page_free_count()) << PAGE_SHIFT <= iommu_memory(memmap_ram_end()));
	/* L1 does not have the units' registers */
	assert_true(memmap_in_window(UNIT(0), 1) && memmap_in_window(UNIT(1) + 0xfff, 1));
	assert_false(memmap_in_window(UNIT(2), 1));
}

static void three_levels(void **state UNUSED)
{
	units[1].cap &= ~VTD_CAP_SAGAW_4;
	assert_int_equal(iommu_protect(&dmar, 46), STATUS_OK);
	all_but_socles();
	assert_int_equal(context_of(0)[1] & 7, 1);
}

static void without_pages_of_1g(void **state UNUSED)
{
	u64 free = page_free_count();

	units[0].cap &= ~VTD_CAP_SLLPS_1G;
	memmap_add(SIZE_4G + (2ull << 30), 64ull << 30, MEMMAP_USABLE);
	assert_int_equal(iommu_protect(&dmar, 46), STATUS_OK);
	all_but_socles();
	reaches(SIZE_4G + (66ull << 30) - 1);
	does_not_reach(SIZE_4G + (66ull << 30));
	assert_true((free - page_free_count()) << PAGE_SHIFT <= iommu_memory(memmap_ram_end()));
}

/* "Kernel DMA protection": firmware hands over with translation on, and it never is off between. */
static void what_firmware_left_on(void **state UNUSED)
{
	for (size_t i = 0; i < 2; i++) {
		units[i].status = (u32)(VTD_TRANSLATION | VTD_QUEUED_INVALIDATION | VTD_INTERRUPT_REMAPPING |
					VTD_ROOT_POINTER);
		units[i].used_root = 0x12345000;
		units[i].cap |= VTD_CAP_PLMR | VTD_CAP_PHMR | VTD_CAP_RWBF;
		units[i].protected = 1 | BIT(31);
	}
	assert_int_equal(iommu_protect(&dmar, 39), STATUS_OK);
	works(&units[0]);
	works(&units[1]);
	assert_true(units[0].flushes && units[1].flushes);
}

static void says(enum status status, const char *text)
{
	char line[400];

	status_format(status, line, sizeof(line));
	if (!strstr(line, text))
		fail_msg("%s", line);
}

static void units_that_fail(void **state UNUSED)
{
	static const struct {
		struct unit unit;
		const char *said;
	} cases[] = {
		{ { .cap = 0 }, "fed91000 does not answer" },
		{ { .cap = CAP_USUAL & ~VTD_CAP_SAGAW }, "cannot address all memory" },
		{ { .cap = CAP_USUAL & ~VTD_CAP_SLLPS_2M }, "no pages of 2 MiB" },
		{ { .cap = CAP_USUAL, .deaf = (u32)VTD_ROOT_POINTER }, "fed91000 does not take tables" },
		{ { .cap = CAP_USUAL, .keeps_contexts = true }, "fed91000 does not forget" },
		{ { .cap = CAP_USUAL, .keeps_iotlb = true }, "fed91000 does not forget" },
		{ { .cap = CAP_USUAL, .deaf = (u32)VTD_TRANSLATION }, "fed91000 does not translate" },
		{ { .cap = CAP_USUAL,
		    .deaf = (u32)VTD_INTERRUPT_REMAPPING,
		    .status = (u32)VTD_INTERRUPT_REMAPPING },
		  "fed91000 does not end what firmware left on" },
		{ { .cap = CAP_USUAL | VTD_CAP_PLMR, .deaf = 1, .protected = 1 | BIT(31) },
		  "fed91000 does not end the firmware's protection" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		setup(NULL);
		units[1] = cases[i].unit;
		says(iommu_protect(&dmar, 39), cases[i].said);
	}
}

static void tables_that_do_not_do(void **state UNUSED)
{
	dmar.regions[0] = (struct dmar_range){ WINDOW - 0x1000, WINDOW };
	dmar.region_count = 1;
	says(iommu_protect(&dmar, 39), "devices use memory at 1ffff000");
	setup(NULL);
	dmar.units[1] = SIZE_4G + 0x1000;
	says(iommu_protect(&dmar, 39), "100001000 is above 4 GiB");
	setup(NULL);
	dmar.units[1] = SIZE_1M;
	says(iommu_protect(&dmar, 39), "100000 is in memory");
	setup(NULL);
	dmar.damaged = true;
	says(iommu_protect(&dmar, 39), "the DMAR table is damaged");
	dmar.unit_count = 0;
	says(iommu_protect(&dmar, 39), "no unit in the DMAR table");
	dmar.found = false;
	says(iommu_protect(&dmar, 39), "no DMAR table");
}

/* Another name, and a sum of zero as before. */
static void the_table_is_hidden(void **state UNUSED)
{
	u8 *t = fake_memory + TABLE, sum = 0;

	memcpy(t, "DMAR\x10\0\0\0", 8);
	t[9] = (u8)(256 - ('D' + 'M' + 'A' + 'R' + 0x10));
	dmar.table = TABLE;
	assert_true(iommu_hide_table(&dmar));
	for (int i = 0; i < 16; i++)
		sum = (u8)(sum + t[i]);
	assert_int_equal(sum, 0);
	assert_memory_not_equal(t, "DMAR", 4);
}

static void faults_are_read_once(void **state UNUSED)
{
	u32 function;
	u64 page;

	assert_false(iommu_fault(&dmar, &function, &page));
	units[1].fault[0] = 0x20001000;
	units[1].fault[1] = BIT(63) | 0x10ull << 32 | 0x0108;
	assert_true(iommu_fault(&dmar, &function, &page));
	assert_int_equal(function, 0x108);
	assert_int_equal(page, 0x20001000);
	assert_false(iommu_fault(&dmar, &function, &page));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(devices_reach_all_but_socles_memory, setup),
		cmocka_unit_test_setup(three_levels, setup),
		cmocka_unit_test_setup(without_pages_of_1g, setup),
		cmocka_unit_test_setup(what_firmware_left_on, setup),
		cmocka_unit_test_setup(units_that_fail, setup),
		cmocka_unit_test_setup(tables_that_do_not_do, setup),
		cmocka_unit_test_setup(the_table_is_hidden, setup),
		cmocka_unit_test_setup(faults_are_read_once, setup),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
