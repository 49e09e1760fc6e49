/* SPDX-License-Identifier: MIT */
/*
 * The sleep registers from the FADT.  See drivers/acpi_sleep.h.  Which values
 * of SLP_TYP are harmless is in the DSDT, which is not read: none is allowed.
 * ACPI specification: "Fixed ACPI Description Table".
 */
#include "drivers/acpi_sleep.h"

#include "drivers/acpi.h"
#include "kernel/string.h"

#define FADT_SMI_CMD 48
#define FADT_S4BIOS_REQ 54
#define FADT_PM1A_CNT 64
#define FADT_PM1B_CNT 68
#define FADT_PM1_CNT_LEN 89
#define FADT_V1_SIZE 116u

static u32 get32(const u8 *p)
{
	u32 v;

	memcpy(&v, p, sizeof(v));
	return v;
}

static struct sleep_register io_register(const u8 *fadt, u32 at)
{
	u32 port = get32(fadt + at);

	if (!port || port > 0xffff)
		return (struct sleep_register){ SLEEP_ABSENT, 0, 0 };
	return (struct sleep_register){ SLEEP_IO, port, fadt[FADT_PM1_CNT_LEN] };
}

void acpi_find_sleep(const u8 *rsdp, u32 rsdp_size, bool bios, struct acpi_sleep *out)
{
	u32 length;
	const u8 *fadt = acpi_find_table(rsdp, rsdp_size, bios, "FACP", &length);

	memset(out, 0, sizeof(*out));
	if (!fadt || length < FADT_V1_SIZE)
		return;
	out->pm1a = io_register(fadt, FADT_PM1A_CNT);
	out->pm1b = io_register(fadt, FADT_PM1B_CNT);
	out->smi_port = get32(fadt + FADT_SMI_CMD);
	out->s4bios_request = fadt[FADT_S4BIOS_REQ];
}
