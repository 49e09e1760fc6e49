/* SPDX-License-Identifier: MIT */
/*
 * L0's console: what `console=` names.  A serial port, which may be one that ACPI's SPCR or PCI names, and
 * the screen.
 */
#ifndef DRIVERS_CONSOLE_H
#define DRIVERS_CONSOLE_H

#include "kernel/cmdline.h"

/*
 * Opens the serial port, and makes the console the log's sink. `rsdp` as in drivers/acpi.h; `memory` says
 * whether any of these bytes is RAM, by the loader's map. Boot only, on the BSP, before L1 has the devices.
 */
void console_open(const struct console_option *wanted, const u8 *rsdp, u32 rsdp_size, bool bios,
		  bool (*memory)(u64 pa, u64 size));

/* Why the serial port that the user or the firmware names is not used, for a line; NULL: it is. */
const char *console_note(void);

/* Which serial port it is, in a few words; "none" if there is none. */
const char *console_serial_name(void);

/* The devices are L1's: the screen is left. */
void console_to_l1(void);

#endif
