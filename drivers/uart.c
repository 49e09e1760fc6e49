/* SPDX-License-Identifier: MIT */
/*
 * PC16550D: divisor, line control, and waiting for the transmitter to be empty, for a bounded time.
 */
#include "drivers/uart.h"

#include "kernel/bits.h"
#include "kernel/hw/cpu.h"
#include "kernel/hw/phys.h"

#define UART_DATA 0
#define UART_INTERRUPT_ENABLE 1
#define UART_FIFO_CONTROL 2
#define UART_LINE_CONTROL 3
#define UART_MODEM_CONTROL 4
#define UART_LINE_STATUS 5
#define UART_SCRATCH 7

#define LINE_8N1 0x03
#define LINE_DIVISOR_ACCESS BIT(7)
#define FIFO_ENABLE_AND_CLEAR 0x07
#define MODEM_DTR_RTS 0x03
#define STATUS_TRANSMITTER_EMPTY BIT(5)
#define BAUD_MAX 115200u
/* A character takes 87 us at 115200; a port read about 1 us. */
#define WAIT_MAX 20000
#define LATE_MAX 3 /* characters running for which that was not enough */

static struct uart_place uart;
static u32 late; /* characters running that the port was not ready for */

static u8 read_register(u32 number)
{
	u64 at = uart.base + (number << uart.shift);

	if (!uart.memory)
		return inb((u16)at);
	return uart.shift == 2 ? (u8)READ_ONCE(*(u32 *)phys_to_ptr(HPA(at)))
			       : READ_ONCE(*(u8 *)phys_to_ptr(HPA(at)));
}

static void write_register(u32 number, u8 value)
{
	u64 at = uart.base + (number << uart.shift);

	if (!uart.memory)
		outb((u16)at, value);
	else if (uart.shift == 2)
		WRITE_ONCE(*(u32 *)phys_to_ptr(HPA(at)), value);
	else
		WRITE_ONCE(*(u8 *)phys_to_ptr(HPA(at)), value);
}

static bool answers(void)
{
	write_register(UART_SCRATCH, 0x5a);
	return read_register(UART_SCRATCH) == 0x5a;
}

bool uart_init(const struct uart_place *place)
{
	uart = *place;
	late = 0;
	if (!uart.base || !answers()) {
		uart.base = 0;
		return false;
	}
	write_register(UART_INTERRUPT_ENABLE, 0);
	if (uart.baud) {
		write_register(UART_LINE_CONTROL, LINE_DIVISOR_ACCESS | LINE_8N1);
		write_register(UART_DATA, (u8)(BAUD_MAX / uart.baud));
		write_register(UART_INTERRUPT_ENABLE, (u8)(BAUD_MAX / uart.baud >> 8));
	}
	write_register(UART_LINE_CONTROL, LINE_8N1);
	write_register(UART_FIFO_CONTROL, FIFO_ENABLE_AND_CLEAR);
	write_register(UART_MODEM_CONTROL, MODEM_DTR_RTS);
	return true;
}

static bool is_ready(void)
{
	return read_register(UART_LINE_STATUS) & STATUS_TRANSMITTER_EMPTY;
}

static void put(char c)
{
	bool ready = is_ready();

	for (u32 i = 1; i < WAIT_MAX && !ready; i++) {
		cpu_pause();
		ready = is_ready();
	}
	late = ready ? 0 : late + 1;
	write_register(UART_DATA, (u8)c);
}

bool uart_is_stuck(void)
{
	return late >= LATE_MAX;
}

void uart_write(const char *text, size_t len)
{
	u8 control;

	if (!uart.base)
		return;
	/* Flow control, or L1 has set the slowest of speeds; other CPUs wait for this one. */
	if (uart_is_stuck() && is_ready())
		late = 0;
	if (uart_is_stuck())
		return;
	/* L1 may be about to set the divisor: what is written to the data register then changes its speed. */
	control = read_register(UART_LINE_CONTROL);
	if (control & LINE_DIVISOR_ACCESS)
		write_register(UART_LINE_CONTROL, control & (u8)~LINE_DIVISOR_ACCESS);
	for (; len && !uart_is_stuck(); len--, text++) {
		if (*text == '\n')
			put('\r');
		put(*text);
	}
	if (control & LINE_DIVISOR_ACCESS)
		write_register(UART_LINE_CONTROL, control);
}
