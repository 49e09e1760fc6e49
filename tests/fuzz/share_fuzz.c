/* SPDX-License-Identifier: MIT */
/*
 * A port that L1 and the monitor share, L1 and the keyboard arbitrary: L1 reads back what it has written, the
 * hardware has its settings after each step, what is typed and not the key reaches who has the keyboard, in
 * order, and L1 is interrupted while something waits for it.
 */
#include <stdlib.h>

#include "tests/unit/uart16550.h"
#include "vmx/monitor/uart_l1.h"

int LLVMFuzzerTestOneInput(const u8 *data, size_t size);

#define BASE 0x3f8
#define KEY 1
#define U uart16550

/* What L1 and the monitor shall get: the bytes that arrive one after the other decide. */
static struct side {
	u8 bytes[4096];
	u32 count, read;
} l1s, monitors;
static bool to_monitor, plain; /* plain: L1 has done nothing by which bytes are lost or its own */
static u32 keys;
static u8 ier, lcr;
static u16 divisor;

static void require(bool holds)
{
	if (!holds)
		abort();
}

static void expect(u8 byte)
{
	struct side *side = to_monitor ? &monitors : &l1s;

	if (side->count < sizeof(side->bytes))
		side->bytes[side->count++] = byte;
}

static void type(u8 byte)
{
	/* what nobody takes in time is lost, as on the bare machine: not modelled */
	if (U.count == UART16550_FIFO || l1s.count - l1s.read > 40 || monitors.count - monitors.read > 90)
		return;
	require(uart16550_type(byte, 0) || !plain);
	if (byte == KEY && ++keys == 3) {
		to_monitor = !to_monitor;
		keys = 0;
	} else if (byte != KEY) {
		for (; keys; keys--)
			expect(KEY);
		expect(byte);
	}
}

static void read_data(void)
{
	bool there = uart_l1_read(UART_LSR) & UART_LSR_DATA_READY;
	u8 byte = uart_l1_read(UART_DATA);

	if (!plain || !there || (lcr & UART_LCR_DLAB))
		return;
	require(l1s.read < l1s.count && byte == l1s.bytes[l1s.read]);
	l1s.read++;
}

static void monitor_reads(void)
{
	u8 byte;

	uart_l1_look();
	while (input_own_take(&uart_l1_input, &byte))
		if (plain) {
			require(monitors.read < monitors.count && byte == monitors.bytes[monitors.read]);
			monitors.read++;
		}
}

static void say(void)
{
	struct uart_l1_settings old = uart_l1_lend();

	require(!(U.lcr & (UART_LCR_DLAB | UART_LCR_BREAK)) && !(U.mcr & UART_MCR_LOOP));
	uart_send(uart_console(), "socle: x\n", 9);
	uart_l1_return(&old);
}

static void write(u32 n, u8 value)
{
	bool dlab = lcr & UART_LCR_DLAB;

	if (n == UART_FCR || (n == UART_MCR && (value & UART_MCR_LOOP)))
		plain = false;
	if (n == UART_LCR)
		lcr = value;
	if (n == UART_DATA && dlab)
		divisor = (u16)((divisor & 0xff00) | value);
	if (n == UART_IER && dlab)
		divisor = (u16)((divisor & 0xff) | value << 8);
	else if (n == UART_IER)
		ier = value & 0x0f;
	uart_l1_write((enum uart_register)n, value);
}

static void check(void)
{
	bool dlab = lcr & UART_LCR_DLAB;

	require(U.lcr == lcr && U.divisor == divisor && uart_l1_input.l1_count <= INPUT_L1_MAX);
	require(uart_l1_read(UART_LCR) == lcr);
	require(dlab || uart_l1_read(UART_IER) == ier);
	/* and who has not read in IIR that something is there is interrupted */
	if (plain && !dlab && !to_monitor && (ier & 1) && uart_l1_input.l1_count)
		require(U.line || (uart_l1_read(UART_IIR) & 0x0f) == 4);
}

int LLVMFuzzerTestOneInput(const u8 *data, size_t size)
{
	l1s.count = l1s.read = monitors.count = monitors.read = 0;
	uart16550_plug(BASE);
	uart_init(&(const struct uart_place){ .base = BASE, .baud = 115200 });
	uart_l1_start(uart_console(), KEY);
	to_monitor = false;
	plain = true;
	keys = ier = 0;
	lcr = U.lcr;
	divisor = U.divisor;
	for (size_t i = 0; i + 1 < size && l1s.count < 4000 && monitors.count < 4000; i += 2) {
		u8 value = data[i + 1];

		switch (data[i] % 8) {
		case 0: type(value); break;
		case 1: type(KEY); break;
		case 2: read_data(); break;
		case 3: monitor_reads(); break;
		case 4: say(); break;
		case 5: uart_l1_read((enum uart_register)(UART_IIR + value % 4)); break;
		default:
			write(data[i] >> 3 & 7 ? UART_IER : value % UART_L1_REGISTERS, data[i] ^ value);
			break;
		}
		uart_l1_drive();
		check();
	}
	return 0;
}
