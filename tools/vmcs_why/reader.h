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

/* The same by a name in lower case, without blanks and underscores: a field's own, an alias of the part in
 * which the line stands, or an encoding. False: it is none. */
bool reader_assign(struct reader *r, const char *key, u64 value);

/*
 * A hexadecimal number of 16 digits at most, with or without 0x, a final h, U and L, and with _ or ` between
 * digits. Its length in bytes; 0: there is none.
 */
size_t reader_number(const char *at, size_t length, u64 *value);

/* In a dump's part, a number of `used` bytes that ends its line (`rest` bytes are left of it), padded to a
 * width that nobody writes, has been cut off. */
bool reader_is_cut(const struct reader *r, const char *at, size_t used, size_t rest);

/* "GUEST_CS_AR_BYTES", "VMX_VMCS32_GUEST_CS_ACCESS_RIGHTS" and the like: letters and digits, in lower case.
 */
void reader_normalize(const char *from, size_t length, char *to, size_t size);

/* The text without colours, tabs (two blanks each), returns, and the zeros of UTF-16, and how long it is
 * then. `to` has room for twice its length. */
size_t reader_clean(const char *from, size_t length, char *to);

/* A line with names or encodings and values, and anything else between them. */
void reader_words(struct reader *r, const char *text, size_t length);

bool reader_contains(const char *at, size_t length, const char *what);

/* A line that begins a part of the dump. */
void form_part(struct reader *r, const char *at, size_t length);

/* HAXM's "4816 GUEST_CS_AR: c09b". False: the line is none of these. */
bool form_listed(struct reader *r, const char *line, size_t length);

/* VirtualBox' "cs   = {0010 base=0 limit=ffff flags=009b}", and its decimal numbers. False: none of these. */
bool form_braces(struct reader *r, const char *at, size_t length);

#endif
