/* SPDX-License-Identifier: MIT */
/*
 * socle-trace-read [log | CPU...]: for a Linux that runs as L1 on Socle: prints the exit trace of all CPUs
 * (or those named) as the lines that socle-trace reads, or Socle's log. Socle must have been started with
 * counters=on, which lets programs ask, and for a trace with trace=on. Build: cc -O2 -static.
 * docs/debugging.md has the call.
 */
#define _GNU_SOURCE
#include <cpuid.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MAGIC 0x50434c53u
#define CALL_READ 9u
#define WORDS 8 /* of an event */

enum { READ_LOG, READ_TRACE_HEAD, READ_TRACE, TRACE_CONTROL };

static uint64_t page[512] __attribute__((aligned(4096)));
static sigjmp_buf refused;

static void on_sigill(int number)
{
	siglongjmp(refused, number);
}

/* Bytes in `page`; *position moves on. */
static uint64_t ask(uint64_t what, uint64_t *position)
{
	uint64_t value = MAGIC, call = CALL_READ, at = *position;

	__asm__ volatile("vmcall"
			 : "+a"(value), "+b"(call), "+c"(what), "+S"(at)
			 : "D"(page)
			 : "rdx", "memory", "cc");
	*position = at;
	return value;
}

static int on_socle(void)
{
	unsigned int a, b, c, d;

	__cpuid(0x40000000, a, b, c, d);
	return b == 0x6c636f53 && c == 0x636f5365 && d == 0x2020656c;
}

static void print_text(uint64_t what, const char *end)
{
	uint64_t position = 0, length;

	while ((length = ask(what, &position)) && length <= sizeof(page)) {
		fwrite(page, 1, length, stdout);
		fputs(end, stdout);
	}
}

/* Of the CPU that this runs on. Recording pauses meanwhile, for each call is an exit too. */
static void print_events(int cpu)
{
	uint64_t position = 0, length, off = 0, on = 1;

	if (!ask(TRACE_CONTROL, &off)) {
		fputs("socle-trace-read: Socle records nothing: say trace=on on its command line\n", stderr);
		exit(1);
	}
	while ((length = ask(READ_TRACE, &position)) && length <= sizeof(page))
		for (const uint64_t *w = page; w < page + length / sizeof(*w); w += WORDS)
			printf("trace: %d %lx %lx %lx %lx %lx %lx %lx %lx\n", cpu, w[0], w[1], w[2], w[3],
			       w[4], w[5], w[6], w[7]);
	ask(TRACE_CONTROL, &on);
}

/* False: there is no such CPU. */
static int go_to(int cpu)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	return !sched_setaffinity(0, sizeof(set), &set);
}

static void print_trace(int count, char **cpus)
{
	print_text(READ_TRACE_HEAD, "\n");
	for (int i = 0; i < count; i++)
		if (go_to(atoi(cpus[i])))
			print_events(atoi(cpus[i]));
	for (int cpu = 0; !count && cpu < CPU_SETSIZE; cpu++)
		if (go_to(cpu))
			print_events(cpu);
}

int main(int argc, char **argv)
{
	memset(page, 1, sizeof(page));
	signal(SIGILL, on_sigill);
	if (!on_socle()) {
		fputs("socle-trace-read: this system does not run on Socle\n", stderr);
		return 1;
	}
	if (sigsetjmp(refused, 1)) {
		fputs("socle-trace-read: Socle does not answer programs: say counters=on on its command "
		      "line\n",
		      stderr);
		return 1;
	}
	if (argc > 1 && !strcmp(argv[1], "log"))
		print_text(READ_LOG, "");
	else
		print_trace(argc - 1, argv + 1);
	return 0;
}
