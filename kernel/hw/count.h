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
/* What VMREADs and VMWRITEs there had been when a guest was entered last: the exit trace's. */
extern u64 hw_counts_at_entry[HW_COUNT_VMWRITE + 1];
#define HW_COUNT(what) ((void)hw_counts[HW_COUNT_##what]++)
static inline void hw_count_entry(void)
{
	HW_COUNT(ENTRY);
	hw_counts_at_entry[HW_COUNT_VMREAD] = hw_counts[HW_COUNT_VMREAD];
	hw_counts_at_entry[HW_COUNT_VMWRITE] = hw_counts[HW_COUNT_VMWRITE];
}
#else
#define HW_COUNT(what) ((void)0)
static inline void hw_count_entry(void)
{
}
#endif

#endif
