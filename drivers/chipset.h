/* SPDX-License-Identifier: MIT */
/*
 * Where the chipset has its power-management registers: the PCI function whose configuration says so, and
 * could move them.  For machines without an FADT, also what Socle knows of SLP_TYP there.  Intel: "82371AB
 * PCI-to-ISA/IDE Xcelerator (PIIX4)", "LPC Interface PCI Configuration Registers" of ICH and PCH.
 */
#ifndef DRIVERS_CHIPSET_H
#define DRIVERS_CHIPSET_H

#include "drivers/pci.h"
#include "kernel/types.h"

struct acpi_sleep;

/* Configuration registers by their offset in the function. */
struct chipset_pm {
	bool found;
	u16 function; /* bus, device and function, as bits 23:8 of CF8H have them */
	u8 base;      /* of the dword that says where the registers are */
	u8 enable;    /* of the dword that switches them on */
};

/*
 * Looks for the function that has the PM1 control register where `sleep` says, or by its name where `sleep`
 * says nothing; then `sleep` is filled in.  A warning where nobody knows.  Boot only: uses CF8H and CFCH.
 */
void chipset_find_pm(struct acpi_sleep *sleep, struct chipset_pm *pm);

#endif
