/* SPDX-License-Identifier: MIT */
/*
 * One row per option: its name and the function that reads its value. Words are separated by blanks.
 */
#include "kernel/cmdline.h"

#include "kernel/string.h"

struct options options;

#define WORD_MAX 64

struct option {
	const char *name;
	bool (*parse)(const char *value, void *where);
	void *where;
};

static bool parse_number(const char *s, u64 *value)
{
	unsigned int base = 10, digit;

	*value = 0;
	if (s[0] == '0' && (s[1] == 'x' || s[1] == 'X')) {
		base = 16;
		s += 2;
	}
	if (!*s)
		return false;
	for (; *s; s++) {
		if (*s >= '0' && *s <= '9')
			digit = (unsigned int)(*s - '0');
		else if ((*s | 0x20) >= 'a' && (*s | 0x20) <= 'f')
			digit = (unsigned int)((*s | 0x20) - 'a' + 10);
		else
			return false;
		if (digit >= base || *value > (UINT64_MAX - digit) / base)
			return false;
		*value = *value * base + digit;
	}
	return true;
}

/* 4096, 512K, 64M, 1G */
static bool parse_size(const char *value, void *where)
{
	static const char units[] = "KMG";
	char digits[WORD_MAX];
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
	if (!parse_number(digits, &size) || !size || size > UINT64_MAX >> shift)
		return false;
	*(u64 *)where = size << shift;
	return true;
}

static bool parse_on_off(const char *value, void *where)
{
	bool on = !strcmp(value, "on");

	if (!on && strcmp(value, "off"))
		return false;
	*(bool *)where = on;
	return true;
}

static bool parse_count(const char *value, void *where)
{
	u64 count;

	if (!parse_number(value, &count) || !count || count > UINT32_MAX)
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

static bool parse_console(const char *value, void *where)
{
	static const struct {
		const char *name;
		u16 port;
	} ports[] = {
		{ "com1", 0x3f8 }, { "com2", 0x2f8 }, { "com3", 0x3e8 }, { "com4", 0x2e8 }, { "none", 0 }
	};
	u64 port;

	for (unsigned int i = 0; i < ARRAY_SIZE(ports); i++)
		if (!strcmp(value, ports[i].name)) {
			*(u16 *)where = ports[i].port;
			return true;
		}
	if (!parse_number(value, &port) || port < 0x100 || port > 0xfff8)
		return false;
	*(u16 *)where = (u16)port;
	return true;
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
	char mask[WORD_MAX];
	const char *colon = strchr(value, ':');
	u64 number[2];

	(void)where;
	if (!colon)
		return false;
	memcpy(mask, value, (size_t)(colon - value));
	mask[colon - value] = '\0';
	if (!parse_number(mask, &number[0]) || !parse_number(colon + 1, &number[1]) ||
	    number[0] > UINT32_MAX || number[1] > UINT32_MAX)
		return false;
	options.intercept_pfec_mask = (u32)number[0];
	options.intercept_pfec_match = (u32)number[1];
	return true;
}

static const struct option rows[] = {
	{ "log", parse_log, &options.log },
	{ "console", parse_console, &options.console_port },
	{ "reserve", parse_size, &options.reserve },
	{ "cpus", parse_count, &options.cpus },
	{ "intercept", parse_intercept, &options.intercept },
	{ "intercept-pf", parse_pfec, NULL },
	{ "shadow-vmcs", parse_on_off, &options.shadow_vmcs },
	{ "vpid", parse_on_off, &options.vpid },
	{ "ept-large", parse_on_off, &options.ept_large },
	{ "ibpb", parse_on_off, &options.ibpb },
	{ "flush", parse_on_off, &options.flush },
	{ "ept02", parse_size, &options.ept02_budget },
};

static enum status parse_word(const char *word)
{
	const char *equals = strchr(word, '=');
	size_t len = equals ? (size_t)(equals - word) : strlen(word);

	if (!strcmp(word, "check")) {
		options.check = true;
		return STATUS_OK;
	}
	for (unsigned int i = 0; i < ARRAY_SIZE(rows); i++) {
		if (strlen(rows[i].name) != len || strncmp(word, rows[i].name, len))
			continue;
		if (!equals || !rows[i].parse(equals + 1, rows[i].where))
			return status_with(STATUS_OPTION_VALUE, "%s", word);
		return STATUS_OK;
	}
	return status_with(STATUS_OPTION_UNKNOWN, "%s", word);
}

enum status cmdline_parse(const char *line)
{
	enum status first = STATUS_OK;
	char word[WORD_MAX];

	options = (struct options){ .log = LOG_INFO,
				    .console_port = 0x3f8,
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
			first = len < sizeof(word) ? parse_word(word)
						   : status_with(STATUS_OPTION_UNKNOWN, "%s", word);
		else if (len && !strncmp(word, "console=", 8))
			(void)parse_console(word + 8, &options.console_port);
		line += len + (line[len] != '\0');
	}
	return first;
}
