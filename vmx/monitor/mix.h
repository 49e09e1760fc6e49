/* SPDX-License-Identifier: MIT */
/*
 * Several who write to one terminal: no line of one is continued by another. Pure.
 */
#ifndef VMX_MONITOR_MIX_H
#define VMX_MONITOR_MIX_H

#include "kernel/types.h"

/* Who writes: L1; Socle's log, in whole lines; the monitor, whose prompt is a line that has not ended. */
enum mix_writer { MIX_L1, MIX_LOG, MIX_MONITOR, MIX_WRITER_COUNT };

#define MIX_LINE_MAX 160u

/* All members: whoever holds the port. Zeroed: nobody has written. */
struct mix {
	enum mix_writer last;
	bool open[MIX_WRITER_COUNT]; /* its line has begun and not ended */
	bool mid_line;		     /* something stands on the terminal's line */
	char line[MIX_LINE_MAX];     /* L1's open line */
	u32 length;		     /* of it; MIX_LINE_MAX: too long to be kept */
	bool returned;		     /* L1's last character was a carriage return */
	bool fed;		     /* the line feed that belongs to it has been sent, for another's text */
};

/* What must be sent before this writer's next text: a line feed, and L1's open line once more, if it was cut
 * and is known. Valid until mix_text(). */
struct mix_before {
	bool new_line;
	const char *line;
	u32 length;
};

struct mix_before mix_begin(struct mix *mix, enum mix_writer writer);
/* L1's next character has been sent for it: a line feed. */
bool mix_has_sent(struct mix *mix, char c);
/* The writer's open line was cut by another's text. */
bool mix_is_cut(const struct mix *mix, enum mix_writer writer);
/* This text of the writer's has been sent. */
void mix_text(struct mix *mix, enum mix_writer writer, const char *text, size_t length);

#endif
