/* SPDX-License-Identifier: MIT */
/*
 * What a person types: bytes become a line, a line becomes words, words become numbers; earlier lines come
 * back by the arrows. Pure.
 */
#ifndef VMX_MONITOR_LINE_H
#define VMX_MONITOR_LINE_H

#include "kernel/types.h"

#define LINE_SIZE 80 /* with the final zero */
#define WORDS_MAX 6u
#define HISTORY_MAX 8u

/* All members: whoever holds the monitor's port. Zeroed: empty. */
struct line {
	char text[LINE_SIZE];
	u8 length;
	bool spoilt;   /* something was lost or was no character: the line is refused whole */
	bool after_cr; /* a line feed now belongs to the carriage return before it */
	u8 escape;     /* within a key that sends several bytes */
	u8 erased;     /* of LINE_REPLACED: how much stood there */
	char history[HISTORY_MAX][LINE_SIZE]; /* a ring; the newest is before `history_next` */
	u8 history_next, history_count,
		back; /* `back`: so many lines ago is what is shown; 0: what is typed */
};

enum line_event {
	LINE_MORE,
	LINE_ECHO,     /* the byte is to be shown */
	LINE_ERASE,    /* the last character is to be taken away on the terminal */
	LINE_REPLACED, /* `erased` characters are to be taken away, and `text` to be shown */
	LINE_COMPLETE, /* the last word is to be completed: line_add() */
	LINE_CANCEL,   /* Ctrl-C, Ctrl-U: empty again */
	LINE_DONE,     /* complete: line_take() */
};

enum line_event line_put(struct line *line, u8 byte);
/* What is typed so far, as a text; as many further characters of `text` as there is room for. */
const char *line_text(struct line *line);
void line_add(struct line *line, const char *text, size_t length);
/* A byte has been lost before the next one. */
void line_spoil(struct line *line);

struct words {
	char *word[WORDS_MAX];
	unsigned int count;
};

/* The complete line as words, in its own memory, valid until the next line_put(). False: it was spoilt, or
 * has too many words. The line is empty afterwards. */
bool line_take(struct line *line, struct words *words);

/* Hexadecimal, with or without 0x; decimal. False: no such number, or one above `max`. */
bool line_hex(const char *word, u64 max, u64 *value);
bool line_decimal(const char *word, u64 max, u64 *value);

#endif
