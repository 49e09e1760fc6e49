/* SPDX-License-Identifier: MIT */
/*
 * A reply is not waited for: gdb says nothing more until it has understood it, and it is sent again when gdb
 * asks. Text is different: several packets come one after the other, and a reply behind them. So each waits
 * until gdb has said that it understood it, for a bounded time.
 */
#include "vmx/gdb/link.h"

#include "kernel/hw/cpu.h"

#define PRINT_MAX 512u
#define POLLS_MAX                                                                                            \
	200000u /* of about 1 us: USB adapters keep a byte for 16 ms, and gdb's machine may be busy */
#define TRIES_MAX 3u

static struct uart port;
static struct packet_input input;
static struct packet_output reply, message;
static struct {
	bool there, overrun;
	u8 byte;
} kept;		    /* what came instead of an acknowledgement */
static bool silent; /* none came in time, and nothing since: gdb has gone, or acknowledges nothing */

struct uart *link_port(void)
{
	return &port;
}

static void send(const struct packet_output *output)
{
	uart_send(&port, output->text, output->length);
}

static enum uart_input receive(u8 *byte)
{
	enum uart_input got;

	if (kept.there) {
		kept.there = false;
		*byte = kept.byte;
		return kept.overrun ? UART_OVERRUN : UART_BYTE;
	}
	got = uart_receive(&port, byte);
	if (got != UART_NOTHING)
		silent = false;
	return got;
}

enum packet_event link_receive(void)
{
	enum packet_event event;
	enum uart_input got;
	u8 byte;

	got = receive(&byte);
	if (got == UART_NOTHING)
		return PACKET_NOTHING;
	if (got == UART_OVERRUN)
		packet_spoil(&input);
	event = packet_put(&input, byte);
	if (event == PACKET_COMPLETE)
		uart_send(&port, "+", 1);
	if (event == PACKET_BAD)
		uart_send(&port, "-", 1);
	if (event == PACKET_REFUSED && reply.length)
		send(&reply);
	return event;
}

const char *link_packet(void)
{
	return input.text;
}

struct packet_output *link_reply(void)
{
	packet_begin(&reply);
	return &reply;
}

void link_send(void)
{
	packet_end(&reply);
	send(&reply);
}

/* + or -; 0 if something else came first, which is kept, or nothing. */
static u8 acknowledgement(void)
{
	enum uart_input got = UART_NOTHING;
	u8 byte = 0;

	for (u32 i = 0; i < POLLS_MAX && got == UART_NOTHING; i++) {
		cpu_pause();
		got = uart_receive(&port, &byte);
	}
	silent = got == UART_NOTHING;
	if (got == UART_NOTHING || byte == '+' || byte == '-')
		return byte;
	kept.there = true;
	kept.overrun = got == UART_OVERRUN;
	kept.byte = byte;
	return 0;
}

/* Until gdb has understood it. */
static void deliver(const struct packet_output *output)
{
	for (u32 i = 0; i < TRIES_MAX; i++) {
		send(output);
		if (kept.there || silent || acknowledgement() != '-')
			return;
	}
}

void link_print(const char *text, size_t length)
{
	while (length) {
		size_t size = MIN(length, (size_t)PRINT_MAX);

		packet_begin(&message);
		packet_add(&message, "O");
		packet_add_bytes(&message, text, size);
		packet_end(&message);
		deliver(&message);
		text += size;
		length -= size;
	}
}
