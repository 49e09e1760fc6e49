/* SPDX-License-Identifier: MIT */
/*
 * Sleep is no way out: a processor that wakes from suspend to RAM is not in
 * VMX operation, and runs what L1 has told the firmware to run.  Which writes
 * of SLP_EN pass is decided here; that each of them is seen is vmx/l1/ports.c's.
 * ACPI specification: "PM1 Control Registers", "Sleep Control Register".
 */
#ifndef VMX_SLEEP_H
#define VMX_SLEEP_H

#include "kernel/types.h"

struct acpi_sleep;
struct vcpu;

/* BSP, before vm_init(): the machine's sleep registers that are ports go into the table of ports. */
void sleep_add_ports(const struct acpi_sleep *sleep);

/*
 * A byte is written that holds SLP_TYP in bits 4:2 and SLP_EN in bit 5: the second one of PM1x_CNT, or
 * SLEEP_CONTROL_REG. True: it may pass. `allowed`: bit n for SLP_TYP n.
 */
bool sleep_byte_passes(u8 byte, u8 allowed);

/* The one warning for a register, in `*warned`: what a guest has asked is refused, and why. Any CPU. */
void sleep_warn(struct vcpu *vcpu, u8 *warned, const char *name, const char *what, u32 value);

#endif
