/* SPDX-License-Identifier: MIT */
/*
 * A 16550A on the fake processor's ports: what is typed, what is sent and at which speed, and the level of
 * its interrupt line. It sends at once.
 */
#ifndef TESTS_UART16550_H
#define TESTS_UART16550_H

#include "kernel/types.h"

#define UART16550_FIFO 16u

struct uart16550 {
	u16 base;
	u8 ier, lcr, mcr, fcr, scratch, errors;
	u16 divisor;
	u16 fifo[UART16550_FIFO]; /* a byte, and its errors << 8 */
	u32 count;
	bool sent_pending;
	char out[65536];
	u32 out_length;
	u32 wrong;  /* characters sent with DLAB, break, loop or another speed than `speed` */
	u16 speed;  /* what the terminal has */
	u32 raised; /* how often the line went up */
	bool line;
	void (*looked_at)(void); /* before each read of the line status, if not NULL: something may arrive */
};

extern struct uart16550 uart16550;

/* At this port, with nothing typed; the fake's ports are its from now on, others read 61H. */
void uart16550_plug(u16 base);
/* Arrives; false: an overrun, and it is lost. `errors` as in LSR. */
bool uart16550_type(u8 byte, u8 errors);

#endif
