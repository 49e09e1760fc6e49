/* SPDX-License-Identifier: MIT */
/*
 * PC16550D: divisor, line control, and waiting for the transmitter to be empty, for a bounded time.
 */
#include "drivers/uart.h"

#include "kernel/bits.h"
#include "kernel/hw/cpu.h"

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
/* A character takes 87 us at 115200; a port read about 1 us. */
#define WAIT_MAX 20000
#define LATE_MAX 3 /* characters of one text that may take longer */

static u16 uart_port;

void uart_init(u16 port)
{
	uart_port = 0;
	if (!port)
		return;
	outb(port + UART_SCRATCH, 0x5a);
	if (inb(port + UART_SCRATCH) != 0x5a)
		return;
	outb(port + UART_INTERRUPT_ENABLE, 0);
	outb(port + UART_LINE_CONTROL, LINE_DIVISOR_ACCESS | LINE_8N1);
	outb(port + UART_DATA, 1);
	outb(port + UART_INTERRUPT_ENABLE, 0);
	outb(port + UART_LINE_CONTROL, LINE_8N1);
	outb(port + UART_FIFO_CONTROL, FIFO_ENABLE_AND_CLEAR);
	outb(port + UART_MODEM_CONTROL, MODEM_DTR_RTS);
	uart_port = port;
}

/* False: the port was not ready in all that time. */
static bool put(char c)
{
	bool ready = false;

	for (u32 i = 0; i < WAIT_MAX && !ready; i++) {
		ready = inb(uart_port + UART_LINE_STATUS) & STATUS_TRANSMITTER_EMPTY;
		if (!ready)
			cpu_pause();
	}
	outb(uart_port + UART_DATA, (u8)c);
	return ready;
}

void uart_write(const char *text, size_t len)
{
	u32 late = 0;

	if (!uart_port)
		return;
	/* L1 may have set the slowest of speeds, and other CPUs wait for this one: the rest is lost then. */
	for (; len && late < LATE_MAX; len--, text++) {
		if (*text == '\n')
			late += !put('\r');
		late += !put(*text);
	}
}
