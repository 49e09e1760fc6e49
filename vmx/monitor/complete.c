/* SPDX-License-Identifier: MIT */
/*
 * Candidates are numbered: the first word's are the commands, later ones' depend on the command.
 */
#include "vmx/monitor/complete.h"

#include "kernel/string.h"
#include "vmx/monitor/output.h"
#include "vmx/nested/vmcs12/vmcs12.h"

#define COLUMNS 76u

static const char *const commands[] = {
#define M(name, brief, arguments, when, function, text) name,
#include "vmx/monitor/commands.def"
#undef M
};

static const char *const vmcss[] = { "01", "02", "12" };
static const char *const levels[] = { "l1", "l2" };
static const char *const groups[] = { "ctl", "exit", "guest", "host" };

struct place {
	const char *word; /* the line's last word so far */
	size_t length;
	u32 number;   /* its place among the words */
	char command; /* v, e, r: of the commands that have candidates */
};

static bool is_command(const char *text, size_t length, const char *name, char brief)
{
	return (length == strlen(name) && !strncmp(text, name, length)) || (length == 1 && *text == brief);
}

static char command_of(const char *text)
{
	size_t length = 0;

	while (text[length] && text[length] != ' ')
		length++;
	return is_command(text, length, "vmcs", 'v')   ? 'v'
	       : is_command(text, length, "ept", 'e')  ? 'e'
	       : is_command(text, length, "regs", 'r') ? 'r'
						       : '\0';
}

static struct place find_place(const char *text)
{
	struct place place = { text, 0, 0, '\0' };

	while (*place.word == ' ')
		place.word++;
	place.command = command_of(place.word);
	for (const char *c = place.word; *c; c++)
		if (*c == ' ' && c[1] != ' ') {
			place.word = c + 1;
			place.number++;
		}
	place.length = strlen(place.word);
	return place;
}

#define NTH(array, i) ((i) < ARRAY_SIZE(array) ? (array)[i] : NULL)

/* NULL: there are no more. */
static const char *candidate(const struct place *place, u32 i)
{
	if (place->number == 0)
		return NTH(commands, i);
	if (place->number == 1 && place->command == 'r')
		return NTH(levels, i);
	if (place->number == 1 && place->command)
		return NTH(vmcss, i);
	if (place->number != 2 || place->command != 'v')
		return NULL;
	if (i < ARRAY_SIZE(groups))
		return groups[i];
	i -= ARRAY_SIZE(groups);
	return i < VMCS12_FIELD_COUNT ? vmcs12_fields[i].name : NULL;
}

static bool fits(const struct place *place, const char *name)
{
	return !strncmp(name, place->word, place->length);
}

static size_t common_length(const char *a, const char *b)
{
	size_t length = 0;

	while (a[length] && a[length] == b[length])
		length++;
	return length;
}

/* Of at least two. */
static void list(const struct place *place)
{
	char text[COLUMNS];
	const char *name;
	size_t used = 0;

	for (u32 i = 0; (name = candidate(place, i)); i++) {
		size_t length = strlen(name);

		if (!fits(place, name) || length >= COLUMNS - 1)
			continue;
		if (used + 1 + length > COLUMNS) {
			output("%.*s", (int)used, text);
			used = 0;
		}
		if (used)
			text[used++] = ' ';
		for (size_t at = 0; at < length; at++)
			text[used++] = name[at];
	}
	output("%.*s", (int)used, text);
}

bool complete_line(struct line *line)
{
	struct place place = find_place(line_text(line));
	u8 before = line->length;
	const char *name, *first = NULL;
	size_t common = 0;
	u32 count = 0;

	for (u32 i = 0; (name = candidate(&place, i)); i++) {
		if (!fits(&place, name))
			continue;
		common = count++ ? MIN(common, common_length(first, name)) : strlen(name);
		first = first ? first : name;
	}
	if (!count)
		return false;
	if (count > 1 && common == place.length) {
		output_text("\n", 1);
		list(&place);
		return true;
	}
	line_add(line, first + place.length, common - place.length);
	if (count == 1 && first[common - 1] != '/')
		line_add(line, " ", 1);
	output_text(line->text + before, (size_t)(line->length - before));
	return false;
}
