/* SPDX-License-Identifier: MIT */
/*
 * `iommu=protect`: devices reach all memory but Socle's.  Every remapping unit gets the same tables, which
 * map each address to itself and leave L0's windows out; requests that a device has translated itself (ATS)
 * are blocked.  What firmware left on, translation, interrupt remapping, queued invalidation,
 * protected-memory registers, is replaced or switched off. Intel Virtualization Technology for Directed I/O:
 * "Legacy Mode Address Translation", "Setting Up Remapping Hardware".
 */
#ifndef DRIVERS_IOMMU_H
#define DRIVERS_IOMMU_H

#include "drivers/dmar.h"
#include "kernel/status.h"

/* Bytes of Socle's memory that the tables may take, by the end of RAM. */
u64 iommu_memory(u64 ram_end);

/*
 * Takes the units' registers out of L1's memory as windows, makes the tables, and switches every unit on.
 * BSP, once, when all windows are known and all memory is mapped. Errors: no unit, one that cannot, one that
 * does not do what it is told.
 */
enum status iommu_protect(const struct dmar *dmar, u32 physical_bits);

/* STATUS_OK if no device of the firmware's, such as a USB keyboard's controller, uses memory of Socle's. */
enum status iommu_check_regions(const struct dmar *dmar);

/* The table gets another name: L1 would find units that do not answer. False: it is ROM. Boot only. */
bool iommu_hide_table(const struct dmar *dmar);

/* The first fault that a unit has recorded: the function that asked, and the page; false: none. */
bool iommu_fault(const struct dmar *dmar, u32 *function, u64 *page);

#endif
