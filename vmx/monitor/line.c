/* SPDX-License-Identifier: MIT */
/*
 * A line is executed whole or not at all: one that is too long, or of which the port has lost something, is
 * refused when it ends.
 */
#include "vmx/monitor/line.h"

#include "kernel/string.h"

/* line->escape: ESC has come; and behind it [ or O, of which a letter is the end. */
enum { NO_ESCAPE, AFTER_ESC, IN_SEQUENCE };

#define CTRL_C 0x03
#define CTRL_N 0x0e
#define CTRL_P 0x10
#define CTRL_U 0x15
#define ESCAPE 0x1b
#define BACKSPACE 0x08
#define DELETE 0x7f

static void clear(struct line *line)
{
	line->length = 0;
	line->spoilt = false;
	line->back = 0;
	line->escape = NO_ESCAPE;
}

/* ---- earlier lines ---- */

static const char *earlier(const struct line *line, u32 back)
{
	return line->history[(line->history_next + HISTORY_MAX - back) % HISTORY_MAX];
}

static void remember(struct line *line)
{
	line->text[line->length] = '\0';
	if (!line->length || line->spoilt || (line->history_count && !strcmp(line->text, earlier(line, 1))))
		return;
	memcpy(line->history[line->history_next], line->text, line->length + 1u);
	line->history_next = (u8)((line->history_next + 1) % HISTORY_MAX);
	line->history_count = (u8)MIN(line->history_count + 1u, HISTORY_MAX);
}

/* What was typed before the first step back is gone. */
static enum line_event show_earlier(struct line *line, u32 back)
{
	const char *text = back ? earlier(line, back) : "";

	if (back > line->history_count)
		return LINE_MORE;
	line->erased = line->length;
	line->length = (u8)strlen(text);
	memcpy(line->text, text, line->length);
	line->back = (u8)back;
	return LINE_REPLACED;
}

static enum line_event step_back(struct line *line)
{
	return show_earlier(line, line->back + 1u);
}

static enum line_event step_forward(struct line *line)
{
	return line->back ? show_earlier(line, line->back - 1u) : LINE_MORE;
}

/* Arrows up and down; other keys do nothing. */
static enum line_event take_escape(struct line *line, u8 byte)
{
	if (line->escape == AFTER_ESC) {
		line->escape = byte == '[' || byte == 'O' ? IN_SEQUENCE : NO_ESCAPE;
		return LINE_MORE;
	}
	if (byte >= ' ' && byte < '@')
		return LINE_MORE;
	line->escape = NO_ESCAPE;
	return byte == 'A' ? step_back(line) : byte == 'B' ? step_forward(line) : LINE_MORE;
}

/* ---- bytes ---- */

static enum line_event put_character(struct line *line, u8 byte)
{
	if (byte < ' ' || byte > '~' || line->length == LINE_SIZE - 1) {
		line->spoilt = true;
		return LINE_MORE;
	}
	line->text[line->length++] = (char)byte;
	return LINE_ECHO;
}

enum line_event line_put(struct line *line, u8 byte)
{
	bool after_cr = line->after_cr;

	line->after_cr = byte == '\r';
	/* A key's bytes are no controls: one that is belongs to no key. */
	if (line->escape && byte >= ' ')
		return take_escape(line, byte);
	line->escape = byte == ESCAPE ? AFTER_ESC : NO_ESCAPE;
	switch (byte) {
	case '\n': return after_cr ? LINE_MORE : LINE_DONE;
	case '\r': return LINE_DONE;
	case '\t': return LINE_COMPLETE;
	case ESCAPE: return LINE_MORE;
	case CTRL_P: return step_back(line);
	case CTRL_N: return step_forward(line);
	case CTRL_C:
	case CTRL_U: clear(line); return LINE_CANCEL;
	case BACKSPACE:
	case DELETE:
		if (!line->length)
			return LINE_MORE;
		line->length--;
		return LINE_ERASE;
	default: return put_character(line, byte);
	}
}

const char *line_text(struct line *line)
{
	line->text[line->length] = '\0';
	return line->text;
}

void line_add(struct line *line, const char *text, size_t length)
{
	for (; length && line->length < LINE_SIZE - 1; length--)
		line->text[line->length++] = *text++;
}

void line_spoil(struct line *line)
{
	line->spoilt = true;
}

bool line_take(struct line *line, struct words *words)
{
	bool taken = !line->spoilt, in_word = false;

	words->count = 0;
	remember(line);
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
