/* SPDX-License-Identifier: MIT */
/*
 * The registers of x87, SSE and AVX, which are the guests' own: L0 uses none of them.
 * A host build has none of this: tests/fake/kernel/hw/cpu.h has its own. SDM: "FXSAVE", "XSAVE".
 */
#ifndef KERNEL_HW_FPU_H
#define KERNEL_HW_FPU_H

#include "kernel/types.h"

/* 512 bytes, aligned to 16. Needs CR0.TS and EM clear. */
static inline void fxsave(void *to)
{
	asm volatile("fxsave64 (%0)" : : "r"(to) : "memory");
}

/* The same bytes into the registers, those of AVX stay. #GP by reserved bits of MXCSR. */
static inline void fxrstor(const void *from)
{
	asm volatile("fxrstor64 (%0)" : : "r"(from) : "memory");
}

/* State components of XCR0, aligned to 64. Needs CR4.OSXSAVE, and CR0.TS clear. */
static inline void xsave(void *to, u64 components)
{
	asm volatile("xsave64 (%0)"
		     :
		     : "r"(to), "a"((u32)components), "d"((u32)(components >> 32))
		     : "memory");
}

/* #GP by a header that is not in order, or reserved bits of MXCSR. */
static inline void xrstor(const void *from, u64 components)
{
	asm volatile("xrstor64 (%0)"
		     :
		     : "r"(from), "a"((u32)components), "d"((u32)(components >> 32))
		     : "memory");
}

#endif
