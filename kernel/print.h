/* SPDX-License-Identifier: MIT */
/*
 * Formatting into a buffer. Knows %s %c %d %i %u %x %X %p %% with l, ll, z, zero padding, `-`, width and
 * precision (strings); nothing with floating point. Always terminates the buffer if n > 0.
 */
#ifndef KERNEL_PRINT_H
#define KERNEL_PRINT_H

#include "kernel/types.h"

/* Returns the length without the final zero, cut to what fits: at most n - 1. */
size_t print_format(char *buf, size_t n, const char *fmt, ...) PRINTF_LIKE(3, 4);
size_t print_vformat(char *buf, size_t n, const char *fmt, va_list args) PRINTF_LIKE(3, 0);

#endif
