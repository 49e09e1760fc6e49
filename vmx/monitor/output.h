/* SPDX-License-Identifier: MIT */
/*
 * The monitor's port. One CPU at a time uses it: the one that polls, or, while the machine is stopped, the
 * one whose turn it is.
 */
#ifndef VMX_MONITOR_OUTPUT_H
#define VMX_MONITOR_OUTPUT_H

#include "drivers/uart.h"

/* False: nobody answers at that port. */
bool output_open(const struct uart_place *place);
enum uart_input output_receive(u8 *byte);
void output_text(const char *text, size_t length);
/* One line; the line feed is added. At most 150 characters. */
void output(const char *fmt, ...) PRINTF_LIKE(1, 2);

/* What a command says goes there from now on; NULL: to the port. The CPU whose turn it is. */
void output_divert(void (*to)(const char *text, size_t length));

/* Formats take unsigned long long. */
#define LL(value) ((unsigned long long)(value))

#endif
