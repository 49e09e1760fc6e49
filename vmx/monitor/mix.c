/* SPDX-License-Identifier: MIT */
/*
 * A line that another one's text cut is written again from its beginning when its writer goes on, so that it
 * stands on the terminal, and in whoever reads it there, whole. One that lacks its line feed alone is whole.
 */
#include "vmx/monitor/mix.h"

bool mix_is_cut(const struct mix *mix, enum mix_writer writer)
{
	return mix->last != writer && mix->open[writer];
}

struct mix_before mix_begin(struct mix *mix, enum mix_writer writer)
{
	struct mix_before before = { .new_line = mix->last != writer && mix->mid_line };

	if (mix_is_cut(mix, writer) && writer == MIX_L1 && mix->length < MIX_LINE_MAX) {
		before.line = mix->line;
		before.length = mix->length;
	}
	mix->last = writer;
	if (before.new_line && mix->returned) {
		mix->open[MIX_L1] = mix->returned = false;
		mix->length = 0;
		mix->fed = true;
	}
	if (before.new_line)
		mix->mid_line = false;
	return before;
}

bool mix_has_sent(struct mix *mix, char c)
{
	bool fed = mix->fed;

	mix->fed = false;
	return fed && c == '\n';
}

static void keep(struct mix *mix, char c)
{
	if (mix->length < MIX_LINE_MAX)
		mix->line[mix->length++] = c;
}

/* A carriage return at the beginning of a line belongs to the line feed before it. */
void mix_text(struct mix *mix, enum mix_writer writer, const char *text, size_t length)
{
	for (size_t i = 0; i < length; i++) {
		bool ends = text[i] == '\n', begins = mix->open[writer] || text[i] != '\r';

		mix->open[writer] = !ends && begins;
		mix->mid_line = mix->open[writer];
		if (writer != MIX_L1)
			continue;
		mix->returned = text[i] == '\r' && begins;
		if (ends)
			mix->length = 0;
		else if (begins)
			keep(mix, text[i]);
	}
}
