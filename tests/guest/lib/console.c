/* SPDX-License-Identifier: MIT */
/*
 * Output of the guest tests: COM1 by polling, a small printf, and the few string functions that the compiler
 * wants.
 */
#include "tests/guest/lib/base.h"
#include "tests/guest/lib/x86.h"

enum { COM1 = 0x3f8 };

static void put(char c)
{
	while (!(io_in8(COM1 + 5) & 0x20))
		;
	io_out8(COM1, (u8)c);
}

void console_init(void)
{
	io_out8(COM1 + 1, 0);
	io_out8(COM1 + 3, 0x80);
	io_out8(COM1 + 0, 1);
	io_out8(COM1 + 1, 0);
	io_out8(COM1 + 3, 3);
	io_out8(COM1 + 2, 7);
}

struct sink {
	char *at;
	char *end;
};

static void emit(struct sink *s, char c)
{
	if (!s->at) {
		if (c == '\n')
			put('\r');
		put(c);
	} else if (s->at < s->end) {
		*s->at++ = c;
	}
}

static void emit_number(struct sink *s, u64 v, u32 base, bool negative, int width, char pad)
{
	char digits[24];
	int n = 0;

	do {
		digits[n++] = "0123456789abcdef"[v % base];
		v /= base;
	} while (v);
	if (negative)
		digits[n++] = '-';
	while (width-- > n)
		emit(s, pad);
	while (n)
		emit(s, digits[--n]);
}

static void format_into(struct sink *s, const char *fmt, va_list args)
{
	for (; *fmt; fmt++) {
		char pad = ' ';
		int width = 0;
		int longs = 0;
		u64 v;

		if (*fmt != '%') {
			emit(s, *fmt);
			continue;
		}
		fmt++;
		if (*fmt == '0')
			pad = *fmt++;
		while (*fmt >= '0' && *fmt <= '9')
			width = width * 10 + (*fmt++ - '0');
		while (*fmt == 'l') {
			longs++;
			fmt++;
		}
		switch (*fmt) {
		case 'c': emit(s, (char)va_arg(args, int)); break;
		case 's': {
			const char *str = va_arg(args, const char *);

			for (; *str; str++, width--)
				emit(s, *str);
			while (width-- > 0)
				emit(s, ' ');
			break;
		}
		case 'd': {
			i64 d = longs ? va_arg(args, i64) : va_arg(args, i32);

			emit_number(s, d < 0 ? 0 - (u64)d : (u64)d, 10, d < 0, width, pad);
			break;
		}
		case 'u':
		case 'x':
			v = longs ? va_arg(args, u64) : va_arg(args, u32);
			emit_number(s, v, *fmt == 'x' ? 16 : 10, false, width, pad);
			break;
		default: emit(s, *fmt);
		}
	}
}

void print_args(const char *fmt, va_list args)
{
	struct sink s = { NULL, NULL };

	format_into(&s, fmt, args);
}

void print(const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	print_args(fmt, args);
	va_end(args);
}

void format(char *buf, size_t size, const char *fmt, ...)
{
	struct sink s = { buf, buf + size - 1 };
	va_list args;

	va_start(args, fmt);
	format_into(&s, fmt, args);
	va_end(args);
	*s.at = 0;
}

void machine_stop(void)
{
	const char *s;

	while (!(io_in8(COM1 + 5) & 0x40))
		;
	for (s = "Shutdown"; *s; s++)
		io_out8(0x8900, (u8)*s);
	for (;;) {
		cpu_cli();
		cpu_hlt();
	}
}

void *memset(void *to, int byte, size_t size)
{
	u8 *p = to;

	while (size--)
		*p++ = (u8)byte;
	return to;
}

void *memcpy(void *to, const void *from, size_t size)
{
	const u8 *s = from;
	u8 *d = to;

	while (size--)
		*d++ = *s++;
	return to;
}

int memcmp(const void *a, const void *b, size_t size)
{
	const u8 *x = a;
	const u8 *y = b;

	for (; size; size--, x++, y++)
		if (*x != *y)
			return *x - *y;
	return 0;
}

size_t strlen(const char *s)
{
	size_t n = 0;

	while (s[n])
		n++;
	return n;
}

/* FNV-1a over eight bytes at once, with a final mix: cheap, and any bit that differs shows. */
u64 hash_add(u64 hash, u64 value)
{
	hash = (hash ^ value) * 0x100000001b3ull;
	return hash ^ (hash >> 29);
}
