/* SPDX-License-Identifier: MIT */
/*
 * Serial ports that an option gives to Socle alone, looked at by each CPU's VMX-preemption timer.
 */
#ifndef VMX_MONITOR_CLAIM_H
#define VMX_MONITOR_CLAIM_H

#include "drivers/uart.h"
#include "kernel/cmdline.h"

/* BSP, once for each option, behind monitor_open(), before vm_init(). False: not asked for, or a warning says
 * why not. */
bool claim_port(const char *name, const struct console_option *wanted, struct uart *port);

#endif
