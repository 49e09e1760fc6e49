/* SPDX-License-Identifier: MIT */
/*
 * The x87 and SSE registers of the guest that runs on this CPU, which are in the processor's registers while
 * L0 runs, for L0 uses none of them.
 */
#ifndef VMX_GDB_FPU_H
#define VMX_GDB_FPU_H

#include "kernel/types.h"

/* `size` bytes of FXSAVE's image from `offset` on. The CPU whose turn it is. */
void fpu_read(u8 *to, u32 offset, u32 size);
/* The x87 tag word of two bytes, of which FXSAVE leaves one bit for a register. */
void fpu_read_tags(u8 *to);

#endif
