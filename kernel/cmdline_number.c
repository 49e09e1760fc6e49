/* SPDX-License-Identifier: MIT */
/*
 * Numbers in the values of options.
 */
#include "kernel/cmdline_internal.h"

bool cmdline_parse_number(const char *s, u64 *value)
{
	unsigned int base = 10, digit;

	*value = 0;
	if (s[0] == '0' && (s[1] == 'x' || s[1] == 'X')) {
		base = 16;
		s += 2;
	}
	if (!*s)
		return false;
	for (; *s; s++) {
		if (*s >= '0' && *s <= '9')
			digit = (unsigned int)(*s - '0');
		else if ((*s | 0x20) >= 'a' && (*s | 0x20) <= 'f')
			digit = (unsigned int)((*s | 0x20) - 'a' + 10);
		else
			return false;
		if (digit >= base || *value > (UINT64_MAX - digit) / base)
			return false;
		*value = *value * base + digit;
	}
	return true;
}
