/* SPDX-License-Identifier: MIT */
/*
 * A line is executed whole or not at all: one that is too long, or of which the port has lost something, is
 * refused when it ends.
 */
#include "vmx/monitor/line.h"

#define CTRL_C 0x03
#define CTRL_U 0x15
#define BACKSPACE 0x08
#define DELETE 0x7f

static void clear(struct line *line)
{
	line->length = 0;
	line->spoilt = false;
}

enum line_event line_put(struct line *line, u8 byte)
{
	bool after_cr = line->after_cr;

	line->after_cr = byte == '\r';
	switch (byte) {
	case '\n':
		if (after_cr)
			return LINE_MORE;
		return LINE_DONE;
	case '\r': return LINE_DONE;
	case CTRL_C:
	case CTRL_U: clear(line); return LINE_CANCEL;
	case BACKSPACE:
	case DELETE:
		if (!line->length)
			return LINE_MORE;
		line->length--;
		return LINE_ERASE;
	default: break;
	}
	if (byte == '\t')
		byte = ' ';
	if (byte < ' ' || byte > '~' || line->length == LINE_SIZE - 1) {
		line->spoilt = true;
		return LINE_MORE;
	}
	line->text[line->length++] = (char)byte;
	return LINE_ECHO;
}

void line_spoil(struct line *line)
{
	line->spoilt = true;
}

bool line_take(struct line *line, struct words *words)
{
	bool taken = !line->spoilt, in_word = false;

	words->count = 0;
	line->text[line->length] = '\0';
	for (char *c = line->text; *c; c++) {
		bool blank = *c == ' ';

		if (!blank && !in_word) {
			if (words->count == WORDS_MAX)
				taken = false;
			else
				words->word[words->count++] = c;
		}
		if (blank)
			*c = '\0';
		in_word = !blank;
		if (c == line->text + LINE_SIZE - 1)
			break;
	}
	clear(line);
	return taken;
}

static bool number(const char *s, unsigned int base, u64 max, u64 *value)
{
	u64 sum = 0;

	if (!*s)
		return false;
	for (; *s; s++) {
		char lower = (char)(*s | 0x20);
		unsigned int digit = *s >= '0' && *s <= '9'	    ? (unsigned int)(*s - '0')
				     : lower >= 'a' && lower <= 'f' ? (unsigned int)(lower - 'a' + 10)
								    : base;

		if (digit >= base || sum > (UINT64_MAX - digit) / base)
			return false;
		sum = sum * base + digit;
	}
	*value = sum;
	return sum <= max;
}

bool line_hex(const char *word, u64 max, u64 *value)
{
	if (word[0] == '0' && (word[1] | 0x20) == 'x')
		word += 2;
	return number(word, 16, max, value);
}

bool line_decimal(const char *word, u64 max, u64 *value)
{
	return number(word, 10, max, value);
}
