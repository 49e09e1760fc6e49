/* SPDX-License-Identifier: MIT */
/*
 * Where L0's window comes to lie: high, below 4 GiB, clear of what the boot loader left, and of what firmware
 * left while there is room; and what is said where there is none.
 */
#include "tests/unit/cmocka_all.h"

#include "boot/efi_map.h"
#include "boot/window.h"
#include "kernel/cmdline.h"
#include "mm/page_alloc.h"
#include "tests/fake/fake.h"

#define RAM_END 0x20000000ull
#define NEEDED (19 * SIZE_1M) /* for one CPU */
#define TAKEN (20 * SIZE_1M)  /* whole pages of 2 MiB */
#define IMAGE_SIZE 0x30000ull /* tests/fake */

static struct boot_info info;
static u64 given_base, given_size;

void page_alloc_init(u64 base, u64 size)
{
	given_base = base;
	given_size = size;
}

void *page_alloc(void)
{
	fail();
	return NULL;
}

static int setup(void **state UNUSED)
{
	fake_reset();
	memset(&info, 0, sizeof(info));
	memset(&options, 0, sizeof(options));
	info.ranges[info.range_count++] = (struct memmap_range){ 0, 0x9fc00, MEMMAP_USABLE };
	info.ranges[info.range_count++] = (struct memmap_range){ SIZE_1M, RAM_END - SIZE_1M, MEMMAP_USABLE };
	info.info_base = 0x10000;
	info.info_size = 0x1000;
	return 0;
}

static void add_module(u64 base, u64 size)
{
	info.modules[info.module_count++] = (struct boot_module){ .base = base, .size = size };
}

static enum status choose(u32 cpus, u32 parked)
{
	enum status status = window_read_map(&info);

	return status == STATUS_OK ? window_choose(&info, cpus, parked) : status;
}

static void the_window_is_high_and_whole(void **state UNUSED)
{
	assert_int_equal(choose(1, 0), STATUS_OK);
	assert_int_equal(memmap_window_base(), RAM_END - TAKEN);
	assert_int_equal(memmap_window_size(), TAKEN);
	/* the image lies in its first pages, the allocator has the rest */
	assert_int_equal(given_base, RAM_END - TAKEN + IMAGE_SIZE);
	assert_int_equal(given_size, TAKEN - IMAGE_SIZE);
	assert_false(memmap_is_ram(RAM_END - TAKEN, 1));
	assert_false(memmap_is_ram(RAM_END - 1, 1));
	assert_true(memmap_is_ram(RAM_END - TAKEN - 1, 1));
}

static void more_cpus_take_more(void **state UNUSED)
{
	assert_int_equal(choose(2, 0), STATUS_OK);
	assert_int_equal(memmap_window_size(), TAKEN + 12 * SIZE_1M);
	assert_int_equal(choose(1, 16), STATUS_OK);
	assert_int_equal(memmap_window_size(), ALIGN_UP(NEEDED + 2 * SIZE_1M, SIZE_2M));
	options.ept02_budget = 64 * SIZE_1M;
	assert_int_equal(choose(1, 0), STATUS_OK);
	assert_int_equal(memmap_window_size(), ALIGN_UP(NEEDED + 56 * SIZE_1M, SIZE_2M));
}

static void the_loaders_things_stay_where_they_are(void **state UNUSED)
{
	/* two modules at the top, with a gap between them that is too small */
	add_module(RAM_END - SIZE_1M, SIZE_1M);
	add_module(RAM_END - 16 * SIZE_1M, SIZE_1M);
	assert_int_equal(choose(1, 0), STATUS_OK);
	assert_int_equal(memmap_window_base(), RAM_END - 16 * SIZE_1M - TAKEN);
	info.info_base = RAM_END - 20 * SIZE_1M - 100;
	info.info_size = 200;
	assert_int_equal(choose(1, 0), STATUS_OK);
	assert_int_equal(memmap_window_base(), RAM_END - 22 * SIZE_1M - TAKEN);
}

static void add_efi(u32 type, u64 base, u64 size)
{
	u64 descriptor[5] = { type, base, 0, size >> PAGE_SHIFT, 15 };

	info.efi_descriptor_size = sizeof(descriptor);
	memcpy(info.efi_map + info.efi_map_size, descriptor, sizeof(descriptor));
	info.efi_map_size += sizeof(descriptor);
}

/* What boot services left may hold tables that L1 looks at: taken only where nothing else is free. */
static void the_firmwares_memory_is_taken_last(void **state UNUSED)
{
	add_efi(4, RAM_END - 4 * SIZE_1M, 4 * SIZE_1M);
	add_efi(3, RAM_END - 64 * SIZE_1M, 4 * SIZE_1M);
	assert_int_equal(choose(1, 0), STATUS_OK);
	assert_int_equal(memmap_window_base(), RAM_END - 4 * SIZE_1M - TAKEN);
	setup(NULL);
	add_efi(4, SIZE_1M, RAM_END - SIZE_1M);
	assert_int_equal(choose(1, 0), STATUS_OK);
	assert_int_equal(memmap_window_base(), RAM_END - TAKEN);
}

static void assert_says(enum status status, const char *word)
{
	char text[200];

	status_format(status, text, sizeof(text));
	assert_non_null(strstr(text, word));
}

static void no_room_is_a_status(void **state UNUSED)
{
	/* enough in all, but in no one piece */
	for (u64 at = 0; at < RAM_END; at += 16 * SIZE_1M)
		if (info.module_count < BOOT_MODULE_MAX)
			add_module(at, SIZE_1M);
	assert_int_equal(choose(1, 0), STATUS_NO_WINDOW);
	assert_says(STATUS_NO_WINDOW, " 20480 KiB");
	setup(NULL);
	info.ranges[1] = (struct memmap_range){ SIZE_4G, SIZE_4G, MEMMAP_USABLE };
	assert_int_equal(choose(1, 0), STATUS_NO_WINDOW);
}

static void the_option_is_held_against_the_need(void **state UNUSED)
{
	options.reserve = NEEDED - 1;
	assert_int_equal(choose(1, 0), STATUS_RESERVE_SMALL);
	assert_says(STATUS_RESERVE_SMALL, " 19456 KiB");
	options.reserve = NEEDED;
	assert_int_equal(choose(1, 0), STATUS_OK);
	options.reserve = 33 * SIZE_1M;
	assert_int_equal(choose(1, 0), STATUS_OK);
	assert_int_equal(memmap_window_size(), 34 * SIZE_1M);
	/* any number can be asked for */
	options.reserve = ~0ull;
	assert_int_equal(choose(1, 0), STATUS_NO_WINDOW);
	options.reserve = 0;
	options.ept02_budget = ~0ull;
	assert_int_equal(choose(64, 0), STATUS_NO_WINDOW);
}

static void a_map_with_too_many_entries(void **state UNUSED)
{
	for (info.range_count = 0; info.range_count < BOOT_RANGE_MAX; info.range_count++)
		info.ranges[info.range_count] =
			(struct memmap_range){ info.range_count * 0x3000ull, 0x5000,
					       info.range_count % 2 ? MEMMAP_RESERVED : MEMMAP_USABLE };
	assert_int_equal(choose(1, 0), STATUS_NO_WINDOW);
	assert_int_equal(memmap_count(), BOOT_RANGE_MAX);
	memmap_init();
	for (u64 i = 0; i < MEMMAP_MAX; i++)
		assert_true(memmap_add(i * 0x3000, 0x1000, MEMMAP_USABLE));
	assert_false(memmap_add(0x100, BIT(40), MEMMAP_NVS));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(the_window_is_high_and_whole, setup),
		cmocka_unit_test_setup(more_cpus_take_more, setup),
		cmocka_unit_test_setup(the_loaders_things_stay_where_they_are, setup),
		cmocka_unit_test_setup(the_firmwares_memory_is_taken_last, setup),
		cmocka_unit_test_setup(no_room_is_a_status, setup),
		cmocka_unit_test_setup(the_option_is_held_against_the_need, setup),
		cmocka_unit_test_setup(a_map_with_too_many_entries, setup),
	};

	return cmocka_run_group_tests_name("window", tests, NULL, NULL);
}
