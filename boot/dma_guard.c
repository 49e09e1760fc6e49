/* SPDX-License-Identifier: MIT */
/*
 * Says what the machine's devices can reach, and guards Socle's memory against them if it is asked to.  See
 * boot/dma_guard.h.
 */
#include "boot/dma_guard.h"

#include "drivers/dma_test.h"
#include "drivers/iommu.h"
#include "kernel/cmdline.h"
#include "kernel/log.h"
#include "mm/memmap.h"

static struct dmar dmar;

u64 dma_guard_memory(void)
{
	return options.iommu ? iommu_memory(memmap_ram_end()) : 0;
}

/* VT-d is L1's: no silence about what that means. */
static void warn_of_dma(void)
{
	if (!dmar.found)
		return;
	log_warn("iommu: off: L1, and whom it gives a device, can reach Socle's memory by DMA; iommu=protect "
		 "keeps "
		 "VT-d from L1 and guards it");
	if (iommu_check_regions(&dmar) != STATUS_OK)
		log_warn("iommu: devices of the firmware's write into memory of Socle's (DMAR table)");
}

static void warn_of_table(void)
{
	if (dmar.damaged)
		log_warn("iommu: the DMAR table is damaged: not all of it is known");
	if (dmar.unknown)
		log_warn("iommu: the DMAR table has %u structures of unknown types", dmar.unknown);
}

enum status dma_guard_start(const struct boot_info *info, u32 memory_bits)
{
	enum status status;

	dmar_read(info->rsdp, info->rsdp_size, !info->efi, &dmar);
	warn_of_table();
	if (!options.iommu) {
		warn_of_dma();
		return STATUS_OK;
	}
	status = iommu_protect(&dmar, memory_bits);
	if (status == STATUS_OK && !iommu_hide_table(&dmar))
		log_warn(
			"iommu: the DMAR table cannot be changed: L1 will look for units that do not answer");
	return status;
}

void dma_guard_test(void)
{
	dma_test(&dmar);
}
