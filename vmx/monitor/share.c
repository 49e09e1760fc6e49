/* SPDX-License-Identifier: MIT */
/*
 * One lock: an access of L1's, a text of the monitor's or a line of the log, whole. None of these waits for
 * a guest, so that L1 cannot keep another CPU from it.
 */
#include "vmx/monitor/share.h"

#include "kernel/hw/cpu.h"
#include "kernel/percpu.h"
#include "vmx/l1/ports.h"
#include "vmx/monitor/mix.h"
#include "vmx/monitor/uart_l1.h"

#define NOBODY (~0u)
#define PAUSES_MAX 0x10000000u /* a CPU that has not given the port back by then has died with it */

static u32 holder = NOBODY; /* any CPU, atomic */
/* The holder's: */
static u32 depth; /* how often besides it has taken the port */
static struct uart *port;
static struct mix mix;
static struct uart_l1_settings settings; /* while a line of the log is sent */

/* A CPU that panics while it has the port has it still. */
static void hold(void)
{
	u32 self = percpu_this()->id;

	if (__atomic_load_n(&holder, __ATOMIC_RELAXED) == self) {
		depth++;
		return;
	}
	for (u32 i = 0; i < PAUSES_MAX; i++) {
		u32 nobody = NOBODY;

		if (__atomic_compare_exchange_n(&holder, &nobody, self, false, __ATOMIC_ACQUIRE,
						__ATOMIC_RELAXED))
			break;
		cpu_pause();
	}
	__atomic_store_n(&holder, self, __ATOMIC_RELAXED);
	depth = 0;
}

static void release(void)
{
	if (depth)
		depth--;
	else
		__atomic_store_n(&holder, NOBODY, __ATOMIC_RELEASE);
}

/* ---- L1 ---- */

static void send_l1(u8 byte)
{
	struct mix_before before;

	if (mix_has_sent(&mix, (char)byte))
		return;
	before = mix_begin(&mix, MIX_L1);
	if (before.new_line)
		uart_send(port, "\n", 1);
	if (before.length)
		uart_send(port, before.line, before.length);
	if (before.new_line || before.length)
		uart_l1_return(&(const struct uart_l1_settings){ 0 });
	uart_l1_write(UART_DATA, byte);
	mix_text(&mix, MIX_L1, &(const char){ (char)byte }, 1);
}

static bool handler(struct vcpu *vcpu UNUSED, const struct port_range *range, struct port_access *access)
{
	hold();
	for (u32 i = 0; i < access->size; i++) {
		u32 n = (u32)(access->port + i) - range->first, shift = 8 * i;
		u8 byte = (u8)(access->value >> shift);

		if (n >= range->count)
			continue;
		if (access->in)
			access->value = (access->value & ~(0xffu << shift)) |
					(u32)uart_l1_read((enum uart_register)n) << shift;
		else if (uart_l1_sends((enum uart_register)n))
			send_l1(byte);
		else
			uart_l1_write((enum uart_register)n, byte);
		uart_l1_drive();
	}
	release();
	return false;
}

/* ---- Socle ---- */

static void begin(enum mix_writer writer)
{
	hold();
	settings = uart_l1_lend();
	if (mix_begin(&mix, writer).new_line)
		uart_send(port, "\n", 1);
}

static void end(void)
{
	uart_l1_return(&settings);
	release();
}

/* A log line is whole, and ends by itself. */
static void guard(bool begins)
{
	if (begins) {
		begin(MIX_LOG);
	} else {
		mix_text(&mix, MIX_LOG, "\n", 1);
		end();
	}
}

static void send(enum mix_writer writer, const char *text, size_t length)
{
	begin(writer);
	uart_send(port, text, length);
	mix_text(&mix, writer, text, length);
	end();
}

void share_send(const char *text, size_t length)
{
	send(MIX_MONITOR, text, length);
}

void share_notice(const char *text, size_t length)
{
	send(MIX_LOG, text, length);
}

bool share_is_cut(void)
{
	bool cut;

	hold();
	cut = mix_is_cut(&mix, MIX_MONITOR);
	release();
	return cut;
}

enum uart_input share_receive(u8 *byte)
{
	struct input *input = &uart_l1_input;
	enum uart_input got = UART_NOTHING;

	hold();
	uart_l1_look();
	if (input_own_take(input, byte)) {
		got = input->own_lost ? UART_OVERRUN : UART_BYTE;
		input->own_lost = false;
	}
	uart_l1_drive();
	release();
	return got;
}

bool share_has_keyboard(void)
{
	return READ_ONCE(uart_l1_input.monitors);
}

void share_take_keyboard(void)
{
	hold();
	input_to_monitor(&uart_l1_input);
	uart_l1_drive();
	release();
}

bool share_has_switched(void)
{
	bool switched;

	if (!READ_ONCE(uart_l1_input.switched))
		return false;
	hold();
	switched = uart_l1_input.switched;
	uart_l1_input.switched = false;
	release();
	return switched;
}

void share_start(struct uart *uart, u8 key)
{
	const struct port_range range = { (u16)uart->place.base, UART_L1_REGISTERS, "monitor", handler,
					  NULL };

	port = uart;
	uart_l1_start(uart, key);
	ports_add_emulated(&range);
	if (uart == uart_console())
		uart_set_console_guard(guard);
}
