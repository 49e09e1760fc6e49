/* SPDX-License-Identifier: MIT */
/*
 * Finds the serial port and hands lines to it and to the screen.  Microsoft: "Serial Port Console Redirection
 * Table".
 */
#include "drivers/console.h"

#include "drivers/acpi.h"
#include "drivers/pci.h"
#include "drivers/screen.h"
#include "drivers/uart.h"
#include "kernel/bits.h"
#include "kernel/log.h"
#include "kernel/print.h"
#include "kernel/string.h"

#define COM1 0x3f8
#define SPCR "ACPI's SPCR"
#define SPCR_SIZE 80u
#define SPCR_INTERFACE 36
#define SPCR_REGISTER_SPACE 40 /* a generic address: space, width in bits, offset, access, 64-bit address */
#define SPCR_REGISTER_WIDTH 41
#define SPCR_REGISTER_ADDRESS 44
#define SPCR_BAUD 58
#define INTERFACE_16550 0x00
#define INTERFACE_16450 0x01
#define INTERFACE_16550_GENERIC 0x12
#define SPACE_MEMORY 0
#define SPACE_IO 1
#define CLASS_SERIAL 0x0700u /* with a programming interface up to that of a 16950 */
#define SERIAL_INTERFACE_MAX 6

static char serial_name[48] = "none";
static char note[120]; /* why a port that was named is not used; empty: there is nothing to say */
static bool (*is_memory)(u64 pa, u64 size);

/* Says by `name` where it is. Not NULL: why it is not used. Memory would answer like a port, and be written.
 */
static const char *try_to_open(struct uart_place place, const char *name)
{
	if (place.base >= SIZE_4G)
		return "it is above 4 GiB";
	if (place.memory && is_memory(place.base, 8u << place.shift))
		return "memory is there";
	if (!uart_init(&place))
		return "nobody answers there";
	print_format(serial_name, sizeof(serial_name), "%s, %s %llx", name, place.memory ? "memory" : "port",
		     (unsigned long long)place.base);
	return NULL;
}

static bool refuse(const char *name, u64 base, const char *why)
{
	print_format(note, sizeof(note), "%s names a serial port at %llx, which is not used: %s", name,
		     (unsigned long long)base, why);
	return false;
}

static bool open(struct uart_place place, const char *name)
{
	const char *why = try_to_open(place, name);

	return !why || refuse(name, place.base, why);
}

static u32 spcr_baud(u8 code)
{
	static const u32 bauds[] = { [3] = 9600, [4] = 19200, [6] = 57600, [7] = 115200 };

	return code < ARRAY_SIZE(bauds) ? bauds[code] : 0;
}

/* `baud` is the user's word; without one it is the firmware's. */
static bool open_spcr(u32 baud, const u8 *rsdp, u32 rsdp_size, bool bios)
{
	u32 length;
	const u8 *t = acpi_find_table(rsdp, rsdp_size, bios, "SPCR", &length);
	struct uart_place place = { .baud = baud };

	if (!t || length < SPCR_SIZE)
		return t && refuse(SPCR, 0, "the table is too short");
	memcpy(&place.base, t + SPCR_REGISTER_ADDRESS, sizeof(place.base));
	if (!place.base) /* the firmware's own console is switched off */
		return false;
	if (t[SPCR_INTERFACE] != INTERFACE_16550 && t[SPCR_INTERFACE] != INTERFACE_16450 &&
	    t[SPCR_INTERFACE] != INTERFACE_16550_GENERIC)
		return refuse(SPCR, place.base, "it is no 16550");
	place.memory = t[SPCR_REGISTER_SPACE] == SPACE_MEMORY;
	place.shift = place.memory && t[SPCR_REGISTER_WIDTH] == 32 ? 2 : 0;
	/* The table is foreign: what console= would refuse is no UART's address either. */
	if (t[SPCR_REGISTER_SPACE] > SPACE_IO || place.base < 0x100 ||
	    place.base > (place.memory ? 0xffffff00 : 0xfff8) || (place.base & ((8u << place.shift) - 1)))
		return refuse(SPCR, place.base, "no port can be there");
	if (!baud)
		place.baud = spcr_baud(t[SPCR_BAUD]);
	return open(place, SPCR);
}

/* The first serial port that answers, such as AMT's serial over LAN. */
static bool open_if_serial(u32 function, void *context)
{
	u32 class = pci_read(function, PCI_CLASS), command = pci_read(function, PCI_COMMAND);
	struct uart_place place = { .baud = *(u32 *)context };
	char name[24];
	bool io;

	if (class >> 16 != CLASS_SERIAL || (class >> 8 & 0xff) > SERIAL_INTERFACE_MAX)
		return false;
	place.base = pci_bar(function, 0, &io);
	place.memory = !io;
	if (!(command & (io ? PCI_COMMAND_IO : PCI_COMMAND_MEMORY)))
		return false;
	print_format(name, sizeof(name), "PCI %02x:%02x.%x", function >> 8, function >> 3 & 31, function & 7);
	return !try_to_open(place, name);
}

static bool open_pci(u32 baud)
{
	return pci_find(open_if_serial, &baud);
}

static u32 or_default(u32 baud)
{
	return baud ? baud : 115200;
}

/* Of what is only tried nothing is said; what the firmware names and is not used leaves a line. */
static void open_any(u32 baud, const u8 *rsdp, u32 rsdp_size, bool bios)
{
	struct uart_place com1 = { COM1, false, 0, or_default(baud) };

	if (!open_spcr(baud, rsdp, rsdp_size, bios) && try_to_open(com1, "com1"))
		open_pci(or_default(baud));
}

static void open_serial(const struct console_option *wanted, const u8 *rsdp, u32 rsdp_size, bool bios)
{
	struct uart_place place = { wanted->address, wanted->serial != SERIAL_PORT,
				    wanted->serial == SERIAL_MMIO32 ? 2 : 0, or_default(wanted->baud) };

	switch (wanted->serial) {
	case SERIAL_NONE: break;
	case SERIAL_ACPI:
		if (!open_spcr(wanted->baud, rsdp, rsdp_size, bios) && !*note)
			print_format(note, sizeof(note), "ACPI names no serial port (SPCR)");
		break;
	case SERIAL_PCI:
		if (!open_pci(or_default(wanted->baud)))
			print_format(note, sizeof(note), "there is no serial port on PCI");
		break;
	case SERIAL_AUTO: open_any(wanted->baud, rsdp, rsdp_size, bios); break;
	default: open(place, "console="); break;
	}
}

static void write(const char *text, size_t len)
{
	uart_write(text, len);
	screen_write(text, len);
}

void console_open(const struct console_option *wanted, const u8 *rsdp, u32 rsdp_size, bool bios,
		  bool (*memory)(u64 pa, u64 size))
{
	is_memory = memory;
	*note = '\0';
	print_format(serial_name, sizeof(serial_name), "none");
	uart_init(&(struct uart_place){ .base = 0 });
	open_serial(wanted, rsdp, rsdp_size, bios);
	log_set_sink(write);
	log_set_stop(screen_reopen);
}

const char *console_serial_name(void)
{
	return serial_name;
}

const char *console_note(void)
{
	return *note ? note : NULL;
}

void console_to_l1(void)
{
	screen_close();
}
