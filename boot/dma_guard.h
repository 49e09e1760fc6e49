/* SPDX-License-Identifier: MIT */
/*
 * Socle's memory and the devices: `iommu=` and `dma-test` carried out.
 */
#ifndef BOOT_DMA_GUARD_H
#define BOOT_DMA_GUARD_H

#include "boot/boot_info.h"
#include "kernel/status.h"

/* Bytes that the first window must have for it; 0 with iommu=off. BSP, when the memory map is known. */
u64 dma_guard_memory(void);

/* BSP, once, when all memory is mapped and all of Socle's is known. Errors: the guard was asked for and
 * cannot be. */
enum status dma_guard_start(const struct boot_info *info, u32 memory_bits);

/* `dma-test`, after that: prints its report. */
void dma_guard_test(void);

#endif
