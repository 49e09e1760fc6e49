/* SPDX-License-Identifier: MIT */
/*
 * Claims on L1's memory while it is loaded; see boot/l1_space.h.
 */
#include "boot/l1_space.h"

#include "boot/efi_map.h"
#include "kernel/bits.h"
#include "kernel/hw/phys.h"
#include "kernel/string.h"

#define CLAIM_MAX 16

static struct {
	struct boot_info *info;
	/* Claims first, then the modules: what must be kept clear; then what had better be. */
	struct memmap_range clear[CLAIM_MAX + BOOT_MODULE_MAX + EFI_KEPT_MAX];
	size_t claim_count;
} space;

void l1_space_init(struct boot_info *info)
{
	space.info = info;
	space.claim_count = 0;
}

static struct memmap_avoid occupied(void)
{
	size_t n = space.claim_count;

	for (u32 i = 0; i < space.info->module_count; i++, n++)
		space.clear[n] =
			(struct memmap_range){ space.info->modules[i].base, space.info->modules[i].size, 0 };
	return (struct memmap_avoid){ space.clear, n };
}

/* The same, and the memory of the firmware's boot services. */
static struct memmap_avoid occupied_or_kept(void)
{
	size_t n = occupied().count;

	return (struct memmap_avoid){ space.clear, n + efi_map_boot_services(space.info, space.clear + n) };
}

static bool overlap(u64 a, u64 a_size, u64 b, u64 b_size)
{
	return a < b + b_size && b < a + a_size;
}

static bool claim_add(u64 base, u64 size)
{
	if (space.claim_count == CLAIM_MAX)
		return false;
	space.clear[space.claim_count++] = (struct memmap_range){ base, size, 0 };
	return true;
}

static bool module_move(struct boot_module *m, u64 min, u64 max)
{
	u64 size = m->size ? m->size : 1,
	    to = memmap_find_high(size, PAGE_SIZE, min, max, occupied_or_kept());

	if (!to)
		to = memmap_find_high(size, PAGE_SIZE, min, max, occupied());
	if (!to)
		return false;
	memcpy(phys_to_ptr(HPA(to)), phys_to_ptr(HPA(m->base)), m->size);
	m->base = to;
	return true;
}

bool l1_space_is_free(u64 base, u64 size)
{
	if (!size || base + size < base || !memmap_is_usable(base, size))
		return false;
	for (size_t i = 0; i < space.claim_count; i++)
		if (overlap(base, size, space.clear[i].base, space.clear[i].size))
			return false;
	return true;
}

enum status l1_space_claim(u64 base, u64 size, const char *what)
{
	if (!l1_space_is_free(base, size) || !claim_add(base, size))
		return status_with(STATUS_L1_NO_ROOM, "%s", what);
	for (u32 i = 0; i < space.info->module_count; i++) {
		struct boot_module *m = &space.info->modules[i];

		if (overlap(base, size, m->base, m->size) && !module_move(m, SIZE_1M, SIZE_4G))
			return status_with(STATUS_L1_NO_ROOM, "a module that is in the way");
	}
	return STATUS_OK;
}

u64 l1_space_find_from(u64 size, u64 align, u64 min, u64 max, bool high)
{
	u64 (*find)(u64, u64, u64, u64, struct memmap_avoid) = high ? memmap_find_high : memmap_find_low;
	u64 base = find(size, align, min, max, occupied_or_kept());

	if (!base)
		base = find(size, align, min, max, occupied());
	if (!base || !claim_add(base, size))
		return 0;
	memset(phys_to_ptr(HPA(base)), 0, size);
	return base;
}

u64 l1_space_find(u64 size, u64 align, u64 min, u64 max)
{
	return l1_space_find_from(size, align, min, max, false);
}

enum status l1_space_move_module(u32 index, u64 min, u64 max)
{
	struct boot_module *m = &space.info->modules[index];

	if (m->base >= min && m->base + m->size <= max && !(m->base & (PAGE_SIZE - 1)))
		return STATUS_OK;
	return module_move(m, min, max) ? STATUS_OK : status_with(STATUS_L1_NO_ROOM, "its initrd");
}
