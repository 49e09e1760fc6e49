/* SPDX-License-Identifier: MIT */
/*
 * Bytes in a circle. Pure.
 */
#include "kernel/log_ring.h"

#include "kernel/bits.h"

void log_ring_add(struct log_ring *ring, const char *text, size_t length)
{
	for (size_t i = 0; i < length; i++)
		ring->bytes[(ring->end + i) % LOG_RING_SIZE] = text[i];
	ring->end += length;
}

static char at(const struct log_ring *ring, u64 position)
{
	return ring->bytes[position % LOG_RING_SIZE];
}

/* Whether the oldest byte begins a line nobody knows: what stood before it is gone. */
static u64 oldest_line(const struct log_ring *ring)
{
	u64 position = ring->end - LOG_RING_SIZE + 1;

	while (position < ring->end && at(ring, position - 1) != '\n')
		position++;
	return position;
}

size_t log_ring_read(const struct log_ring *ring, u64 *position, char *to, size_t size)
{
	size_t length;

	if (*position > ring->end)
		*position = ring->end;
	if (ring->end - *position > LOG_RING_SIZE)
		*position = oldest_line(ring);
	length = MIN(size, ring->end - *position);
	for (size_t i = 0; i < length; i++)
		to[i] = at(ring, *position + i);
	*position += length;
	return length;
}
