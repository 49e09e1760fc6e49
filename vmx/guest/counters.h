/* SPDX-License-Identifier: MIT */
/*
 * What each vCPU counts, and the trace of its last exits. vmx/counters.c and vmx/monitor show them.
 */
#ifndef VMX_GUEST_COUNTERS_H
#define VMX_GUEST_COUNTERS_H

#include "kernel/types.h"
#include "vmx/hw/regcache.h"
#include "vmx/hw/vmx.h"

#define TRACE_COUNT 64
struct trace_entry {
	u16 reason;
	u8 level; /* 1: L1 exited, 2: L2 exited */
	u8 reflected;
	u64 rip, tsc;
	/* The exit qualification; of VMREAD and VMWRITE the field's encoding, of RDMSR and WRMSR the MSR. */
	u64 qualification;
};

/* All members: written by this CPU only; others may read them, and see them a little late. */
struct counters {
	u64 exits_l1[EXIT_REASON_COUNT];
	u64 exits_l2[EXIT_REASON_COUNT];
	u64 exits_reflected[EXIT_REASON_COUNT]; /* of exits_l2 */
	u64 window_accesses;			/* L1, L2 or a walk touched L0's memory window */
	struct regcache_counters registers;
	struct trace_entry trace[TRACE_COUNT];
	u32 trace_at; /* where the newest is, in bytes */
};

#endif
