/* SPDX-License-Identifier: MIT */
/*
 * A $ begins a packet wherever it comes, since it never stands in one: so half a packet is no harm to the
 * next.
 */
#include "vmx/gdb/packet.h"

#include "kernel/string.h"

#define CTRL_C 0x03

enum { OUTSIDE, INSIDE, FIRST_DIGIT, SECOND_DIGIT };

/* 16: no digit */
static unsigned int digit_of(char c)
{
	if (c >= '0' && c <= '9')
		return (unsigned int)(c - '0');
	c = (char)(c | 0x20);
	return c >= 'a' && c <= 'f' ? (unsigned int)(c - 'a' + 10) : 16;
}

static enum packet_event outside(u8 byte)
{
	return byte == CTRL_C ? PACKET_INTERRUPT : byte == '-' ? PACKET_REFUSED : PACKET_NOTHING;
}

static void add_inside(struct packet_input *input, u8 byte)
{
	input->sum = (u8)(input->sum + byte);
	if (input->length == PACKET_SIZE || !byte)
		input->spoilt = true;
	else
		input->text[input->length++] = (char)byte;
}

enum packet_event packet_put(struct packet_input *input, u8 byte)
{
	if (byte == '$') {
		*input = (struct packet_input){ .state = INSIDE };
		return PACKET_BEGUN;
	}
	switch (input->state) {
	case INSIDE:
		if (byte == '#')
			input->state = FIRST_DIGIT;
		else
			add_inside(input, byte);
		return PACKET_NOTHING;
	case FIRST_DIGIT:
		input->spoilt |= digit_of((char)byte) == 16;
		input->said = (u8)(digit_of((char)byte) << 4);
		input->state = SECOND_DIGIT;
		return PACKET_NOTHING;
	case SECOND_DIGIT:
		input->spoilt |= digit_of((char)byte) == 16;
		input->said |= (u8)digit_of((char)byte) & 15;
		input->state = OUTSIDE;
		input->text[input->length] = '\0';
		return input->spoilt || input->said != input->sum ? PACKET_BAD : PACKET_COMPLETE;
	default: return outside(byte);
	}
}

void packet_spoil(struct packet_input *input)
{
	input->spoilt = true;
}

/* ---- replies ---- */

#define TAIL 3u /* #xx */

void packet_begin(struct packet_output *output)
{
	output->text[0] = '$';
	output->length = 1;
	output->full = false;
}

static void add_char(struct packet_output *output, char c)
{
	if (output->length == sizeof(output->text) - TAIL)
		output->full = true;
	else
		output->text[output->length++] = c;
}

void packet_add(struct packet_output *output, const char *text)
{
	for (; *text; text++)
		add_char(output, *text);
}

static const char digits[] = "0123456789abcdef";

void packet_add_number(struct packet_output *output, u64 value)
{
	unsigned int shift = 60;

	while (shift && !(value >> shift))
		shift -= 4;
	for (;; shift -= 4) {
		add_char(output, digits[value >> shift & 15]);
		if (!shift)
			break;
	}
}

void packet_add_bytes(struct packet_output *output, const void *bytes, size_t count)
{
	const u8 *byte = bytes;

	for (; count; count--, byte++) {
		add_char(output, digits[*byte >> 4]);
		add_char(output, digits[*byte & 15]);
	}
}

void packet_end(struct packet_output *output)
{
	u8 sum = 0;

	for (u32 i = 1; i < output->length; i++)
		sum = (u8)(sum + (u8)output->text[i]);
	output->text[output->length++] = '#';
	output->text[output->length++] = digits[sum >> 4];
	output->text[output->length++] = digits[sum & 15];
}

/* ---- what stands in a packet ---- */

bool packet_take_number(const char **text, u64 *value)
{
	unsigned int count = 0;

	for (*value = 0; digit_of(**text) < 16; ++*text, count++) {
		if (*value >> 60)
			return false;
		*value = *value << 4 | digit_of(**text);
	}
	return count;
}

bool packet_take_byte(const char **text, u8 *value)
{
	unsigned int high = digit_of((*text)[0]), low;

	if (high == 16)
		return false;
	low = digit_of((*text)[1]);
	if (low == 16)
		return false;
	*value = (u8)(high << 4 | low);
	*text += 2;
	return true;
}

bool packet_take(const char **text, char c)
{
	if (**text != c)
		return false;
	++*text;
	return true;
}

bool packet_take_word(const char **text, const char *word)
{
	size_t length = strlen(word);

	if (strncmp(*text, word, length))
		return false;
	*text += length;
	return true;
}

bool packet_take_range(const char **text, u64 *first, u64 *second)
{
	return packet_take_number(text, first) && packet_take(text, ',') && packet_take_number(text, second);
}
