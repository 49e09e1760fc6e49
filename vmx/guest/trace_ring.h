/* SPDX-License-Identifier: MIT */
/*
 * An exit as it is recorded, and the ring of the last ones. Who fills it: vmx/run.c, and with trace=
 * exit_trace.c.
 */
#ifndef VMX_GUEST_TRACE_RING_H
#define VMX_GUEST_TRACE_RING_H

#include "kernel/types.h"

/* Whose the exit was, and what runs behind it. */
#define TRACE_TO_L1 1u	       /* L2's exit, which L1 was given */
#define TRACE_THEN_L2 2u       /* L2 runs next */
#define TRACE_ENTRY_FAILURE 4u /* a VM entry that failed late */

/* tools/trace/read.py knows this form. The members that say so are filled with trace= alone. */
struct trace_event {
	u32 number; /* of this CPU's events, from 0: when it is read out */
	union {
		struct {
			u16 reason;
			u8 level; /* 1: L1 exited, 2: L2 */
			u8 flags; /* TRACE_TO_L1; trace=: the others */
		};
		u32 head; /* all of these */
	};
	u64 exit_tsc;  /* 0: there was no such exit */
	u64 entry_tsc; /* trace=: of the next entry */
	u64 rip;
	/* The exit qualification where exits.def says so, else RCX; of VMREAD and VMWRITE the field. */
	u64 subject;
	u64 vmcs12;	       /* trace=: L1's current VMCS at the exit; all ones: none */
	u32 vectoring;	       /* trace=: IDT-vectoring information */
	u16 vmreads, vmwrites; /* trace=: of all CPUs, from exit to entry, in a build with COUNT=1; else 0 */
	/* trace=: guest-physical address; else interruption information; where there is neither EDX:EAX at
	 * the exit */
	u64 detail;
};
static_assert(sizeof(struct trace_event) == 64, "a cache line");

#define TRACE_COUNT 64 /* of the ring without trace= */

struct trace_ring {
	struct trace_event *events, *end; /* a power of 2 of them */
	struct trace_event *newest;
	u64 count; /* trace=: with the newest one, so many so far */
};

static inline struct trace_event *trace_ring_next(const struct trace_ring *ring)
{
	return ring->newest + 1 == ring->end ? ring->events : ring->newest + 1;
}

/* The event so many before the newest one, less than there are. */
static inline struct trace_event *trace_ring_back(const struct trace_ring *ring, u64 back)
{
	u64 size = (u64)(ring->end - ring->events);

	return ring->events + (((u64)(ring->newest - ring->events) - back) & (size - 1));
}

#endif
