/* SPDX-License-Identifier: MIT */
/*
 * What L1 is told is what it would be told bare: every tag of Multiboot2 between the boot loader, Socle and a
 * multiboot1 or multiboot2 L1; what an image's header asks for; relocatable images; section headers.
 */
#include "tests/unit/cmocka_all.h"

#include "boot/l1.h"
#include "boot/multiboot_tags.h"
#include "tests/fake/fake.h"
#include "tests/unit/bytes.h"

#define INFO 0x10000u
#define IMAGE 0x1000000u
#define MAGIC 0x36d76289u
#define HEADER (IMAGE + 0x1000)
#define LINKED 0x200000u
#define NAME "GRUB 2.06-13"

static struct boot_info info;
static u32 at; /* where the next tag goes */

static u32 get32(u64 pa)
{
	u32 value;

	memcpy(&value, fake_memory + pa, sizeof(value));
	return value;
}

static int setup(void **state UNUSED)
{
	fake_reset();
	memset(&info, 0, sizeof(info));
	info.loader_name = NAME;
	memmap_init();
	memmap_add(0, 0x9fc00, MEMMAP_USABLE);
	memmap_add(0x100000, 0x7f00000, MEMMAP_USABLE);
	return 0;
}

/* A tag whose bytes tell where they come from. */
static void add_tag(u32 type, const void *body, u32 size)
{
	put32(at, type);
	put32(at + 4, 8 + size);
	for (u32 i = 0; i < size; i++)
		fake_memory[at + 8 + i] = body ? ((const u8 *)body)[i] : (u8)(type * 16 + i);
	at += (u32)ALIGN_UP(8 + size, 8);
}

/* All tags that a loader may give, as small as they can be, with a memory map and one module, L1. */
static void parse_all_tags(void)
{
	static const u32 mmap[] = { 24, 0, 0x100000, 0, 0x7f00000, 0, 1, 0 },
			 module[] = { IMAGE, IMAGE + 0x3000, 'x' };
	static const u32 device[] = { 0x81, 2, 0xffffffff };
	static u8 framebuffer[32] = {
		0, 0, 0, 0xe0, [8] = 0, 4, [21] = BOOT_FRAMEBUFFER_RGB, [24] = 16, 8, 8, 8, 0, 8
	};
	static const u32 sizes[] = {
		[MB2_TAG_MEMORY] = 8,	    [MB2_TAG_VBE] = 776,     [MB2_TAG_ELF_SECTIONS] = 12,
		[MB2_TAG_APM] = 20,	    [MB2_TAG_EFI32] = 4,     [MB2_TAG_EFI64] = 8,
		[MB2_TAG_SMBIOS] = 40,	    [MB2_TAG_ACPI_OLD] = 20, [MB2_TAG_ACPI_NEW] = 36,
		[MB2_TAG_NETWORK] = 300,    [MB2_TAG_EFI_BS] = 0,    [MB2_TAG_EFI32_HANDLE] = 4,
		[MB2_TAG_EFI64_HANDLE] = 8, [MB2_TAG_LOAD_BASE] = 4
	};

	at = INFO + 8;
	add_tag(MB2_TAG_CMDLINE, "log=info", 9);
	add_tag(MB2_TAG_LOADER, NAME, sizeof(NAME));
	add_tag(MB2_TAG_MODULE, module, 10);
	add_tag(MB2_TAG_MMAP, mmap, sizeof(mmap));
	add_tag(MB2_TAG_BOOT_DEVICE, device, sizeof(device));
	add_tag(MB2_TAG_FRAMEBUFFER, framebuffer, 30);
	for (u32 type = 0; type < ARRAY_SIZE(sizes); type++)
		if (sizes[type] || type == MB2_TAG_EFI_BS)
			add_tag(type, NULL, sizes[type]);
	add_tag(99, NULL, 16);
	add_tag(MB2_TAG_END, NULL, 0);
	put32(INFO, at - INFO);
	assert_int_equal(multiboot2_parse(MAGIC, INFO, &info), STATUS_OK);
}

/* A 32-bit ELF with one segment at LINKED, three sections (nothing, loaded text, symbols that are not), room
 * for a header. */
static void make_elf(void)
{
	memset(fake_memory + IMAGE, 0, 0x3000);
	memcpy(fake_memory + IMAGE, "\177ELF\1\1\1", 7);
	put32(IMAGE + 16, 2 | 3u << 16);
	put32(IMAGE + 20, 1);
	put32(IMAGE + 24, LINKED + 0x20);
	put32(IMAGE + 28, 52);
	put32(IMAGE + 32, 0x2000); /* sections */
	put32(IMAGE + 40, 52 | 32u << 16);
	put32(IMAGE + 44, 1 | 40u << 16);
	put32(IMAGE + 48, 3 | 2u << 16);
	put32(IMAGE + 52, 1);
	put32(IMAGE + 56, 0x1000);
	put32(IMAGE + 60, LINKED);
	put32(IMAGE + 64, LINKED);
	put32(IMAGE + 68, 0x800);
	put32(IMAGE + 72, 0x2000);
	put32(IMAGE + 0x2000 + 40 + 4, 1); /* PROGBITS */
	put32(IMAGE + 0x2000 + 40 + 12, LINKED);
	put32(IMAGE + 0x2000 + 40 + 16, 0x1000);
	put32(IMAGE + 0x2000 + 40 + 20, 0x800);
	put32(IMAGE + 0x2000 + 80 + 4, 2); /* SYMTAB */
	put32(IMAGE + 0x2000 + 80 + 16, 0x2800);
	put32(IMAGE + 0x2000 + 80 + 20, 0x100);
	memset(fake_memory + IMAGE + 0x2800, 0x77, 0x100);
	memset(fake_memory + HEADER + 0x20, 0x90, 16);
	info.module_count = MAX(info.module_count, 1u);
	info.modules[0] = (struct boot_module){ IMAGE, 0x3000, "quiet" };
}

static enum status load_multiboot1(struct l1_start *start)
{
	make_elf();
	put32(HEADER, 0x1badb002);
	put32(HEADER + 8, (u32)-0x1badb002);
	return l1_load(&info, start);
}

/* One header tag: type and flags, then its words. */
static enum status load_multiboot2(struct l1_start *start, u32 type, u32 flags, const u32 *words, u32 count)
{
	u32 end = HEADER + 0x100;

	make_elf();
	if (count != ~0u) {
		put32(end, type | flags << 16);
		put32(end + 4, 8 + 4 * count);
		for (u32 i = 0; i < count; i++)
			put32(end + 8 + 4 * i, words[i]);
		end += (u32)ALIGN_UP(8 + 4 * count, 8);
	}
	put32(end, 0);
	put32(end + 4, 8);
	/* the fixed part stands where the segment starts, its tags behind the code */
	put32(HEADER, 0xe85250d6);
	put32(HEADER + 8, end + 8 - HEADER);
	put32(HEADER + 12, (u32) - (0xe85250d6 + (end + 8 - HEADER)));
	for (u32 pad = HEADER + 16; pad < HEADER + 0x100; pad += 0xf0) {
		put32(pad, 4 | 1u << 16); /* a console tag, as long as the code behind it */
		put32(pad + 4, 0xf0);
	}
	return l1_load(&info, start);
}

/* The body of L1's tag of this type, or 0. */
static u32 find_tag(u32 base, u32 type, u32 *size)
{
	u32 end = base + get32(base);

	for (u32 tag = base + 8; tag < end; tag += (u32)ALIGN_UP(get32(tag + 4), 8))
		if (get32(tag) == type) {
			*size = get32(tag + 4) - 8;
			return tag + 8;
		}
	return 0;
}

static void every_tag_has_an_answer(void **state UNUSED)
{
	for (u32 type = 0; type <= 21; type++)
		assert_int_not_equal(mb2_info_answer(type), MB2_UNKNOWN);
	for (u32 type = 0; type <= 10; type++)
		assert_int_not_equal(mb2_header_answer(type), MB2_UNKNOWN);
	assert_int_equal(mb2_info_answer(22), MB2_UNKNOWN);
	assert_int_equal(mb2_header_answer(11), MB2_UNKNOWN);
}

/* What is kept arrives as it came; what is not given does not; nothing that nobody knows does. */
static void kept_tags_arrive_unchanged(void **state UNUSED)
{
	struct l1_start start;

	parse_all_tags();
	assert_int_equal(load_multiboot2(&start, 0, 0, NULL, ~0u), STATUS_OK);
	for (u32 type = 1; type <= 99; type++) {
		enum mb2_answer answer = mb2_info_answer(type);
		u32 size = 0, given, told = find_tag(start.ebx, type, &given);
		const u8 *had = boot_info_kept(&info, type, &size);

		if (answer == MB2_KEPT) {
			assert_non_null(had);
			assert_true(told && size == given);
			assert_memory_equal(fake_memory + told, had, size);
		} else {
			assert_null(had);
		}
		if (answer == MB2_NOT_GIVEN || answer == MB2_UNKNOWN)
			assert_int_equal(told, 0);
	}
	assert_true(find_tag(start.ebx, MB2_TAG_LOADER, &(u32){ 0 }));
	assert_string_equal(fake_memory + find_tag(start.ebx, MB2_TAG_LOADER, &(u32){ 0 }), NAME);
	assert_int_equal(find_tag(start.ebx, MB2_TAG_LOAD_BASE, &(u32){ 0 }), 0);
}

/* More than there is room for is an error of its own, never a tag that is lost in silence. */
static void too_many_kept_bytes_are_a_status(void **state UNUSED)
{
	at = INFO + 8;
	for (u32 i = 0; i < 64; i++)
		add_tag(MB2_TAG_NETWORK, NULL, 300);
	add_tag(MB2_TAG_END, NULL, 0);
	put32(INFO, at - INFO);
	assert_int_equal(multiboot2_parse(MAGIC, INFO, &info), STATUS_BOOT_INFO);
}

static void multiboot1_is_told_the_same(void **state UNUSED)
{
	struct l1_start start;
	u32 flags, size;
	const u8 *vbe;

	parse_all_tags();
	assert_int_equal(load_multiboot1(&start), STATUS_OK);
	flags = get32(start.ebx);
	assert_int_equal(flags, BIT(0) | BIT(1) | BIT(2) | BIT(5) | BIT(6) | BIT(9) | BIT(11) | BIT(12));
	assert_int_equal(get32(start.ebx + 12), 0x8102ffff);
	assert_string_equal(fake_memory + get32(start.ebx + 64), NAME);
	vbe = boot_info_kept(&info, MB2_TAG_VBE, &size);
	assert_memory_equal(fake_memory + start.ebx + 80, vbe, 8);
	assert_memory_equal(fake_memory + get32(start.ebx + 72), vbe + 8, 512);
	assert_memory_equal(fake_memory + get32(start.ebx + 76), vbe + 520, 256);
	assert_int_equal(get32(start.ebx + 88), 0xe0000000);
	assert_int_equal(fake_memory[start.ebx + 88 + 21], BOOT_FRAMEBUFFER_RGB);
	assert_int_equal(fake_memory[start.ebx + 88 + 22], 16);
	info.kept_size = 0;
	info.loader_name = "";
	assert_int_equal(load_multiboot1(&start), STATUS_OK);
	assert_int_equal(get32(start.ebx), BIT(0) | BIT(2) | BIT(5) | BIT(6));
	info.module_count = 2;
	info.modules[1] = (struct boot_module){ 0x3000000, 0x1000, "second" };
	assert_int_equal(load_multiboot1(&start), STATUS_OK);
	assert_int_equal(get32(start.ebx), BIT(0) | BIT(2) | BIT(3) | BIT(5) | BIT(6));
}

/* "information conveyed by requested tag types must be provided": or the image is refused. */
static void required_requests_are_met_or_refused(void **state UNUSED)
{
	static const u32 can[] = { 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 21 },
			 cannot[] = { 18, 19, 20, 22 };
	struct l1_start start;

	assert_int_equal(load_multiboot2(&start, MB2_HTAG_REQUEST, 0, can, ARRAY_SIZE(can)), STATUS_OK);
	for (u32 i = 0; i < ARRAY_SIZE(cannot); i++) {
		assert_int_equal(load_multiboot2(&start, MB2_HTAG_REQUEST, 0, &cannot[i], 1),
				 STATUS_L1_MULTIBOOT);
		assert_int_equal(load_multiboot2(&start, MB2_HTAG_REQUEST, 1, &cannot[i], 1), STATUS_OK);
	}
}

static void header_tags_are_answered(void **state UNUSED)
{
	static const u32 entry[] = { LINKED + 0x28 }, none[4] = { 0 };
	struct l1_start start;

	for (u32 type = MB2_HTAG_CONSOLE; type <= MB2_HTAG_ENTRY_EFI64; type++)
		assert_int_equal(load_multiboot2(&start, type, 0, none, 3), STATUS_OK);
	assert_int_equal(load_multiboot2(&start, MB2_HTAG_ENTRY, 0, entry, 1), STATUS_OK);
	assert_int_equal(start.eip, LINKED + 0x28);
	assert_int_equal(load_multiboot2(&start, MB2_HTAG_ENTRY, 0, entry, 0), STATUS_L1_MULTIBOOT);
	assert_int_equal(load_multiboot2(&start, MB2_HTAG_RELOCATABLE, 0, none, 3), STATUS_L1_MULTIBOOT);
	assert_int_equal(load_multiboot2(&start, 11, 0, none, 1), STATUS_L1_MULTIBOOT);
	assert_int_equal(load_multiboot2(&start, 11, 1, none, 1), STATUS_OK);
}

static void assert_lies_at(const struct l1_start *start, u32 base)
{
	u32 size, tag = find_tag(start->ebx, MB2_TAG_LOAD_BASE, &size);

	assert_int_equal(start->eip, base + 0x20);
	assert_int_equal(fake_memory[base + 0x20], 0x90);
	assert_true(tag && size == 4);
	assert_int_equal(get32(tag), base);
}

static void a_relocatable_image_moves_when_it_must(void **state)
{
	static const u32 low[] = { 0x400000, 0x4ffffff, 0x200000, 1 },
			 high[] = { 0x400000, 0x4ffffff, 0x200000, 2 };
	static const u32 there[] = { 0, 0xffffffff, 0x1000, 0 }, odd[] = { 0, 0xffffffff, 3, 0 };
	static const u32 nowhere[] = { 0x8000000, 0x8ffffff, 0x1000, 0 };
	struct l1_start start;

	assert_int_equal(load_multiboot2(&start, MB2_HTAG_RELOCATABLE, 0, there, 4), STATUS_OK);
	assert_lies_at(&start, LINKED);
	setup(state);
	assert_int_equal(load_multiboot2(&start, MB2_HTAG_RELOCATABLE, 0, low, 4), STATUS_OK);
	assert_lies_at(&start, 0x400000);
	setup(state);
	assert_int_equal(load_multiboot2(&start, MB2_HTAG_RELOCATABLE, 0, high, 4), STATUS_OK);
	assert_lies_at(&start, 0x4e00000);
	setup(state);
	assert_int_equal(load_multiboot2(&start, MB2_HTAG_RELOCATABLE, 0, odd, 4), STATUS_L1_MULTIBOOT);
	assert_int_equal(load_multiboot2(&start, MB2_HTAG_RELOCATABLE, 0, nowhere, 4), STATUS_L1_NO_ROOM);
	/* where it is linked there is no memory */
	setup(state);
	memmap_init();
	memmap_add(0x400000, 0x7c00000, MEMMAP_USABLE);
	assert_int_equal(load_multiboot2(&start, MB2_HTAG_RELOCATABLE, 0, there, 4), STATUS_OK);
	assert_lies_at(&start, 0x400000);
}

/* The headers of L1's image, with the address of what is not loaded. */
static void sections_are_told(void **state UNUSED)
{
	static const u32 move[] = { 0x400000, 0x4ffffff, 0x1000, 1 };
	struct l1_start start;
	u32 tag, size, table, symbols;

	assert_int_equal(load_multiboot1(&start), STATUS_OK);
	assert_int_equal(get32(start.ebx + 28), 3);
	assert_int_equal(get32(start.ebx + 32), 40);
	assert_int_equal(get32(start.ebx + 40), 2);
	table = get32(start.ebx + 36);
	assert_int_equal(get32(table + 40 + 12), LINKED);
	symbols = get32(table + 80 + 12);
	assert_true(symbols);
	assert_int_equal(fake_memory[symbols], 0x77);
	assert_int_equal(fake_memory[symbols + 0xff], 0x77);
	assert_int_equal(load_multiboot2(&start, MB2_HTAG_RELOCATABLE, 0, move, 4), STATUS_OK);
	tag = find_tag(start.ebx, MB2_TAG_ELF_SECTIONS, &size);
	assert_true(tag);
	assert_int_equal(size, 12 + 3 * 40);
	assert_int_equal(get32(tag + 12 + 40 + 12), 0x400000);
	assert_int_equal(fake_memory[get32(tag + 12 + 80 + 12)], 0x77);
}

/* A table outside of the image, headers too small, contents outside: nothing is told, or an address of 0. */
static void damaged_sections_are_left_out(void **state UNUSED)
{
	static const struct {
		u32 offset, value;
	} damages[] = {
		{ 32, 0x2fc0 }, { 32, 0xfffffff0 }, { 44, 1 | 39u << 16 }, { 48, 0 }, { 48, 0xffff }
	};
	struct l1_start start;

	for (u32 i = 0; i < ARRAY_SIZE(damages); i++) {
		make_elf();
		put32(HEADER, 0x1badb002);
		put32(HEADER + 8, (u32)-0x1badb002);
		put32(IMAGE + damages[i].offset, damages[i].value);
		assert_int_equal(l1_load(&info, &start), STATUS_OK);
		assert_false(get32(start.ebx) & BIT(5));
	}
	make_elf();
	put32(HEADER, 0x1badb002);
	put32(HEADER + 8, (u32)-0x1badb002);
	put32(IMAGE + 0x2000 + 80 + 20, 0x801); /* one byte beyond the image's end */
	assert_int_equal(l1_load(&info, &start), STATUS_OK);
	assert_int_equal(get32(get32(start.ebx + 36) + 80 + 12), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(every_tag_has_an_answer, setup),
		cmocka_unit_test_setup(kept_tags_arrive_unchanged, setup),
		cmocka_unit_test_setup(too_many_kept_bytes_are_a_status, setup),
		cmocka_unit_test_setup(multiboot1_is_told_the_same, setup),
		cmocka_unit_test_setup(required_requests_are_met_or_refused, setup),
		cmocka_unit_test_setup(header_tags_are_answered, setup),
		cmocka_unit_test_setup(a_relocatable_image_moves_when_it_must, setup),
		cmocka_unit_test_setup(sections_are_told, setup),
		cmocka_unit_test_setup(damaged_sections_are_left_out, setup),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
