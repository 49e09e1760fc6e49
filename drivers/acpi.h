/* SPDX-License-Identifier: MIT */
/*
 * ACPI's tables, and the processors from its MADT.  Tables are untrusted:
 * every length is checked, and nothing outside RAM and firmware tables below
 * 4 GiB (or RAM above) is read.  ACPI specification: "Root System Description
 * Pointer", "Multiple APIC Description Table".
 */
#ifndef DRIVERS_ACPI_H
#define DRIVERS_ACPI_H

#include "kernel/types.h"

#define ACPI_CPU_MAX 512

struct acpi_cpus {
	u32 count;		   /* 0: no MADT, or none that makes sense; may be more than ACPI_CPU_MAX */
	u32 apic_id[ACPI_CPU_MAX]; /* enabled ones, each once, in the table's order */
	const char *trouble;	   /* what is wrong with the tables, for a line; NULL: nothing */
};

/*
 * `rsdp` is the boot loader's copy of the RSDP (`rsdp_size` 20 or 36 bytes),
 * or NULL with 0: then it is looked for where a BIOS has it, if `bios`.
 * Boot only, with the direct map in place.
 */
void acpi_find_cpus(const u8 *rsdp, u32 rsdp_size, bool bios, struct acpi_cpus *out);

/*
 * A whole table by its signature, the same way; NULL if there is none. `*length` is its length; its
 * contents are as untrusted as its checksum, which is not asked for.  Boot only.
 */
const u8 *acpi_find_table(const u8 *rsdp, u32 rsdp_size, bool bios, const char *signature, u32 *length);
/* The same for one of several: those of the XSDT first, then those of the RSDT, which may be the same again.
 */
const u8 *acpi_find_table_of(const u8 *rsdp, u32 rsdp_size, bool bios, const char *signature, u32 index,
			     u32 *length);
/* The table at this address, which another table names. */
const u8 *acpi_table_at(u64 pa, const char *signature, u32 *length);

#endif
