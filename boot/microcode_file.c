/* SPDX-License-Identifier: MIT */
/*
 * See boot/microcode_file.h. The archive's format is cpio's "newc": each file has a header of 110 characters,
 * its name and its contents, both padded to 4 bytes (Linux: "initramfs buffer format").
 */
#include "boot/microcode_file.h"

#include "boot/dma_guard.h"
#include "boot/window.h"
#include "drivers/microcode.h"
#include "kernel/bits.h"
#include "kernel/hw/phys.h"
#include "kernel/log.h"
#include "kernel/string.h"
#include "mm/page_alloc.h"

#define NAME "microcode"
#define PATH "kernel/x86/microcode/GenuineIntel.bin"
#define MAGIC "070701"
#define HEADER_SIZE 110u
#define FILE_SIZE_AT 54u
#define NAME_SIZE_AT 94u

static const u8 *kept; /* the update; NULL: none. Constant after microcode_start() */
static u32 kept_size;

/* Eight hexadecimal digits; anything else ends the archive, for no file is so long. */
static u32 hex(const u8 *p)
{
	u32 value = 0;

	for (int i = 0; i < 8; i++) {
		u8 c = p[i] | 0x20;
		bool digit = p[i] >= '0' && p[i] <= '9';

		if (!digit && (c < 'a' || c > 'f'))
			return UINT32_MAX;
		value = value << 4 | (u32)(digit ? p[i] - '0' : c - 'a' + 10);
	}
	return value;
}

static bool is_archive(const u8 *p, u64 size)
{
	return size >= HEADER_SIZE && !memcmp(p, MAGIC, sizeof(MAGIC) - 1);
}

static const u8 *find_in_archive(const u8 *archive, u64 size, u64 *found_size)
{
	u64 at = 0;

	while (is_archive(archive + at, size - at)) {
		const u8 *entry = archive + at;
		u64 length = hex(entry + FILE_SIZE_AT), name_size = hex(entry + NAME_SIZE_AT);
		u64 data = ALIGN_UP(HEADER_SIZE + name_size, 4);

		if (data > size - at || length > size - at - data)
			return NULL;
		if (name_size == sizeof(PATH) && !memcmp(entry + HEADER_SIZE, PATH, sizeof(PATH))) {
			*found_size = length;
			return entry + data;
		}
		if (ALIGN_UP(data + length, 4) > size - at)
			return NULL;
		at += ALIGN_UP(data + length, 4);
	}
	return NULL;
}

static const u8 *take_module(struct boot_info *info, u32 index, u64 *size)
{
	const struct boot_module m = info->modules[index];
	const u8 *p = phys_to_ptr(HPA(m.base)), *file = p;

	info->module_count--;
	memmove(&info->modules[index], &info->modules[index + 1],
		(info->module_count - index) * sizeof(info->modules[0]));
	*size = m.size;
	if (is_archive(p, m.size))
		file = find_in_archive(p, m.size, size);
	if (!file || *size < 48)
		log_warn("the module named " NAME " has no microcode in it");
	return file;
}

const u8 *microcode_file(struct boot_info *info, u64 *size)
{
	const u8 *file = NULL;

	for (u32 i = 1; i < info->module_count; i++)
		if (!strcmp(info->modules[i].cmdline, NAME))
			return take_module(info, i, size);
	for (u32 i = 1; i < info->module_count && !file; i++)
		file = find_in_archive(phys_to_ptr(HPA(info->modules[i].base)), info->modules[i].size, size);
	return file;
}

enum status microcode_start(struct boot_info *info)
{
	enum status status = window_read_map(info); /* clear of the module that is taken out now */
	struct microcode_cpu cpu, now;
	const u8 *file, *update;
	u64 size = 0;

	microcode_this_cpu(&cpu);
	file = microcode_file(info, &size);
	update = file ? microcode_pick(file, size, &cpu, &kept_size) : NULL;
	if (file && !update)
		log_info("microcode: nothing newer and whole for this processor; it stays at revision %x",
			 cpu.revision);
	if (status == STATUS_OK)
		status = window_take(kept_size + dma_guard_memory());
	if (status != STATUS_OK || !update)
		return status;
	kept = memcpy(page_alloc_contig(ALIGN_UP((u64)kept_size, PAGE_SIZE) / PAGE_SIZE), update, kept_size);
	if (microcode_load(kept, kept_size, &now))
		log_info("microcode: revision %x, was %x", now.revision, cpu.revision);
	else
		log_warn("microcode: the processor does not take the update; it stays at revision %x",
			 cpu.revision);
	return STATUS_OK;
}

void microcode_start_ap(u32 apic_id)
{
	struct microcode_cpu now;

	if (!microcode_load(kept, kept_size, &now))
		log_warn("microcode: the CPU with APIC ID %x does not take the update; it stays at revision "
			 "%x",
			 apic_id, now.revision);
}
