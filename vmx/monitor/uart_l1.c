/* SPDX-License-Identifier: MIT */
/*
 * What the hardware has of L1 is as L1 left it, but for the time in which Socle sends, and for the interrupt
 * enables: while bytes for L1 wait here, its receive interrupt is asked for by "transmitter holding register
 * empty", and while the monitor has the keyboard L1 is not interrupted for it. L1's IIR, IER and LSR say what
 * they would without Socle.
 */
#include "vmx/monitor/uart_l1.h"

#include "kernel/hw/cpu.h"

#define IER_RECEIVED BIT(0)
#define IER_SENT BIT(1)
#define IER_LINE BIT(2)
#define IER_ALL 0x0f
#define IIR_ID 0x0f
#define IIR_MODEM 0x00
#define IIR_NONE 0x01
#define IIR_SENT 0x02
#define IIR_RECEIVED 0x04
#define IIR_LINE 0x06
#define IIR_TIMEOUT 0x0c
#define IIR_FIFOS 0xc0
#define FCR_ENABLE BIT(0)
#define FCR_CLEAR_RECEIVER BIT(1)
#define LCR_BANK_EFR 0xbf /* 16650 and its like */
#define LCR_BANK_NS 0xe0  /* National Semiconductor's later ones */

#define BYTES_MAX 64u	/* at one look */
#define WAIT_MAX 20000u /* reads of a port: 20 ms */
#define GONE 0xff	/* what is read where no port is any more */

struct input uart_l1_input;

/* All members: whoever has the port. */
static struct uart *uart;
static u16 base;
static struct uart_of_l1 {
	u8 ier, ier_in_hardware;
	u8 lcr, mcr;
	bool fifos, has_fifos;
	u16 divisor;  /* when DLAB was clear last */
	bool overrun; /* L1 is to be told of one */
	bool asking;  /* the hardware interrupts L1 for what waits here */
	bool knows;   /* L1 has read in IIR that something waits */
	u8 data;      /* the byte that it has read last */
} l1;

static u8 get(enum uart_register n)
{
	return inb((u16)(base + n));
}

static void set(enum uart_register n, u8 value)
{
	outb((u16)(base + n), value);
}

static bool has_dlab(void)
{
	return l1.lcr & UART_LCR_DLAB;
}

static bool loops(void)
{
	return l1.mcr & UART_MCR_LOOP;
}

static void set_divisor(u16 divisor)
{
	set(UART_DATA, (u8)divisor);
	set(UART_IER, (u8)(divisor >> 8));
}

static u16 get_divisor(void)
{
	return (u16)(get(UART_DATA) | get(UART_IER) << 8);
}

/* ---- what arrives ---- */

/* Every read of the register clears its errors: they are kept for the byte that they are of. */
static u8 read_status(void)
{
	u8 raw = get(UART_LSR);

	if (raw == GONE)
		return 0;
	uart->errors |= raw & UART_LSR_ERRORS;
	return raw & (u8)~UART_LSR_ERRORS;
}

static void take_overrun(void)
{
	if (!(uart->errors & UART_LSR_OVERRUN))
		return;
	uart->errors &= (u8)~UART_LSR_OVERRUN;
	if (uart_l1_input.monitors)
		uart_l1_input.own_lost = true;
	else
		l1.overrun = true;
}

/* Of a look for L1 no more than it can be told of at once. */
static void take_bytes(bool for_l1)
{
	struct input *input = &uart_l1_input;

	for (u32 i = 0; i < BYTES_MAX && !(for_l1 && input->l1_count); i++) {
		bool there = read_status() & UART_LSR_DATA_READY;

		take_overrun();
		if (!there)
			return;
		input_put(input, get(UART_DATA), uart->errors);
		uart->errors = 0;
	}
}

void uart_l1_look(void)
{
	u32 before = uart_l1_input.l1_count;

	/* What L1 sends to itself is no keyboard's. */
	if (loops())
		return;
	if (has_dlab())
		set(UART_LCR, l1.lcr & (u8)~UART_LCR_DLAB);
	take_bytes(false);
	if (has_dlab())
		set(UART_LCR, l1.lcr);
	if (uart_l1_input.l1_count != before)
		l1.knows = false;
}

static void look_for_l1(void)
{
	if (!has_dlab())
		take_bytes(true);
}

/* PC16550D, "Interrupt Identification Register": what waits here, by its priority. */
static u8 identify_waiting(void)
{
	u8 byte, errors;
	bool there = input_l1_peek(&uart_l1_input, &byte, &errors);

	if ((l1.ier & IER_LINE) && (l1.overrun || uart_l1_input.l1_lost || (there && errors)))
		return IIR_LINE;
	return there && (l1.ier & IER_RECEIVED) ? IIR_RECEIVED : IIR_NONE;
}

/* Enabling "sent" while nothing is being sent raises the line: PC16550D, "Interrupt Enable Register". */
void uart_l1_drive(void)
{
	bool ask = !loops() && !l1.knows && identify_waiting() != IIR_NONE;
	u8 ier = l1.ier;

	if (has_dlab())
		return;
	if (uart_l1_input.monitors && !loops())
		ier &= (u8) ~(IER_RECEIVED | IER_LINE);
	if (ask)
		ier |= IER_SENT;
	if (ask && !l1.asking && (l1.ier_in_hardware & IER_SENT))
		set(UART_IER, l1.ier_in_hardware = ier & (u8)~IER_SENT);
	if (ier != l1.ier_in_hardware)
		set(UART_IER, ier);
	l1.ier_in_hardware = ier;
	l1.asking = ask;
}

/* ---- what L1 reads ---- */

static u8 read_data(void)
{
	struct input *input = &uart_l1_input;
	u8 byte, errors;

	look_for_l1();
	if (input_l1_peek(input, &byte, &errors)) {
		l1.data = byte;
		input_l1_take(input);
		l1.knows &= input->l1_count != 0;
	}
	return l1.data;
}

/* Reading the hardware's withdraws "sent". */
static u8 read_identification(void)
{
	u8 raw = IIR_NONE, id;

	for (u32 i = 0; i < 3; i++) {
		look_for_l1();
		id = identify_waiting();
		if (id != IIR_NONE) {
			l1.knows = true;
			return (l1.fifos ? IIR_FIFOS : 0) | id;
		}
		raw = get(UART_IIR);
		id = raw & IIR_ID;
		/* else it has come just now, and may be a key */
		if (id != IIR_RECEIVED && id != IIR_TIMEOUT && id != IIR_LINE)
			break;
	}
	if (id == IIR_MODEM || id == IIR_SENT)
		return raw;
	return (raw & (u8)~IIR_ID) | IIR_NONE;
}

static u8 read_line_status(void)
{
	struct input *input = &uart_l1_input;
	u8 byte, errors, status;

	look_for_l1();
	status = read_status();
	take_overrun();
	/* of a byte that has come since: the next read tells */
	if (!has_dlab())
		status &= (u8)~UART_LSR_DATA_READY;
	if (l1.overrun || input->l1_lost)
		status |= UART_LSR_OVERRUN;
	l1.overrun = input->l1_lost = false;
	if (!input_l1_peek(input, &byte, &errors))
		return status;
	input_l1_told(input);
	return status | UART_LSR_DATA_READY | errors;
}

/* With these values of LCR other registers are there, on UARTs that have them. */
static bool is_banked(void)
{
	return l1.lcr == LCR_BANK_EFR || l1.lcr == LCR_BANK_NS;
}

u8 uart_l1_read(enum uart_register n)
{
	if (is_banked() || (has_dlab() && n < UART_IIR))
		return get(n);
	if (n == UART_IER)
		return (u8)((get(n) & ~IER_ALL) | (l1.ier & IER_ALL));
	if (loops())
		return get(n);
	switch (n) {
	case UART_DATA: return read_data();
	case UART_IIR: return read_identification();
	case UART_LSR: return read_line_status();
	default: return get(n);
	}
}

/* ---- what L1 writes ---- */

bool uart_l1_sends(enum uart_register n)
{
	return n == UART_DATA && !has_dlab() && !loops();
}

/* What the hardware would drop with its own: PC16550D, "FIFO Control Register". A key in it still counts. */
static void write_fifo_control(u8 value)
{
	bool fifos = l1.has_fifos && (value & FCR_ENABLE);

	uart_l1_look();
	if ((value & FCR_CLEAR_RECEIVER) || fifos != l1.fifos) {
		input_l1_clear(&uart_l1_input);
		l1.overrun = false;
	}
	l1.fifos = fifos;
	set(UART_FCR, value);
}

static void write_line_control(u8 value)
{
	if (has_dlab() && !(value & UART_LCR_DLAB))
		l1.divisor = get_divisor();
	l1.lcr = value;
	set(UART_LCR, value);
}

void uart_l1_write(enum uart_register n, u8 value)
{
	if (n == UART_LCR) {
		write_line_control(value);
	} else if (is_banked() || (has_dlab() && n < UART_IIR)) {
		set(n, value);
	} else if (n == UART_FCR) {
		write_fifo_control(value);
	} else if (n == UART_IER) {
		l1.ier = value;
		l1.knows = false;
	} else {
		if (n == UART_MCR)
			l1.mcr = value;
		set(n, value);
	}
}

/* ---- what Socle sends ---- */

struct uart_l1_settings uart_l1_lend(void)
{
	struct uart_l1_settings old = { 0, has_dlab() || (l1.lcr & UART_LCR_BREAK) || loops() };

	if (!old.changed)
		return old;
	/* L1 may have written half of a divisor. */
	if (has_dlab()) {
		old.divisor = get_divisor();
		set_divisor(l1.divisor);
	}
	set(UART_LCR, l1.lcr & (u8) ~(UART_LCR_DLAB | UART_LCR_BREAK));
	set(UART_MCR, l1.mcr & (u8)~UART_MCR_LOOP);
	return old;
}

static void wait_for(u8 what)
{
	for (u32 i = 0; i < WAIT_MAX && !(read_status() & what); i++)
		cpu_pause();
}

void uart_l1_return(const struct uart_l1_settings *old)
{
	wait_for(old->changed ? UART_LSR_ALL_SENT : UART_LSR_HOLDING_EMPTY);
	if (!old->changed)
		return;
	set(UART_MCR, l1.mcr);
	set(UART_LCR, l1.lcr);
	if (has_dlab())
		set_divisor(old->divisor);
}

void uart_l1_start(struct uart *port, u8 key)
{
	uart = port;
	base = (u16)port->place.base;
	uart_l1_input = (struct input){ .key = key };
	l1 = (struct uart_of_l1){ .ier = get(UART_IER), .lcr = get(UART_LCR), .mcr = get(UART_MCR) };
	l1.ier_in_hardware = l1.ier;
	l1.fifos = l1.has_fifos = (get(UART_IIR) & IIR_FIFOS) == IIR_FIFOS;
	set(UART_LCR, l1.lcr | UART_LCR_DLAB);
	l1.divisor = get_divisor();
	set(UART_LCR, l1.lcr);
}
