/* SPDX-License-Identifier: MIT */
/*
 * The values of `console=` and `monitor=`: names by commas, in any order.  Upper case, Linux' names of ports
 * and the formats of other programs are taken as people write them.
 */
#include "kernel/cmdline.h"

#include "kernel/cmdline_internal.h"
#include "kernel/string.h"

#define BAUD_MAX 115200u

static char lower(char c)
{
	return c >= 'A' && c <= 'Z' ? (char)(c | 0x20) : c;
}

static bool take_name(const char *name, struct console_option *out)
{
	static const struct {
		const char *name;
		enum console_serial serial;
		u16 port;
	} names[] = { { "com1", SERIAL_PORT, 0x3f8 },  { "com2", SERIAL_PORT, 0x2f8 },
		      { "com3", SERIAL_PORT, 0x3e8 },  { "com4", SERIAL_PORT, 0x2e8 },
		      { "ttys0", SERIAL_PORT, 0x3f8 }, { "ttys1", SERIAL_PORT, 0x2f8 },
		      { "ttys2", SERIAL_PORT, 0x3e8 }, { "ttys3", SERIAL_PORT, 0x2e8 },
		      { "serial", SERIAL_AUTO, 0 },    { "acpi", SERIAL_ACPI, 0 },
		      { "pci", SERIAL_PCI, 0 } };

	for (unsigned int i = 0; i < ARRAY_SIZE(names); i++)
		if (!strcmp(name, names[i].name)) {
			out->serial = names[i].serial;
			out->address = names[i].port;
			return true;
		}
	return false;
}

/* A UART's eight registers are aligned; another address would be the middle of somebody's. */
static bool take_address(const char *name, struct console_option *out)
{
	bool wide = !strncmp(name, "mmio32:", 7), memory = wide || !strncmp(name, "mmio:", 5);
	u64 size = wide ? 32 : 8, max = memory ? 0xffffff00 : 0xfff8;

	if (!memory && strncmp(name, "0x", 2))
		return false;
	if (!cmdline_parse_number(name + (wide ? 7 : memory ? 5 : 0), &out->address))
		return false;
	out->serial = wide ? SERIAL_MMIO32 : memory ? SERIAL_MMIO : SERIAL_PORT;
	return out->address >= 0x100 && out->address <= max && !(out->address & (size - 1));
}

/* 57600, 57600n8, 8n1: the speed divides 115200, the format is the one that there is. */
static bool take_speed(char *word, struct console_option *out)
{
	size_t len = strlen(word);
	u64 baud;

	if (!strcmp(word, "8n1"))
		return true;
	if (len > 2 && !strcmp(word + len - 2, "n8"))
		word[len - 2] = '\0';
	if (!strncmp(word, "0x", 2) || !cmdline_parse_number(word, &baud) || baud < 2 || baud > BAUD_MAX ||
	    BAUD_MAX % baud)
		return false;
	out->baud = (u32)baud;
	return true;
}

static bool take_word(char *word, struct console_option *out)
{
	if (!strcmp(word, "screen"))
		return out->screen = true;
	if (!strcmp(word, "shared"))
		return out->shared = true;
	return take_name(word, out) || take_address(word, out) || take_speed(word, out);
}

static bool parse(const char *value, bool may_share, void *where)
{
	struct console_option wanted = { .serial = SERIAL_NONE };
	bool none = !strcmp(value, "none");
	char word[CMDLINE_WORD_MAX];
	size_t len;

	while (!none && *value) {
		for (len = 0; value[len] && value[len] != ','; len++)
			word[len] = lower(value[len]);
		word[len] = '\0';
		value += len + (value[len] == ',');
		if (!len || !take_word(word, &wanted))
			return false;
	}
	/* A wrong value changes nothing: there must be a console that says so. */
	if ((!wanted.screen && wanted.serial == SERIAL_NONE && !none) || (wanted.shared && !may_share))
		return false;
	*(struct console_option *)where = wanted;
	return true;
}

bool cmdline_parse_console(const char *value, void *where)
{
	return parse(value, false, where);
}

bool cmdline_parse_key(const char *value, void *where)
{
	char letter = lower(value[0]);

	if (letter < 'a' || letter > 'z' || value[1] || strchr("chijmnpqsu", letter))
		return false;
	*(u8 *)where = (u8)(letter - 'a' + 1);
	return true;
}

static bool parse_port(const char *value, bool may_share, void *where)
{
	struct console_option *out = where;

	if (!strcmp(value, "off")) {
		*out = (struct console_option){ .serial = SERIAL_NONE };
		return true;
	}
	return parse(value, may_share, out) && !out->screen && out->serial == SERIAL_PORT;
}

bool cmdline_parse_port(const char *value, void *where)
{
	return parse_port(value, false, where);
}

bool cmdline_parse_monitor(const char *value, void *where)
{
	return parse_port(value, true, where);
}
