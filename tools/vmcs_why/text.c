/* SPDX-License-Identifier: MIT */
/*
 * Text as it comes: what terminals and editors add to it, numbers in the forms that people write, and names
 * and values with anything between them.
 */
#include <ctype.h>
#include <string.h>

#include "tools/vmcs_why/reader.h"

/* The length of a terminal's colour or other control sequence (ESC [ ... letter) that begins here. */
static size_t control_sequence(const char *at, size_t length)
{
	size_t i = 2;

	if (length < 3 || at[0] != '\033' || at[1] != '[')
		return 0;
	while (i < length && at[i] >= ' ' && at[i] < '@')
		i++;
	return i < length ? i + 1 : i;
}

/*
 * The text without what terminals, editors and other systems add: colours, tabs (two blanks each), returns,
 * and the zeros of UTF-16. `to` has room for twice its length.
 */
size_t reader_clean(const char *from, size_t length, char *to)
{
	bool wide = length >= 2 &&
		    ((from[0] == '\xff' && from[1] == '\xfe') || (from[0] == '\xfe' && from[1] == '\xff'));
	size_t used = 0;

	for (size_t i = wide ? 2 : 0; i < length; i++) {
		size_t skip = control_sequence(from + i, length - i);

		if (skip) {
			i += skip - 1;
		} else if (from[i] == '\t') {
			to[used++] = ' ';
			to[used++] = ' ';
		} else if (from[i] == '\r') {
			to[used++] = '\n';
		} else if (!wide || from[i]) {
			to[used++] = from[i];
		}
	}
	return used;
}

/* What may end a number in sources: 80H, 0x80ULL. */
static size_t skip_suffix(const char *at, size_t length)
{
	size_t i = 0;

	if (length && (at[0] | 0x20) == 'h')
		i = 1;
	while (i < length && i < 3 && ((at[i] | 0x20) == 'u' || (at[i] | 0x20) == 'l'))
		i++;
	return i;
}

size_t reader_number(const char *at, size_t length, u64 *value)
{
	size_t i = length > 2 && at[0] == '0' && (at[1] | 0x20) == 'x' ? 2 : 0, digits = 0;

	for (*value = 0; i < length && isxdigit((unsigned char)at[i]) && digits < 16; digits++) {
		unsigned int c = (unsigned char)at[i++];

		*value = *value << 4 | (isdigit((int)c) ? c - '0' : (c | 0x20) - 'a' + 10);
		/* ffff_ffff, ffffffff`80000000 */
		if (i + 1 < length && (at[i] == '_' || at[i] == '`') && isxdigit((unsigned char)at[i + 1]))
			i++;
	}
	i += skip_suffix(at + i, length - i);
	return digits && (i == length || (!isalnum((unsigned char)at[i]) && at[i] != '_')) ? i : 0;
}

/* Linux, Xen and VirtualBox pad numbers to 2, 4, 5, 8 or 16 digits; a person's own line may be anything. */
bool reader_is_cut(const struct reader *r, const char *at, size_t used, size_t rest)
{
	size_t prefix = used > 2 && (at[1] | 0x20) == 'x' ? 2 : 0, digits = used - prefix;

	if (r->part == PART_ANY || used != rest || digits < 2 || at[prefix] != '0')
		return false;
	for (size_t i = prefix; i < used; i++)
		if (!isxdigit((unsigned char)at[i]))
			return false;
	return digits != 2 && digits != 4 && digits != 5 && digits != 8 && digits != 16;
}

/* "GUEST_CS_AR_BYTES", "VMX_VMCS32_GUEST_CS_ACCESS_RIGHTS" and the like: what is left in all of them. */
void reader_normalize(const char *from, size_t length, char *to, size_t size)
{
	size_t used = 0;

	for (size_t i = 0; i < length && used + 1 < size; i++)
		if (isalnum((unsigned char)from[i]) || from[i] == '|' || from[i] == ':')
			to[used++] = (char)tolower((unsigned char)from[i]);
	to[used] = 0;
}

static bool is_of_word(char c)
{
	return isalnum((unsigned char)c) || c == '_' || c == '`';
}

/* The next word of letters, digits and underscores from *at on; false: there is none. */
static bool next_word(const char *text, size_t length, size_t *at, size_t *end)
{
	while (*at < length && !is_of_word(text[*at]))
		++*at;
	for (*end = *at; *end < length && is_of_word(text[*end]);)
		++*end;
	return *end > *at;
}

/*
 * A name or an encoding and its value with anything else between them: "GUEST_CR0 0x11", "| guest_cr0 | 11
 * |", "vmread(0x6800) -> 11". An encoding counts only where a sign says so, or where there is nothing else.
 */
void reader_words(struct reader *r, const char *text, size_t length)
{
	size_t at = 0, end, value_at, value_end, words = 0;
	char key[64];

	for (size_t from = 0, to; next_word(text, length, &from, &to); from = to)
		words++;
	for (; next_word(text, length, &at, &end); at = end) {
		u64 value, encoding;
		bool sign = false;

		value_at = end;
		if (!next_word(text, length, &value_at, &value_end) ||
		    reader_number(text + value_at, value_end - value_at, &value) != value_end - value_at ||
		    reader_is_cut(r, text + value_at, value_end - value_at, length - value_at))
			continue;
		for (size_t i = end; i < value_at; i++)
			sign |= text[i] == '=' || text[i] == ':' || text[i] == '>';
		/* -1, as people write a link pointer; not the arrow's */
		if (text[value_at - 1] == '-')
			value = -value;
		reader_normalize(text + at, end - at, key, sizeof(key));
		if (!sign && words != 2 && reader_number(key, strlen(key), &encoding) == strlen(key))
			continue;
		if (reader_assign(r, key, value))
			end = value_end;
	}
}
