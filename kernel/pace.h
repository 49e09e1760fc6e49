/* SPDX-License-Identifier: MIT */
/*
 * How often something may be said: a tenth of a second between two times, by the time-stamp counter. L0 has
 * no timer of its own, and a rate that the counter has is not known on all processors; it is measured once
 * against reads of port 80H, which take about a microsecond.
 */
#ifndef KERNEL_PACE_H
#define KERNEL_PACE_H

#include "kernel/types.h"

/* Once, on the BSP; takes a millisecond. Before that nothing is too often. */
void pace_init(void);

/* True: it has been long enough since this CPU was last told so with this `next`, which starts as 0. */
bool pace_allows(u64 *next);

/* It takes long to say, and is said: the pause begins now. */
void pace_rest(u64 *next);

#endif
