/* SPDX-License-Identifier: MIT */
/*
 * Memory and string functions. The block ones use the string instructions of kernel/hw/cpu.h, which today's
 * processors run at full width; the compiler may call any of these by itself.
 */
#include "kernel/string.h"

#include "kernel/hw/cpu.h"

void *memcpy(void *restrict to, const void *restrict from, size_t n)
{
	cpu_copy_forward(to, from, n);
	return to;
}

void *memmove(void *to, const void *from, size_t n)
{
	/* Forward is right unless the destination begins within the source. */
	if ((u64)to - (u64)from >= n)
		cpu_copy_forward(to, from, n);
	else
		cpu_copy_backward(to, from, n);
	return to;
}

void *memset(void *to, int byte, size_t n)
{
	cpu_fill(to, (u8)byte, n);
	return to;
}

int memcmp(const void *a, const void *b, size_t n)
{
	const u8 *x = a, *y = b;

	for (size_t i = 0; i < n; i++)
		if (x[i] != y[i])
			return x[i] - y[i];
	return 0;
}

size_t strnlen(const char *s, size_t n)
{
	size_t len = 0;

	while (len < n && s[len])
		len++;
	return len;
}

size_t strlen(const char *s)
{
	return strnlen(s, SIZE_MAX);
}

int strncmp(const char *a, const char *b, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		if (a[i] != b[i])
			return (u8)a[i] - (u8)b[i];
		if (!a[i])
			break;
	}
	return 0;
}

int strcmp(const char *a, const char *b)
{
	return strncmp(a, b, SIZE_MAX);
}

char *strchr(const char *s, int c)
{
	for (;; s++) {
		if (*s == (char)c)
			return (char *)(u64)s;
		if (!*s)
			return NULL;
	}
}
