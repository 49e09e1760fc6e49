/* SPDX-License-Identifier: MIT */
/*
 * ACPI's DMAR: the machine's remapping units, and the memory that devices of the firmware's use.  The table
 * is as untrusted as others (drivers/acpi.h).  Intel Virtualization Technology for Directed I/O: "BIOS
 * Considerations".
 */
#ifndef DRIVERS_DMAR_H
#define DRIVERS_DMAR_H

#include "kernel/types.h"

#define DMAR_UNIT_MAX 32
#define DMAR_REGION_MAX 32

#define DMAR_INTERRUPT_REMAPPING 1u
#define DMAR_X2APIC_OPT_OUT 2u
#define DMAR_PLATFORM_OPT_IN 4u /* the firmware wants DMA to be guarded before drivers run */

struct dmar_range {
	u64 base, limit; /* limit: the last byte */
};

struct dmar {
	bool found;
	bool damaged; /* a part does not make sense, or there is more than fits here */
	u32 unknown;  /* structures of types that no specification known here has */
	u8 flags;     /* DMAR_INTERRUPT_REMAPPING... */
	u32 unit_count, region_count;
	u64 units[DMAR_UNIT_MAX]; /* physical addresses of their registers, each once */
	struct dmar_range regions[DMAR_REGION_MAX];
	u64 table; /* physical address */
};

/* `rsdp` as in drivers/acpi.h. Boot only. */
void dmar_read(const u8 *rsdp, u32 rsdp_size, bool bios, struct dmar *out);

#endif
