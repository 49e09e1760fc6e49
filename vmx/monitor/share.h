/* SPDX-License-Identifier: MIT */
/*
 * A serial port that L1 and Socle both use: L1's accesses to it are carried out here, and what Socle sends
 * goes between them. Any CPU; one at a time has the port, and only Socle's code holds it, for as long as a
 * line takes: an access of L1's waits so long at most.
 * National Semiconductor: "PC16550D Universal Asynchronous Receiver/Transmitter with FIFOs".
 */
#ifndef VMX_MONITOR_SHARE_H
#define VMX_MONITOR_SHARE_H

#include "drivers/uart.h"

/*
 * BSP, once, before ports_init(): this open port is L1's too from now on, and `key` pressed three times
 * switches the keyboard. If it is Socle's console, so are the log's lines.
 */
void share_start(struct uart *uart, u8 key);

/* Sends the monitor's text whole: no access of L1's and no line of the log comes between. */
void share_send(const char *text, size_t length);
/* The same for a line that ends by itself and continues no prompt. */
void share_notice(const char *text, size_t length);
/* The monitor's open line was cut, and what is sent next begins a new one. */
bool share_is_cut(void);

/* The monitor's next byte. Looks at the port, and gives L1 what is L1's. */
enum uart_input share_receive(u8 *byte);

/* The keyboard is the monitor's. */
bool share_has_keyboard(void);
/* It takes it. */
void share_take_keyboard(void);
/* It has changed hands since the last call. */
bool share_has_switched(void);

#endif
