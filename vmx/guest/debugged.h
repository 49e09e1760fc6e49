/* SPDX-License-Identifier: MIT */
/*
 * What a person's breakpoints and steps leave in a vCPU: vmx/monitor/step.c's alone.
 */
#ifndef VMX_DEBUGGED_H
#define VMX_DEBUGGED_H

#include "kernel/types.h"

/* All members: this CPU only. RIP is linear. */
struct debugged {
	/* The exit that step.c has not judged yet. */
	bool exited;
	u8 exit_level;
	u32 exit_reason;
	u64 exit_rip, exit_next; /* of VMLAUNCH and VMRESUME: behind it */
	u64 entry_failures;	 /* nested.counters' at that time */

	u16 hit; /* what is to stop the machine: a breakpoint's number, or HIT_* of step.h; 0: nothing */

	/* Steps that are left, of this level (0: of any), from that place on; step.c says whether the order
	 * for them still counts. */
	u32 steps, order;
	u8 step_level, from_level;
	u64 from_rip;
	u32 waits; /* ends of the timer meanwhile */

	/* The breakpoint at which the machine stood has been told: its instruction is to pass, once. */
	bool passing;
	u8 passing_level;
	u64 passing_rip;

	u16 accessed; /* a breakpoint whose bytes the instruction reads, or writes: it is told behind it */
	bool writing; /* an instruction that writes to a watched page is being stepped */
};

#endif
