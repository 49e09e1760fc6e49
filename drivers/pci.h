/* SPDX-License-Identifier: MIT */
/*
 * PCI configuration by ports CF8H and CFCH, for what Socle looks up at its start and after a stop.  While L1
 * runs it is L1's (vmx/l1/ports.c), and nobody calls this.  PCI Local Bus Specification 3.0: "Configuration
 * Space".
 */
#ifndef DRIVERS_PCI_H
#define DRIVERS_PCI_H

#include "kernel/types.h"

#define PCI_CONFIG_ADDRESS 0xcf8
#define PCI_CONFIG_DATA 0xcfc
#define PCI_CONFIG_ENABLE (1u << 31)

#define PCI_ID 0x00
#define PCI_COMMAND 0x04
#define PCI_COMMAND_IO 1u
#define PCI_COMMAND_MEMORY 2u
#define PCI_CLASS 0x08 /* class in bits 31:24, subclass in 23:16, programming interface in 15:8 */
#define PCI_BAR0 0x10

/* A function's number: bus in bits 15:8, device in 7:3, function in 2:0. `at`: a multiple of 4. */
u32 pci_read(u32 function, u8 at);
/* One byte; `at`: any. */
void pci_write8(u32 function, u8 at, u8 value);

/* The address that base address register `index` (0-5) holds; *io: of ports. 0: none. */
u64 pci_bar(u32 function, u32 index, bool *io);

/*
 * Calls `visit` for each function on each bus until it returns true. False: it never did. CF8H is left as it
 * was.
 */
bool pci_find(bool (*visit)(u32 function, void *context), void *context);

#endif
