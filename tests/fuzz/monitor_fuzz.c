/* SPDX-License-Identifier: MIT */
/*
 * What is typed at the monitor, arbitrary: a line never leaves its memory, what is lost spoils it, and a
 * number is what it says.
 */
#include <stdlib.h>
#include <string.h>

#include "vmx/monitor/line.h"

int LLVMFuzzerTestOneInput(const u8 *data, size_t size);

static void take(struct line *line, bool lost)
{
	struct words words;
	u64 value;

	if (line_take(line, &words) && lost)
		abort();
	if (words.count > WORDS_MAX || line->length)
		abort();
	for (unsigned int i = 0; i < words.count; i++) {
		const char *word = words.word[i];

		if (word < line->text || word + strlen(word) >= line->text + LINE_SIZE || !*word)
			abort();
		if (line_hex(word, UINT64_MAX, &value) && value != strtoull(word, NULL, 16))
			abort();
		if (line_decimal(word, 1000, &value) && (value > 1000 || value != strtoull(word, NULL, 10)))
			abort();
	}
}

int LLVMFuzzerTestOneInput(const u8 *data, size_t size)
{
	struct line line = { .length = 0 };
	bool lost = false;

	for (size_t i = 0; i < size; i++) {
		enum line_event event;

		if (data[i] == 0xff) {
			line_spoil(&line);
			lost = true;
			continue;
		}
		event = line_put(&line, data[i]);
		if (line.length >= LINE_SIZE)
			abort();
		if (event == LINE_DONE)
			take(&line, lost);
		if (event == LINE_DONE || event == LINE_CANCEL)
			lost = false;
	}
	return 0;
}
