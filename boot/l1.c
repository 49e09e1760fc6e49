/* SPDX-License-Identifier: MIT */
/*
 * The first module is L1: tells by its content which boot protocol it speaks
 * and has it loaded, with the flat GDT that each protocol leaves valid.
 */
#include "boot/l1.h"

#include "boot/l1_internal.h"
#include "boot/l1_space.h"
#include "kernel/bits.h"
#include "kernel/hw/phys.h"
#include "kernel/string.h"

static const void *image_get(const struct boot_info *info)
{
	return phys_to_ptr(HPA(info->modules[0].base));
}

/* Null, null, flat code at 0x10, flat data at 0x18: the selectors of Linux' protocol serve all three. */
static enum status give_gdt(struct l1_start *start)
{
	static const u64 gdt[4] = { 0, 0, 0x00cf9b000000ffffull, 0x00cf93000000ffffull };
	u64 at = l1_space_find(sizeof(gdt), 16, 0x10000, SIZE_4G);

	if (!at)
		return status_with(STATUS_L1_NO_ROOM, "its first GDT");
	memcpy(phys_to_ptr(HPA(at)), gdt, sizeof(gdt));
	start->gdt_base = (u32)at;
	start->gdt_limit = sizeof(gdt) - 1;
	start->code_selector = 0x10;
	start->data_selector = 0x18;
	return STATUS_OK;
}

enum l1_kind { L1_LINUX, L1_MULTIBOOT2, L1_MULTIBOOT1, L1_OTHER };

/* By the content; `header` is the offset of a multiboot header. */
static enum l1_kind identify(const struct boot_info *info, i64 *header)
{
	const void *image = image_get(info);
	u64 size = info->modules[0].size;

	if (l1_linux_is(image, size))
		return L1_LINUX;
	*header = l1_multiboot2_find(image, size);
	if (*header >= 0)
		return L1_MULTIBOOT2;
	*header = l1_multiboot1_find(image, size);
	return *header >= 0 ? L1_MULTIBOOT1 : L1_OTHER;
}

enum status l1_check(const struct boot_info *info)
{
	i64 header;

	if (!info->module_count)
		return STATUS_L1_MISSING;
	switch (identify(info, &header)) {
	case L1_LINUX: return l1_linux_check(info);
	case L1_MULTIBOOT2: return l1_multiboot2_check(info, (u32)header);
	case L1_MULTIBOOT1: return l1_multiboot1_check(info, (u32)header);
	default: return STATUS_L1_UNKNOWN;
	}
}

enum status l1_load(struct boot_info *info, struct l1_start *start)
{
	enum status status = l1_check(info);
	i64 header;

	*start = (struct l1_start){ 0 };
	if (status != STATUS_OK)
		return status;
	l1_space_init(info);
	switch (identify(info, &header)) {
	case L1_LINUX: status = l1_linux_load(info, start); break;
	case L1_MULTIBOOT2: status = l1_multiboot2_load(info, (u32)header, start); break;
	default: status = l1_multiboot1_load(info, (u32)header, start); break;
	}
	return status == STATUS_OK ? give_gdt(start) : status;
}
