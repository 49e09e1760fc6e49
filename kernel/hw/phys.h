/* SPDX-License-Identifier: MIT */
/*
 * Where physical memory is in L0's address space: the direct map (all RAM and everything below 4 GiB, RW, NX)
 * and the image. Host builds shadow this file with flat memory of their own.
 */
#ifndef KERNEL_HW_PHYS_H
#define KERNEL_HW_PHYS_H

#include "kernel/bits.h"
#include "mm/addr.h"

#define DIRECT_MAP_BASE 0xffff800000000000ull
#define IMAGE_BASE 0xffffffff80000000ull
/* Stacks of all CPUs, with holes between them. */
#define STACK_BASE 0xffffffffc0000000ull

/* Physical address of IMAGE_BASE: where the loader put the image, later where the window has it. */
extern u64 image_phys;

static inline void *phys_to_ptr(hpa_t pa)
{
	return (void *)(DIRECT_MAP_BASE + pa.v);
}

/* Right for the direct map and for the image; not for stacks. */
static inline hpa_t ptr_to_phys(const void *p)
{
	u64 va = (u64)p;

	return HPA(va >= IMAGE_BASE ? va - IMAGE_BASE + image_phys : va - DIRECT_MAP_BASE);
}

#endif
