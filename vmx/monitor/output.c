/* SPDX-License-Identifier: MIT */
/*
 * Lines to the monitor's port, and bytes from it.
 */
#include "vmx/monitor/output.h"

#include "kernel/print.h"
#include "kernel/string.h"
#include "vmx/monitor/share.h"

static struct uart port;
static void (*diverted)(const char *text, size_t length); /* the CPU whose turn it is */
static bool shared;					  /* constant after output_share() */

bool output_open(const struct uart_place *place)
{
	return uart_open(&port, place);
}

void output_share(bool is_console, u8 key)
{
	shared = true;
	share_start(is_console ? uart_console() : &port, key);
}

enum uart_input output_receive(u8 *byte)
{
	return shared ? share_receive(byte) : uart_receive(&port, byte);
}

void output_divert(void (*to)(const char *text, size_t length))
{
	diverted = to;
}

bool output_is_diverted(void)
{
	return diverted;
}

void output_text(const char *text, size_t length)
{
	if (diverted)
		diverted(text, length);
	else if (shared)
		share_send(text, length);
	else
		uart_send(&port, text, length);
}

#define LINE_MAX 152

static size_t format_line(char *line, const char *fmt, va_list args)
{
	size_t length = print_vformat(line, LINE_MAX - 1, fmt, args);

	line[length++] = '\n';
	return length;
}

void output(const char *fmt, ...)
{
	char line[LINE_MAX];
	va_list args;

	va_start(args, fmt);
	output_text(line, format_line(line, fmt, args));
	va_end(args);
}

void output_notice(const char *fmt, ...)
{
	char line[LINE_MAX];
	va_list args;
	size_t length;

	va_start(args, fmt);
	length = format_line(line, fmt, args);
	va_end(args);
	if (shared) {
		share_notice(line, length);
	} else {
		output_text("\n", 1);
		output_text(line, length);
	}
}

bool output_has_keyboard(void)
{
	return !shared || share_has_keyboard();
}

void output_take_keyboard(void)
{
	if (shared)
		share_take_keyboard();
}

bool output_has_switched(void)
{
	return shared && share_has_switched();
}

void output_prompt(bool stopped, const char *typed)
{
	char line[96];
	size_t length;

	if (!output_has_keyboard())
		return;
	length = print_format(line, sizeof(line), "%s> %s", stopped ? "stopped" : "running", typed);
	output_text(line, length);
}

bool output_is_cut(void)
{
	return shared && share_is_cut();
}
