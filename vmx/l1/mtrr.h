/* SPDX-License-Identifier: MIT */
/*
 * L1's MTRRs.  The processor ignores MTRRs for a guest under EPT, so they are
 * virtual, one set per vCPU; what they say becomes memory types in EPT01
 * (passthru.c).  The machine's own MTRRs stay as the firmware left them.
 * SDM: "Memory Type Range Registers (MTRRs)".
 */
#ifndef VMX_MTRR_H
#define VMX_MTRR_H

#include "kernel/types.h"

#define MTRR_VARIABLE_MAX 16
#define MTRR_FIXED_COUNT 11

struct mtrr {
	u64 def_type;
	u64 fixed[MTRR_FIXED_COUNT]; /* eight ranges each, in the order of the MSR numbers */
	struct {
		u64 base, mask;
	} variable[MTRR_VARIABLE_MAX];
};

/* From the processor's MSRs. */
void mtrr_read_hardware(struct mtrr *mtrr);

/* Is it one of the MTRR MSRs that are virtual?  IA32_MTRRCAP is not. */
bool mtrr_is_msr(u32 index);

/* RDMSR and WRMSR.  False: #GP(0).  `changed`: the types of memory may be others now. */
bool mtrr_read(const struct mtrr *mtrr, u32 index, u64 *value);
bool mtrr_write(struct mtrr *mtrr, u32 index, u64 value, bool *changed);

/* Memory type at `pa`; *end: the types up to there are the same (exclusive). */
u32 mtrr_type(const struct mtrr *mtrr, u64 pa, u64 *end);

#endif
