/* SPDX-License-Identifier: MIT */
/*
 * Three copies by the device: between two pages of L1's, from Socle's page, and to it.  QEMU: "EDU device".
 */
#include "drivers/dma_test.h"

#include "drivers/apic.h"
#include "drivers/iommu.h"
#include "drivers/pci.h"
#include "kernel/bits.h"
#include "kernel/hw/cpu.h"
#include "kernel/hw/phys.h"
#include "kernel/log.h"
#include "kernel/string.h"
#include "mm/memmap.h"
#include "mm/page_alloc.h"

#define EDU 0x11e81234u
#define COMMAND_MEMORY_AND_MASTER 6u
#define EDU_SOURCE 0x80
#define EDU_TARGET 0x88
#define EDU_COUNT 0x90
#define EDU_COMMAND 0x98
#define EDU_RUN BIT(0)
#define EDU_TO_MEMORY BIT(1)
#define EDU_BUFFER 0x40000 /* in the device's own addresses */
#define LENGTH 64u
#define WAIT_MAX 5000000u /* microseconds; a copy takes 100 ms */

static u64 edu; /* physical address of its registers */

static bool is_edu(u32 function, void *context)
{
	if (pci_read(function, PCI_ID) != EDU)
		return false;
	*(u32 *)context = function;
	return true;
}

static void set(u32 at, u64 value)
{
	WRITE_ONCE(*(u64 *)phys_to_ptr(HPA(edu + at)), value);
}

static bool copy(u64 source, u64 target, u64 direction)
{
	set(EDU_SOURCE, source);
	set(EDU_TARGET, target);
	set(EDU_COUNT, LENGTH);
	set(EDU_COMMAND, EDU_RUN | direction);
	for (u32 i = 0; i < WAIT_MAX; i++) {
		if (!(READ_ONCE(*(u64 *)phys_to_ptr(HPA(edu + EDU_COMMAND))) & EDU_RUN))
			return true;
		apic_delay(1);
	}
	return false;
}

/* From page to page by way of the device's buffer; true if the target then is all `value`. */
static bool copies(u64 from, u64 to, u8 value)
{
	const u8 *p = phys_to_ptr(HPA(to));
	bool same = copy(from, EDU_BUFFER, 0) && copy(EDU_BUFFER, to, EDU_TO_MEMORY);

	for (u32 i = 0; i < LENGTH; i++)
		same &= READ_ONCE(p[i]) == value;
	return same;
}

static void report_fault(const struct dmar *dmar)
{
	u32 function;
	u64 page;

	if (iommu_fault(dmar, &function, &page))
		log_report("dma-test: a unit stopped %02x:%02x.%x at %llx", function >> 8, function >> 3 & 31,
			   function & 7, (unsigned long long)page);
}

/* The two pages below Socle's first window, so that the guard's edge is tested too. */
static bool find_neighbours(u64 *low, u64 *high)
{
	u64 base = memmap_window(0)->base;

	*low = base - 2 * PAGE_SIZE;
	*high = base - PAGE_SIZE;
	return memmap_is_usable(*low, 2 * PAGE_SIZE);
}

void dma_test(const struct dmar *dmar)
{
	u64 low, high, own = ptr_to_phys(page_alloc()).v;
	u32 function = 0;
	bool io, read;

	if (!pci_find(is_edu, &function) || !find_neighbours(&low, &high)) {
		log_report(
			"dma-test: no device to test with (QEMU: -device edu,dma_mask=0xffffffffffffffff)");
		return;
	}
	edu = pci_bar(function, 0, &io);
	outl(PCI_CONFIG_ADDRESS, PCI_CONFIG_ENABLE | function << 8 | PCI_COMMAND);
	outl(PCI_CONFIG_DATA, COMMAND_MEMORY_AND_MASTER);
	memset(phys_to_ptr(HPA(low)), 0xa5, LENGTH);
	memset(phys_to_ptr(HPA(high)), 0, LENGTH);
	memset(phys_to_ptr(HPA(own)), 0x5a, LENGTH);
	log_report("dma-test: L1's memory: %s", copies(low, high, 0xa5) ? "copied" : "NOT COPIED");
	read = copies(own, high, 0x5a);
	report_fault(dmar);
	copies(low, own, 0xa5);
	report_fault(dmar);
	log_report("dma-test: Socle's page %llx: %s, %s", (unsigned long long)own, read ? "READ" : "not read",
		   *(u8 *)phys_to_ptr(HPA(own)) == 0x5a ? "not written" : "WRITTEN");
}
