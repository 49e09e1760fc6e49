/* SPDX-License-Identifier: MIT */
/*
 * PC16550D: divisor, line control, waiting for the transmitter to be empty, for a bounded time, and
 * asking the receiver, without waiting.
 */
#include "drivers/uart.h"

#include "kernel/bits.h"
#include "kernel/hw/cpu.h"
#include "kernel/hw/phys.h"

#define LINE_8N1 0x03
#define FIFO_ENABLE_AND_CLEAR 0x07
#define MODEM_DTR_RTS 0x03
#define BAUD_MAX 115200u
/* A character takes 87 us at 115200; a port read about 1 us. */
#define WAIT_MAX 20000
#define LATE_MAX 3 /* characters running for which that was not enough */

static struct uart console;
static void (*console_guard)(bool begins);

static u8 read_register(const struct uart *uart, u32 number)
{
	const struct uart_place *place = &uart->place;
	u64 at = place->base + (number << place->shift);

	if (!place->memory)
		return inb((u16)at);
	return place->shift == 2 ? (u8)READ_ONCE(*(u32 *)phys_to_ptr(HPA(at)))
				 : READ_ONCE(*(u8 *)phys_to_ptr(HPA(at)));
}

static void write_register(const struct uart *uart, u32 number, u8 value)
{
	const struct uart_place *place = &uart->place;
	u64 at = place->base + (number << place->shift);

	if (!place->memory)
		outb((u16)at, value);
	else if (place->shift == 2)
		WRITE_ONCE(*(u32 *)phys_to_ptr(HPA(at)), value);
	else
		WRITE_ONCE(*(u8 *)phys_to_ptr(HPA(at)), value);
}

static bool answers(const struct uart *uart)
{
	write_register(uart, UART_SCRATCH, 0x5a);
	return read_register(uart, UART_SCRATCH) == 0x5a;
}

bool uart_open(struct uart *uart, const struct uart_place *place)
{
	u32 divisor = place->baud ? BAUD_MAX / place->baud : 0;

	*uart = (struct uart){ .place = *place };
	if (!place->base || !answers(uart)) {
		uart->place.base = 0;
		return false;
	}
	write_register(uart, UART_IER, 0);
	if (divisor) {
		write_register(uart, UART_LCR, UART_LCR_DLAB | LINE_8N1);
		write_register(uart, UART_DATA, (u8)divisor);
		write_register(uart, UART_IER, (u8)(divisor >> 8));
	}
	write_register(uart, UART_LCR, LINE_8N1);
	write_register(uart, UART_FCR, FIFO_ENABLE_AND_CLEAR);
	write_register(uart, UART_MCR, MODEM_DTR_RTS);
	return true;
}

/* Reading the register clears its errors: they are kept for who receives. */
static bool is_ready(struct uart *uart)
{
	u8 status = read_register(uart, UART_LSR);

	uart->errors |= status & UART_LSR_ERRORS;
	return status & UART_LSR_HOLDING_EMPTY;
}

static void put(struct uart *uart, char c)
{
	bool ready = is_ready(uart);

	for (u32 i = 1; i < WAIT_MAX && !ready; i++) {
		cpu_pause();
		ready = is_ready(uart);
	}
	uart->late = ready ? 0 : uart->late + 1;
	write_register(uart, UART_DATA, (u8)c);
}

static bool is_stuck(const struct uart *uart)
{
	return uart->late >= LATE_MAX;
}

void uart_send(struct uart *uart, const char *text, size_t len)
{
	u8 control;

	if (!uart->place.base)
		return;
	/* Flow control, or L1 has set the slowest of speeds; other CPUs wait for this one. */
	if (is_stuck(uart) && is_ready(uart))
		uart->late = 0;
	if (is_stuck(uart))
		return;
	/* L1 may be about to set the divisor: what is written to the data register then changes its speed. */
	control = read_register(uart, UART_LCR);
	if (control & UART_LCR_DLAB)
		write_register(uart, UART_LCR, control & (u8)~UART_LCR_DLAB);
	for (; len && !is_stuck(uart); len--, text++) {
		if (*text == '\n')
			put(uart, '\r');
		put(uart, *text);
	}
	if (control & UART_LCR_DLAB)
		write_register(uart, UART_LCR, control);
}

enum uart_input uart_receive(struct uart *uart, u8 *byte)
{
	u8 status = uart->place.base ? read_register(uart, UART_LSR) : 0;

	/* All ones: the port has gone. */
	if (!(status & UART_LSR_DATA_READY) || status == 0xff)
		return UART_NOTHING;
	status |= uart->errors;
	uart->errors = 0;
	*byte = read_register(uart, UART_DATA);
	return status & UART_LSR_OVERRUN ? UART_OVERRUN : UART_BYTE;
}

bool uart_init(const struct uart_place *place)
{
	return uart_open(&console, place);
}

bool uart_is_console(u64 port)
{
	return port && !console.place.memory && console.place.base == port;
}

bool uart_is_stuck(void)
{
	return is_stuck(&console);
}

void uart_set_console_guard(void (*guard)(bool begins))
{
	console_guard = guard;
}

struct uart *uart_console(void)
{
	return &console;
}

void uart_write(const char *text, size_t len)
{
	if (console_guard)
		console_guard(true);
	uart_send(&console, text, len);
	if (console_guard)
		console_guard(false);
}
