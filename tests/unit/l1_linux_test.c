/* SPDX-License-Identifier: MIT */
/*
 * What a Linux L1 gets on machines with more of everything: several initrds, hundreds of memory ranges, a
 * firmware's map that has no place where it usually goes.
 */
#include "tests/unit/cmocka_all.h"

#include "boot/efi_map.h"
#include "boot/l1.h"
#include "kernel/cmdline.h"
#include "tests/fake/fake.h"
#include "tests/unit/bytes.h"

#define IMAGE 0x1000000u
#define IMAGE_BYTES (4 * 512 + 0x1000)
#define RAM_END 0x8000000ull

static struct boot_info info;
static struct l1_start start;

static u64 get(u64 pa, size_t bytes)
{
	u64 v = 0;

	memcpy(&v, mem(pa), bytes);
	return v;
}

static void make_linux(u32 version)
{
	memset(mem(IMAGE), 0, 0x4000);
	put(IMAGE + 0x1f1, 3, 1);
	put(IMAGE + 0x1f4, 0x100, 4);
	put(IMAGE + 0x1fe, 0xaa55, 2);
	put(IMAGE + 0x201, 0x6a, 1);
	memcpy(mem(IMAGE + 0x202), "HdrS", 4);
	put(IMAGE + 0x206, version, 2);
	put(IMAGE + 0x211, 1, 1);
	put(IMAGE + 0x22c, 0x7fffffff, 4);
	put(IMAGE + 0x230, 0x200000, 4);
	put(IMAGE + 0x234, 1, 1);
	put(IMAGE + 0x238, 2047, 4);
	put(IMAGE + 0x258, 0x1000000, 8);
	put(IMAGE + 0x260, 0x800000, 4);
}

static int setup(void **state UNUSED)
{
	fake_reset();
	cmdline_parse("");
	memset(&info, 0, sizeof(info));
	info.cmdline = info.loader_name = "";
	info.modules[0] = (struct boot_module){ IMAGE, IMAGE_BYTES, "quiet" };
	info.module_count = 1;
	memmap_init();
	memmap_add(0, 0x9fc00, MEMMAP_USABLE);
	memmap_add(0x100000, RAM_END - 0x100000, MEMMAP_USABLE);
	make_linux(0x20f);
	return 0;
}

static u64 zero_page(u32 offset, size_t bytes)
{
	return get(start.esi + offset, bytes);
}

static void add_module(u64 base, u64 size, u8 filling)
{
	info.modules[info.module_count++] = (struct boot_module){ base, size, "" };
	memset(mem(base), filling, size);
}

/* As GRUB's initrd command: one behind the other, each beginning on 4 bytes, zeros between them. */
static void several_initrds_are_one(void **state UNUSED)
{
	u64 at;

	add_module(0x2000000, 0x3333, 0xa1);
	add_module(0x2004000, 0, 0);
	add_module(0x1100000, 0x1001, 0xb2); /* the kernel's place: it would lie in the way */
	add_module(0x3000000, 5, 0xc3);
	assert_int_equal(l1_load(&info, &start), STATUS_OK);
	at = zero_page(0x218, 4);
	assert_int_equal(zero_page(0x21c, 4), 0x3334 + 0x1004 + 5);
	assert_true(at % PAGE_SIZE == 0 && (at >= 0x1800000 || at + 0x5000 <= 0x1000000));
	for (u32 i = 0; i < 0x3334 + 0x1004 + 5; i++) {
		u8 expected = i < 0x3333			   ? 0xa1
			      : i >= 0x3334 && i < 0x3334 + 0x1001 ? 0xb2
			      : i >= 0x3334 + 0x1004		   ? 0xc3
								   : 0;

		if (*mem(at + i) != expected)
			fail_msg("byte %x is %x", i, *mem(at + i));
	}
	/* two hundred, and no room for them as one */
	setup(state);
	for (u32 i = 0; i < 200; i++)
		add_module(0x2000000 + i * PAGE_SIZE, 3, (u8)i);
	assert_int_equal(l1_load(&info, &start), STATUS_OK);
	assert_int_equal(zero_page(0x21c, 4), 199 * 4 + 3);
	assert_int_equal(*mem(zero_page(0x218, 4) + 4 * 199), 199);
	setup(state);
	add_module(0x2000000, 0x2800000, 1);
	add_module(0x4800000, 0x2800000, 2);
	assert_int_equal(l1_load(&info, &start), STATUS_L1_NO_ROOM);
}

/* "The Linux/x86 Boot Protocol", setup_data: SETUP_E820_EXT has the entries behind the first 128. */
static void ranges_beyond_128_are_told(void **state UNUSED)
{
	u64 data, last;

	for (u32 i = 0; i < 1000; i++)
		memmap_add(SIZE_4G + i * 0x10000ull, 0x8000, i & 1 ? MEMMAP_USABLE : MEMMAP_NVS);
	assert_int_equal(l1_load(&info, &start), STATUS_OK);
	assert_int_equal(zero_page(0x1e8, 1), 128);
	data = zero_page(0x250, 8);
	assert_int_equal(get(data, 8), 0);
	assert_int_equal(get(data + 8, 4), 1);
	assert_int_equal(get(data + 12, 4), (memmap_count() - 128) * 20);
	last = data + 16 + (memmap_count() - 129) * 20;
	assert_int_equal(get(last, 8), SIZE_4G + 999 * 0x10000ull);
	assert_int_equal(get(last + 8, 8), 0x8000);
	assert_int_equal(get(last + 16, 4), MEMMAP_USABLE);
	assert_null(strstr(fake_log(), "left out"));
	/* a kernel that has no such pointer: what lies there is its own */
	info.modules[0].base = IMAGE;
	make_linux(0x208);
	assert_int_equal(l1_load(&info, &start), STATUS_OK);
	assert_int_equal(zero_page(0x250, 8), 0);
	assert_non_null(strstr(fake_log(), "left out"));
}

/* The firmware's map of this machine in `count` descriptors of one page, then the rest of the memory as one.
 */
static void make_efi(u32 count)
{
	u64 base = 0x100000;

	info.efi = true;
	info.efi_system_table = 0x7f00000;
	info.efi_descriptor_size = 48;
	for (u32 i = 0; i <= count; i++) {
		u64 pages = i < count ? 1 : (RAM_END - base) >> PAGE_SHIFT;
		u64 descriptor[6] = { i & 1 ? 7 : 2, base, 0, pages, 15, 0 };

		memcpy(info.efi_map + info.efi_map_size, descriptor, sizeof(descriptor));
		info.efi_map_size += sizeof(descriptor);
		base += pages << PAGE_SHIFT;
	}
}

/* The kernel's decompressor takes free memory by this very map, so the map itself is not free in it. */
static void the_firmwares_map_goes_where_there_is_room(void **state UNUSED)
{
	u64 map, size, own = 0;

	make_efi(1300); /* more than 60 KiB */
	memmap_override(0x10000, 0x90000, MEMMAP_RESERVED);
	assert_int_equal(l1_load(&info, &start), STATUS_OK);
	assert_memory_equal(mem(start.esi + 0x1c0), "EL64", 4);
	map = zero_page(0x1d0, 4);
	size = zero_page(0x1d4, 4);
	assert_true(map >= SIZE_1M);
	for (u64 at = map; at < map + size; at += 48) {
		u64 base = get(at + 8, 8), end = base + (get(at + 24, 8) << PAGE_SHIFT);

		if (base < map + size && map < end) {
			assert_int_equal(get(at, 4), 9);
			own += end - base;
		}
	}
	assert_int_equal(own, ALIGN_UP(size, PAGE_SIZE));
	assert_false(memmap_is_usable(map, 1));
	/* nowhere: L1 starts without the firmware's services */
	setup(state);
	make_efi(1300);
	memmap_override(0x20000, 0x80000, MEMMAP_RESERVED);
	memmap_override(0x1800000, RAM_END - 0x1800000, MEMMAP_RESERVED);
	memmap_override(0x100000, IMAGE - 0x100000, MEMMAP_RESERVED);
	put(IMAGE + 0x260, 0x7f8000, 4);
	info.modules[0].base = 0x5000000;
	memcpy(mem(0x5000000), mem(IMAGE), 0x4000);
	assert_int_equal(l1_load(&info, &start), STATUS_OK);
	assert_int_equal(zero_page(0x1c0, 4), 0);
	assert_non_null(strstr(fake_log(), "without the firmware's services"));
}

/* Before anything of the machine is changed. */
static void a_multiboot_image_is_looked_at_first(void **state UNUSED)
{
	static const struct {
		u32 flags;
		enum status expected;
	} cases[] = { { 0, STATUS_L1_ELF }, { BIT(16), STATUS_OK }, { BIT(15), STATUS_L1_MULTIBOOT } };

	memset(mem(IMAGE), 0, 0x4000);
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		put(IMAGE + 0x100, 0x1badb002, 4);
		put(IMAGE + 0x104, cases[i].flags, 4);
		put(IMAGE + 0x108, -(0x1badb002 + cases[i].flags), 4);
		assert_int_equal(l1_check(&info), cases[i].expected);
	}
	/* multiboot2: not flat, and no ELF */
	put(IMAGE + 0x100, 0xe85250d6, 8);
	put(IMAGE + 0x108, 24, 4);
	put(IMAGE + 0x10c, -(0xe85250d6u + 24), 4);
	put(IMAGE + 0x110, 0, 4);
	put(IMAGE + 0x114, 8, 4);
	assert_int_equal(l1_check(&info), STATUS_L1_ELF);
	put(IMAGE + 0x110, 0x7777, 4); /* a tag that must be obeyed and is not known */
	assert_int_not_equal(l1_check(&info), STATUS_L1_ELF);
	assert_int_not_equal(l1_check(&info), STATUS_OK);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(several_initrds_are_one, setup),
		cmocka_unit_test_setup(ranges_beyond_128_are_told, setup),
		cmocka_unit_test_setup(a_multiboot_image_is_looked_at_first, setup),
		cmocka_unit_test_setup(the_firmwares_map_goes_where_there_is_room, setup),
	};

	return cmocka_run_group_tests_name("l1_linux", tests, NULL, NULL);
}
