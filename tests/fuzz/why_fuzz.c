/* SPDX-License-Identifier: MIT */
/*
 * vmcs-why with arbitrary text as a dump and as capabilities: nothing is read or written beyond, what is
 * called known is counted, and a rule is called broken only where all fields that decide about it are known.
 */
#include <stdlib.h>
#include <string.h>

#include "tools/vmcs_why/judge.h"
#include "vmx/hw/caps.h"

int LLVMFuzzerTestOneInput(const u8 *data, size_t size);

static void require(bool so)
{
	if (!so)
		abort();
}

static size_t took;

static void look(const char *line, size_t length, const char *field, u64 value)
{
	(void)value;
	for (size_t i = 0; i < length; i++)
		took += line[i] == field[0];
}

int LLVMFuzzerTestOneInput(const u8 *data, size_t size)
{
	static struct judgement j;
	struct dump dump = { .took = look };
	struct vmx_caps caps;
	unsigned int known = 0;

	/* The text ends with the allocation, so that the sanitizer sees a byte read behind it. */
	char *text = malloc(size ? size : 1);

	memcpy(text, data, size);
	caps_any(&caps);
	caps_parse(&caps, text, size);
	require(dump_parse(&dump, text, size) == (dump.count != 0));
	free(text);
	for (unsigned int f = 0; f < VMCS12_FIELD_COUNT; f++)
		known += dump.known[f];
	require(known == dump.count);
	/* Judging takes a thousand times as long as reading: the sixteenth part of the inputs will do. */
	if (size % 16)
		return 0;
	judge(&dump, &caps, &j);
	for (unsigned int rule = 0; rule < RULE_COUNT; rule++)
		for (unsigned int s = 0; s < SEGMENTS; s++)
			for (unsigned int f = 0; j.verdict[rule][s] == BROKEN && f < VMCS12_FIELD_COUNT; f++)
				require(dump.known[f] || !rule_looks_at(rule, s, f));
	return 0;
}
