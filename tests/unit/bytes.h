/* SPDX-License-Identifier: MIT */
/*
 * Bytes of the fake memory, for tests that lay structures of firmware or of a loader there.
 */
#ifndef TESTS_UNIT_BYTES_H
#define TESTS_UNIT_BYTES_H

#include <string.h>

#include "tests/fake/fake.h"

static inline u8 *mem(u64 pa)
{
	return fake_memory + pa;
}

static inline void put(u64 pa, u64 value, size_t bytes)
{
	memcpy(mem(pa), &value, bytes);
}

static inline void put32(u64 pa, u32 value)
{
	put(pa, value, sizeof(value));
}

static inline void put64(u64 pa, u64 value)
{
	put(pa, value, sizeof(value));
}

#endif
