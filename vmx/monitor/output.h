/* SPDX-License-Identifier: MIT */
/*
 * The monitor's port: one of its own, or one that it shares with L1 (vmx/monitor/share.c). One CPU at a time
 * uses it for the monitor: the one that polls, or, while the machine is stopped, the one whose turn it is.
 */
#ifndef VMX_MONITOR_OUTPUT_H
#define VMX_MONITOR_OUTPUT_H

#include "drivers/uart.h"

/* False: nobody answers at that port. */
bool output_open(const struct uart_place *place);
/* The port, which is Socle's console or has been opened, is L1's too: before ports_init(). */
void output_share(bool is_console, u8 key);

enum uart_input output_receive(u8 *byte);
void output_text(const char *text, size_t length);
/* One line; the line feed is added. At most 150 characters. */
void output(const char *fmt, ...) PRINTF_LIKE(1, 2);

/* What a command says goes there from now on; NULL: to the port. The CPU whose turn it is. */
void output_divert(void (*to)(const char *text, size_t length));
/* The command is another's than the port's. */
bool output_is_diverted(void);
/* A line that comes unasked: behind an open prompt it begins a new one. */
void output_notice(const char *fmt, ...) PRINTF_LIKE(1, 2);

/* What is typed is the monitor's: always so on a port of its own. */
bool output_has_keyboard(void);
void output_take_keyboard(void);
/* That has changed since the last call. */
bool output_has_switched(void);

/* The prompt, by whether the machine stands still, and what has been typed behind it: where the keyboard is
 * the monitor's. */
void output_prompt(bool stopped, const char *typed);
/* The line that the prompt began was cut by L1's, or by the log's: it is to be shown again. */
bool output_is_cut(void);

/* Formats take unsigned long long. */
#define LL(value) ((unsigned long long)(value))

#endif
