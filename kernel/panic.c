/* SPDX-License-Identifier: MIT */
/*
 * The way out when L0 itself is wrong. The first CPU here prints; any other stops silently.
 */
#include "kernel/panic.h"

#include "kernel/hw/cpu.h"
#include "kernel/log.h"
#include "kernel/print.h"

static void (*panic_dump)(void);
static u32 panic_entered; /* any CPU, atomic */

void panic_set_dump(void (*dump)(void))
{
	panic_dump = dump;
}

void cpu_halt_forever(void)
{
	cpu_cli();
	for (;;)
		cpu_halt();
}

void panic(const char *fmt, ...)
{
	char text[200];
	va_list args;

	cpu_cli();
	if (__atomic_exchange_n(&panic_entered, 1, __ATOMIC_ACQ_REL))
		cpu_halt_forever(); /* another CPU, or a fault in the dump */
	log_break_lock();
	log_stop();
	va_start(args, fmt);
	print_vformat(text, sizeof(text), fmt, args);
	va_end(args);
	log_error("panic: %s", text);
	if (panic_dump)
		panic_dump();
	log_error("halted");
	cpu_halt_forever();
}
