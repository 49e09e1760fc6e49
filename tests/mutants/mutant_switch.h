/* SPDX-License-Identifier: MIT */
/*
 * Which of the generated mutants (instrument.py) this Socle is: 0 for none. Only instrumented copies of the
 * tree have this; there it lies in vmx/, with mutant_switch.c.
 */
#ifndef VMX_MUTANT_SWITCH_H
#define VMX_MUTANT_SWITCH_H

#include "kernel/types.h"

extern volatile unsigned int mutant_now;
extern unsigned char *mutant_reached; /* a byte for each number whose place was passed; NULL: not wanted */

static inline bool mutant_is(unsigned int number)
{
	if (unlikely(mutant_reached != NULL))
		mutant_reached[number] = 1;
	return unlikely(mutant_now == number);
}

#endif
