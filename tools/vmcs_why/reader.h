/* SPDX-License-Identifier: MIT */
/*
 * What dump.c, which reads rows of names and numbers, and forms.c, which knows other programs' forms, share.
 */
#ifndef TOOLS_VMCS_WHY_READER_H
#define TOOLS_VMCS_WHY_READER_H

#include "tools/vmcs_why/dump.h"

enum part { PART_ANY, PART_GUEST, PART_HOST, PART_CONTROL };

struct reader {
	struct dump *dump;
	enum part part; /* of the dump, in which the line stands */
	const char *line;
	size_t length;
};

/* A field, by its name in vmcs_fields.def, has this value. A name that is not there is passed over. */
void reader_set(struct reader *r, const char *field, u64 value);

/* A hexadecimal number with or without 0x, of 16 digits at most. Its length in bytes; 0: there is none. */
size_t reader_number(const char *at, size_t length, u64 *value);

bool reader_contains(const char *at, size_t length, const char *what);

/* A line that begins a part of the dump. */
void form_part(struct reader *r, const char *at, size_t length);

/* HAXM's "4816 GUEST_CS_AR: c09b". False: the line is none of these. */
bool form_listed(struct reader *r, const char *line, size_t length);

/* VirtualBox' "cs   = {0010 base=0 limit=ffff flags=009b}", and its decimal numbers. False: none of these. */
bool form_braces(struct reader *r, const char *at, size_t length);

#endif
