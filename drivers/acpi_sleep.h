/* SPDX-License-Identifier: MIT */
/*
 * How this machine is put to sleep: the registers that take SLP_TYP and
 * SLP_EN, and which values of SLP_TYP do not lead to a waking vector.  Who
 * refuses the others is vmx/l1/ports.c's.  ACPI specification: "Fixed ACPI
 * Description Table", "PM1 Control Registers", "Sleep Control Register".
 */
#ifndef DRIVERS_ACPI_SLEEP_H
#define DRIVERS_ACPI_SLEEP_H

#include "kernel/types.h"

enum sleep_space { SLEEP_ABSENT, SLEEP_IO, SLEEP_MEMORY };

struct sleep_register {
	enum sleep_space space;
	u64 address;
	u32 width; /* bytes */
};

struct acpi_sleep {
	bool has_fadt;
	struct sleep_register pm1a, pm1b; /* PM1a_CNT, PM1b_CNT: SLP_TYP is bits 12:10, SLP_EN bit 13 */
	/* The same by the FADT's 32-bit fields, where the 64-bit ones that count for ACPI name another place.
	 */
	struct sleep_register pm1a_old, pm1b_old;
	struct sleep_register control; /* SLEEP_CONTROL_REG of hardware-reduced ACPI: bits 4:2, bit 5 */
	u32 smi_port;		       /* SMI_CMD; 0: none */
	u8 s4bios_request;	       /* S4BIOS_REQ, to be written to it; 0: none */
	u8 pm1a_allowed,
		pm1b_allowed; /* bit n: SLP_TYP n is that of _S1_, _S4_ or _S5_, and not of _S2_ or _S3_ */
};

/*
 * From the FADT, the DSDT and the SSDTs; `rsdp` as for acpi_find_cpus().  What could not be known or is no
 * port and no memory is a warning.  Boot only, before L1 runs, with the direct map and the memory map in
 * place.
 */
void acpi_find_sleep(const u8 *rsdp, u32 rsdp_size, bool bios, struct acpi_sleep *out);

/*
 * L1 is not offered what would be refused: _S3_ gets another name in the DSDT and the SSDTs, at every place
 * or at none, and FACS's S4BIOS_F is cleared.  A log line says what was done.  Boot only, after
 * acpi_find_sleep().
 */
void acpi_hide_sleep(const u8 *rsdp, u32 rsdp_size, bool bios);

#endif
