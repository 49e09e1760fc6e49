/* SPDX-License-Identifier: MIT */
/*
 * L0's log: one call is one line, `socle: ` first. Lines of several CPUs do not mix: one lock, taken for
 * nothing else and never on the exit path. Where the characters go is the sink's (drivers/uart.c).
 */
#ifndef KERNEL_LOG_H
#define KERNEL_LOG_H

#include "kernel/types.h"

enum log_level { LOG_ERROR, LOG_WARN, LOG_INFO, LOG_DEBUG };

/* Writes the line if `level` is within options.log. */
void log_line(enum log_level level, const char *fmt, ...) PRINTF_LIKE(2, 3);

/*
 * Lines that belong together, each ended by '\n', as log_report() would write them: if no other CPU writes
 * such ones now, and behind an empty line. False: nothing was written. Any CPU; another one waits for a line
 * of it at most.
 */
bool log_try_text(const char *text, size_t length);

/*
 * What was logged last (16 KiB of it, kernel/log_ring.h), from *position on, which is 0 at first: at most
 * `size` bytes. *position moves behind them. 0: nothing newer. Any CPU; it waits for a line that another one
 * is writing.
 */
size_t log_read(u64 *position, char *to, size_t size);

/* What was logged before there is a sink is in log_read() alone. */
void log_set_sink(void (*sink)(const char *text, size_t len));

/* What is to be done before the lines of a stop: a sink that L1 had is asked for again. log_stop() calls it,
 * on the CPU that stops the machine, with every other one about to halt. */
void log_set_stop(void (*stop)(void));
void log_stop(void);

/* For a CPU that panics: whoever holds the lock will not give it back. */
void log_break_lock(void);

/* A report that the user asked for: log= does not filter it. */
#define log_report(...) log_line(LOG_ERROR, __VA_ARGS__)
#define log_error(...) log_line(LOG_ERROR, __VA_ARGS__)
#define log_warn(...) log_line(LOG_WARN, __VA_ARGS__)
#define log_info(...) log_line(LOG_INFO, __VA_ARGS__)
#define log_debug(...) log_line(LOG_DEBUG, __VA_ARGS__)

#endif
