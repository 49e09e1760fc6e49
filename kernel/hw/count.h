/* SPDX-License-Identifier: MIT */
/*
 * What a real processor would be slow at, counted where it is executed, in a build with COUNT=1 only: the
 * benchmark's other figure beside instructions. All CPUs count together, and not atomically.
 */
#ifndef KERNEL_HW_COUNT_H
#define KERNEL_HW_COUNT_H

#include "kernel/types.h"

/* Their order is known to tests/guest/bench.c. */
enum hw_counted {
	HW_COUNT_VMREAD,
	HW_COUNT_VMWRITE,
	HW_COUNT_VMPTRLD, /* and VMCLEAR */
	HW_COUNT_ENTRY,
	HW_COUNT_MSR,
	HW_COUNT_INVALIDATE, /* INVEPT and INVVPID */
	HW_COUNTED,
};

#ifdef COUNT_HW
extern u64 hw_counts[HW_COUNTED];
#define HW_COUNT(what) ((void)hw_counts[HW_COUNT_##what]++)
#else
#define HW_COUNT(what) ((void)0)
#endif

#endif
