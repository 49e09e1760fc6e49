/* SPDX-License-Identifier: MIT */
/*
 * L0's console: the serial port that is chosen, one that is stuck, and what stands on the screen, in text and
 * in pixels.
 */
#include "tests/unit/cmocka_all.h"

#include "boot/screen_start.h"
#include "drivers/console.h"
#include "drivers/pci.h"
#include "drivers/screen.h"
#include "drivers/uart.h"
#include "kernel/bits.h"
#include "tests/fake/fake.h"
#include "tests/unit/bytes.h"

#define RSDT 0x80000u
#define SPCR 0x81000u
#define SCREEN 0x400000u
#define MMIO_UART 0x300000u
#define AMT (22u << 3 | 3)
#define DISPLAY (2u << 3)

/* ---- ports: UARTs, configuration space, VGA's graphics controller ---- */

static struct {
	u16 base;
	u8 reg[8];
	u8 divisor[2];
	bool stuck;
	u32 looks; /* at the line status */
	char text[256];
	u32 length;
} uart[2];
static u32 config_address;
static struct {
	u32 function, class, command, bar0;
} bus[3];
static u8 vga_misc;
static u64 ram_end; /* from 0 on */

static bool uart_in(u16 port, u32 *value)
{
	for (size_t i = 0; i < ARRAY_SIZE(uart); i++) {
		u32 n = port - uart[i].base;

		if (!uart[i].base || n > 7)
			continue;
		uart[i].looks += n == 5;
		*value = n == 5 ? (uart[i].stuck ? 0 : 0x60) : uart[i].reg[n];
		return true;
	}
	return false;
}

static bool port_in(u16 port, unsigned int size, u32 *value)
{
	*value = size == 4 ? ~0u : 0xff;
	if (port == 0x3cf)
		*value = vga_misc;
	if (port == PCI_CONFIG_ADDRESS)
		*value = config_address;
	for (size_t i = 0; i < ARRAY_SIZE(bus) && port == PCI_CONFIG_DATA; i++) {
		u32 at = config_address & 0xff;

		if (!bus[i].class || (config_address >> 8 & 0xffff) != bus[i].function)
			continue;
		*value = at == PCI_ID	     ? 0x12348086
			 : at == PCI_COMMAND ? bus[i].command
			 : at == PCI_CLASS   ? bus[i].class
			 : at == PCI_BAR0    ? bus[i].bar0
			 : at == 0x0c	     ? 0x800000
					     : 0;
	}
	uart_in(port, value);
	return true;
}

static bool port_out(u16 port, unsigned int size UNUSED, u32 value)
{
	if (port == PCI_CONFIG_ADDRESS)
		config_address = value;
	for (size_t i = 0; i < ARRAY_SIZE(uart); i++) {
		u32 n = port - uart[i].base;

		if (!uart[i].base || n > 7)
			continue;
		if ((uart[i].reg[3] & 0x80) && n < 2)
			uart[i].divisor[n] = (u8)value;
		else if (!n)
			uart[i].text[uart[i].length++ % 255] = (char)value;
		else
			uart[i].reg[n] = (u8)value;
	}
	return true;
}

static int setup(void **state UNUSED)
{
	fake_reset();
	memset(uart, 0, sizeof(uart));
	memset(bus, 0, sizeof(bus));
	vga_misc = 0xff;
	ram_end = 0;
	uart[0].base = 0x3f8;
	fake_port_in = port_in;
	fake_port_out = port_out;
	return 0;
}

static bool is_ram(u64 pa, u64 size UNUSED)
{
	return pa < ram_end;
}

static void open_console(const char *value)
{
	char line[80] = "console=";

	assert_int_equal(cmdline_parse(strcat(line, value)), STATUS_OK);
	console_open(&options.console, NULL, 0, true, is_ram);
}

static u32 divisor(unsigned int i)
{
	return uart[i].divisor[0] | (u32)uart[i].divisor[1] << 8;
}

/* ---- the serial port ---- */

static void speeds_and_ports(void **state UNUSED)
{
	uart[1].base = 0x2f8;
	open_console("com1");
	assert_int_equal(divisor(0), 1);
	assert_string_equal(console_serial_name(), "console=, port 3f8");
	open_console("screen,com2,9600n8");
	assert_int_equal(divisor(1), 12);
	assert_true(options.console.screen);
	open_console("0x3f8,8n1,300");
	assert_int_equal(divisor(0), 384);
	open_console("com3");
	assert_string_equal(console_serial_name(), "none");
	open_console("none");
	assert_string_equal(console_serial_name(), "none");
}

static void registers_in_memory(void **state UNUSED)
{
	volatile u32 *wide = (volatile u32 *)(fake_memory + MMIO_UART);
	volatile u8 *narrow = fake_memory + MMIO_UART;

	wide[5] = 0x60;
	open_console("mmio32:0x300000");
	uart_write("A", 1);
	assert_int_equal(wide[0], 'A');
	assert_int_equal(wide[3], 3);
	memset(fake_memory + MMIO_UART, 0, 64);
	narrow[5] = 0x60;
	open_console("mmio:0x300000,57600");
	assert_int_equal(narrow[4], 3);
	uart_write("B", 1);
	assert_int_equal(narrow[0], 'B');
	assert_int_equal(cmdline_parse("console=mmio:0x300004"), STATUS_OPTION_VALUE);
	assert_int_equal(cmdline_parse("console=mmio32:0x300008"), STATUS_OPTION_VALUE);
	assert_int_equal(cmdline_parse("console=screen,"), STATUS_OK);
	assert_int_equal(cmdline_parse("console=com1,,screen"), STATUS_OPTION_VALUE);
	assert_int_equal(cmdline_parse("console=57600"), STATUS_OPTION_VALUE);
	assert_int_equal(cmdline_parse("console=com1,115201"), STATUS_OPTION_VALUE);
	assert_int_equal(cmdline_parse("console=com1,7"), STATUS_OPTION_VALUE);
}

/* 20 ms three times running, then nothing but one look for each text; when the port is ready it goes on. */
static void a_stuck_port_is_given_up(void **state UNUSED)
{
	open_console("com1");
	uart_write("ok\n", 3);
	assert_string_equal(uart[0].text, "ok\r\n");
	/* late characters count in a row alone */
	for (int i = 0; i < 5; i++) {
		uart[0].stuck = true;
		uart_write("l", 1);
		assert_false(uart_is_stuck());
		uart[0].stuck = false;
		uart_write("r", 1);
	}
	uart[0].stuck = true;
	uart[0].looks = 0;
	uart_write("0123456789", 10);
	assert_int_equal(uart[0].looks, 3 * 20000);
	assert_true(uart_is_stuck());
	for (int i = 0; i < 1000; i++)
		uart_write("lost", 4);
	assert_int_equal(uart[0].looks, 3 * 20000 + 1000);
	uart[0].stuck = false;
	uart[0].length = 0;
	memset(uart[0].text, 0, sizeof(uart[0].text));
	uart_write("back", 4);
	assert_string_equal(uart[0].text, "back");
	assert_false(uart_is_stuck());
}

/* L1 is about to write its divisor. */
static void l1s_divisor_stays(void **state UNUSED)
{
	open_console("com1");
	uart[0].divisor[0] = 3;
	uart[0].reg[3] = 0x83;
	uart_write("x", 1);
	assert_int_equal(uart[0].divisor[0], 3);
	assert_int_equal(uart[0].reg[3], 0x83);
	assert_int_equal(uart[0].text[0], 'x');
}

static void make_spcr(u8 interface, u8 space, u8 width, u64 address, u8 baud)
{
	u8 *rsdp = fake_memory + 0xe0000, sum = 0, *t = fake_memory + SPCR;

	memset(rsdp, 0, 64);
	memcpy(rsdp, "RSD PTR ", 8);
	put32(0xe0000 + 16, RSDT);
	for (int i = 0; i < 20; i++)
		sum = (u8)(sum + rsdp[i]);
	rsdp[8] = (u8)-sum;
	memcpy(fake_memory + RSDT, "RSDT", 4);
	put32(RSDT + 4, 40);
	put32(RSDT + 36, SPCR);
	memcpy(t, "SPCR", 4);
	put32(SPCR + 4, 80);
	t[36] = interface;
	t[40] = space;
	t[41] = width;
	memcpy(t + 44, &address, 8);
	t[58] = baud;
}

static void acpi_names_the_port(void **state UNUSED)
{
	uart[1].base = 0x2f8;
	make_spcr(0, 1, 8, 0x2f8, 6);
	open_console("serial");
	assert_string_equal(console_serial_name(), "ACPI's SPCR, port 2f8");
	assert_int_equal(divisor(1), 2);
	/* the user's word counts; speed "as is" is left */
	open_console("acpi,9600");
	assert_int_equal(divisor(1), 12);
	make_spcr(0, 1, 8, 0x2f8, 0);
	uart[1].divisor[0] = 77;
	open_console("acpi");
	assert_int_equal(divisor(1) & 0xff, 77);
	/* of a kind that is no 16550, or where nobody answers: the next of the list */
	make_spcr(3, 1, 8, 0x2f8, 6);
	open_console("serial");
	assert_string_equal(console_serial_name(), "com1, port 3f8");
	make_spcr(0, 1, 8, 0x3e8, 6);
	open_console("serial");
	assert_string_equal(console_serial_name(), "com1, port 3f8");
	make_spcr(0x12, 0, 32, MMIO_UART, 7);
	open_console("serial");
	assert_string_equal(console_serial_name(), "ACPI's SPCR, memory 300000");
	make_spcr(0x12, 0, 32, 0x1000000000, 7);
	open_console("acpi");
	assert_string_equal(console_serial_name(), "none");
	/* no port, though its lower half is one; the end of the first 4 GiB; the middle of a register block
	 */
	make_spcr(0, 1, 8, 0x102f8, 6);
	open_console("acpi");
	assert_string_equal(console_serial_name(), "none");
	make_spcr(0x12, 0, 32, 0xffffffe0, 7);
	open_console("acpi");
	assert_string_equal(console_serial_name(), "none");
	make_spcr(0x12, 0, 32, MMIO_UART + 4, 7);
	open_console("acpi");
	assert_string_equal(console_serial_name(), "none");
}

static void assert_note(const char *expected)
{
	if (!console_note() || !strstr(console_note(), expected))
		fail_msg("'%s', not '%s'", console_note() ? console_note() : "", expected);
}

/* What firmware names, or the user, and is not used, is told; what was only tried is not. */
static void a_port_that_is_not_used_is_told(void **state UNUSED)
{
	open_console("serial");
	assert_null(console_note());
	uart[0].base = 0;
	open_console("serial");
	assert_null(console_note());
	open_console("com3");
	assert_note("console= names a serial port at 3e8, which is not used: nobody answers there");
	open_console("pci");
	assert_note("there is no serial port on PCI");
	open_console("acpi");
	assert_note("ACPI names no serial port (SPCR)");
	make_spcr(3, 1, 8, 0x2f8, 6);
	open_console("serial");
	assert_note("ACPI's SPCR names a serial port at 2f8, which is not used: it is no 16550");
	make_spcr(0, 2, 8, 0x2f8, 6);
	open_console("acpi");
	assert_note("no port can be there");
	make_spcr(0, 1, 8, 0, 6); /* the specification's way to say that there is none */
	open_console("serial");
	assert_null(console_note());
	put32(SPCR + 4, 79);
	open_console("serial");
	assert_note("the table is too short");
}

/* RAM would answer, and the registers would be written into L1's image or Socle's. */
static void memory_is_no_port(void **state UNUSED)
{
	u8 before[64];

	uart[0].base = 0;
	ram_end = 0x400000;
	memset(fake_memory + MMIO_UART, 0x60, 64);
	memcpy(before, fake_memory + MMIO_UART, 64);
	make_spcr(0x12, 0, 32, MMIO_UART, 7);
	open_console("serial");
	assert_note("ACPI's SPCR names a serial port at 300000, which is not used: memory is there");
	open_console("mmio32:0x300000");
	assert_note("console= names a serial port at 300000, which is not used: memory is there");
	bus[0].function = AMT;
	bus[0].class = 0x07000200;
	bus[0].command = PCI_COMMAND_MEMORY;
	bus[0].bar0 = MMIO_UART;
	open_console("pci");
	assert_string_equal(console_serial_name(), "none");
	assert_memory_equal(before, fake_memory + MMIO_UART, 64);
}

/* AMT's serial over LAN, as vPro machines have it; behind it, one whose ports are switched off. */
static void pci_has_the_port(void **state UNUSED)
{
	uart[0].base = 0;
	uart[1].base = 0xf0a0;
	bus[0].function = 22u << 3;
	bus[0].class = 0x07800000;
	bus[1].function = AMT;
	bus[1].class = 0x07000200;
	bus[1].command = PCI_COMMAND_IO;
	bus[1].bar0 = 0xf0a1;
	open_console("serial");
	assert_string_equal(console_serial_name(), "PCI 00:16.3, port f0a0");
	bus[1].command = PCI_COMMAND_MEMORY;
	open_console("pci");
	assert_string_equal(console_serial_name(), "none");
	assert_int_equal(config_address, 0);
}

/* ---- the screen ---- */

static const struct screen_mode pixels = { SCREEN, 320 * 4, 320, 90, 32, false, 0xffffff, 0 };

static void show(const struct screen_mode *mode)
{
	assert_true(screen_init(mode));
	screen_show();
}

static u32 pixel(u32 x, u32 y)
{
	u32 value;

	memcpy(&value, fake_memory + SCREEN + y * pixels.pitch + 4 * x, 4);
	return value;
}

/* The letter's rows, as bits, two lines each. */
static u32 letter_row(u32 column, u32 row, u32 r)
{
	u32 bits = 0;

	for (u32 x = 0; x < 5; x++)
		bits = bits << 1 | !!pixel(column * 8 + x, row * 18 + 2 * r);
	for (u32 x = 0; x < 5; x++)
		assert_int_equal(pixel(column * 8 + x, row * 18 + 2 * r),
				 pixel(column * 8 + x, row * 18 + 2 * r + 1));
	return bits;
}

static void letters_in_pixels(void **state UNUSED)
{
	static const u8 a[8] = { 0x0e, 0x11, 0x11, 0x1f, 0x11, 0x11, 0x11, 0 };

	memset(fake_memory + SCREEN, 0x55, 320 * 90 * 4);
	show(&pixels);
	screen_write("xA\nA", 4);
	for (u32 r = 0; r < 8; r++) {
		assert_int_equal(letter_row(1, 0, r), a[r]);
		assert_int_equal(letter_row(0, 1, r), a[r]);
		assert_int_equal(letter_row(2, 0, r), 0);
	}
	/* nothing beside the rows of cells; five rows of 18 lines are 90 */
	put32(SCREEN + 320 * 90 * 4, 0x55555555);
	screen_write("\n\n\n\n\n\n\n", 7);
	assert_int_equal(*(u32 *)(fake_memory + SCREEN + 320 * 90 * 4), 0x55555555);
}

/* Rows that move up keep their letters; a line that is too long goes on in the next row. */
static void a_full_page_moves_up(void **state UNUSED)
{
	struct screen_mode text = { SCREEN, 20, 10, 4, 16, true, 0, 0 };
	char row[11] = "";

	show(&text);
	screen_write("one\n", 4);
	screen_write("two\nthree\n", 10);
	screen_write("four and more\n", 14);
	for (u32 y = 0; y < 4; y++) {
		static const char *const wanted[] = { "three     ", "four and m", "ore       ",
						      "          " };

		for (u32 x = 0; x < 10; x++)
			row[x] = (char)fake_memory[SCREEN + y * 20 + x * 2];
		assert_string_equal(row, wanted[y]);
	}
	assert_int_equal(fake_memory[SCREEN + 1], 7);
}

static void modes_that_cannot_be(void **state UNUSED)
{
	struct screen_mode mode = pixels;

	mode.pitch = 1279;
	assert_false(screen_init(&mode));
	mode = pixels;
	mode.bits = 4;
	assert_false(screen_init(&mode));
	mode = pixels;
	mode.width = mode.height = 0;
	assert_false(screen_init(&mode));
	mode = pixels;
	mode.width = 7;
	assert_false(screen_init(&mode));
	screen_write("nothing", 7);
	screen_show();
}

/* From L1's first entry on nothing is written; after a stop only if the adapter still is where it was. */
static void the_screen_is_l1s(void **state UNUSED)
{
	bus[0].function = DISPLAY;
	bus[0].class = 0x03000000;
	bus[0].command = PCI_COMMAND_MEMORY;
	bus[0].bar0 = SCREEN;
	/* a stop before its memory was mapped */
	assert_true(screen_init(&pixels));
	memset(fake_memory + SCREEN, 0x55, 320 * 90 * 4);
	screen_reopen();
	screen_write("A", 1);
	assert_int_equal(fake_memory[SCREEN], 0x55);
	show(&pixels);
	screen_close();
	memset(fake_memory + SCREEN, 0x55, 320 * 90 * 4);
	screen_write("A", 1);
	bus[0].bar0 = SCREEN + 0x1000000;
	screen_reopen();
	bus[0].bar0 = SCREEN;
	bus[0].command = 0;
	screen_reopen();
	screen_write("A", 1);
	for (u32 i = 0; i < 320 * 90 * 4; i++)
		assert_int_equal(fake_memory[SCREEN + i], 0x55);
	bus[0].command = PCI_COMMAND_MEMORY;
	screen_reopen();
	screen_write("A", 1);
	assert_int_equal(letter_row(0, 0, 0), 0x0e);
	assert_int_equal(pixel(319, 89), 0);
}

static void text_after_a_stop(void **state UNUSED)
{
	struct screen_mode text = { SCREEN, 160, 80, 25, 16, true, 0, 0 };
	u8 *first = fake_memory + SCREEN;

	show(&text);
	screen_close();
	*first = 'L';
	vga_misc = 0x05; /* graphics at A0000H */
	screen_reopen();
	screen_write("A", 1);
	assert_int_equal(*first, 'L');
	vga_misc = 0x0e; /* text at B8000H, and odd-even addressing */
	screen_reopen();
	screen_write("A", 1);
	assert_int_equal(*first, 'A');
}

static void what_the_loader_left(void **state UNUSED)
{
	static struct boot_info info;

	info.framebuffer = (struct boot_framebuffer){ SCREEN, 320 * 4, 320, 90, 32, BOOT_FRAMEBUFFER_RGB,
						      16,     8,       8,   8,	0,  8 };
	assert_true(screen_start(&info));
	screen_write("A", 1);
	assert_int_equal(pixel(1, 0), 0xffffff);
	screen_close();
	/* where RAM is, to the byte, is no screen */
	info.ranges[0] = (struct memmap_range){ SCREEN + 320 * 4 * 90, PAGE_SIZE, MEMMAP_USABLE };
	info.ranges[1] = (struct memmap_range){ SCREEN - PAGE_SIZE, PAGE_SIZE, MEMMAP_NVS };
	info.ranges[2] = (struct memmap_range){ SCREEN, PAGE_SIZE, MEMMAP_RESERVED };
	info.range_count = 3;
	assert_true(screen_start(&info));
	screen_close();
	for (int i = 0; i < 2; i++) {
		info.ranges[i].base += i ? 1 : -1;
		assert_false(screen_start(&info));
		info.ranges[i].base -= i ? 1 : -1;
	}
	info.range_count = 0;
	/* no tag: VGA text on BIOS, nothing under EFI */
	info.framebuffer.type = BOOT_FRAMEBUFFER_NONE;
	screen_start(&info);
	screen_write("B", 1);
	assert_int_equal(fake_memory[0xb8000], 'B');
	screen_close();
	fake_memory[0xb8000] = 0;
	info.efi = true;
	screen_start(&info);
	screen_write("C", 1);
	assert_int_equal(fake_memory[0xb8000], 0);
	/* sizes that would be beyond all memory */
	info.framebuffer = (struct boot_framebuffer){ ~0ull - 100, 1280, 320, 90, 32, BOOT_FRAMEBUFFER_RGB,
						      16,	   8,	 8,   8,  0,  8 };
	assert_false(screen_start(&info));
	screen_write("D", 1);
	screen_start_mapped();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(speeds_and_ports, setup),
		cmocka_unit_test_setup(registers_in_memory, setup),
		cmocka_unit_test_setup(a_stuck_port_is_given_up, setup),
		cmocka_unit_test_setup(l1s_divisor_stays, setup),
		cmocka_unit_test_setup(acpi_names_the_port, setup),
		cmocka_unit_test_setup(a_port_that_is_not_used_is_told, setup),
		cmocka_unit_test_setup(memory_is_no_port, setup),
		cmocka_unit_test_setup(pci_has_the_port, setup),
		cmocka_unit_test_setup(letters_in_pixels, setup),
		cmocka_unit_test_setup(a_full_page_moves_up, setup),
		cmocka_unit_test_setup(modes_that_cannot_be, setup),
		cmocka_unit_test_setup(the_screen_is_l1s, setup),
		cmocka_unit_test_setup(text_after_a_stop, setup),
		cmocka_unit_test_setup(what_the_loader_left, setup),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
