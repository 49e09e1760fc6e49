/* SPDX-License-Identifier: MIT */
/*
 * The end of a run that is our own fault: an assertion, kept in release builds, or an exception in L0.
 * A guest's mistake never comes here; a machine's or boot loader's is an enum status.
 */
#ifndef KERNEL_PANIC_H
#define KERNEL_PANIC_H

#include "kernel/types.h"

/* Prints, dumps, stops this CPU for ever. */
void panic(const char *fmt, ...) PRINTF_LIKE(1, 2) NORETURN;

/* What else to print on the way out (the vCPU, its last exits). Called once, on the CPU that panics. */
void panic_set_dump(void (*dump)(void));

/* Stops this CPU: interrupts off, HLT for ever. NMIs wake it only to halt again. */
void cpu_halt_forever(void) NORETURN;

#define ASSERT(cond)                                                                                         \
	do {                                                                                                 \
		if (unlikely(!(cond)))                                                                       \
			panic("%s:%d: assertion failed: %s", __FILE__, __LINE__, #cond);                     \
	} while (0)

#endif
