/* SPDX-License-Identifier: MIT */
/*
 * Each CPU sends its own events, for between two exits its ring is its own. One line at least, then until a
 * quarter of the time has passed that lies between two looks: a guest keeps most of it. What the ring has
 * overwritten meanwhile is counted, and said.
 */
#include "vmx/monitor/live.h"

#include "drivers/uart.h"
#include "kernel/cmdline.h"
#include "kernel/hw/cpu.h"
#include "kernel/log.h"
#include "kernel/percpu.h"
#include "kernel/print.h"
#include "vmx/guest/exit_trace.h"
#include "vmx/monitor/claim.h"
#include "vmx/monitor/control.h"
#include "vmx/monitor/output.h"

#define PART 4

static struct uart port;
static bool is_open;		   /* constant after live_open() */
static u32 locked;		   /* any CPU, atomic: one sends */
static bool begun;		   /* whoever has locked it */
static u64 next_event[PERCPU_MAX]; /* each its CPU's */

void live_open(void)
{
	if (options.trace_port.serial != SERIAL_NONE && !options.trace_size)
		log_warn("trace-port=: there is nothing to send without trace=");
	else
		is_open = claim_port("trace-port", &options.trace_port, &port);
}

static void send(char *line, size_t length)
{
	line[length++] = '\n';
	uart_send(&port, line, length);
}

static void send_events(const struct vcpu *vcpu, u64 *next)
{
	u64 start = rdtsc(), first = exit_trace_first(vcpu), end = exit_trace_end(vcpu);
	char line[TRACE_LINE_SIZE + 1];

	if (!begun)
		send(line, exit_trace_head_line(line));
	begun = true;
	if (*next < first) {
		send(line, print_format(line, TRACE_LINE_SIZE, "trace: dropped cpu %u events %llu",
					vcpu->cpu->id, LL(first - *next)));
		*next = first;
	}
	while (*next < end) {
		send(line, exit_trace_line(vcpu, (*next)++, line));
		if (rdtsc() - start > control_period() / PART)
			break;
	}
}

void live_send(struct vcpu *vcpu)
{
	if (!is_open || __atomic_exchange_n(&locked, 1, __ATOMIC_ACQUIRE))
		return;
	send_events(vcpu, &next_event[vcpu->cpu->id]);
	__atomic_store_n(&locked, 0, __ATOMIC_RELEASE);
}
