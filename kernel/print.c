/* SPDX-License-Identifier: MIT */
/*
 * The formatter behind log, panic and status. No allocation, no state, no locale.
 */
#include "kernel/print.h"

#include "kernel/string.h"

struct output {
	char *buf;
	size_t size; /* room, the final zero included */
	size_t used;
};

struct spec {
	bool left, zero, negative;
	unsigned int width;
	unsigned int precision;
	unsigned int longs;
};

static void put(struct output *out, char c)
{
	if (out->used + 1 < out->size)
		out->buf[out->used++] = c;
}

static void put_padded(struct output *out, const struct spec *spec, const char *text, size_t len)
{
	size_t total = len + spec->negative;
	size_t pad = spec->width > total ? spec->width - total : 0;

	if (!spec->left && !spec->zero)
		for (; pad; pad--)
			put(out, ' ');
	if (spec->negative)
		put(out, '-');
	if (!spec->left)
		for (; pad; pad--)
			put(out, '0');
	while (len--)
		put(out, *text++);
	for (; pad; pad--)
		put(out, ' ');
}

static void put_number(struct output *out, const struct spec *spec, u64 value, unsigned int base,
		       const char *digits)
{
	char text[24];
	size_t at = sizeof(text);

	do {
		text[--at] = digits[value % base];
		value /= base;
	} while (value);
	put_padded(out, spec, text + at, sizeof(text) - at);
}

static const char *parse_spec(const char *fmt, struct spec *spec, va_list *args)
{
	*spec = (struct spec){ .precision = ~0u };
	for (;; fmt++) {
		if (*fmt == '-')
			spec->left = true;
		else if (*fmt == '0')
			spec->zero = true;
		else
			break;
	}
	for (; *fmt >= '0' && *fmt <= '9'; fmt++)
		spec->width = spec->width * 10 + (unsigned int)(*fmt - '0');
	if (fmt[0] == '.' && fmt[1] == '*') {
		spec->precision = (unsigned int)va_arg(*args, int);
		fmt += 2;
	} else if (*fmt == '.')
		for (spec->precision = 0, fmt++; *fmt >= '0' && *fmt <= '9'; fmt++)
			spec->precision = spec->precision * 10 + (unsigned int)(*fmt - '0');
	for (; *fmt == 'l' || *fmt == 'z'; fmt++)
		spec->longs++;
	if (spec->left)
		spec->zero = false;
	return fmt;
}

size_t print_vformat(char *buf, size_t n, const char *fmt, va_list caller_args)
{
	static const char lower[] = "0123456789abcdef", upper[] = "0123456789ABCDEF";
	struct output out = { .buf = buf, .size = n };
	struct spec spec;
	const char *text;
	char c;
	i64 number;
	va_list args;

	va_copy(args, caller_args); /* a va_list of our own can be passed by pointer */
	for (; *fmt; fmt++) {
		if (*fmt != '%') {
			put(&out, *fmt);
			continue;
		}
		fmt = parse_spec(fmt + 1, &spec, &args);
		switch (*fmt) {
		case 's':
			text = va_arg(args, const char *);
			text = text ? text : "(null)";
			spec.zero = false;
			put_padded(&out, &spec, text, strnlen(text, spec.precision));
			break;
		case 'c':
			c = (char)va_arg(args, int);
			put_padded(&out, &spec, &c, 1);
			break;
		case 'd':
		case 'i':
			number = spec.longs ? va_arg(args, i64) : va_arg(args, i32);
			spec.negative = number < 0;
			put_number(&out, &spec, spec.negative ? -(u64)number : (u64)number, 10, lower);
			break;
		case 'u':
			put_number(&out, &spec, spec.longs ? va_arg(args, u64) : va_arg(args, u32), 10,
				   lower);
			break;
		case 'x':
		case 'X':
			put_number(&out, &spec, spec.longs ? va_arg(args, u64) : va_arg(args, u32), 16,
				   *fmt == 'x' ? lower : upper);
			break;
		case 'p': put_number(&out, &spec, (u64)va_arg(args, void *), 16, lower); break;
		case '\0':
			fmt--; /* a lone % at the end */
			break;
		default: put(&out, *fmt); break;
		}
	}
	va_end(args);
	if (n)
		buf[out.used] = '\0';
	return out.used;
}

size_t print_format(char *buf, size_t n, const char *fmt, ...)
{
	va_list args;
	size_t len;

	va_start(args, fmt);
	len = print_vformat(buf, n, fmt, args);
	va_end(args);
	return len;
}
