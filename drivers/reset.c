/* SPDX-License-Identifier: MIT */
/*
 * See drivers/reset.h. In the order in which operating systems try: the register that ACPI names, the
 * chipset's reset control register, the keyboard controller, and a triple fault, which shuts the processor
 * down. ACPI specification: "Reset Register".
 */
#include "drivers/reset.h"

#include "drivers/acpi_blocks.h"
#include "drivers/apic.h"
#include "kernel/hw/cpu.h"

#define FADT_FLAGS 112
#define FADT_RESET_REG_SUP (1u << 10)
#define FADT_RESET_REG 116
#define FADT_RESET_VALUE 128
#define GAS_IO 1

#define CHIPSET_PORT 0xcf9
#define CHIPSET_HARD 0x02 /* a reset of the whole machine, */
#define CHIPSET_NOW 0x04  /* when this bit becomes 1 */
#define KEYBOARD_PORT 0x64
#define KEYBOARD_RESET 0xfe

#define EACH_TAKES 50000 /* microseconds */

static u16 acpi_port; /* 0: none */
static u8 acpi_value;

void reset_find(const u8 *rsdp, u32 rsdp_size, bool bios)
{
	u32 length;
	const u8 *fadt = acpi_find_fadt(rsdp, rsdp_size, bios, &length);
	u64 address;

	acpi_port = 0;
	if (!fadt || length <= FADT_RESET_VALUE || !(acpi_get32(fadt + FADT_FLAGS) & FADT_RESET_REG_SUP) ||
	    fadt[FADT_RESET_REG] != GAS_IO)
		return;
	address = acpi_get64(fadt + FADT_RESET_REG + 4);
	if (address > 0xffff)
		return;
	acpi_port = (u16)address;
	acpi_value = fadt[FADT_RESET_VALUE];
}

NORETURN void reset_machine(void)
{
	if (acpi_port) {
		outb(acpi_port, acpi_value);
		apic_delay(EACH_TAKES);
	}
	outb(CHIPSET_PORT, CHIPSET_HARD);
	outb(CHIPSET_PORT, CHIPSET_HARD | CHIPSET_NOW);
	apic_delay(EACH_TAKES);
	outb(KEYBOARD_PORT, KEYBOARD_RESET);
	apic_delay(EACH_TAKES);
	cpu_shut_down();
}
