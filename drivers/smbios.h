/* SPDX-License-Identifier: MIT */
/*
 * The machine's name and its firmware's, as SMBIOS has them, for a report. Untrusted: lengths are checked,
 * and only memory below 4 GiB is read.  DMTF: "System Management BIOS Reference Specification"; UEFI: "EFI
 * Configuration Table".
 */
#ifndef DRIVERS_SMBIOS_H
#define DRIVERS_SMBIOS_H

#include "kernel/types.h"

#define SMBIOS_STRING 48

struct smbios {
	char maker[SMBIOS_STRING], product[SMBIOS_STRING]; /* of the machine; "" if nobody says */
	char firmware[SMBIOS_STRING], date[SMBIOS_STRING];
};

/* `efi_system_table`: physical, or 0 on a BIOS machine, where the tables are looked for. Boot only. */
void smbios_read(u64 efi_system_table, struct smbios *out);

#endif
