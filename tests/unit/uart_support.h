/* SPDX-License-Identifier: MIT */
/*
 * A person, or a program, behind a serial port of Socle's own on the fake processor: what it types, and what
 * it is told.
 */
#ifndef TESTS_UNIT_UART_SUPPORT_H
#define TESTS_UNIT_UART_SUPPORT_H

#include "tests/unit/machine.h"
#include "tests/unit/uart16550.h"

#define UART_PORT 0x2f8

extern const char *uart_typed; /* what it still has to give */
#define uart_said uart16550.out

/* For machine_before_start: the port is there. */
void uart_plug(void);
/* Forgets what was said, and types this. */
void uart_type(const char *text);

/* An exit of this CPU's timer, and the entry behind it, at which a person is attended to. */
void uart_attend(void);
/* The two together: what is said to it. */
const char *uart_ask(const char *text);

#endif
