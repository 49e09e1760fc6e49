/* SPDX-License-Identifier: MIT */
/*
 * Guest test "exits": what leads from L2 to L1, one directed test each. The parts: exits_control.c (instructions),
 * exits_event.c (exceptions, interrupts, NMIs, timers), exits_state.c (what is saved and loaded, MSR lists, activity), exits_apic.c.
 */
#include "tests/guest/lib/test.h"
