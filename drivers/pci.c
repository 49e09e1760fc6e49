/* SPDX-License-Identifier: MIT */
/*
 * Accesses to configuration space, and the walk over all functions.  See drivers/pci.h.
 */
#include "drivers/pci.h"

#include "kernel/bits.h"
#include "kernel/hw/cpu.h"

#define DEVICES (256u * 32u)
#define FUNCTIONS_OF_DEVICE 8u
#define HEADER_TYPE 0x0c /* in bits 23:16 */
#define HEADER_MULTIFUNCTION BIT(23)
#define HEADER_LAYOUT GENMASK(22, 16)
#define BARS 6u
#define BAR_IO BIT(0)
#define BAR_KIND GENMASK(2, 1)
#define BAR_64 BIT(2)

u32 pci_read(u32 function, u8 at)
{
	outl(PCI_CONFIG_ADDRESS, PCI_CONFIG_ENABLE | function << 8 | at);
	return inl(PCI_CONFIG_DATA);
}

void pci_write8(u32 function, u8 at, u8 value)
{
	outl(PCI_CONFIG_ADDRESS, PCI_CONFIG_ENABLE | function << 8 | (at & ~3u));
	outb((u16)(PCI_CONFIG_DATA + (at & 3)), value);
}

u64 pci_bar(u32 function, u32 index, bool *io)
{
	u32 low = pci_read(function, (u8)(PCI_BAR0 + 4 * index));

	*io = low & BAR_IO;
	if (*io)
		return low & ~3u;
	if ((low & BAR_KIND) == BAR_64 && index + 1 < BARS)
		return (u64)pci_read(function, (u8)(PCI_BAR0 + 4 * index + 4)) << 32 | (low & ~15u);
	return low & ~15u;
}

static bool is_there(u32 function)
{
	return (pci_read(function, PCI_ID) & 0xffff) != 0xffff;
}

bool pci_find(bool (*visit)(u32 function, void *context), void *context)
{
	u32 saved = inl(PCI_CONFIG_ADDRESS), count;
	bool found = false;

	for (u32 device = 0; device < DEVICES && !found; device++) {
		u32 first = device * FUNCTIONS_OF_DEVICE, header;

		if (!is_there(first))
			continue;
		header = pci_read(first, HEADER_TYPE);
		count = header & HEADER_MULTIFUNCTION ? FUNCTIONS_OF_DEVICE : 1;
		for (u32 f = first; f < first + count && !found; f++)
			found = is_there(f) && !(pci_read(f, HEADER_TYPE) & HEADER_LAYOUT) &&
				visit(f, context);
	}
	outl(PCI_CONFIG_ADDRESS, saved);
	return found;
}
