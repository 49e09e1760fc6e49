/* SPDX-License-Identifier: MIT */
/*
 * L1 images (ELF, bzImage, multiboot), arbitrary: nothing behind the image is read, and nothing but usable
 * memory is written. Input: a byte that says what to start from, then changes of an image of that kind.
 */
#include <sanitizer/asan_interface.h>
#include <stdlib.h>
#include <string.h>

#include "boot/l1.h"
#include "tests/fake/fake.h"

int LLVMFuzzerTestOneInput(const u8 *data, size_t size);

#define IMAGE 0x30000000u /* no RAM in the map: nobody takes it for anything */
#define ROOM 0x4000u
#define RAM_END 0x4000000ull

static void put32(u8 *p, u32 offset, u32 value)
{
	memcpy(p + offset, &value, sizeof(value));
}

static u32 make_elf(u8 *p)
{
	memcpy(p, "\177ELF\1\1\1", 7);
	put32(p, 16, 2 | 3u << 16);
	put32(p, 24, 0x200020);
	put32(p, 28, 52);
	put32(p, 40, 52 | 32u << 16);
	put32(p, 44, 1);
	put32(p, 52, 1);
	put32(p, 56, 0x100);
	put32(p, 60, 0x200000);
	put32(p, 64, 0x200000);
	put32(p, 68, 0x80);
	put32(p, 72, 0x200);
	put32(p, 0x100, 0x1badb002);
	put32(p, 0x104, 3);
	put32(p, 0x108, (u32) - (0x1badb002 + 3));
	return 0x200;
}

static u32 make_linux(u8 *p)
{
	p[0x1f1] = 1;
	p[0x1fe] = 0x55;
	p[0x1ff] = 0xaa;
	p[0x201] = 0x6a;
	memcpy(p + 0x202, "HdrS", 4);
	p[0x206] = 0x0f;
	p[0x207] = 2;
	p[0x211] = 1;
	put32(p, 0x22c, 0x7fffffff);
	put32(p, 0x230, 0x200000);
	p[0x234] = 1;
	put32(p, 0x238, 2047);
	put32(p, 0x258, 0x1000000);
	put32(p, 0x260, 0x10000);
	return 1024 + 0x100;
}

static u32 make_flat(u8 *p)
{
	put32(p, 0x40, 0x1badb002);
	put32(p, 0x44, 0x10000);
	put32(p, 0x48, (u32) - (0x1badb002 + 0x10000));
	put32(p, 0x4c, 0x300040);
	put32(p, 0x50, 0x300000);
	put32(p, 0x54, 0x300100);
	put32(p, 0x58, 0x300200);
	put32(p, 0x5c, 0x300080);
	return 0x100;
}

static u32 make_multiboot2(u8 *p)
{
	put32(p, 0, 0xe85250d6);
	put32(p, 8, 64);
	put32(p, 12, (u32) - (0xe85250d6 + 64));
	put32(p, 16, 2);
	put32(p, 20, 24);
	put32(p, 24, 0x400000);
	put32(p, 28, 0x400000);
	put32(p, 32, 0x400100);
	put32(p, 36, 0x400200);
	put32(p, 40, 3);
	put32(p, 44, 12);
	put32(p, 48, 0x400100);
	put32(p, 60, 8);
	return 0x100;
}

/* Changes: offset (2 bytes), value (4 bytes). The checksums of headers are made right again. */
static void change(u8 *p, u32 length, const u8 *data, size_t size)
{
	for (size_t at = 0; at + 6 <= size; at += 6) {
		u32 offset = (data[at] | data[at + 1] << 8) % (length - 4);

		memcpy(p + offset, data + at + 2, 4);
	}
}

int LLVMFuzzerTestOneInput(const u8 *data, size_t size)
{
	static u32 (*const makers[])(u8 * p) = { make_elf, make_linux, make_flat, make_multiboot2 };
	static struct boot_info info;
	struct l1_start start;
	u8 *p;
	u32 length;

	if (size < 3)
		return 0;
	if (!fake_memory)
		fake_reset();
	p = fake_memory + IMAGE;
	memset(p, 0, ROOM);
	length = makers[data[0] % 4](p);
	change(p, length, data + 3, size - 3);
	if (data[1] & 1)
		length = MIN(length, (u32)data[2] * 8);
	memmap_init();
	memmap_add(0, 0x9f000, MEMMAP_USABLE);
	memmap_add(0x100000, RAM_END - 0x100000, MEMMAP_USABLE);
	memset(&info, 0, sizeof(info));
	info.cmdline = info.loader_name = "";
	info.module_count = 1 + (data[1] >> 1 & 1);
	info.modules[0] = (struct boot_module){ IMAGE, length, "quiet" };
	info.modules[1] = (struct boot_module){ 0x2000000, 0x1234, "initrd" };
	__asan_poison_memory_region(p + length, 0x20000);
	__asan_poison_memory_region(fake_memory + 0xa0000, 0x60000);
	__asan_poison_memory_region(fake_memory + RAM_END, 0x1000000);
	if (l1_load(&info, &start) == STATUS_OK && (!start.gdt_base || start.gdt_base >= RAM_END))
		abort();
	__asan_unpoison_memory_region(p, 0x40000);
	__asan_unpoison_memory_region(fake_memory, RAM_END + 0x1000000);
	return 0;
}
