/* SPDX-License-Identifier: MIT */
/*
 * A UART as L1 has it, where Socle takes what arrives first (vmx/monitor/share.c, which also sees to it that
 * one CPU at a time comes here). National Semiconductor: "PC16550D Universal Asynchronous
 * Receiver/Transmitter with FIFOs".
 */
#ifndef VMX_MONITOR_UART_L1_H
#define VMX_MONITOR_UART_L1_H

#include "drivers/uart.h"
#include "vmx/monitor/input.h"

#define UART_L1_REGISTERS 6u /* data to line status: what follows has no part in receiving */

extern struct input uart_l1_input;

/* Once: this open port, with the settings that L1 finds. */
void uart_l1_start(struct uart *uart, u8 key);

/* An access of L1's to one of the registers. */
u8 uart_l1_read(enum uart_register n);
void uart_l1_write(enum uart_register n, u8 value);
/* A write to this register is a character to be sent. */
bool uart_l1_sends(enum uart_register n);

/* Takes what has arrived, for whoever has the keyboard. */
void uart_l1_look(void);
/* Something of the input has changed: L1's interrupt follows. */
void uart_l1_drive(void);

/* L1's settings that keep text from the line, or spoil it, while Socle sends. */
struct uart_l1_settings {
	u16 divisor;
	bool changed;
};
struct uart_l1_settings uart_l1_lend(void);
/* All is sent, or L1's last character is about to be: they are L1's again. */
void uart_l1_return(const struct uart_l1_settings *old);

#endif
