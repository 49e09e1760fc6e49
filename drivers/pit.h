/* SPDX-License-Identifier: MIT */
/*
 * How fast the TSC counts, by the PC's interval timer.  Boot only: the timer is L1's afterwards.
 */
#ifndef DRIVERS_PIT_H
#define DRIVERS_PIT_H

#include "kernel/types.h"

/* TSC ticks of 20 ms; where no timer answers, of a processor of 2 GHz. BSP, before L1 runs. */
u64 pit_measure_20ms(void);
#define PIT_20MS_GUESSED 40000000u

#endif
