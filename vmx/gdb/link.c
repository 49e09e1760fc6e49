/* SPDX-License-Identifier: MIT */
/*
 * Without a wait anywhere: what gdb acknowledges is not looked at, and what it did not understand is sent
 * again when it says so.
 */
#include "vmx/gdb/link.h"

#define PRINT_MAX 512u

static struct uart port;
static struct packet_input input;
static struct packet_output reply, message;

struct uart *link_port(void)
{
	return &port;
}

static void send(const struct packet_output *output)
{
	uart_send(&port, output->text, output->length);
}

enum packet_event link_receive(void)
{
	enum packet_event event;
	enum uart_input got;
	u8 byte;

	got = uart_receive(&port, &byte);
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

void link_print(const char *text, size_t length)
{
	while (length) {
		size_t size = MIN(length, (size_t)PRINT_MAX);

		packet_begin(&message);
		packet_add(&message, "O");
		packet_add_bytes(&message, text, size);
		packet_end(&message);
		send(&message);
		text += size;
		length -= size;
	}
}
