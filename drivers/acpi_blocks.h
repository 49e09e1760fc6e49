/* SPDX-License-Identifier: MIT */
/*
 * The definition blocks of this machine, the DSDT and the SSDTs, and the tables that the FADT leads to. Where
 * its 32-bit and 64-bit fields name two, both are taken: which one L1 reads is L1's to choose.
 * ACPI specification: "Fixed ACPI Description Table", "Definition Blocks".
 */
#ifndef DRIVERS_ACPI_BLOCKS_H
#define DRIVERS_ACPI_BLOCKS_H

#include "drivers/acpi.h"

#define ACPI_BLOCK_MAX 128
#define ACPI_FADT_SIZE_LEAST 116u /* of ACPI 1.0 */

struct acpi_blocks {
	struct acpi_block {
		u8 *table; /* with its header; L1's memory, or the firmware's ROM */
		u32 length;
	} blocks[ACPI_BLOCK_MAX];
	u32 count;
	bool overflow; /* there are more */
};

void acpi_find_blocks(const u8 *rsdp, u32 rsdp_size, bool bios, struct acpi_blocks *out);

/* The FADT, or NULL if there is none of a length that makes sense. */
const u8 *acpi_find_fadt(const u8 *rsdp, u32 rsdp_size, bool bios, u32 *length);

/* FACS by the 32-bit field (`wide`: by the 64-bit one), or NULL. */
u8 *acpi_find_facs(const u8 *fadt, u32 length, bool wide);

#endif
