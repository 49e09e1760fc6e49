/* SPDX-License-Identifier: MIT */
/* See uart_support.h. */
#include "tests/unit/cmocka_all.h"

#include "tests/unit/uart_support.h"

#include <string.h>

const char *uart_typed = "";

/* Nothing is lost for want of room: a byte arrives when the last one has been taken. */
static void arrive(void)
{
	static u32 idle;

	if (uart16550.count)
		return;
	/* A machine that stands still waits for ever: then the test has failed. */
	idle = *uart_typed ? 0 : idle + 1;
	if (idle > 3000000)
		fail_msg("nobody lets the machine go on; it says: %s", uart_said);
	if (*uart_typed)
		uart16550_type((u8)*uart_typed++, 0);
}

void uart_plug(void)
{
	uart16550_plug(UART_PORT);
	uart16550.looked_at = arrive;
}

void uart_type(const char *text)
{
	memset(uart_said, 0, uart16550.out_length);
	uart16550.out_length = 0;
	uart_typed = text;
}

void uart_attend(void)
{
	EXIT_NOW(.reason = EXIT_PREEMPTION_TIMER);
	EXIT_NOW(.reason = EXIT_PREEMPTION_TIMER);
}

const char *uart_ask(const char *text)
{
	uart_type(text);
	uart_attend();
	return uart_said;
}
