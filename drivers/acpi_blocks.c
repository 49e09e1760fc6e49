/* SPDX-License-Identifier: MIT */
/*
 * From the FADT to the DSDT and FACS, and the SSDTs from the root tables.  See drivers/acpi_blocks.h.
 */
#include "drivers/acpi_blocks.h"

#include "drivers/acpi.h"
#include "kernel/hw/phys.h"
#include "kernel/string.h"
#include "mm/memmap.h"

#define FADT_FACS 36
#define FADT_DSDT 40
#define FADT_X_FACS 132
#define FADT_X_DSDT 140
#define FADT_V2_SIZE 244u

const u8 *acpi_find_fadt(const u8 *rsdp, u32 rsdp_size, bool bios, u32 *length)
{
	const u8 *fadt = acpi_find_table(rsdp, rsdp_size, bios, "FACP", length);

	return fadt && *length >= ACPI_FADT_SIZE_LEAST ? fadt : NULL;
}

/* The table that the FADT names; it may be written, and so must not be Socle's. */
static u8 *named(const u8 *fadt, u32 fadt_length, u32 at, bool wide, const char *signature, u32 *length)
{
	const u8 *table;

	if (wide && fadt_length < FADT_V2_SIZE)
		return NULL;
	table = acpi_table_at(wide ? acpi_get64(fadt + at) : acpi_get32(fadt + at), signature, length);
	if (!table || memmap_in_window(ptr_to_phys(table).v, *length))
		return NULL;
	return phys_to_ptr(ptr_to_phys(table));
}

u8 *acpi_find_facs(const u8 *fadt, u32 length, bool wide)
{
	u32 facs_length;

	return named(fadt, length, wide ? FADT_X_FACS : FADT_FACS, wide, "FACS", &facs_length);
}

static void add(struct acpi_blocks *out, u8 *table, u32 length)
{
	for (u32 i = 0; i < out->count; i++)
		if (out->blocks[i].table == table)
			return;
	if (out->count == ACPI_BLOCK_MAX) {
		out->overflow = true;
		return;
	}
	out->blocks[out->count++] = (struct acpi_block){ table, length };
}

void acpi_find_blocks(const u8 *rsdp, u32 rsdp_size, bool bios, struct acpi_blocks *out)
{
	u32 fadt_length, length;
	const u8 *fadt = acpi_find_fadt(rsdp, rsdp_size, bios, &fadt_length);

	out->count = 0;
	out->overflow = false;
	for (u32 wide = 0; fadt && wide < 2; wide++) {
		u8 *dsdt = named(fadt, fadt_length, wide ? FADT_X_DSDT : FADT_DSDT, wide, "DSDT", &length);

		if (dsdt)
			add(out, dsdt, length);
	}
	/* Listed twice, by the XSDT and the RSDT. */
	for (u32 i = 0; i < 2 * ACPI_BLOCK_MAX; i++) {
		const u8 *ssdt = acpi_find_table_of(rsdp, rsdp_size, bios, "SSDT", i, &length);

		if (!ssdt)
			return;
		if (!memmap_in_window(ptr_to_phys(ssdt).v, length))
			add(out, phys_to_ptr(ptr_to_phys(ssdt)), length);
	}
	out->overflow = true;
}
