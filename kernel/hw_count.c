/* SPDX-License-Identifier: MIT */
/* The numbers that kernel/hw/count.h counts; vmx/counters.c tells them. */
#include "kernel/hw/count.h"

#ifdef COUNT_HW
u64 hw_counts[HW_COUNTED];
u64 hw_counts_at_entry[HW_COUNT_VMWRITE + 1];
#endif
