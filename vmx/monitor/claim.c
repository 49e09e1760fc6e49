/* SPDX-License-Identifier: MIT */
/*
 * The port is opened, hidden from L1 and L2, and the timer's period measured if nobody has.
 */
#include "vmx/monitor/claim.h"

#include "drivers/pit.h"
#include "kernel/log.h"
#include "vmx/hw/caps.h"
#include "vmx/l1/ports.h"
#include "vmx/monitor/control.h"
#include "vmx/monitor/output.h"

#define UART_PORTS 8

/* The parser takes aligned addresses alone: another one is another port's. */
static bool is_anothers(const struct console_option *wanted)
{
	const struct console_option *all[] = { &options.monitor, &options.gdb, &options.trace_port };

	for (unsigned int i = 0; i < ARRAY_SIZE(all); i++)
		if (all[i] != wanted && all[i]->serial != SERIAL_NONE && all[i]->address == wanted->address)
			return true;
	return uart_is_console(wanted->address);
}

bool claim_port(const char *name, const struct console_option *wanted, struct uart *port)
{
	struct uart_place place = { .base = wanted->address, .baud = wanted->baud ? wanted->baud : 115200 };
	struct port_range range = { (u16)wanted->address, UART_PORTS, name, NULL, NULL };
	const char *fault = NULL;

	if (wanted->serial == SERIAL_NONE)
		return false;
	if (is_anothers(wanted))
		fault = "that port is the console's, the monitor's, gdb's or the trace's; name another one";
	else if (!(vmx_caps.pin.allowed1 & PIN_PREEMPTION_TIMER) ||
		 !(vmx_caps.exit.allowed1 & EXIT_SAVE_PREEMPTION_TIMER))
		fault = "the processor has no VMX-preemption timer whose value is saved";
	else if (!uart_open(port, &place))
		fault = "no serial port answers there";
	if (fault) {
		log_warn("%s=: %s", name, fault);
		return false;
	}
	ports_add(&range);
	if (!control_period())
		control_init(pit_measure_20ms());
	log_info("%s: port %llx, hidden from L1", name, LL(wanted->address));
	return true;
}
