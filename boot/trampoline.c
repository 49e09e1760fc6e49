/* SPDX-License-Identifier: MIT */
/*
 * See boot/trampoline.h. The page is mapped at its own address meanwhile, for the jump into long mode.
 */
#include "boot/trampoline.h"

#include "kernel/bits.h"
#include "kernel/hw/cpu.h"
#include "kernel/hw/phys.h"
#include "kernel/string.h"
#include "mm/host_map.h"
#include "mm/memmap.h"

#define LOWEST PAGE_SIZE /* below are the interrupt vectors and the BIOS's data */
#define END 0xa0000

extern const u8 trampoline_start[], trampoline_parameters[], trampoline_end[];

static u8 saved[PAGE_SIZE];
static u64 page;

static struct trampoline *parameters(void)
{
	u8 *at = phys_to_ptr(HPA(page));

	return (struct trampoline *)(void *)(at + (trampoline_parameters - trampoline_start));
}

struct trampoline *trampoline_take(void)
{
	const struct memmap_avoid nothing = { NULL, 0 };
	u8 *at;

	if (page)
		return parameters();
	page = memmap_find_low(PAGE_SIZE, PAGE_SIZE, LOWEST, END, nothing);
	if (!page)
		return NULL;
	at = phys_to_ptr(HPA(page));
	memcpy(saved, at, PAGE_SIZE);
	memcpy(at, trampoline_start, (size_t)(trampoline_end - trampoline_start));
	*parameters() = (struct trampoline){ .wanted = TRAMPOLINE_NOBODY, .cr3 = read_cr3() };
	host_map_identity(page, true);
	return parameters();
}

u8 trampoline_page(void)
{
	return (u8)(page >> PAGE_SHIFT);
}

void trampoline_give_back(void)
{
	if (!page)
		return;
	host_map_identity(page, false);
	memcpy(phys_to_ptr(HPA(page)), saved, PAGE_SIZE);
	page = 0;
}
