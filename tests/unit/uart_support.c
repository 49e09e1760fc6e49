/* SPDX-License-Identifier: MIT */
/* See uart_support.h. */
#include "tests/unit/cmocka_all.h"

#include "tests/unit/uart_support.h"

#include <string.h>

const char *uart_typed = "";
char uart_said[65536];
size_t uart_said_length;
static u8 scratch;

/* A machine that stands still waits for ever: then the test has failed. */
static void look_for_more(void)
{
	static u32 idle;

	idle = *uart_typed ? 0 : idle + 1;
	if (idle > 3000000)
		fail_msg("nobody lets the machine go on; it says: %s", uart_said);
}

static bool port_in(u16 port, unsigned int size, u32 *value)
{
	if (port == UART_PORT + 5)
		look_for_more();
	*value = size == 1 ? 0x61 : 0x4461; /* channel 2's output is up */
	if (port == UART_PORT + 5)
		*value = *uart_typed ? 0x61 : 0x60;
	else if (port == UART_PORT + 7)
		*value = scratch;
	else if (port == UART_PORT)
		*value = *uart_typed ? (u8)*uart_typed++ : 0;
	return true;
}

static bool port_out(u16 port, unsigned int size, u32 value)
{
	(void)size;
	if (port == UART_PORT + 7)
		scratch = (u8)value;
	if (port == UART_PORT && uart_said_length < sizeof(uart_said) - 1)
		uart_said[uart_said_length++] = (char)value;
	return true;
}

void uart_plug(void)
{
	fake_port_in = port_in;
	fake_port_out = port_out;
}

void uart_type(const char *text)
{
	memset(uart_said, 0, uart_said_length);
	uart_said_length = 0;
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
