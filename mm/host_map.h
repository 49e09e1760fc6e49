/* SPDX-License-Identifier: MIT */
/*
 * L0's own address space after its start: the direct map, the image with W^X, stacks between holes. The early
 * tables that start.S runs on have the same addresses, without the protection.
 */
#ifndef MM_HOST_MAP_H
#define MM_HOST_MAP_H

#include "kernel/status.h"
#include "kernel/types.h"

/* The image's parts, offsets from IMAGE_BASE, page-aligned. */
struct host_image {
	u64 text, text_end;	/* read, execute */
	u64 rodata, rodata_end; /* read */
	u64 data, data_end;	/* read, write */
};

/* Builds the tables for an image at `image_pa`; returns their root, to be loaded into CR3. */
u64 host_map_build(const struct host_image *image, u64 image_pa);

/* Maps `pages` new pages at va as a stack. */
void host_map_stack(u64 va, u64 pages);

/* Maps device memory above 4 GiB, of which any part of a page is wanted, into the direct map, uncacheable.
 * Below 4 GiB all is mapped. BSP only, while starting. */
void host_map_device(u64 pa, u64 size);

/* For a moment while starting: one executable page at its own physical address, for the AP trampoline. */
void host_map_identity(u64 pa, bool mapped);

/* On a CPU that uses the tables which the first one has made: can it? Boot only. */
enum status host_map_check_cpu(void);

#endif
