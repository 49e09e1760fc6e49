/* SPDX-License-Identifier: MIT */
/*
 * Reads the dumps that people have: Linux' dump_invalid_vmcs, Xen's (both with time stamps and prefixes), and
 * lines of name=value or encoding=value. A line is a row of names and numbers; names mean what they say in
 * the part of the dump, guest, host or control, where they stand. Lines of other forms are read by forms.c.
 */
#include "tools/vmcs_why/reader.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Names by part, as they are written, without blanks, in lower case. */
static const struct alias {
	enum part part;
	const char *name, *field;
} aliases[] = {
#define ALIAS(part, name, field) { PART_##part, name, #field },
#include "tools/vmcs_why/aliases.def"
#undef ALIAS
};

static int row_of(const char *field)
{
	for (unsigned int i = 0; i < VMCS12_FIELD_COUNT; i++)
		if (!strcmp(vmcs12_fields[i].name, field))
			return (int)i;
	return -1;
}

void reader_set(struct reader *r, const char *field, u64 value)
{
	int row = row_of(field);

	if (row < 0)
		return;
	r->dump->count += !r->dump->known[row];
	r->dump->known[row] = true;
	*vmcs12_slot(&r->dump->v12, (unsigned int)row) =
		vmcs12_mask_width(vmcs12_fields[row].encoding, value);
	if (r->dump->took)
		r->dump->took(r->line, r->length, field, value);
}

static bool is_name_of(const char *key, const char *field)
{
	for (; *field; field++) {
		if (*field == '_')
			continue;
		if (*key++ != *field)
			return false;
	}
	return !*key;
}

bool reader_contains(const char *at, size_t length, const char *what)
{
	for (size_t n = strlen(what); length >= n; at++, length--)
		if (!memcmp(at, what, n))
			return true;
	return false;
}

static bool assign_encoding(struct reader *r, u64 encoding, u64 value)
{
	for (unsigned int i = 0; i < VMCS12_FIELD_COUNT; i++)
		if (vmcs12_fields[i].encoding == encoding) {
			reader_set(r, vmcs12_fields[i].name, value);
			return true;
		}
	return false;
}

/* A field's own name (vmcs_fields.def) or its encoding; else the aliases. */
bool reader_assign(struct reader *r, const char *key, u64 value)
{
	u64 encoding;

	/* these stand in a line that says of what */
	if (reader_contains(r->line, r->length, "VMEntry:") &&
	    (!strcmp(key, "errcode") || !strcmp(key, "ilen"))) {
		reader_set(r, key[0] == 'e' ? "entry_exception_error_code" : "entry_instruction_length",
			   value);
		return true;
	}
	for (unsigned int i = 0; i < VMCS12_FIELD_COUNT; i++)
		if (is_name_of(key, vmcs12_fields[i].name)) {
			reader_set(r, vmcs12_fields[i].name, value);
			return true;
		}
	for (size_t i = 0; i < ARRAY_SIZE(aliases); i++)
		if ((aliases[i].part == PART_ANY || aliases[i].part == r->part) &&
		    !strcmp(key, aliases[i].name)) {
			reader_set(r, aliases[i].field, value);
			return true;
		}
	return *key && reader_number(key, strlen(key), &encoding) == strlen(key) &&
	       assign_encoding(r, encoding, value);
}

static const char *const segments[] = { "es", "cs", "ss", "ds", "fs", "gs", "ldtr", "tr", "gdtr", "idtr" };

/* "CS", "  TR:": the segment's number, or -1. */
static int segment_at(const char *at, size_t length)
{
	for (unsigned int i = 0; i < ARRAY_SIZE(segments); i++) {
		size_t n = strlen(segments[i]);

		if (length > n && !strncasecmp(at, segments[i], n) && at[n] == ':')
			return (int)i;
	}
	return -1;
}

/* Linux: sel= attr= limit= base=; Xen: the same as four columns. */
static void read_segment(struct reader *r, int segment, const char *at, size_t length)
{
	static const char *const columns[] = { "selector", "ar", "limit", "base" };
	static const char *const names[] = { "sel", "attr", "limit", "base" };
	unsigned int column = segment >= 8 ? 2 : 0;

	for (size_t i = strlen(segments[segment]) + 1; i < length;) {
		char field[40];
		size_t used;
		u64 value;

		for (unsigned int n = 0; n < ARRAY_SIZE(names); n++)
			if (length - i > strlen(names[n]) && !strncmp(at + i, names[n], strlen(names[n])) &&
			    at[i + strlen(names[n])] == '=') {
				column = n;
				i += strlen(names[n]) + 1;
			}
		used = reader_number(at + i, length - i, &value);
		if (!used) {
			i++;
			continue;
		}
		if (reader_is_cut(r, at + i, used, length - i))
			return;
		if (column < ARRAY_SIZE(columns)) {
			snprintf(field, sizeof(field), "guest_%s_%s", segments[segment], columns[column]);
			reader_set(r, field, value);
		}
		column++;
		i += used;
	}
}

/* "CS:RIP=0010:ffffffff81234567": a selector before the number that is meant. */
static size_t value_at(const char *at, size_t length, u64 *first, u64 *second, bool *pair)
{
	size_t used = reader_number(at, length, first), more;

	*pair = false;
	if (!used || used + 1 >= length || at[used] != ':')
		return used;
	more = reader_number(at + used + 1, length - used - 1, second);
	*pair = more != 0;
	return more ? used + 1 + more : used;
}

/* A comma, a parenthesis or two blanks end what went before a name; not the blanks before a '='. */
static bool ends_words(const char *at, size_t length)
{
	size_t i = 0;

	if (at[0] == ',' || at[0] == ')' || at[0] == ';')
		return true;
	while (i < length && at[i] == ' ')
		i++;
	return i >= 2 && (i == length || at[i] != '=');
}

/* False: there was nothing of a VMCS. */
static bool read_pairs(struct reader *r, const char *at, size_t length)
{
	size_t name = 0;
	bool found = false;
	char key[64];

	for (size_t i = 0; i < length; i++) {
		u64 first, second = 0;
		size_t used, start = i + 1;
		bool pair;

		if (ends_words(at + i, length - i))
			name = i + 1;
		if (at[i] != '=' && !(at[i] == ':' && i + 1 < length && at[i + 1] == ' '))
			continue;
		while (start < length && at[start] == ' ')
			start++;
		used = value_at(at + start, length - start, &first, &second, &pair);
		if (!used)
			continue;
		if (!pair && reader_is_cut(r, at + start, used, length - start))
			return true;
		reader_normalize(at + name, i - name, key, sizeof(key));
		if (!strcmp(key, "svi|rvi") && start + used + 1 < length && at[start + used] == '|' &&
		    reader_number(at + start + used + 1, length - start - used - 1, &second)) {
			reader_set(r, "guest_intr_status", first << 8 | second);
			found = true;
		} else if (pair && strstr(key, "cs:rip")) {
			found |= reader_assign(r, "sysentercs", first);
			found |= reader_assign(r, "sysentereip", second);
		} else {
			found |= reader_assign(r, key, first);
		}
		name = start + used;
		/* "SVI|RVI = 02|03": two in one */
		while (name < length && (at[name] == '|' || isxdigit((unsigned char)at[name])) &&
		       at[start + used] == '|')
			name++;
		i = name - 1;
	}
	return found;
}

static bool is_prefixed(const char *number)
{
	return (number[1] | 0x20) == 'x';
}

/* CR0 and CR4 of the guest: "CR0: actual=..., shadow=..., gh_mask=..." */
static bool read_control_register(struct reader *r, const char *at, size_t length)
{
	static const char *const words[] = { "actual=", "shadow=", "gh_mask=" };
	static const char *const fields[2][3] = { { "guest_cr0", "cr0_read_shadow", "cr0_guest_host_mask" },
						  { "guest_cr4", "cr4_read_shadow", "cr4_guest_host_mask" } };
	unsigned int which = length > 4 && at[2] == '4';
	bool found = false;

	if (length < 5 || strncmp(at, "CR", 2) || (at[2] != '0' && at[2] != '4') || at[3] != ':')
		return false;
	for (size_t i = 0; i < length; i++)
		for (unsigned int w = 0; w < ARRAY_SIZE(words); w++) {
			size_t n = strlen(words[w]), used;
			u64 value;

			if (length - i <= n || strncmp(at + i, words[w], n))
				continue;
			found = true;
			used = reader_number(at + i + n, length - i - n, &value);
			/* 16 digits; less at the end of a line is a line that was cut */
			if (used &&
			    (used >= 18 || (used == 16 && !is_prefixed(at + i + n)) || used < length - i - n))
				reader_set(r, fields[which][w], value);
		}
	return found;
}

/* Time stamps, levels, names of modules: a name of a dump begins behind the last of "] ", "kernel: ", "(XEN)
 * ", "kvm: "... */
static size_t skip_prefix(const char *at, size_t length)
{
	static const char *const ends[] = { "] ", "(XEN) ", "kernel: ", "kvm_intel: ", "kvm: " };
	size_t skip = 0;

	for (unsigned int e = 0; e < ARRAY_SIZE(ends); e++)
		for (size_t i = skip; i + strlen(ends[e]) <= length && i < 120; i++)
			if (!strncmp(at + i, ends[e], strlen(ends[e])))
				skip = i + strlen(ends[e]);
	while (skip < length && isspace((unsigned char)at[skip]))
		skip++;
	return skip;
}

static void read_line(struct reader *r, const char *line, size_t length)
{
	size_t skip = skip_prefix(line, length);
	const char *at = line + skip;
	int segment;

	r->line = line;
	r->length = length;
	length -= skip;
	form_part(r, at, length);
	if (form_listed(r, line, r->length) || form_braces(r, at, length))
		return;
	segment = r->part == PART_HOST ? -1 : segment_at(at, length);
	if (segment >= 0)
		read_segment(r, segment, at, length);
	else if (!read_control_register(r, at, length) && !read_pairs(r, at, length))
		reader_words(r, at, length);
}

bool dump_parse(struct dump *dump, const char *text, size_t length)
{
	struct reader r = { .dump = dump };
	char *copy = malloc(2 * length + 1);
	size_t start = 0;

	if (!copy)
		return false;
	length = reader_clean(text, length, copy);
	for (size_t i = 0; i <= length; i++)
		if (i == length || copy[i] == '\n') {
			read_line(&r, copy + start, i - start);
			start = i + 1;
		}
	free(copy);
	return dump->count != 0;
}
