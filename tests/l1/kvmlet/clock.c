/* SPDX-License-Identifier: MIT */
/*
 * The machine's clocks against each other: from one second's edge of the RTC to another, so many seconds
 * later, what the kernel's monotonic clock and the TSC say has passed, and how often a timer of 10 ms ticked.
 * The RTC is read by its ports, past the kernel's driver.
 */
#include "kvmlet.h"

#include <signal.h>
#include <stdio.h>
#include <sys/io.h>
#include <time.h>

#define RTC_INDEX 0x70
#define RTC_DATA 0x71
#define RTC_SECONDS 0
#define POLL_NS 500000
#define SURE_NS 900000000
#define TICK_NS 10000000

static volatile sig_atomic_t ticks;

static uint8_t rtc_seconds(void)
{
	outb(RTC_SECONDS, RTC_INDEX);
	return inb(RTC_DATA);
}

static double monotonic(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec + (double)ts.tv_nsec * 1e-9;
}

static uint64_t read_tsc(void)
{
	uint32_t low, high;

	__asm__ volatile("rdtsc" : "=a"(low), "=d"(high));
	return (uint64_t)high << 32 | low;
}

/* Returns at the RTC's next change of second, which comes no sooner than after `sure`. */
static void wait_edge(long sure)
{
	struct timespec pause = { 0, POLL_NS }, most = { 0, sure };
	uint8_t before = rtc_seconds();

	/* a timer's signal ends nanosleep() early */
	while (clock_nanosleep(CLOCK_MONOTONIC, 0, &most, &most))
		;
	while (rtc_seconds() == before)
		nanosleep(&pause, NULL);
}

static void count_tick(int number)
{
	(void)number;
	ticks++;
}

int clock_compare(int seconds)
{
	struct itimerspec period = { { 0, TICK_NS }, { 0, TICK_NS } };
	struct sigevent event = { .sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGALRM };
	struct sigaction action = { .sa_handler = count_tick, .sa_flags = SA_RESTART };
	double from, passed;
	uint64_t tsc;
	timer_t timer;
	int count;

	if (ioperm(RTC_INDEX, 2, 1))
		die("ioperm");
	sigaction(SIGALRM, &action, NULL);
	if (timer_create(CLOCK_MONOTONIC, &event, &timer))
		die("timer_create");
	wait_edge(0);
	from = monotonic();
	tsc = read_tsc();
	timer_settime(timer, 0, &period, NULL);
	for (int i = 0; i < seconds; i++)
		wait_edge(SURE_NS);
	passed = monotonic() - from;
	tsc = read_tsc() - tsc;
	count = ticks;
	printf("CLOCK rtc=%d monotonic=%.3f tsc=%llu ticks=%d\n", seconds, passed, (unsigned long long)tsc,
	       count);
	fflush(stdout);
	return passed > seconds - 0.5 && passed < seconds + 0.5 && count > seconds * 99 &&
			       count < seconds * 101
		       ? 0
		       : 1;
}
