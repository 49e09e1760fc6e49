/* SPDX-License-Identifier: MIT */
/*
 * The 16550 serial port that is L0's console, polled. L1 may use the same port: nothing here keeps state.
 */
#ifndef DRIVERS_UART_H
#define DRIVERS_UART_H

#include "kernel/types.h"

/* 115200 8n1. Port 0, or a port that nobody answers at: silence. */
void uart_init(u16 port);
/* A log sink; makes CR LF of LF. */
void uart_write(const char *text, size_t len);

#endif
