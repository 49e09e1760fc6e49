/* SPDX-License-Identifier: MIT */
/*
 * What comes from outside while starting: boot information, L1 images of each kind, ACPI tables, the command
 * line; good ones, and each kind of damage, which must be its own status.
 */
#include "tests/unit/cmocka_all.h"

#include <stdio.h>

#include "boot/efi_map.h"
#include "boot/elf.h"
#include "boot/l1_internal.h"
#include "boot/l1_space.h"
#include "drivers/acpi.h"
#include "kernel/cmdline.h"
#include "kernel/cmdline_internal.h"
#include "kernel/print.h"
#include "tests/fake/fake.h"
#include "tests/unit/bytes.h"

#define INFO 0x10000u
#define IMAGE 0x1000000u
#define MAGIC 0x36d76289u

static struct boot_info info;
static u32 at;

static int setup(void **state UNUSED)
{
	fake_reset();
	memset(&info, 0, sizeof(info));
	info.loader_name = "";
	memmap_init();
	memmap_add(0, 0x9fc00, MEMMAP_USABLE);
	memmap_add(0x100000, 0x7f00000, MEMMAP_USABLE);
	return 0;
}

/* ---- multiboot2 information ---- */

static void tags_begin(void)
{
	at = INFO + 8;
}

static u32 tag(u32 type, const void *body, u32 size)
{
	u32 here = at;

	put32(at, type);
	put32(at + 4, size + 8);
	memcpy(mem(at + 8), body, size);
	at = (u32)ALIGN_UP(at + 8 + size, 8);
	return here;
}

static void tags_end(void)
{
	tag(0, "", 0);
	put32(INFO, at - INFO);
}

static void good_tags(void)
{
	struct PACKED {
		u32 entry_size, version;
		struct PACKED {
			u64 base, length;
			u32 type, zero;
		} range[2];
	} map = { 24, 0, { { 0, 0x9fc00, 1, 0 }, { 0x100000, 0x7f00000, 1, 0 } } };
	struct PACKED {
		u32 start, end;
		char text[10];
	} module = { IMAGE, IMAGE + 0x100, "/l1 a b" };

	tags_begin();
	tag(1, "log=debug", 10);
	tag(2, "GRUB", 5);
	tag(3, &module, sizeof(module));
	tag(6, &map, sizeof(map));
}

static void tags_are_read(void **state UNUSED)
{
	good_tags();
	tag(14, "RSD PTR 012345678901", 20);
	tags_end();
	assert_int_equal(multiboot2_parse(MAGIC, INFO, &info), STATUS_OK);
	assert_string_equal(info.cmdline, "log=debug");
	assert_string_equal(info.loader_name, "GRUB");
	assert_int_equal(info.module_count, 1);
	assert_int_equal(info.modules[0].base, IMAGE);
	assert_int_equal(info.modules[0].size, 0x100);
	assert_string_equal(info.modules[0].cmdline, "/l1 a b");
	assert_int_equal(info.range_count, 2);
	assert_int_equal(info.ranges[1].base, 0x100000);
	assert_int_equal(info.rsdp_size, 20);
	assert_false(info.efi);
}

static void damaged_tags_are_a_status(void **state UNUSED)
{
	static u8 efi_map[16 + BOOT_EFI_MAP_SPACE] = { 48, [4] = 1 };
	u32 here;

	assert_int_equal(multiboot2_parse(0x12345, INFO, &info), STATUS_NOT_MULTIBOOT2);
	assert_int_equal(multiboot2_parse(MAGIC, INFO + 4, &info), STATUS_NOT_MULTIBOOT2);
	put32(INFO, 0xffffffff);
	assert_int_equal(multiboot2_parse(MAGIC, INFO, &info), STATUS_BOOT_INFO);
	tags_begin();
	tags_end();
	assert_int_equal(multiboot2_parse(MAGIC, INFO, &info), STATUS_NO_MEMORY_MAP);
	/* a tag longer than the rest, and one shorter than its head */
	good_tags();
	here = tag(1, "x", 2);
	tags_end();
	put32(here + 4, 0x10000);
	assert_int_equal(multiboot2_parse(MAGIC, INFO, &info), STATUS_BOOT_INFO);
	put32(here + 4, 7);
	assert_int_equal(multiboot2_parse(MAGIC, INFO, &info), STATUS_BOOT_INFO);
	/* a string without an end */
	good_tags();
	tag(1, "abcd", 4);
	tags_end();
	assert_int_equal(multiboot2_parse(MAGIC, INFO, &info), STATUS_BOOT_INFO);
	/* a module that ends before it starts, and one without a string */
	good_tags();
	tag(3, "\0\0\0\2\0\0\0\1\0", 9);
	tags_end();
	assert_int_equal(multiboot2_parse(MAGIC, INFO, &info), STATUS_BOOT_INFO);
	good_tags();
	tag(3, "\0\0\0\1", 4);
	tags_end();
	assert_int_equal(multiboot2_parse(MAGIC, INFO, &info), STATUS_BOOT_INFO);
	/* a memory map with more entries than there is room for, and the firmware's */
	good_tags();
	put32(at, 6);
	put32(at + 4, 16 + 24 * (BOOT_RANGE_MAX - 1));
	put32(at + 8, 24);
	for (u32 i = 0; i < BOOT_RANGE_MAX - 1; i++) {
		put64(at + 16 + 24 * i, i * 0x2000ull);
		put64(at + 16 + 24 * i + 8, 0x1000);
		put32(at + 16 + 24 * i + 16, MEMMAP_RESERVED);
	}
	at += 16 + 24 * (BOOT_RANGE_MAX - 1);
	tags_end();
	assert_int_equal(multiboot2_parse(MAGIC, INFO, &info), STATUS_MANY_RANGES);
	good_tags();
	tag(17, efi_map, 8 + BOOT_EFI_MAP_SPACE);
	tags_end();
	assert_int_equal(multiboot2_parse(MAGIC, INFO, &info), STATUS_OK);
	good_tags();
	tag(17, efi_map, 8 + BOOT_EFI_MAP_SPACE + 8);
	tags_end();
	assert_int_equal(multiboot2_parse(MAGIC, INFO, &info), STATUS_BOOT_INFO);
	/* the firmware's map alone, shorter than one descriptor (found by the fuzzer) */
	tags_begin();
	tag(17, efi_map, 8 + 40);
	tags_end();
	assert_int_equal(multiboot2_parse(MAGIC, INFO, &info), STATUS_NO_MEMORY_MAP);
	tags_begin();
	tag(17, efi_map, 8 + 48);
	tags_end();
	assert_int_equal(multiboot2_parse(MAGIC, INFO, &info), STATUS_OK);
	assert_int_equal(info.range_count, 1);
	/* a memory map with entries that are too small */
	good_tags();
	tag(6, "\4\0\0\0\0\0\0\0", 8);
	tags_end();
	assert_int_equal(multiboot2_parse(MAGIC, INFO, &info), STATUS_BOOT_INFO);
	/* more modules than there is room for */
	tags_begin();
	for (int i = 0; i <= BOOT_MODULE_MAX; i++)
		tag(3, "\0\0\0\1\0\0\0\2\0", 9);
	tags_end();
	assert_int_equal(multiboot2_parse(MAGIC, INFO, &info), STATUS_L1_MODULES);
}

/* ---- L1 images ---- */

static enum status load(u64 size, struct l1_start *start)
{
	info.module_count = MAX(info.module_count, 1u);
	info.modules[0].base = IMAGE;
	info.modules[0].size = size;
	if (!info.modules[0].cmdline)
		info.modules[0].cmdline = "quiet";
	if (info.module_count > 1 && !info.modules[1].cmdline)
		info.modules[1].cmdline = "initrd";
	return l1_load(&info, start);
}

static void unknown_and_missing_images(void **state UNUSED)
{
	struct l1_start start;

	assert_int_equal(l1_load(&info, &start), STATUS_L1_MISSING);
	assert_int_equal(load(0, &start), STATUS_L1_UNKNOWN);
	assert_int_equal(load(0x1000, &start), STATUS_L1_UNKNOWN);
	assert_int_equal(load(3, &start), STATUS_L1_UNKNOWN);
}

/* A 32-bit ELF with one segment at 0x200000 and a multiboot1 header in it. */
static void make_elf32(void)
{
	memset(mem(IMAGE), 0, 0x3000);
	memcpy(mem(IMAGE), "\177ELF\1\1\1", 7);
	put32(IMAGE + 16, 2 | 3u << 16); /* executable, 386 */
	put32(IMAGE + 20, 1);
	put32(IMAGE + 24, 0x200020); /* entry */
	put32(IMAGE + 28, 52);	     /* program headers */
	put32(IMAGE + 40, 52 | 32u << 16);
	put32(IMAGE + 44, 1);
	put32(IMAGE + 52, 1); /* PT_LOAD */
	put32(IMAGE + 56, 0x1000);
	put32(IMAGE + 60, 0x200000);
	put32(IMAGE + 64, 0x200000);
	put32(IMAGE + 68, 0x800);
	put32(IMAGE + 72, 0x2000);
	put32(IMAGE + 0x1000, 0x1badb002);
	put32(IMAGE + 0x1004, 3);
	put32(IMAGE + 0x1008, (u32) - (0x1badb002 + 3));
	memset(mem(IMAGE + 0x1020), 0x90, 16);
}

static void an_elf_is_loaded(void **state UNUSED)
{
	struct l1_start start;

	make_elf32();
	memset(mem(0x200000), 0xee, 0x2000);
	assert_int_equal(load(0x2000, &start), STATUS_OK);
	assert_int_equal(start.eip, 0x200020);
	assert_int_equal(start.eax, 0x2badb002);
	assert_int_equal(*mem(0x200020), 0x90);
	assert_int_equal(*mem(0x200000 + 0x800), 0);
	assert_int_equal(*mem(0x200000 + 0x1fff), 0);
	assert_true(start.gdt_base && start.gdt_limit == 31);
	assert_true(start.ebx);
}

struct damage {
	u32 offset, value;
	u64 size;
	enum status expected;
};

static void damage_elf(const struct damage *d)
{
	struct l1_start start;
	enum status status;

	make_elf32();
	if (d->offset)
		put32(IMAGE + d->offset, d->value);
	status = load(d->size ? d->size : 0x2000, &start);
	if (status != d->expected)
		fail_msg("offset %u value %x: status %d", d->offset, d->value, status);
}

static void damaged_elfs_are_a_status(void **state)
{
	static const struct damage damages[] = {
		{ 0, 0, 0x1100, STATUS_L1_TRUNCATED },	 /* cut within the segment */
		{ 5, 0x00010102, 0, STATUS_L1_ELF },	 /* big endian */
		{ 16, 2 | 40u << 16, 0, STATUS_L1_ELF }, /* ARM */
		{ 4, 0x00010103, 0, STATUS_L1_ELF },	 /* class */
		{ 28, 0x2000, 0, STATUS_L1_TRUNCATED },	 /* program headers outside */
		{ 28, 0xfffffff0, 0, STATUS_L1_TRUNCATED },
		{ 40, 52 | 8u << 16, 0, STATUS_L1_ELF }, /* their size */
		{ 44, 0, 0, STATUS_L1_ELF },		 /* their number */
		{ 44, 0xffff, 0, STATUS_L1_ELF },
		{ 56, 0xffffff00, 0, STATUS_L1_TRUNCATED }, /* file offset */
		{ 68, 0x3000, 0, STATUS_L1_ELF },	    /* more in the file than in memory */
		{ 64, 0xfffff000, 0, STATUS_L1_ELF },	    /* beyond 4 GiB */
		{ 64, 0x20000000, 0, STATUS_L1_NO_ROOM },   /* no memory there */
		{ 72, 0x10000000, 0, STATUS_L1_NO_ROOM },
		{ 24, 0x100, 0, STATUS_L1_ELF },
		{ 52, 2, 0, STATUS_L1_ELF },		      /* nothing to load */
		{ 0x1004, 0x00000103, 0, STATUS_L1_UNKNOWN }, /* checksum */
	};

	for (size_t i = 0; i < ARRAY_SIZE(damages); i++) {
		setup(state);
		damage_elf(&damages[i]);
	}
}

static void a_module_in_the_way_is_moved(void **state UNUSED)
{
	struct l1_start start;

	make_elf32();
	info.module_count = 2;
	info.modules[1].base = 0x201000;
	info.modules[1].size = 0x1000;
	memset(mem(0x201000), 0x5c, 0x1000);
	assert_int_equal(load(0x2000, &start), STATUS_OK);
	assert_true(info.modules[1].base >= 0x202000);
	assert_int_equal(*mem(info.modules[1].base), 0x5c);
	assert_int_equal(*mem(info.modules[1].base + 0xfff), 0x5c);
	assert_int_equal(*mem(0x201000), 0);
}

/* The image itself lies where its segment goes. */
static void an_image_in_its_own_way_is_moved(void **state UNUSED)
{
	struct l1_start start;

	make_elf32();
	put32(IMAGE + 60, IMAGE + 0x800);
	put32(IMAGE + 64, IMAGE + 0x800);
	put32(IMAGE + 24, IMAGE + 0x820);
	assert_int_equal(load(0x2000, &start), STATUS_OK);
	assert_int_equal(start.eip, IMAGE + 0x820);
	assert_int_equal(*mem(IMAGE + 0x820), 0x90);
}

static void make_linux(void)
{
	memset(mem(IMAGE), 0, 0x4000);
	*mem(IMAGE + 0x1f1) = 3;
	put32(IMAGE + 0x1f4, 0x100); /* 4 KiB of protected-mode code */
	*mem(IMAGE + 0x1fe) = 0x55;
	*mem(IMAGE + 0x1ff) = 0xaa;
	*mem(IMAGE + 0x201) = 0x6a;
	memcpy(mem(IMAGE + 0x202), "HdrS", 4);
	*mem(IMAGE + 0x206) = 0x0f;
	*mem(IMAGE + 0x207) = 0x02;
	*mem(IMAGE + 0x211) = 1;
	put32(IMAGE + 0x22c, 0x7fffffff);
	put32(IMAGE + 0x230, 0x200000);
	*mem(IMAGE + 0x234) = 1;
	put32(IMAGE + 0x238, 2047);
	put64(IMAGE + 0x258, 0x1000000);
	put32(IMAGE + 0x260, 0x800000);
	*mem(IMAGE + 4 * 512) = 0xfa;
}

static void linux_is_loaded(void **state UNUSED)
{
	struct l1_start start;
	u32 text;

	make_linux();
	info.module_count = 2;
	info.modules[1].base = 0x2000000;
	info.modules[1].size = 0x3333;
	assert_int_equal(load(4 * 512 + 0x1000, &start), STATUS_OK);
	assert_int_equal(start.eip, 0x1000000); /* where it wants to be: the image was moved away */
	assert_int_equal(*mem(start.eip), 0xfa);
	assert_true(start.esi);
	memcpy(&text, mem(start.esi + 0x228), sizeof(text));
	assert_string_equal((char *)mem(text), "quiet");
	memcpy(&text, mem(start.esi + 0x218), sizeof(text));
	assert_int_equal(text, info.modules[1].base);
	assert_true(*mem(start.esi + 0x1e8) >= 2);
	assert_int_equal(*mem(start.esi + 0x210), 0xff);
}

/* A map of the firmware's: boot services at both ends of the memory that is free by the multiboot map. */
static void make_efi(void)
{
	static const struct {
		u32 type, pad;
		u64 physical, virtual, pages, attributes, more;
	} map[] = {
		{ 7, 0, 0x1000, 0, 0x9e, 15, 0 },     { 4, 0, 0x100000, 0, 0x10, 15, 0 },
		{ 3, 0, 0x110000, 0, 0x10, 15, 0 },   { 7, 0, 0x120000, 0, 0x7ae0, 15, 0 },
		{ 4, 0, 0x7c00000, 0, 0x400, 15, 0 }, { 6, 0, 0x8000000, 0, 2, BIT(63) | 15, 0 },
	};

	info.efi = true;
	info.efi_system_table = 0x1234567890ull;
	info.efi_descriptor_size = sizeof(map[0]);
	info.efi_descriptor_version = 1;
	info.efi_map_size = sizeof(map);
	memcpy(info.efi_map, map, sizeof(map));
}

static u64 get64(u64 pa)
{
	u64 v;

	memcpy(&v, mem(pa), sizeof(v));
	return v;
}

/* Linux is told of the firmware, and of L0's window in the firmware's map. */
static void linux_gets_the_firmwares_map(void **state UNUSED)
{
	struct l1_start start;
	u32 map, size, n, reserved = 0;
	u64 pages = 0;

	make_linux();
	make_efi();
	assert_true(memmap_add_window(0x4000000, 0x200000));
	assert_int_equal(load(4 * 512 + 0x1000, &start), STATUS_OK);
	assert_memory_equal(mem(start.esi + 0x1c0), "EL64", 4);
	assert_int_equal(get64(start.esi + 0x1c4) & 0xffffffff, 0x34567890);
	assert_int_equal(get64(start.esi + 0x1d8) & 0xffffffff, 0x12);
	assert_int_equal(get64(start.esi + 0x1c8), BIT(32) | info.efi_descriptor_size);
	assert_int_equal(*mem(start.esi + 0x1ec), 2);
	map = (u32)get64(start.esi + 0x1d0);
	size = (u32)get64(start.esi + 0x1d4);
	assert_int_equal(size, 8 * info.efi_descriptor_size);
	assert_in_range(map, 1, SIZE_1M - size); /* where no kernel decompresses itself to */
	for (n = 0; n < size; n += info.efi_descriptor_size) {
		bool window = get64(map + n + 8) == 0x4000000;

		assert_int_equal((u32)get64(map + n) == 0, window);
		reserved += window;
		if (window)
			assert_int_equal(get64(map + n + 24), 0x200);
		pages += get64(map + n + 24);
	}
	assert_int_equal(reserved, 1);
	assert_int_equal(pages, 0x9e + 0x7f00 + 2);
	/* none of these without the firmware's map */
	info.efi_map_size = 0;
	make_linux();
	assert_int_equal(load(4 * 512 + 0x1000, &start), STATUS_OK);
	assert_int_equal(get64(start.esi + 0x1c0), 0);
}

/* Tables of the firmware's in the memory of its boot services stay where they are, while there is room
 * elsewhere. */
static void the_firmwares_tables_are_kept(void **state UNUSED)
{
	struct memmap_range kept[EFI_KEPT_MAX];

	make_efi();
	info.modules[0] = (struct boot_module){ .base = 0x200000, .size = 0x1000, .cmdline = "" };
	info.module_count = 1;
	l1_space_init(&info);
	assert_int_equal(efi_map_boot_services(&info, kept), 2);
	assert_int_equal(kept[0].base, 0x100000);
	assert_int_equal(kept[0].size, 0x20000);
	assert_int_equal(l1_space_find(0x1000, 0x1000, 0x100000, 0x8000000), 0x120000);
	assert_int_equal(l1_space_move_module(0, 0x7000000, 0x8000000), STATUS_OK);
	assert_int_equal(info.modules[0].base, 0x7c00000 - 0x1000);
	/* no room elsewhere */
	assert_int_equal(l1_space_find(0x1000, 0x1000, 0x7c00000, 0x8000000), 0x7c00000);
}

static void damaged_linux_is_a_status(void **state)
{
	static const struct {
		u32 offset;
		u8 value;
		u64 size;
		enum status expected;
	} damages[] = {
		{ 0x207, 1, 0, STATUS_L1_LINUX_OLD },
		{ 0x211, 0, 0, STATUS_L1_LINUX },
		{ 0x1f1, 200, 0, STATUS_L1_TRUNCATED },	 /* setup longer than the file */
		{ 0x1f6, 0x10, 0, STATUS_L1_TRUNCATED }, /* kernel longer than the file */
		{ 0x231, 1, 0, STATUS_L1_LINUX },	 /* alignment */
		{ 0, 0, 0x230, STATUS_L1_TRUNCATED },
		{ 0, 0, 4 * 512, STATUS_L1_TRUNCATED },
		{ 0x263, 0x10, 0, STATUS_L1_NO_ROOM }, /* 256 MiB of memory */
		{ 0x239, 0, 0, STATUS_OK },
	};
	static char longer[4000];
	struct l1_start start;

	for (size_t i = 0; i < ARRAY_SIZE(damages); i++) {
		enum status status;

		setup(state);
		make_linux();
		if (damages[i].offset)
			*mem(IMAGE + damages[i].offset) = damages[i].value;
		status = load(damages[i].size ? damages[i].size : 4 * 512 + 0x1000, &start);
		if (status != damages[i].expected)
			fail_msg("offset %x: status %d", damages[i].offset, status);
	}
	setup(state);
	make_linux();
	memset(longer, 'x', sizeof(longer) - 1);
	info.modules[0].cmdline = longer;
	assert_int_equal(load(4 * 512 + 0x1000, &start), STATUS_L1_CMDLINE);
}

/* A flat multiboot1 image: header at 0x40, loads at 0x300000. */
static void make_flat(void)
{
	static const u32 flags = BIT(16);

	memset(mem(IMAGE), 0, 0x2000);
	put32(IMAGE + 0x40, 0x1badb002);
	put32(IMAGE + 0x44, flags);
	put32(IMAGE + 0x48, (u32) - (0x1badb002 + flags));
	put32(IMAGE + 0x4c, 0x300040);
	put32(IMAGE + 0x50, 0x300000);
	put32(IMAGE + 0x54, 0x301000);
	put32(IMAGE + 0x58, 0x302000);
	put32(IMAGE + 0x5c, 0x300080);
	*mem(IMAGE + 0x80) = 0x90;
}

static void flat_images(void **state)
{
	static const struct damage damages[] = {
		{ 0, 0, 0, STATUS_OK },
		{ 0x50, 0x300044, 0, STATUS_L1_MULTIBOOT }, /* load address after the header */
		{ 0x54, 0x300000, 0, STATUS_L1_MULTIBOOT }, /* end before the start */
		{ 0x54, 0x310000, 0, STATUS_L1_TRUNCATED },
		{ 0x58, 0xf0000000, 0, STATUS_L1_NO_ROOM },
		{ 0, 0, 0x50, STATUS_L1_TRUNCATED },
		{ 0x54, 0, 0, STATUS_OK },
	};

	for (size_t i = 0; i < ARRAY_SIZE(damages); i++) {
		struct l1_start start;
		enum status status;

		setup(state);
		make_flat();
		if (damages[i].offset)
			put32(IMAGE + damages[i].offset, damages[i].value);
		status = load(damages[i].size ? damages[i].size : 0x1000, &start);
		if (status != damages[i].expected)
			fail_msg("row %zu: status %d", i, status);
		if (status == STATUS_OK) {
			assert_int_equal(start.eip, 0x300080);
			assert_int_equal(*mem(0x300080), 0x90);
		}
	}
}

static void multiboot2_images(void **state UNUSED)
{
	struct l1_start start;

	memset(mem(IMAGE), 0, 0x2000);
	put32(IMAGE, 0xe85250d6);
	put32(IMAGE + 8, 16 + 24 + 16 + 8);
	put32(IMAGE + 12, (u32) - (0xe85250d6 + 16 + 24 + 16 + 8));
	put32(IMAGE + 16, 2); /* address tag */
	put32(IMAGE + 20, 24);
	put32(IMAGE + 24, 0x400000);
	put32(IMAGE + 28, 0x400000);
	put32(IMAGE + 32, 0x401000);
	put32(IMAGE + 36, 0x402000);
	put32(IMAGE + 40, 3); /* entry tag */
	put32(IMAGE + 44, 12);
	put32(IMAGE + 48, 0x400100);
	put32(IMAGE + 56, 0);
	put32(IMAGE + 60, 8);
	assert_int_equal(load(0x1000, &start), STATUS_OK);
	assert_int_equal(start.eip, 0x400100);
	assert_int_equal(start.eax, MAGIC);
	put32(IMAGE + 44, 200);
	setup(NULL);
	assert_int_equal(load(0, &start), STATUS_L1_UNKNOWN);
}

/* ---- ACPI ---- */

static void set_checksum(u64 pa, u32 size, u32 where)
{
	u8 sum = 0;

	*mem(pa + where) = 0;
	for (u32 i = 0; i < size; i++)
		sum += *mem(pa + i);
	*mem(pa + where) = (u8)-sum;
}

static void make_acpi(void)
{
	memcpy(mem(0xe0000), "RSD PTR ", 8);
	*mem(0xe0000 + 15) = 0;
	put32(0xe0000 + 16, 0x80000);
	set_checksum(0xe0000, 20, 8);
	memcpy(mem(0x80000), "RSDT", 4);
	put32(0x80004, 36 + 4);
	put32(0x80000 + 36, 0x81000);
	set_checksum(0x80000, 40, 9);
	memcpy(mem(0x81000), "APIC", 4);
	put32(0x81004, 44 + 8 * 3 + 16);
	memcpy(mem(0x81000 + 44), "\0\10\0\0\1\0\0\0", 8);
	memcpy(mem(0x81000 + 52), "\0\10\1\2\1\0\0\0", 8);
	memcpy(mem(0x81000 + 60), "\0\10\2\4\0\0\0\0", 8); /* not enabled */
	memcpy(mem(0x81000 + 68), "\11\20\0\0\0\1\0\0\1\0\0\0\0\0\0\0", 16);
	set_checksum(0x81000, 44 + 40, 9);
}

static void madt_gives_the_processors(void **state UNUSED)
{
	struct acpi_cpus cpus;

	acpi_find_cpus(NULL, 0, true, &cpus);
	assert_int_equal(cpus.count, 0);
	make_acpi();
	acpi_find_cpus(NULL, 0, true, &cpus);
	assert_int_equal(cpus.count, 3);
	assert_int_equal(cpus.apic_id[0], 0);
	assert_int_equal(cpus.apic_id[1], 2);
	assert_int_equal(cpus.apic_id[2], 0x100);
	acpi_find_cpus(mem(0xe0000), 20, false, &cpus);
	assert_int_equal(cpus.count, 3);
	acpi_find_cpus(NULL, 0, false, &cpus);
	assert_int_equal(cpus.count, 0);
	/* a wrong checksum: L1 would go on with the table */
	*mem(0x81000 + 9) ^= 1;
	acpi_find_cpus(NULL, 0, true, &cpus);
	assert_int_equal(cpus.count, 3);
	/* more processors than there are records */
	put32(0x81004, 44 + 16 * (ACPI_CPU_MAX + 1));
	for (u32 i = 0; i <= ACPI_CPU_MAX; i++) {
		memcpy(mem(0x81000 + 44 + 16 * i), "\11\20\0\0\0\0\0\0\1\0\0\0\0\0\0\0", 16);
		put32(0x81000 + 44 + 16 * i + 4, i);
	}
	acpi_find_cpus(NULL, 0, true, &cpus);
	assert_int_equal(cpus.count, ACPI_CPU_MAX + 1);
	assert_int_equal(cpus.apic_id[ACPI_CPU_MAX - 1], ACPI_CPU_MAX - 1);
	make_acpi();
	/* damage: length of an entry, length of the table */
	*mem(0x81000 + 45) = 0;
	acpi_find_cpus(NULL, 0, true, &cpus);
	assert_int_equal(cpus.count, 0);
	*mem(0x81000 + 45) = 8;
	put32(0x81004, 0xfffffff0);
	acpi_find_cpus(NULL, 0, true, &cpus);
	assert_int_equal(cpus.count, 0);
	put32(0x80000 + 36, 0xffffffff);
	set_checksum(0x80000, 40, 9);
	acpi_find_cpus(NULL, 0, true, &cpus);
	assert_int_equal(cpus.count, 0);
}

/* ---- command line, print, status ---- */

static void options_are_parsed(void **state UNUSED)
{
	static const char *const bad_value[] = { "log=loud",
						 "log",
						 "reserve=0",
						 "reserve=x",
						 "reserve=99999999999999999999",
						 "cpus=0",
						 "cpus=-1",
						 "shadow-vmcs=maybe",
						 "counters=yes",
						 "console=com9",
						 "intercept=cr,",
						 "intercept=foo",
						 "intercept-pf=1",
						 "intercept-pf=1:x",
						 "console=0x10",
						 "console=0x3f9",
						 "check=1",
						 "vpid" };
	static const char *const unknown[] = {
		"foo", "foo=1", "lo=1", "log2=info",
		"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa=1"
	};

	assert_int_equal(cmdline_parse(""), STATUS_OK);
	assert_true(options.shadow_vmcs);
	assert_int_equal(
		cmdline_parse("  log=debug\treserve=32M cpus=2 intercept=cr,pf shadow-vmcs=off check "
			      "console=0x2f8 intercept-pf=3:1"),
		STATUS_OK);
	assert_int_equal(options.log, LOG_DEBUG);
	assert_int_equal(options.reserve, 32 << 20);
	assert_int_equal(options.cpus, 2);
	assert_int_equal(options.intercept, INTERCEPT_CR | INTERCEPT_PF);
	assert_int_equal(options.intercept_pfec_mask, 3);
	assert_int_equal(options.intercept_pfec_match, 1);
	assert_false(options.shadow_vmcs);
	assert_true(options.check);
	assert_int_equal(options.console.address, 0x2f8);
	for (size_t i = 0; i < ARRAY_SIZE(bad_value); i++)
		if (cmdline_parse(bad_value[i]) != STATUS_OPTION_VALUE)
			fail_msg("%s", bad_value[i]);
	for (size_t i = 0; i < ARRAY_SIZE(unknown); i++)
		if (cmdline_parse(unknown[i]) != STATUS_OPTION_UNKNOWN)
			fail_msg("%s", unknown[i]);
}

/* What people write for other programs, and what they repeat at the boot loader's prompt. */
static void options_are_taken_as_people_write_them(void **state UNUSED)
{
	static const char *const com2[] = { "console=COM2", "console=ttyS1", "console=com2,115200n8",
					    "console=0x2F8" };

	for (size_t i = 0; i < ARRAY_SIZE(com2); i++) {
		assert_int_equal(cmdline_parse(com2[i]), STATUS_OK);
		assert_int_equal(options.console.address, 0x2f8);
		assert_null(cmdline_note());
	}
	/* a wrong one is told on the console that there is by default */
	assert_int_equal(cmdline_parse("console=com9"), STATUS_OPTION_VALUE);
	assert_true(options.console.screen && options.console.serial == SERIAL_AUTO);
	assert_int_equal(cmdline_parse("console=none"), STATUS_OK);
	assert_true(!options.console.screen && options.console.serial == SERIAL_NONE);
	assert_int_equal(cmdline_parse("log=error vpid=off log=debug"), STATUS_OK);
	assert_int_equal(options.log, LOG_DEBUG);
	assert_string_equal(cmdline_note(), "option log is given twice: the last one counts");
	assert_int_equal(cmdline_parse("ept02=4K"), STATUS_OK);
	assert_int_equal(options.ept02_budget, 288 << 10);
	assert_string_equal(cmdline_note(), "ept02= is taken as 288 KiB, the least that works");
}

static char help[4000];

static void keep_line(const char *text)
{
	strcat(strcat(help, text), "\n");
}

/* A wrong value is told with what is allowed, an unknown name with all names: there is no README at a
 * console. */
static void wrong_options_name_what_is_allowed(void **state UNUSED)
{
	char text[480];

	status_format(cmdline_parse("shadow-vmcs=maybe"), text, sizeof(text));
	assert_non_null(
		strstr(text, "'shadow-vmcs=maybe' has a value that it cannot have: shadow-vmcs=on|off;"));
	status_format(cmdline_parse("check=1"), text, sizeof(text));
	assert_non_null(strstr(text, "check stands by itself"));
	status_format(cmdline_parse("nonsense"), text, sizeof(text));
	assert_non_null(strstr(text, "unknown option 'nonsense'; there are log console "));
	assert_non_null(strstr(text, " dma-test; put"));
	cmdline_help(keep_line);
	assert_non_null(strstr(help, "  log=error|warn|info|debug: how much"));
	assert_non_null(strstr(help, "\n  check: start"));
}

/* A name or a value as people mistype it, of each option that there is: what is allowed stands in the line.
 */
static void each_option_with_each_mistake(void **state UNUSED)
{
	static const struct {
		const char *name, *values;
	} rows[] = {
#define OPTION(name, values, meaning, parse, where) { name, values },
#include "kernel/options.def"
#undef OPTION
	};
	static const char *const wrong_values[] = { "", "=", "=wrong!", "=-1", "=,", "==", "=on,", "= on" };
	char line[120], text[900], allowed[120];

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		const char *name = rows[i].name, *values = rows[i].values;
		int first = (int)strcspn(values, "|,:");

		snprintf(allowed, sizeof(allowed), *values ? "%s=%s;" : "%s stands by itself;", name, values);
		for (size_t k = 0; k <= ARRAY_SIZE(wrong_values); k++) {
			if (k < ARRAY_SIZE(wrong_values))
				snprintf(line, sizeof(line), "%s%s", name, wrong_values[k]);
			else
				snprintf(line, sizeof(line), "%s=%.*sx", name, first, values);
			if (!*values && !strcmp(line, name))
				continue;
			status_format(cmdline_parse(line), text, sizeof(text));
			if (!strstr(text, allowed) || strncmp(text, "option '", 8))
				fail_msg("%s: %s", line, text);
		}
		for (int k = 0; k < 3; k++) {
			snprintf(line, sizeof(line), k == 2 ? "%.*sX%s" : "%.*s%s=on",
				 (int)strlen(name) - (k == 0), name, k == 1 ? "s" : "");
			status_format(cmdline_parse(line), text, sizeof(text));
			if (strncmp(text, "unknown option '", 16) ||
			    !strstr(text, "; there are log console "))
				fail_msg("%s: %s", line, text);
		}
	}
	/* what is longer than any word that Socle knows */
	memset(line, 'l', sizeof(line) - 1);
	line[sizeof(line) - 1] = 0;
	assert_int_equal(cmdline_parse(line), STATUS_OPTION_UNKNOWN);
	line[CMDLINE_WORD_MAX - 1] = 0;
	status_format(cmdline_parse(line), text, sizeof(text));
	assert_non_null(strstr(text, " dma-test; put"));
}

static void every_status_has_its_line(void **state UNUSED)
{
	char text[512];

	for (int status = STATUS_OK + 1; status < STATUS_COUNT; status++) {
		status_with((enum status)status, "%s", "detail");
		status_format((enum status)status, text, sizeof(text));
		assert_true(strlen(text) > 10);
		assert_null(strstr(text, "%s"));
	}
	status_with(STATUS_OPTION_UNKNOWN, "%s", "bar=1");
	status_format(STATUS_OPTION_UNKNOWN, text, sizeof(text));
	assert_non_null(strstr(text, "'bar=1"));
	status_report(STATUS_OPTION_UNKNOWN);
	assert_non_null(strstr(fake_log(), "'bar=1"));
}

#define ASSERT_PRINTS(...)                                                                                   \
	do {                                                                                                 \
		char ours[64], theirs[64];                                                                   \
                                                                                                             \
		snprintf(theirs, sizeof(theirs), __VA_ARGS__);                                               \
		assert_int_equal(print_format(ours, sizeof(ours), __VA_ARGS__), strlen(theirs));             \
		assert_string_equal(ours, theirs);                                                           \
	} while (0)

static void print_is_like_the_librarys(void **state UNUSED)
{
	char small[5];

	ASSERT_PRINTS("plain");
	ASSERT_PRINTS("%d %i %u", -5, 7, 4000000000u);
	ASSERT_PRINTS("%d %lld", INT32_MIN, (long long)INT64_MIN);
	ASSERT_PRINTS("%x %X %08x %5x|%-5x|", 0xabc, 0xabc, 0x12, 0x34, 0x56);
	ASSERT_PRINTS("%lx %llx %zu %lu", 0x123456789abcul, ~0ull, (size_t)9, 10ul);
	ASSERT_PRINTS("%s|%10s|%-10s|%.2s|%c%%", "abc", "abc", "abc", "abc", 'z');
	ASSERT_PRINTS("%05d %5d %-5d|", -42, -42, -42);
	assert_int_equal(print_format(small, sizeof(small), "%s", "abcdefgh"), 4);
	assert_string_equal(small, "abcd");
	assert_int_equal(print_format(small, 0, "x"), 0);
}

/* ---- memory map ---- */

static void the_map_is_sorted_and_strict(void **state UNUSED)
{
	struct fake_random r = { 11 };
	static u8 model[256]; /* type by page; 0: none */

	for (int round = 0; round < 300; round++) {
		memmap_init();
		memset(model, 0, sizeof(model));
		for (int n = 0; n < 12; n++) {
			u64 base = fake_random(&r) % 200, size = fake_random(&r) % 56;
			u32 type = 1 + (u32)(fake_random(&r) % 5);
			static const u8 rank[] = { 0, 1, 4, 2, 3, 5 };

			memmap_add(base << 12, size << 12, type);
			for (u64 i = base; i < base + size; i++)
				if (rank[type] > rank[model[i]])
					model[i] = (u8)type;
		}
		for (size_t i = 1; i < memmap_count(); i++)
			assert_true(memmap_get(i - 1)->base + memmap_get(i - 1)->size <= memmap_get(i)->base);
		for (u64 i = 0; i < 255; i++) {
			assert_int_equal(memmap_is_usable(i << 12, 0x1000), model[i] == MEMMAP_USABLE);
			assert_int_equal(memmap_is_usable(i << 12, 0x2000),
					 model[i] == MEMMAP_USABLE && model[i + 1] == MEMMAP_USABLE);
			assert_int_equal(memmap_is_ram(i << 12, 0x1000), model[i] == MEMMAP_USABLE ||
										 model[i] == MEMMAP_ACPI ||
										 model[i] == MEMMAP_NVS);
		}
	}
}

static void the_window_is_no_ram(void **state UNUSED)
{
	assert_true(memmap_add_window(0x4000000, 0x100000));
	assert_false(memmap_is_ram(0x4000000, 1));
	assert_false(memmap_is_ram(0x3fff000, 0x1001));
	assert_true(memmap_is_ram(0x3fff000, 0x1000));
	assert_true(memmap_is_ram(0x4100000, 0x1000));
	assert_true(memmap_in_window(0x40fffff, 1));
	assert_false(memmap_in_window(0x4100000, 1));
	assert_true(memmap_in_window(0x3ffffff, 2));
	assert_false(memmap_is_ram(~0ull - 5, 10));
	assert_false(memmap_in_window(~0ull - 5, 10));
	assert_int_equal(memmap_ram_end(), 0x8000000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(tags_are_read, setup),
		cmocka_unit_test_setup(damaged_tags_are_a_status, setup),
		cmocka_unit_test_setup(unknown_and_missing_images, setup),
		cmocka_unit_test_setup(an_elf_is_loaded, setup),
		cmocka_unit_test_setup(damaged_elfs_are_a_status, setup),
		cmocka_unit_test_setup(a_module_in_the_way_is_moved, setup),
		cmocka_unit_test_setup(an_image_in_its_own_way_is_moved, setup),
		cmocka_unit_test_setup(linux_is_loaded, setup),
		cmocka_unit_test_setup(linux_gets_the_firmwares_map, setup),
		cmocka_unit_test_setup(the_firmwares_tables_are_kept, setup),
		cmocka_unit_test_setup(damaged_linux_is_a_status, setup),
		cmocka_unit_test_setup(flat_images, setup),
		cmocka_unit_test_setup(multiboot2_images, setup),
		cmocka_unit_test_setup(madt_gives_the_processors, setup),
		cmocka_unit_test_setup(options_are_parsed, setup),
		cmocka_unit_test_setup(options_are_taken_as_people_write_them, setup),
		cmocka_unit_test_setup(wrong_options_name_what_is_allowed, setup),
		cmocka_unit_test_setup(each_option_with_each_mistake, setup),
		cmocka_unit_test_setup(every_status_has_its_line, setup),
		cmocka_unit_test_setup(print_is_like_the_librarys, setup),
		cmocka_unit_test_setup(the_map_is_sorted_and_strict, setup),
		cmocka_unit_test_setup(the_window_is_no_ram, setup),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
