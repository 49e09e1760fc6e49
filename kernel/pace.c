/* SPDX-License-Identifier: MIT */
/*
 * See pace.h.
 */
#include "kernel/pace.h"

#include "kernel/hw/cpu.h"

#define DELAY_PORT 0x80
#define READS 1000 /* a millisecond */
#define INTERVAL_MS 100

static u64 interval; /* ticks; constant after pace_init() */

void pace_init(void)
{
	u64 start = rdtsc();

	for (unsigned int i = 0; i < READS; i++)
		(void)inb(DELAY_PORT);
	interval = (rdtsc() - start) * INTERVAL_MS;
}

bool pace_allows(u64 *next)
{
	u64 now = rdtsc();

	/* L1 may have set the counter back: then it is long enough as well. */
	if (now < *next && *next - now <= interval)
		return false;
	*next = now + interval;
	return true;
}

void pace_rest(u64 *next)
{
	*next = rdtsc() + interval;
}
