/* SPDX-License-Identifier: MIT */
/*
 * PIIX4 and its like, and the LPC bridges of ICH and PCH: both have the base at 40H, and PM1_CNT 4 ports
 * above it.  Newer PCHs have the same registers in a function of their own.  See drivers/chipset.h.
 */
#include "drivers/chipset.h"

#include "drivers/acpi_sleep.h"
#include "kernel/bits.h"
#include "kernel/hw/cpu.h"
#include "kernel/log.h"

#define INTEL 0x8086u
#define PIIX4_PM 0x71138086u
#define CLASS_ISA_BRIDGE 0x0601u

#define REG_BASE 0x40
#define REG_ICH_ENABLE 0x44   /* ACPI_CNTL, bit 7 */
#define REG_PIIX4_ENABLE 0x80 /* PMREGMISC, bit 0 */
#define BASE_IS_IO BIT(0)
#define BASE_MASK 0xffc0u
#define ICH_ENABLED BIT(7)
#define PM1_CNT 4u
#define PM1_CNT_WIDTH 2u

/* SLP_TYP: PIIX4's 0 is soft off (1: suspend to RAM), ICH's 6 and 7 are S4 and S5 (5: S3). */
#define PIIX4_ALLOWED BIT(0)
#define ICH_ALLOWED (BIT(6) | BIT(7))

#define FUNCTIONS_OF_BUS_0 256u

static u32 control_port(u32 function)
{
	u32 base = pci_read(function, REG_BASE);

	return (base & BASE_IS_IO) && (base & BASE_MASK) && !(base >> 16) ? (base & BASE_MASK) + PM1_CNT : 0;
}

static bool is_piix4(u32 function)
{
	return pci_read(function, PCI_ID) == PIIX4_PM;
}

/* A bridge to ISA or LPC of Intel's, with ACPI's registers switched on. */
static bool is_ich(u32 function)
{
	return (pci_read(function, PCI_ID) & 0xffff) == INTEL &&
	       pci_read(function, PCI_CLASS) >> 16 == CLASS_ISA_BRIDGE &&
	       (pci_read(function, REG_ICH_ENABLE) & ICH_ENABLED);
}

/* Of a register whose place is known: what function of Intel's on bus 0 says that it has it there? */
static bool matches(u32 function, const struct acpi_sleep *sleep)
{
	if ((pci_read(function, PCI_ID) & 0xffff) != INTEL)
		return false;
	if (sleep->pm1a.space == SLEEP_IO)
		return control_port(function) == sleep->pm1a.address;
	return is_piix4(function) || (is_ich(function) && control_port(function));
}

static bool is_known(const struct acpi_sleep *sleep)
{
	return sleep->pm1a.space != SLEEP_ABSENT || sleep->control.space != SLEEP_ABSENT || sleep->has_fadt;
}

static void fill_in(u32 function, struct acpi_sleep *sleep)
{
	u32 port = control_port(function);

	if (port)
		sleep->pm1a = (struct sleep_register){ SLEEP_IO, port, PM1_CNT_WIDTH };
	sleep->pm1a_allowed = (u8)(is_piix4(function) ? PIIX4_ALLOWED : ICH_ALLOWED);
	log_info("chipset: no ACPI table; PM1_CNT is at port %x, of SLP_TYP %x can pass (bits)", port,
		 sleep->pm1a_allowed);
}

void chipset_find_pm(struct acpi_sleep *sleep, struct chipset_pm *pm)
{
	bool known = is_known(sleep);
	u32 saved = inl(PCI_CONFIG_ADDRESS);

	*pm = (struct chipset_pm){ .found = false };
	for (u32 function = 0; function < FUNCTIONS_OF_BUS_0 && !pm->found; function++) {
		if ((known && sleep->pm1a.space != SLEEP_IO) || !matches(function, sleep))
			continue;
		*pm = (struct chipset_pm){ true, (u16)function, REG_BASE,
					   is_piix4(function) ? REG_PIIX4_ENABLE : REG_ICH_ENABLE };
		if (!known)
			fill_in(function, sleep);
	}
	outl(PCI_CONFIG_ADDRESS, saved);
	if (!known && !pm->found)
		log_warn("neither ACPI nor a chipset that Socle knows says where the sleep registers are: L1 "
			 "can "
			 "suspend the machine, and runs outside Socle when it wakes");
}
