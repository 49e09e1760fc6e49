/* SPDX-License-Identifier: MIT */
/*
 * Reads the command line by the table options.def. Words are separated by blanks; the last value of an option
 * that stands there twice counts, as when a line is edited at GRUB's prompt, and cmdline_note() says so.
 */
#include "kernel/cmdline.h"

#include "kernel/cmdline_internal.h"
#include "kernel/print.h"
#include "kernel/string.h"
#include "kernel/x86.h"

struct options options;

struct option {
	const char *name, *values, *meaning;
	bool (*parse)(const char *value, void *where);
	void *where;
};

/* The names of all options, for whoever misspelt one: the console has no README. */
static const char all_names[] =
#define OPTION(name, values, meaning, parse, where) " " name
#include "kernel/options.def"
#undef OPTION
	;

static char note[80]; /* the last thing that was odd but taken */

/* 4096, 512K, 64M, 1G */
static bool parse_size(const char *value, void *where)
{
	static const char units[] = "KMG";
	char digits[CMDLINE_WORD_MAX];
	size_t len = strlen(value);
	unsigned int shift = 0;
	u64 size;

	for (unsigned int i = 0; len && units[i]; i++)
		if ((value[len - 1] & ~0x20) == units[i]) {
			shift = 10 * (i + 1);
			len--;
			break;
		}
	memcpy(digits, value, len);
	digits[len] = '\0';
	if (!cmdline_parse_number(digits, &size) || !size || size > UINT64_MAX >> shift)
		return false;
	*(u64 *)where = size << shift;
	return true;
}

/* Below this an L2's one access might not find its tables. */
#define EPT02_MIN (288u << 10)

static bool parse_ept02(const char *value, void *where)
{
	u64 size;

	if (!parse_size(value, &size))
		return false;
	if (size < EPT02_MIN)
		print_format(note, sizeof(note), "ept02= is taken as %u KiB, the least that works",
			     EPT02_MIN >> 10);
	*(u64 *)where = MAX(size, (u64)EPT02_MIN);
	return true;
}

#define TRACE_USUAL (1u << 20)
#define TRACE_LEAST 4096u
#define TRACE_MOST (64u << 20)

/* off, on, or a size: the next lower power of 2, within bounds. */
static bool parse_trace(const char *value, void *where)
{
	u64 wanted = TRACE_USUAL, size = TRACE_LEAST;

	if (!strcmp(value, "off")) {
		*(u64 *)where = 0;
		return true;
	}
	if (strcmp(value, "on") && !parse_size(value, &wanted))
		return false;
	while (2 * size <= MIN(wanted, (u64)TRACE_MOST))
		size *= 2;
	if (size != wanted)
		print_format(note, sizeof(note), "trace= is taken as %u KiB", (u32)(size >> 10));
	*(u64 *)where = size;
	return true;
}

static bool parse_either(const char *value, const char *yes, const char *no, void *where)
{
	bool is_yes = !strcmp(value, yes);

	if (!is_yes && strcmp(value, no))
		return false;
	*(bool *)where = is_yes;
	return true;
}

static bool parse_on_off(const char *value, void *where)
{
	return parse_either(value, "on", "off", where);
}

static bool parse_iommu(const char *value, void *where)
{
	bool protect = !strcmp(value, "protect");

	if (!protect && strcmp(value, "off"))
		return false;
	*(bool *)where = protect;
	return true;
}

static bool parse_allow_refuse(const char *value, void *where)
{
	return parse_either(value, "allow", "refuse", where);
}

#define STOP_SECONDS_MOST 3600

/* halt, reset, or reset,SECONDS */
static bool parse_on_stop(const char *value, void *where)
{
	u64 seconds;

	if (!strncmp(value, "reset,", 6)) {
		if (!cmdline_parse_number(value + 6, &seconds) || seconds > STOP_SECONDS_MOST)
			return false;
		options.stop_seconds = (u32)seconds;
		value = "reset";
	}
	return parse_either(value, "reset", "halt", where);
}

static bool parse_nmi(const char *value, void *where)
{
	return parse_either(value, "monitor", "l1", where);
}

static bool parse_reset_vector(const char *value, void *where)
{
	return parse_either(value, "reset", "vector", where);
}

static bool parse_count(const char *value, void *where)
{
	u64 count;

	if (!cmdline_parse_number(value, &count) || !count || count > UINT32_MAX)
		return false;
	*(u32 *)where = (u32)count;
	return true;
}

static bool parse_log(const char *value, void *where)
{
	static const char *const levels[] = { "error", "warn", "info", "debug" };

	for (unsigned int i = 0; i < ARRAY_SIZE(levels); i++)
		if (!strcmp(value, levels[i])) {
			*(enum log_level *)where = (enum log_level)i;
			return true;
		}
	return false;
}

static bool parse_explain(const char *value, void *where)
{
	static const char *const names[] = { "off", "first", "all" };

	for (unsigned int i = 0; i < ARRAY_SIZE(names); i++)
		if (!strcmp(value, names[i])) {
			*(enum explain_option *)where = (enum explain_option)i;
			return true;
		}
	return false;
}

/* Names by comma. */
static bool parse_intercept(const char *value, void *where)
{
	static const struct {
		const char *name;
		u64 bits;
	} kinds[] = {
		{ "cr", INTERCEPT_CR },
		{ "cr3", INTERCEPT_CR3 },
		{ "pf", INTERCEPT_PF },
		{ "db", INTERCEPT_EXCEPTION(VEC_DB) },
		{ "bp", INTERCEPT_EXCEPTION(VEC_BP) },
		{ "ud", INTERCEPT_EXCEPTION(VEC_UD) },
		{ "gp", INTERCEPT_EXCEPTION(VEC_GP) },
	};
	u64 *bits = where;

	for (*bits = 0; *value;) {
		const char *comma = strchr(value, ',');
		size_t len = comma ? (size_t)(comma - value) : strlen(value);
		unsigned int i = 0;

		while (i < ARRAY_SIZE(kinds) &&
		       (strlen(kinds[i].name) != len || strncmp(value, kinds[i].name, len)))
			i++;
		if (i == ARRAY_SIZE(kinds))
			return false;
		*bits |= kinds[i].bits;
		value += len + (comma != NULL);
		if (comma && !*value)
			return false;
	}
	return *bits != 0;
}

/* MASK:MATCH */
static bool parse_pfec(const char *value, void *where)
{
	char mask[CMDLINE_WORD_MAX];
	const char *colon = strchr(value, ':');
	u64 number[2];

	(void)where;
	if (!colon)
		return false;
	memcpy(mask, value, (size_t)(colon - value));
	mask[colon - value] = '\0';
	if (!cmdline_parse_number(mask, &number[0]) || !cmdline_parse_number(colon + 1, &number[1]) ||
	    number[0] > UINT32_MAX || number[1] > UINT32_MAX)
		return false;
	options.intercept_pfec_mask = (u32)number[0];
	options.intercept_pfec_match = (u32)number[1];
	return true;
}

static const struct option rows[] = {
#define OPTION(name, values, meaning, parse, where) { name, values, meaning, parse, where },
#include "kernel/options.def"
#undef OPTION
};

static bool take_value(const struct option *row, const char *equals)
{
	if (!row->parse) {
		*(bool *)row->where = true;
		return !equals;
	}
	return equals && row->parse(equals + 1, row->where);
}

static enum status parse_word(const char *word, u64 *seen)
{
	const char *equals = strchr(word, '=');
	size_t len = equals ? (size_t)(equals - word) : strlen(word);

	for (unsigned int i = 0; i < ARRAY_SIZE(rows); i++) {
		if (strlen(rows[i].name) != len || strncmp(word, rows[i].name, len))
			continue;
		if (!take_value(&rows[i], equals))
			return status_with(STATUS_OPTION_VALUE, "%s' has a value that it cannot have: %s%s%s",
					   word, rows[i].name, *rows[i].values ? "=" : " stands by itself",
					   rows[i].values);
		if (*seen & BIT(i))
			print_format(note, sizeof(note), "option %s is given twice: the last one counts",
				     rows[i].name);
		*seen |= BIT(i);
		return STATUS_OK;
	}
	return status_with(STATUS_OPTION_UNKNOWN, "%s'; there are%s", word, all_names);
}

const char *cmdline_note(void)
{
	return *note ? note : NULL;
}

void cmdline_help(void (*line)(const char *text))
{
	char text[160];

	for (unsigned int i = 0; i < ARRAY_SIZE(rows); i++) {
		print_format(text, sizeof(text), "  %s%s%s: %s", rows[i].name, *rows[i].values ? "=" : "",
			     rows[i].values, rows[i].meaning);
		line(text);
	}
}

enum status cmdline_parse(const char *line)
{
	enum status first = STATUS_OK;
	char word[CMDLINE_WORD_MAX];
	u64 seen = 0;

	static_assert(ARRAY_SIZE(rows) <= 64, "seen");
	*note = '\0';
	options = (struct options){ .log = LOG_INFO,
				    .console = { .screen = true, .serial = SERIAL_AUTO },
				    .explain = EXPLAIN_FIRST,
				    .find_cpus = true,
				    .monitor_key = 1, /* Ctrl-A */
				    .stop_resets = true,
				    .stop_seconds = 10,
				    .shadow_vmcs = true,
				    .vpid = true,
				    .ept_large = true,
				    .ibpb = true,
				    .flush = true };
	/* To the end even after an error: console= must be known to print it. The first error counts. */
	while (*line) {
		size_t len = 0;

		while (line[len] && line[len] != ' ' && line[len] != '\t')
			len++;
		memcpy(word, line, MIN(len, sizeof(word) - 1));
		word[MIN(len, sizeof(word) - 1)] = '\0';
		if (len && first == STATUS_OK)
			first = len < sizeof(word) ? parse_word(word, &seen)
						   : status_with(STATUS_OPTION_UNKNOWN, "%s'; there are%s",
								 word, all_names);
		else if (len && !strncmp(word, "console=", 8))
			(void)cmdline_parse_console(word + 8, &options.console);
		line += len + (line[len] != '\0');
	}
	/* A report is whole, whatever log= says. */
	if (options.check && options.log < LOG_INFO)
		options.log = LOG_INFO;
	return first;
}
