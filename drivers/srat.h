/* SPDX-License-Identifier: MIT */
/*
 * ACPI's SRAT: which processors and which memory are near each other (NUMA).  Only where Socle's own memory
 * lies depends on it, so that a table that contradicts itself is left aside, with a line.  ACPI
 * specification: "System Resource Affinity Table".
 */
#ifndef DRIVERS_SRAT_H
#define DRIVERS_SRAT_H

#include "drivers/acpi.h"
#include "kernel/types.h"

#define SRAT_NODE_MAX 32
#define SRAT_RANGE_MAX 128
#define SRAT_NO_NODE 0 /* nodes are counted from 1 */

struct srat {
	u32 node_count;		   /* 0: no table, one that is left aside, or one node alone */
	u32 domain[SRAT_NODE_MAX]; /* the firmware's number of node i + 1 */
	u32 range_count, cpu_count;
	struct srat_range {
		u64 base, end; /* end: exclusive */
		u32 node;
	} ranges[SRAT_RANGE_MAX];
	struct srat_cpu {
		u32 apic_id, node;
	} cpus[ACPI_CPU_MAX];
};

/* `rsdp` as in drivers/acpi.h. Boot only, with all memory in the direct map. */
void srat_read(const u8 *rsdp, u32 rsdp_size, bool bios, struct srat *out);

u32 srat_node_of(const struct srat *srat, u32 apic_id);

#endif
