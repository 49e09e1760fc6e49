/* SPDX-License-Identifier: MIT */
/*
 * Lines to the monitor's port, and bytes from it.
 */
#include "vmx/monitor/output.h"

#include "kernel/print.h"

static struct uart port;
static void (*diverted)(const char *text, size_t length); /* the CPU whose turn it is */

bool output_open(const struct uart_place *place)
{
	return uart_open(&port, place);
}

enum uart_input output_receive(u8 *byte)
{
	return uart_receive(&port, byte);
}

void output_divert(void (*to)(const char *text, size_t length))
{
	diverted = to;
}

void output_text(const char *text, size_t length)
{
	if (diverted)
		diverted(text, length);
	else
		uart_send(&port, text, length);
}

void output(const char *fmt, ...)
{
	char line[152];
	va_list args;
	size_t length;

	va_start(args, fmt);
	length = print_vformat(line, sizeof(line) - 1, fmt, args);
	va_end(args);
	line[length++] = '\n';
	output_text(line, length);
}
