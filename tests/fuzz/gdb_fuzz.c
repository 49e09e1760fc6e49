/* SPDX-License-Identifier: MIT */
/*
 * What comes in at gdb's port, arbitrary bytes and arbitrary packets, while L1 runs, and an L2: nothing is
 * read or written but the guests' own, replies are packets, and a machine that is let go runs again.
 */
#include <stdlib.h>
#include <string.h>

#include "kernel/x86.h"
#include "tests/unit/machine.h"
#include "tests/unit/uart_support.h"
#include "vmx/l1/closed.h"
#include "vmx/monitor/control.h"

int LLVMFuzzerTestOneInput(const u8 *data, size_t size);

#define REQUIRE_IT(condition)                                                                                \
	do {                                                                                                 \
		if (!(condition))                                                                            \
			abort();                                                                             \
	} while (0)

static const u8 *input;
static size_t input_left;
static u32 at_end, unheard;
static u8 scratch, sum;
static u8 tail_left; /* of the packet's checksum */
static u32 digits;   /* of the reply's checksum that are still to come */
static bool in_reply;
static bool is_open; /* the port's speed has been set */

/* Behind the input gdb goes away, and says so once. */
static const char leave[] = "$D#44";
#define UNHEARD_MAX 10000000u

/* A machine that stops behind that stands for ever. */
static bool is_silent(void)
{
	if (input_left || tail_left || at_end < sizeof(leave) - 1)
		return false;
	REQUIRE_IT(++unheard < UNHEARD_MAX);
	return true;
}

static u8 next_byte(void)
{
	if (input_left) {
		input_left--;
		return *input++;
	}
	return (u8)leave[at_end++];
}

/* Framed here, so that many are understood: 0xff ends a packet, and the checksum follows by itself. */
static u8 framed(void)
{
	static u8 tail[2];
	static bool open;
	static const char hex[] = "0123456789abcdef";
	u8 byte;

	if (!input_left && !tail_left)
		open = false;
	if (tail_left)
		return tail[--tail_left];
	if (!input_left)
		return next_byte();
	byte = next_byte();
	if (byte != 0xff) {
		sum = (u8)(byte == '$' ? 0 : sum + byte);
		return byte;
	}
	open = !open;
	if (open) {
		sum = 0;
		return '$';
	}
	tail[1] = (u8)hex[sum >> 4];
	tail[0] = (u8)hex[sum & 15];
	tail_left = 2;
	return '#';
}

static bool port_in(u16 port, unsigned int size, u32 *value)
{
	*value = size == 1 ? 0x61 : 0x4461;
	if (port == UART_PORT + 7)
		*value = scratch;
	else if (port == UART_PORT + 5 && is_silent())
		*value = 0x60;
	else if (port == UART_PORT && !is_silent())
		*value = framed();
	return true;
}

/* A reply is $, no byte that begins or ends one, #, and two digits. */
static bool port_out(u16 port, unsigned int size, u32 value)
{
	(void)size;
	if (port == UART_PORT + 7)
		scratch = (u8)value;
	if (port != UART_PORT || !is_open)
		return true;
	if (digits) {
		digits--;
	} else if (value == '$') {
		REQUIRE_IT(!in_reply);
		in_reply = true;
	} else if (value == '#') {
		REQUIRE_IT(in_reply);
		in_reply = false;
		digits = 2;
	} else {
		REQUIRE_IT(in_reply || value == '+' || value == '-');
	}
	return true;
}

static void start(void)
{
	static bool started;

	if (started) {
		fake_restore();
		return;
	}
	fake_port_in = port_in;
	fake_port_out = port_out;
	machine_init("gdb=com2");
	fake_port_in = port_in;
	fake_port_out = port_out;
	is_open = true;
	l1_run_l2();
	fake_snapshot();
	started = true;
}

int LLVMFuzzerTestOneInput(const u8 *data, size_t size)
{
	if (!size)
		return 0;
	input_left = 0;
	start();
	fake_port_in = port_in;
	fake_port_out = port_out;
	if (data[0] & 1)
		EXIT_NOW(.reason = EXIT_HLT, .length = 1);
	input = data + 1;
	input_left = size - 1;
	at_end = unheard = 0;
	for (int i = 0; i < 4; i++) {
		EXIT_NOW(.reason = EXIT_PREEMPTION_TIMER);
		EXIT_NOW(.reason = EXIT_EPT_VIOLATION,
			 .qualification = EPTV_FETCH | EPTV_LINEAR_VALID | EPTV_TRANSLATED,
			 .guest_physical = machine_field(VMCS_guest_rip) & 0xffffff);
		EXIT_NOW(.reason = EXIT_EPT_VIOLATION,
			 .qualification =
				 (data[0] & 2 ? EPTV_READ : EPTV_WRITE) | EPTV_LINEAR_VALID | EPTV_TRANSLATED,
			 .guest_physical = 0x5000u | data[0]);
		EXIT_NOW(.reason = EXIT_MTF);
	}
	/* gdb has left: nothing is closed, and nobody stands */
	for (int i = 0; i < 4 && (control_is_stopped() || closed_count); i++)
		EXIT_NOW(.reason = EXIT_PREEMPTION_TIMER);
	REQUIRE_IT(!control_is_stopped() && !in_reply);
	return 0;
}
