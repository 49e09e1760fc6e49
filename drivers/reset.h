/* SPDX-License-Identifier: MIT */
/*
 * Resetting the machine, by every way that boards have.
 */
#ifndef DRIVERS_RESET_H
#define DRIVERS_RESET_H

#include "kernel/types.h"

/* Boot only, before L1 runs: remembers the FADT's reset register. `rsdp` as for acpi_find_cpus(). */
void reset_find(const u8 *rsdp, u32 rsdp_size, bool bios);

/* Any CPU, when the others have been stopped: the first way that works; there is always one. */
NORETURN void reset_machine(void);

#endif
