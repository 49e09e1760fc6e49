/* SPDX-License-Identifier: MIT */
/*
 * `dma-test`: aims a device's DMA at a page of Socle's own, kept for it, and says what came of it.  The
 * device is QEMU's `edu`, which copies what it is told; on a machine without one there is nothing to test
 * with.
 */
#ifndef DRIVERS_DMA_TEST_H
#define DRIVERS_DMA_TEST_H

#include "drivers/dmar.h"

/* Prints the report. BSP, on L0's own tables, before L1 has anything. */
void dma_test(const struct dmar *dmar);

#endif
