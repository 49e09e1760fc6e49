/* SPDX-License-Identifier: MIT */
/*
 * Host builds: physical memory is one flat, sparse array; what lies outside of it (static objects of L0's
 * image) has its own address as its physical one. Shadows kernel/hw/phys.h.
 */
#ifndef KERNEL_HW_PHYS_H
#define KERNEL_HW_PHYS_H

#include "kernel/bits.h"
#include "mm/addr.h"

#define DIRECT_MAP_BASE 0xffff800000000000ull
#define IMAGE_BASE 0xffffffff80000000ull
#define STACK_BASE 0xffffffffc0000000ull

#define FAKE_MEMORY_SIZE (6ull << 30)
extern u8 *fake_memory;
extern u64 fake_memory_size; /* FAKE_MEMORY_SIZE, or what a test sets before the first fake_reset() */
extern u64 image_phys;

static inline void *phys_to_ptr(hpa_t pa)
{
	return pa.v < fake_memory_size ? fake_memory + pa.v : (u8 *)pa.v;
}

static inline hpa_t ptr_to_phys(const void *p)
{
	u64 offset = (u64)p - (u64)fake_memory;

	return HPA(offset < fake_memory_size ? offset : (u64)p);
}

#endif
