/* SPDX-License-Identifier: MIT */
/*
 * Bits, masks, alignment and the page size. Usable in assembly too: BIT() is plain arithmetic there.
 */
#ifndef KERNEL_BITS_H
#define KERNEL_BITS_H

#ifdef __ASSEMBLER__
#define BIT(n) (1 << (n))
#define PAGE_SIZE 4096
#else
#include "kernel/types.h"

#define BIT(n) (1ull << (n))
#define PAGE_SIZE 4096ull
#endif

#define PAGE_SHIFT 12
#define SIZE_1M 0x100000ull
#define SIZE_2M 0x200000ull
#define SIZE_1G 0x40000000ull
#define SIZE_4G 0x100000000ull

/* Bits hi down to lo, both included. */
#define GENMASK(hi, lo) ((~0ull >> (63 - (hi))) & (~0ull << (lo)))

/* `a` is a power of two. */
#define ALIGN_DOWN(x, a) ((x) & ~((__typeof__(x))(a)-1))
#define ALIGN_UP(x, a) ALIGN_DOWN((x) + ((__typeof__(x))(a)-1), a)
#define IS_ALIGNED(x, a) (((x) & ((__typeof__(x))(a)-1)) == 0)

#endif
