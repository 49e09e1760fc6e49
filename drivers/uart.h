/* SPDX-License-Identifier: MIT */
/*
 * The 16550 serial port that is L0's console, polled; its registers are at ports or in memory. L1 may use the
 * same port: nothing is kept of what it has set.
 */
#ifndef DRIVERS_UART_H
#define DRIVERS_UART_H

#include "kernel/types.h"

struct uart_place {
	u64 base;    /* a port, or a physical address below 4 GiB; 0: none */
	bool memory; /* registers are memory */
	u8 shift;    /* register N is at base + (N << shift), as wide as that */
	u32 baud;    /* 8n1; a divisor of 115200, or 0: leave the speed that firmware has set */
};

/* False: nobody answers there, and uart_write() does nothing. */
bool uart_init(const struct uart_place *place);

/*
 * A log sink; makes CR LF of LF. A port that was not ready in 20 ms three times running is given up: what is
 * written then is lost, until it is ready at once again.
 */
void uart_write(const char *text, size_t len);

/* The port has been given up. */
bool uart_is_stuck(void);

#endif
