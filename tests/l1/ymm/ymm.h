/* SPDX-License-Identifier: MIT */
/* ymm.h: the turn in keep.S that ymm.c takes again and again. */
#ifndef YMM_H
#define YMM_H

#define YMM_BYTES (16 * 32) /* all 16 registers */

/*
 * Loads the YMM registers from @have, runs @spins turns of a loop, lets others run (sched_yield), and stores
 * what the registers hold then into @found.
 */
void ymm_keep(const void *have, void *found, unsigned long spins);

#endif
