/* SPDX-License-Identifier: MIT */
/*
 * See drivers/reset.h. In the order in which operating systems try: the register that ACPI names, at a port,
 * in memory or in PCI's configuration space, the chipset's reset control register, the keyboard controller,
 * and a triple fault, which shuts the processor down. ACPI specification: "Reset Register".
 */
#include "drivers/reset.h"

#include "drivers/acpi_blocks.h"
#include "drivers/apic.h"
#include "drivers/pci.h"
#include "kernel/bits.h"
#include "kernel/hw/cpu.h"
#include "kernel/hw/phys.h"
#include "kernel/log.h"
#include "mm/host_map.h"
#include "mm/memmap.h"

#define FADT_FLAGS 112
#define FADT_RESET_REG_SUP (1u << 10)
#define FADT_RESET_REG 116
#define FADT_RESET_VALUE 128
#define GAS_MEMORY 0
#define GAS_IO 1
#define GAS_PCI 2
#define FADT_SIZE_WITH_RESET 129u
#define ADDRESS_END BIT(46) /* what the direct map has room for */

#define CHIPSET_PORT 0xcf9
#define CHIPSET_HARD 0x02 /* a reset of the whole machine, */
#define CHIPSET_NOW 0x04  /* when this bit becomes 1 */
#define KEYBOARD_PORT 0x64
#define KEYBOARD_RESET 0xfe

#define EACH_TAKES 50000 /* microseconds */

static struct {
	u8 space; /* GAS_*; of no meaning without an address */
	u8 value;
	u64 address; /* 0: none */
} acpi;

/* "PCI Configuration space addresses must be confined to devices on PCI Segment Group 0, bus 0": device,
 * function and offset, 16 bits each. Ports reach the first 256 bytes. */
static bool is_pci_register(u64 address)
{
	return address >> 32 < 32 && (address >> 16 & 0xffff) < 8 && (address & 0xffff) < 256;
}

/* A byte that is written to memory of L1's or Socle's resets nothing. */
static bool is_memory_register(u64 address)
{
	return address < ADDRESS_END && !memmap_is_usable(address, 1) && !memmap_in_window(address, 1);
}

static bool is_register(u8 space, u64 address)
{
	switch (space) {
	case GAS_MEMORY: return is_memory_register(address);
	case GAS_IO: return address <= 0xffff;
	case GAS_PCI: return is_pci_register(address);
	default: return false;
	}
}

void reset_find(const u8 *rsdp, u32 rsdp_size, bool bios)
{
	u32 length;
	const u8 *fadt = acpi_find_fadt(rsdp, rsdp_size, bios, &length);
	u64 address;

	acpi.address = 0;
	if (!fadt || length < FADT_SIZE_WITH_RESET || !(acpi_get32(fadt + FADT_FLAGS) & FADT_RESET_REG_SUP))
		return;
	address = acpi_get64(fadt + FADT_RESET_REG + 4);
	if (!address || !is_register(fadt[FADT_RESET_REG], address)) {
		log_warn("acpi: the reset register at %llx of address space %u is not used",
			 (unsigned long long)address, fadt[FADT_RESET_REG]);
		return;
	}
	acpi.space = fadt[FADT_RESET_REG];
	acpi.value = fadt[FADT_RESET_VALUE];
	acpi.address = address;
	if (acpi.space == GAS_MEMORY && address >= SIZE_4G)
		host_map_device(address, 1);
}

/* "The reset register is ... 8 bits wide", whatever width the table says. */
static void write_acpis_register(void)
{
	switch (acpi.space) {
	case GAS_MEMORY: WRITE_ONCE(*(u8 *)phys_to_ptr(HPA(acpi.address)), acpi.value); break;
	case GAS_IO: outb((u16)acpi.address, acpi.value); break;
	case GAS_PCI:
		pci_write8((u32)(acpi.address >> 32 << 3 | (acpi.address >> 16 & 7)), (u8)acpi.address,
			   acpi.value);
		break;
	}
}

NORETURN void reset_machine(void)
{
	if (acpi.address) {
		write_acpis_register();
		apic_delay(EACH_TAKES);
	}
	outb(CHIPSET_PORT, CHIPSET_HARD);
	outb(CHIPSET_PORT, CHIPSET_HARD | CHIPSET_NOW);
	apic_delay(EACH_TAKES);
	outb(KEYBOARD_PORT, KEYBOARD_RESET);
	apic_delay(EACH_TAKES);
	cpu_shut_down();
}
