/* SPDX-License-Identifier: MIT */
/*
 * 16550 serial ports, polled; their registers are at ports or in memory. One is L0's console, and L1 may use
 * it too: nothing is kept of what it has set. Another is the monitor's (vmx/monitor), and nobody else's.
 */
#ifndef DRIVERS_UART_H
#define DRIVERS_UART_H

#include "kernel/bits.h"
#include "kernel/types.h"

struct uart_place {
	u64 base;    /* a port, or a physical address below 4 GiB; 0: none */
	bool memory; /* registers are memory */
	u8 shift;    /* register N is at base + (N << shift), as wide as that */
	u32 baud;    /* 8n1; a divisor of 115200, or 0: leave the speed that firmware has set */
};

/* Whoever uses one sees to it that one CPU at a time does. */
struct uart {
	struct uart_place place; /* base 0: nobody answered, or not opened */
	u32 late;		 /* characters running that the port was not ready for */
	u8 errors;		 /* UART_LSR_ERRORS that sending has seen, and so taken from the register */
};

/* Registers, and bits of them, for who shares a port with a guest: vmx/monitor/share.c. */
enum uart_register {
	UART_DATA, /* with UART_LCR_DLAB: the low byte of the divisor */
	UART_IER,  /* the high one */
	UART_IIR,
	UART_FCR = UART_IIR,
	UART_LCR,
	UART_MCR,
	UART_LSR,
	UART_MSR,
	UART_SCRATCH,
};
#define UART_LCR_BREAK BIT(6)
#define UART_LCR_DLAB BIT(7)
#define UART_MCR_LOOP BIT(4)
#define UART_LSR_DATA_READY BIT(0)
#define UART_LSR_OVERRUN BIT(1)
#define UART_LSR_OF_BYTE                                                                                     \
	(BIT(2) | BIT(3) | BIT(4)) /* parity, framing, break: of the byte that comes next                    \
				    */
#define UART_LSR_ERRORS (UART_LSR_OVERRUN | UART_LSR_OF_BYTE)
#define UART_LSR_HOLDING_EMPTY BIT(5)
#define UART_LSR_ALL_SENT BIT(6)

/* False: nobody answers there, and the functions below do nothing. */
bool uart_open(struct uart *uart, const struct uart_place *place);

/* As uart_write(), to this port. */
void uart_send(struct uart *uart, const char *text, size_t len);

/* UART_OVERRUN: `byte` has arrived, and others before it are lost. */
enum uart_input { UART_NOTHING, UART_BYTE, UART_OVERRUN };
enum uart_input uart_receive(struct uart *uart, u8 *byte);

/* ---- the console's ---- */

/* L0's console is at this I/O port. */
bool uart_is_console(u64 port);

/* False: nobody answers there, and uart_write() does nothing. */
bool uart_init(const struct uart_place *place);

/*
 * A log sink; makes CR LF of LF. A port that was not ready in 20 ms three times running is given up: what is
 * written then is lost, until it is ready at once again.
 */
void uart_write(const char *text, size_t len);

/* Called before and after what uart_write() sends, if not NULL. */
void uart_set_console_guard(void (*guard)(bool begins));
/* The console's own, for who shares its port. */
struct uart *uart_console(void);

/* The port has been given up. */
bool uart_is_stuck(void);

#endif
