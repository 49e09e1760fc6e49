/* SPDX-License-Identifier: MIT */
/*
 * The last lines of the log in memory, from the first line on, for those who ask later: the debug call and
 * the monitor. Positions count all bytes that were ever added.
 */
#ifndef KERNEL_LOG_RING_H
#define KERNEL_LOG_RING_H

#include "kernel/types.h"

#define LOG_RING_SIZE 16384u

/* All members: whoever holds the log's lock. Zeroed: empty. */
struct log_ring {
	char bytes[LOG_RING_SIZE];
	u64 end; /* position behind the newest byte */
};

/* Whole lines, each ended by '\n', of at most LOG_RING_SIZE bytes together. */
void log_ring_add(struct log_ring *ring, const char *text, size_t length);

/*
 * Copies what there is from *position on, at most `size` bytes, and moves *position behind it. Where that has
 * been overwritten meanwhile, it begins with the oldest line that is whole. 0: nothing newer.
 */
size_t log_ring_read(const struct log_ring *ring, u64 *position, char *to, size_t size);

#endif
