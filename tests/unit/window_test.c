/* SPDX-License-Identifier: MIT */
/*
 * Where L0's windows come to lie: the first below 4 GiB, the rest as high as memory goes, clear of what the
 * boot loader left, and of what firmware left while there is room; and what is said where there is none.
 */
#include "tests/unit/cmocka_all.h"

#include "boot/efi_map.h"
#include "boot/window.h"
#include "kernel/cmdline.h"
#include "kernel/log.h"
#include "mm/page_alloc.h"
#include "tests/fake/fake.h"

#define RAM_END 0x20000000ull
#define FIRST SIZE_2M /* image and page tables */
#define CPU (10 * SIZE_1M)
#define NEEDED (FIRST + 2 * SIZE_1M + 16 * PAGE_SIZE + CPU) /* for one CPU */
#define TAKEN (16 * SIZE_1M)				    /* whole pages of 2 MiB */
#define IMAGE_SIZE 0x30000ull				    /* tests/fake */

static struct boot_info info;
static u64 ept02;
static u64 given_base[MEMMAP_WINDOWS_MAX], given_size[MEMMAP_WINDOWS_MAX], given;
static u32 given_node[MEMMAP_WINDOWS_MAX];
static struct roster roster;
static struct srat srat;

void page_alloc_init(void)
{
	given = 0;
}

bool page_alloc_add(u64 base, u64 size, u32 node)
{
	if (given == MEMMAP_WINDOWS_MAX)
		return false;
	given_base[given] = base;
	given_node[given] = node;
	given_size[given++] = size;
	return true;
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
	memset(&roster, 0, sizeof(roster));
	memset(&srat, 0, sizeof(srat));
	options.ept_large = true;
	options.log = LOG_INFO;
	ept02 = 0;
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

	if (status == STATUS_OK)
		status = window_take(0);
	options.ept02_budget = ept02;
	roster.usable = cpus;
	roster.count = cpus + parked;
	return status == STATUS_OK ? window_grow(&roster, &srat) : status;
}

static u64 window_base(void)
{
	return memmap_window(0)->base;
}

static u64 window_size(void)
{
	assert_null(memmap_window(1));
	return memmap_window(0)->size;
}

static void the_window_is_high_and_whole(void **state UNUSED)
{
	assert_int_equal(choose(1, 0), STATUS_OK);
	assert_int_equal(window_base(), RAM_END - TAKEN);
	assert_int_equal(window_size(), TAKEN);
	/* the image lies in its first pages, the allocator has the rest */
	assert_int_equal(given_base[0], RAM_END - FIRST + IMAGE_SIZE);
	assert_int_equal(given_size[0], FIRST - IMAGE_SIZE);
	assert_int_equal(given_base[1], RAM_END - TAKEN);
	assert_int_equal(given_size[1], TAKEN - FIRST);
	assert_false(memmap_is_ram(RAM_END - TAKEN, 1));
	assert_false(memmap_is_ram(RAM_END - 1, 1));
	assert_true(memmap_is_ram(RAM_END - TAKEN - 1, 1));
}

static void more_cpus_take_more(void **state UNUSED)
{
	assert_int_equal(choose(2, 0), STATUS_OK);
	assert_int_equal(window_size(), TAKEN + 10 * SIZE_1M);
	assert_int_equal(choose(1, 16), STATUS_OK);
	assert_int_equal(window_size(), ALIGN_UP(NEEDED + 2 * SIZE_1M, SIZE_2M));
	ept02 = 64 * SIZE_1M;
	assert_int_equal(choose(1, 0), STATUS_OK);
	assert_int_equal(window_size(), ALIGN_UP(NEEDED + 56 * SIZE_1M, SIZE_2M));
}

static void the_loaders_things_stay_where_they_are(void **state UNUSED)
{
	/* two modules at the top, with a gap between them that is too small */
	add_module(RAM_END - SIZE_1M, SIZE_1M);
	add_module(RAM_END - 16 * SIZE_1M, SIZE_1M);
	assert_int_equal(choose(1, 0), STATUS_OK);
	assert_int_equal(window_base(), RAM_END - 16 * SIZE_1M - (TAKEN - FIRST));
	info.info_base = RAM_END - 20 * SIZE_1M - 100;
	info.info_size = 200;
	assert_int_equal(choose(1, 0), STATUS_OK);
	assert_int_equal(window_base(), RAM_END - 22 * SIZE_1M - (TAKEN - FIRST));
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
	assert_int_equal(window_base(), RAM_END - 4 * SIZE_1M - TAKEN);
	setup(NULL);
	add_efi(4, SIZE_1M, RAM_END - SIZE_1M);
	assert_int_equal(choose(1, 0), STATUS_OK);
	assert_int_equal(window_base(), RAM_END - TAKEN);
}

static void assert_says(enum status status, const char *word)
{
	char text[200];

	status_format(status, text, sizeof(text));
	if (!strstr(text, word))
		fail_msg("%s", text);
}

/* Only what must be below 4 GiB is there. */
static void the_rest_is_where_there_is_memory(void **state UNUSED)
{
	info.ranges[info.range_count++] = (struct memmap_range){ SIZE_4G, 64ull << 30, MEMMAP_USABLE };
	assert_int_equal(choose(128, 0), STATUS_OK);
	assert_int_equal(window_base(), RAM_END - FIRST);
	assert_int_equal(memmap_window(0)->size, FIRST);
	assert_int_equal(memmap_window(1)->base + memmap_window(1)->size, SIZE_4G + (64ull << 30));
	assert_true(memmap_window(1)->size >= 128 * CPU);
	assert_null(memmap_window(2));
	assert_int_equal(given_base[1], memmap_window(1)->base);
	assert_int_equal(given_size[1], memmap_window(1)->size);
	/* in pieces, each for some CPUs */
	setup(NULL);
	for (u64 i = 0; i < 10; i++)
		info.ranges[info.range_count++] =
			(struct memmap_range){ SIZE_4G + (i << 31), SIZE_1G, MEMMAP_USABLE };
	assert_int_equal(choose(300, 0), STATUS_OK);
	assert_int_equal(given, 4);
	for (u64 i = 1; i < given; i++)
		assert_true(given_base[i] >= SIZE_4G && given_size[i] >= SIZE_2M);
	setup(NULL);
	/* more pieces than there are windows */
	for (u64 i = 0; i < 128; i++)
		info.ranges[info.range_count++] =
			(struct memmap_range){ SIZE_4G + (i << 31), 16 * SIZE_1M, MEMMAP_USABLE };
	assert_int_equal(choose(512, 0), STATUS_NO_WINDOW);
}

/* Two nodes: all that is below 3 GiB and between 4 and 6, and what is above 6; four CPUs each. */
static void make_nodes(void)
{
	static const struct srat two = {
		.node_count = 2,
		.domain = { 7, 9 },
		.range_count = 3,
		.ranges = { { 0, 3 * SIZE_1G, 1 },
			    { 6 * SIZE_1G, 8 * SIZE_1G, 2 },
			    { SIZE_4G, 6 * SIZE_1G, 1 } },
	};

	setup(NULL);
	srat = two;
	for (u32 i = 0; i < 8; i++)
		roster.node[i] = i < 4 ? 1 : 2;
	info.ranges[info.range_count++] = (struct memmap_range){ SIZE_4G, SIZE_4G, MEMMAP_USABLE };
}

static bool is_within(u64 i, u64 base, u64 end)
{
	return given_base[i] >= base && given_base[i] + given_size[i] <= end;
}

/* Each CPU's on its own node; what is all CPUs' is anywhere, and L1's memory at both tops. */
static void each_nodes_cpus_have_its_memory(void **state UNUSED)
{
	make_nodes();
	assert_int_equal(choose(8, 0), STATUS_OK);
	assert_int_equal(given, 4);
	assert_int_equal(given_node[1], 1);
	assert_true(is_within(1, SIZE_4G, 6 * SIZE_1G));
	assert_int_equal(given_size[1], 4 * CPU);
	assert_int_equal(given_node[2], 2);
	assert_true(is_within(2, 6 * SIZE_1G, 8 * SIZE_1G));
	assert_int_equal(given_size[2], 4 * CPU);
	assert_int_equal(given_node[3], PAGE_ALLOC_ANY);
	assert_true(given_size[3] < 8 * SIZE_1M);
	assert_non_null(strstr(fake_log(), "2 NUMA domains; 8 of 8 CPUs have Socle's memory"));
}

/* A node without memory; one that has too little for all its CPUs; one without CPUs. */
static void nodes_that_lack_something(void **state UNUSED)
{
	make_nodes();
	srat.ranges[1].end = srat.ranges[1].base;
	assert_int_equal(choose(8, 0), STATUS_OK);
	assert_non_null(strstr(fake_log(), "NUMA domain 9 has room for 0 of its 4 CPUs' memory"));
	assert_int_equal(given, 3);
	assert_true(given_size[2] >= 4 * CPU);
	make_nodes();
	srat.ranges[1].end = srat.ranges[1].base + 3 * CPU;
	assert_int_equal(choose(8, 0), STATUS_OK);
	assert_non_null(strstr(fake_log(), "NUMA domain 9 has room for 2 of its 4 CPUs' memory"));
	assert_int_equal(given_size[2], 2 * CPU);
	assert_true(is_within(2, 6 * SIZE_1G, 6 * SIZE_1G + 3 * CPU));
	assert_true(given_size[3] >= 2 * CPU);
	make_nodes();
	for (u32 i = 0; i < 8; i++)
		roster.node[i] = 2;
	assert_int_equal(choose(8, 0), STATUS_OK);
	assert_int_equal(given, 3);
	assert_int_equal(given_size[1], 8 * CPU);
	assert_int_equal(given_node[1], 2);
	/* memory that the map does not have, and all that a processor can name */
	make_nodes();
	srat.ranges[0] = (struct srat_range){ BIT(50), ~0ull, 1 };
	srat.ranges[2] = (struct srat_range){ 0, 1, 1 };
	assert_int_equal(choose(8, 0), STATUS_OK);
	assert_int_equal(given, 3);
}

/* What L1's memory can spare: many CPUs with little memory have smaller EPT02s. */
static void small_machines_keep_most(void **state UNUSED)
{
	assert_int_equal(choose(4, 0), STATUS_OK);
	assert_int_equal(options.ept02_budget, 8 * SIZE_1M);
	assert_int_equal(choose(14, 0), STATUS_OK);
	assert_true(options.ept02_budget >= SIZE_1M && options.ept02_budget < 8 * SIZE_1M);
	assert_true(window_size() <= RAM_END / 8);
	ept02 = 2 * SIZE_1M;
	assert_int_equal(choose(32, 0), STATUS_OK);
	assert_int_equal(options.ept02_budget, 2 * SIZE_1M);
	/* more than L0's own page tables reach */
	info.ranges[info.range_count++] =
		(struct memmap_range){ BIT(46) - SIZE_1G, 2 * SIZE_1G, MEMMAP_USABLE };
	assert_int_equal(choose(1, 0), STATUS_MEMORY_HIGH);
}

static void no_room_is_a_status(void **state UNUSED)
{
	/* enough in all, but in no one piece */
	for (u64 at = 0; at < RAM_END; at += 8 * SIZE_1M)
		add_module(at, SIZE_1M);
	assert_int_equal(choose(1, 0), STATUS_NO_WINDOW);
	assert_says(STATUS_NO_WINDOW, " 14400 KiB of Socle's own memory for 1 CPUs in 509 MiB");
	setup(NULL);
	info.ranges[1] = (struct memmap_range){ SIZE_4G, SIZE_4G, MEMMAP_USABLE };
	assert_int_equal(choose(1, 0), STATUS_NO_WINDOW);
}

static void the_option_is_held_against_the_need(void **state UNUSED)
{
	options.reserve = NEEDED - 1;
	assert_int_equal(choose(1, 0), STATUS_RESERVE_SMALL);
	assert_says(STATUS_RESERVE_SMALL, " 14400 KiB");
	options.reserve = NEEDED;
	assert_int_equal(choose(1, 0), STATUS_OK);
	options.reserve = 33 * SIZE_1M;
	assert_int_equal(choose(1, 0), STATUS_OK);
	assert_int_equal(window_size(), 34 * SIZE_1M);
	/* any number can be asked for */
	options.reserve = ~0ull;
	assert_int_equal(choose(1, 0), STATUS_NO_WINDOW);
	options.reserve = 0;
	ept02 = ~0ull;
	assert_int_equal(choose(64, 0), STATUS_NO_WINDOW);
	assert_says(STATUS_NO_WINDOW, " for 64 CPUs ");
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

static void a_map_that_contradicts_itself(void **state UNUSED)
{
	assert_int_equal(choose(1, 0), STATUS_OK);
	assert_null(strstr(fake_log(), "memory map"));
	/* the same twice is no contradiction; persistent memory is known; nor is what only touches */
	info.ranges[info.range_count++] = info.ranges[0];
	info.ranges[info.range_count++] = (struct memmap_range){ SIZE_4G, SIZE_2M, 7 };
	info.ranges[info.range_count++] = (struct memmap_range){ RAM_END, SIZE_2M, MEMMAP_RESERVED };
	info.ranges[info.range_count++] = (struct memmap_range){ SIZE_1M - 1, 1, MEMMAP_RESERVED };
	info.ranges[info.range_count++] = (struct memmap_range){ SIZE_2M, 0, MEMMAP_RESERVED };
	assert_int_equal(choose(1, 0), STATUS_OK);
	assert_null(strstr(fake_log(), "memory map"));
	info.ranges[info.range_count++] = (struct memmap_range){ RAM_END - 1, 1, MEMMAP_NVS };
	info.ranges[info.range_count++] = (struct memmap_range){ SIZE_2M, ~0ull, MEMMAP_BAD };
	info.ranges[info.range_count++] = (struct memmap_range){ BIT(40), SIZE_2M, 0xfffffffa };
	info.ranges[info.range_count++] = (struct memmap_range){ BIT(41), SIZE_2M, 0 };
	choose(1, 0);
	assert_non_null(strstr(fake_log(), "memory map: 4 ranges overlap others of another type"));
	assert_non_null(
		strstr(fake_log(), "memory map: 2 ranges are of unknown types (the first of 4294967290)"));
}

/* The last 64 KiB of memory, which the map calls usable, are a keyboard controller's. */
static void clear_of_what_firmwares_devices_use(void **state UNUSED)
{
	u8 *rsdp = fake_memory + 0xe0000, *table = fake_memory + 0x81000, sum = 0;
	u64 region[2] = { RAM_END - 0x10000, RAM_END - 1 };

	memcpy(rsdp, "RSD PTR ", 8);
	memcpy(rsdp + 16, &(u32){ 0x80000 }, 4);
	for (int i = 0; i < 20; i++)
		sum = (u8)(sum + rsdp[i]);
	rsdp[8] = (u8)-sum;
	memcpy(fake_memory + 0x80000, "RSDT\x28", 5);
	memcpy(fake_memory + 0x80024, &(u32){ 0x81000 }, 4);
	memcpy(table, "DMAR\x48", 5);
	memcpy(table + 48, "\1\0\x18", 3);
	memcpy(table + 56, region, sizeof(region));
	assert_int_equal(choose(1, 0), STATUS_OK);
	assert_false(memmap_in_window(region[0], 0x10000));
	/* without the table this is Socle's */
	memset(table, 0, 4);
	assert_int_equal(choose(1, 0), STATUS_OK);
	assert_true(memmap_in_window(region[0], 0x10000));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(the_window_is_high_and_whole, setup),
		cmocka_unit_test_setup(more_cpus_take_more, setup),
		cmocka_unit_test_setup(the_loaders_things_stay_where_they_are, setup),
		cmocka_unit_test_setup(the_firmwares_memory_is_taken_last, setup),
		cmocka_unit_test_setup(the_rest_is_where_there_is_memory, setup),
		cmocka_unit_test_setup(each_nodes_cpus_have_its_memory, setup),
		cmocka_unit_test_setup(nodes_that_lack_something, setup),
		cmocka_unit_test_setup(small_machines_keep_most, setup),
		cmocka_unit_test_setup(no_room_is_a_status, setup),
		cmocka_unit_test_setup(the_option_is_held_against_the_need, setup),
		cmocka_unit_test_setup(a_map_with_too_many_entries, setup),
		cmocka_unit_test_setup(a_map_that_contradicts_itself, setup),
		cmocka_unit_test_setup(clear_of_what_firmwares_devices_use, setup),
	};

	return cmocka_run_group_tests_name("window", tests, NULL, NULL);
}
