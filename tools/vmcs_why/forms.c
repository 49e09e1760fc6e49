/* SPDX-License-Identifier: MIT */
/*
 * Lines that are no rows of names and numbers: HAXM's list (dump_vmcs), VirtualBox' virtual VMCS in the
 * release log (HMDumpHwvirtVmxState), and the beginnings of the parts of all dumps, Bochs' saved state
 * (VMCS_CACHE) among them.
 */
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tools/vmcs_why/reader.h"

void form_part(struct reader *r, const char *at, size_t length)
{
	static const struct {
		const char *text;
		enum part part;
	} begins[] = {
		/* Linux and Xen */
		{ "*** Guest State ***", PART_GUEST },
		{ "*** Host State ***", PART_HOST },
		{ "*** Control State ***", PART_CONTROL },
		/* VirtualBox */
		{ "  Guest state:", PART_GUEST },
		{ "  Host state:", PART_HOST },
		{ "  Control:", PART_CONTROL },
		{ "  Read-only data fields:", PART_ANY },
		/* Bochs, whose saved state has the guest's state elsewhere, in its memory */
		{ "VMEXEC_CTRLS = {", PART_CONTROL },
		{ "VMEXIT_CTRLS = {", PART_CONTROL },
		{ "VMENTRY_CTRLS = {", PART_CONTROL },
		{ "HOST_STATE = {", PART_HOST },
	};

	for (unsigned int i = 0; i < ARRAY_SIZE(begins); i++)
		if (reader_contains(r->line, r->length, begins[i].text))
			r->part = begins[i].part;
	if (length == 1 && at[0] == '}')
		r->part = PART_ANY;
}

static const struct vmcs12_field *field_of(u64 encoding)
{
	for (unsigned int i = 0; i < VMCS12_FIELD_COUNT; i++)
		if (vmcs12_fields[i].encoding == encoding)
			return &vmcs12_fields[i];
	return NULL;
}

static bool is_name_char(char c)
{
	return isalnum((unsigned char)c) || c == '_';
}

/* Four digits, a blank, a name of capitals, a colon and a number that ends the line; whatever is before them.
 */
bool form_listed(struct reader *r, const char *line, size_t length)
{
	for (size_t i = 0; i + 8 < length; i++) {
		const struct vmcs12_field *field;
		size_t end = i + 5, used;
		u64 encoding, value;

		if ((i && is_name_char(line[i - 1])) || reader_number(line + i, 4, &encoding) != 4 ||
		    line[i + 4] != ' ' || !isupper((unsigned char)line[end]))
			continue;
		while (end < length && is_name_char(line[end]))
			end++;
		if (end + 2 >= length || line[end] != ':' || line[end + 1] != ' ')
			continue;
		field = field_of(encoding);
		used = reader_number(line + end + 2, length - end - 2, &value);
		if (used && field)
			reader_set(r, field->name, value);
		return true;
	}
	return false;
}

/* The numbers of a segment's braces, with the names that they have there and in a field. */
static void read_braces(struct reader *r, const char *segment, const char *at, size_t length)
{
	static const char *const columns[][2] = {
		{ "{", "selector" },
		{ "base=", "base" },
		{ "limit=", "limit" },
		{ "flags=", "ar" },
	};
	const char *owner = r->part == PART_HOST ? "host" : "guest";

	for (size_t i = 0; i < length; i++)
		for (unsigned int c = 0; c < ARRAY_SIZE(columns); c++) {
			size_t n = strlen(columns[c][0]);
			char field[40];
			u64 value;

			if (length - i <= n || strncmp(at + i, columns[c][0], n) ||
			    !reader_number(at + i + n, length - i - n, &value))
				continue;
			snprintf(field, sizeof(field), "%s_%s_%s", owner, segment, columns[c][1]);
			reader_set(r, field, value);
		}
}

/* What VirtualBox and Bochs write in decimal; all else of them has 0x. */
static bool read_decimal(struct reader *r, const char *at, size_t length)
{
	static const char *const names[][2] = {
		{ "CR3-target count", "cr3_target_count" },
		{ "VM-exit MSR store count", "exit_msr_store_count" },
		{ "VM-exit MSR load count", "exit_msr_load_count" },
		{ "VM-entry MSR load count", "entry_msr_load_count" },
		{ "VM-entry instr length", "entry_instruction_length" },
		{ "VM-exit instruction length", "exit_instruction_length" },
		{ "Exit reason", "exit_reason" },
		/* Bochs */
		{ "vm_cr3_target_cnt", "cr3_target_count" },
		{ "vmexit_msr_store_cnt", "exit_msr_store_count" },
		{ "vmexit_msr_load_cnt", "exit_msr_load_count" },
		{ "vmentry_msr_load_cnt", "entry_msr_load_count" },
	};

	for (unsigned int i = 0; i < ARRAY_SIZE(names); i++) {
		size_t n = strlen(names[i][0]);
		u64 value = 0;

		if (length < n || strncmp(at, names[i][0], n))
			continue;
		while (n < length && (at[n] == ' ' || at[n] == '='))
			n++;
		if (n == length || !isdigit((unsigned char)at[n]))
			return false;
		while (n < length && isdigit((unsigned char)at[n]))
			value = value * 10 + (u64)(at[n++] - '0');
		reader_set(r, names[i][1], value);
		return true;
	}
	return false;
}

/* "00:00:06.506983 ": the time that stands before each line of VirtualBox' log. */
static size_t skip_time(const char *at, size_t length)
{
	size_t i = 0;

	while (i < length && (isdigit((unsigned char)at[i]) || at[i] == ':' || at[i] == '.'))
		i++;
	if (i == length || at[i] != ' ' || i < 12)
		i = 0;
	while (i < length && at[i] == ' ')
		i++;
	return i;
}

bool form_braces(struct reader *r, const char *at, size_t length)
{
	static const char *const segments[] = { "es", "cs",   "ss", "ds",   "fs",
						"gs", "ldtr", "tr", "gdtr", "idtr" };
	size_t skip = skip_time(at, length);

	at += skip;
	length -= skip;
	for (unsigned int s = 0; s < ARRAY_SIZE(segments); s++) {
		size_t n = strlen(segments[s]);

		if (length <= n || strncmp(at, segments[s], n) || at[n] != ' ')
			continue;
		while (n < length && (at[n] == ' ' || at[n] == '='))
			n++;
		if (n == length || at[n] != '{')
			return false;
		read_braces(r, segments[s], at + n, length - n);
		return true;
	}
	return read_decimal(r, at, length);
}
