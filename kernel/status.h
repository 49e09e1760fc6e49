/* SPDX-License-Identifier: MIT */
/*
 * What can be wrong with the machine or with what the boot loader brought: one row of status.def each,
 * with the line that the user reads. A status travels to main, which reports it and halts.
 */
#ifndef KERNEL_STATUS_H
#define KERNEL_STATUS_H

#include "kernel/types.h"

enum status {
	STATUS_OK,
#define STATUS(name, what, advice) STATUS_##name,
#include "kernel/status.def"
#undef STATUS
	STATUS_COUNT,
};

/*
 * Remembers the detail (an option's name, a number) that the row's text shows for `%s`, and hands the
 * status back: `return status_with(STATUS_OPTION_UNKNOWN, "%s", name);`. The last one before main counts.
 */
enum status status_with(enum status status, const char *fmt, ...) PRINTF_LIKE(2, 3);

/* Prints `socle: error: <what>; <what to do>`. */
void status_report(enum status status);

/* What is wrong alone, detail filled in. */
void status_what(enum status status, char *buf, size_t n);

/* The row's text, detail filled in. */
void status_format(enum status status, char *buf, size_t n);

#endif
