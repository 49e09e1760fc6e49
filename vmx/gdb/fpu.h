/* SPDX-License-Identifier: MIT */
/*
 * The x87 and SSE registers of the guest that runs on this CPU, which are in the processor's registers while
 * L0 runs, for L0 uses none of them.
 */
#ifndef VMX_GDB_FPU_H
#define VMX_GDB_FPU_H

#include "kernel/types.h"

/* On the CPU whose turn it is: `size` bytes of FXSAVE's image from `offset` on. */
void fpu_read(u8 *to, u32 offset, u32 size);
void fpu_write(const u8 *from, u32 offset, u32 size);
/* The x87 tag word of two bytes, of which FXSAVE leaves one bit for a register. */
void fpu_read_tags(u8 *to);
void fpu_write_tags(const u8 *from);
/* The 16 bytes by which YMM registers are longer. False: the guest has not enabled them in XCR0. */
bool fpu_read_high(u8 *to, unsigned int ymm);
bool fpu_write_high(const u8 *from, unsigned int ymm);

#endif
