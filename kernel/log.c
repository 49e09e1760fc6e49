/* SPDX-License-Identifier: MIT */
/*
 * One lock, one line buffer on the caller's stack. The sink is slow (a serial line), so nothing that a guest
 * can make happen often is logged above debug level.
 */
#include "kernel/log.h"

#include "kernel/cmdline.h"
#include "kernel/hw/cpu.h"
#include "kernel/log_ring.h"
#include "kernel/print.h"

#define LINE_MAX 512

static void (*log_sink)(const char *text, size_t len);
static void (*stop_hook)(void);
static struct log_ring ring;
static u32 log_lock;	  /* any CPU, atomic */
static u32 text_lock;	  /* any CPU, atomic: nobody waits for it */
static bool log_unlocked; /* a CPU panicked: no lock any more */

static void lock(void)
{
	while (__atomic_exchange_n(&log_lock, 1, __ATOMIC_ACQUIRE) && !READ_ONCE(log_unlocked))
		cpu_pause();
}

static void unlock(void)
{
	__atomic_store_n(&log_lock, 0, __ATOMIC_RELEASE);
}

void log_set_sink(void (*sink)(const char *text, size_t len))
{
	log_sink = sink;
}

void log_set_stop(void (*stop)(void))
{
	stop_hook = stop;
}

void log_stop(void)
{
	if (!stop_hook)
		return;
	lock();
	stop_hook();
	unlock();
}

void log_break_lock(void)
{
	WRITE_ONCE(log_unlocked, true);
}

/* L1 may be in the middle of a line of its own on the same port, which nobody sees here. */
static void end_line_of_others(void)
{
	lock();
	if (log_sink)
		log_sink("\n", 1);
	unlock();
}

bool log_try_text(const char *text, size_t length)
{
	size_t line = 0;

	if (__atomic_exchange_n(&text_lock, 1, __ATOMIC_ACQUIRE))
		return false;
	end_line_of_others();
	for (size_t i = 0; i < length; i++)
		if (text[i] == '\n') {
			log_report("%.*s", (int)(i - line), text + line);
			line = i + 1;
		}
	__atomic_store_n(&text_lock, 0, __ATOMIC_RELEASE);
	return true;
}

void log_line(enum log_level level, const char *fmt, ...)
{
	char line[LINE_MAX] = "socle: ";
	size_t len = sizeof("socle: ") - 1;
	va_list args;

	if (level > options.log)
		return;
	va_start(args, fmt);
	len += print_vformat(line + len, sizeof(line) - 1 - len, fmt, args);
	va_end(args);
	line[len++] = '\n';

	lock();
	log_ring_add(&ring, line, len);
	if (log_sink)
		log_sink(line, len);
	unlock();
}

size_t log_read(u64 *position, char *to, size_t size)
{
	size_t length;

	lock();
	length = log_ring_read(&ring, position, to, size);
	unlock();
	return length;
}
