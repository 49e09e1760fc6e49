/* SPDX-License-Identifier: MIT */
/*
 * National Semiconductor: "PC16550D Universal Asynchronous Receiver/Transmitter with FIFOs". Trigger levels
 * and time-outs are left out: a byte interrupts at once.
 */
#include "tests/unit/uart16550.h"

#include <string.h>

#include "drivers/uart.h"
#include "tests/fake/fake.h"

struct uart16550 uart16550;
#define U uart16550

static bool has_dlab(void)
{
	return U.lcr & UART_LCR_DLAB;
}

static void drive(void)
{
	u8 of_byte = U.count ? (u8)(U.fifo[0] >> 8) : 0;
	bool line = ((U.ier & 1) && U.count) || ((U.ier & 2) && U.sent_pending) ||
		    ((U.ier & 4) && (U.errors | of_byte));

	U.raised += line && !U.line;
	U.line = line;
}

static u8 identify(void)
{
	u8 top = U.fcr & 1 ? 0xc0 : 0;

	if ((U.ier & 4) && (U.errors || (U.count && U.fifo[0] >> 8)))
		return top | 6;
	if ((U.ier & 1) && U.count)
		return top | 4;
	if (!(U.ier & 2) || !U.sent_pending)
		return top | 1;
	U.sent_pending = false;
	return top | 2;
}

static u8 status(void)
{
	u8 value;

	if (U.looked_at)
		U.looked_at();
	value = 0x60 | U.errors | (U.count ? UART_LSR_DATA_READY | (u8)(U.fifo[0] >> 8) : 0);
	U.errors = 0;
	U.fifo[0] &= 0xff;
	return value;
}

static u8 receive(void)
{
	u8 byte = (u8)U.fifo[0];

	if (!U.count)
		return byte;
	U.count--;
	memmove(U.fifo, U.fifo + 1, U.count * sizeof(U.fifo[0]));
	return byte;
}

static u8 in(u32 n)
{
	switch (n) {
	case UART_DATA: return has_dlab() ? (u8)U.divisor : receive();
	case UART_IER: return has_dlab() ? (u8)(U.divisor >> 8) : U.ier;
	case UART_IIR: return identify();
	case UART_LCR: return U.lcr;
	case UART_MCR: return U.mcr;
	case UART_LSR: return status();
	case UART_MSR: return 0xb0;
	default: return U.scratch;
	}
}

bool uart16550_type(u8 byte, u8 errors)
{
	bool fits = U.count < (U.fcr & 1 ? UART16550_FIFO : 1);

	if (fits)
		U.fifo[U.count++] = (u16)(byte | errors << 8);
	else
		U.errors |= UART_LSR_OVERRUN;
	drive();
	return fits;
}

static void send(u8 byte)
{
	U.sent_pending = true;
	if (U.mcr & UART_MCR_LOOP) {
		uart16550_type(byte, 0);
		return;
	}
	U.wrong += (U.lcr & UART_LCR_BREAK) || U.divisor != U.speed;
	if (U.out_length < sizeof(U.out) - 1)
		U.out[U.out_length++] = (char)byte;
}

static void out(u32 n, u8 value)
{
	switch (n) {
	case UART_DATA:
		if (has_dlab())
			U.divisor = (u16)((U.divisor & 0xff00) | value);
		else
			send(value);
		break;
	case UART_IER:
		if (has_dlab()) {
			U.divisor = (u16)((U.divisor & 0xff) | value << 8);
			break;
		}
		if (value & ~U.ier & 2)
			U.sent_pending = true;
		U.ier = value & 0x0f;
		break;
	case UART_FCR:
		if ((value & 2) || ((value ^ U.fcr) & 1))
			U.count = 0;
		U.fcr = value;
		break;
	case UART_LCR: U.lcr = value; break;
	case UART_MCR: U.mcr = value & 0x1f; break;
	case UART_SCRATCH: U.scratch = value; break;
	default: break;
	}
}

static bool port_in(u16 port, unsigned int size, u32 *value)
{
	*value = size == 1 ? 0x61 : 0x4461; /* channel 2's output is up */
	if (size == 1 && (u16)(port - U.base) < 8)
		*value = in((u16)(port - U.base));
	drive();
	return true;
}

static bool port_out(u16 port, unsigned int size, u32 value)
{
	if (size == 1 && (u16)(port - U.base) < 8)
		out((u16)(port - U.base), (u8)value);
	drive();
	return true;
}

void uart16550_plug(u16 base)
{
	U = (struct uart16550){ .base = base, .divisor = 12, .speed = 1 };
	fake_port_in = port_in;
	fake_port_out = port_out;
}
