/* SPDX-License-Identifier: MIT */
/*
 * What each vCPU counts, and the trace of its last exits. vmx/counters.c and vmx/monitor show them.
 */
#ifndef VMX_GUEST_COUNTERS_H
#define VMX_GUEST_COUNTERS_H

#include "kernel/types.h"
#include "vmx/guest/trace_ring.h"
#include "vmx/hw/regcache.h"
#include "vmx/hw/vmx.h"

/* All members: written by this CPU only; others may read them, and see them a little late. */
struct counters {
	u64 exits_l1[EXIT_REASON_COUNT];
	u64 exits_l2[EXIT_REASON_COUNT];
	u64 exits_reflected[EXIT_REASON_COUNT]; /* of exits_l2 */
	/* Instructions behind which RIP was moved on the short way, which read RFLAGS, or knew them:
	 * skip_instruction(). */
	u64 skips, knowing_skips;
	u64 plain_exits;     /* of the reflected ones: nested_reflect_plainly() */
	u64 window_accesses; /* L1, L2 or a walk touched L0's memory window */
	struct regcache_counters registers;
	struct trace_ring trace; /* the one that is filled: `brief`, or with trace= a larger one */
	struct trace_ring kept;	 /* that one, while it pauses; without events: there is none */
	struct trace_event brief[TRACE_COUNT] ALIGNED(64);
};

#endif
