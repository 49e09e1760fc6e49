/* SPDX-License-Identifier: MIT */
/*
 * Most opcodes say by bit 0 whether an operand is a byte or a word, whose size the prefixes choose; the rest
 * are a few, by ranges.
 * SDM: "Opcode Map".
 */
#include "vmx/monitor/operand.h"

#include "kernel/bits.h"

#define OPERAND_PREFIX 0x66
#define REX 0x40
#define REX_W BIT(3)

enum size { BY_BIT_0, ONE, TWO, FOUR, WORD, STACK };

struct range {
	u8 first, last, size;
};

/* STACK: PUSH, POP, CALL, RET, LEAVE. */
static const struct range one_byte[] = {
	{ 0x50, 0x5f, STACK },	  { 0x63, 0x63, FOUR },	    { 0x68, 0x68, STACK },
	{ 0x69, 0x69, WORD },	  { 0x6a, 0x6a, STACK },    { 0x6b, 0x6b, WORD },
	{ 0x6c, 0x6f, BY_BIT_0 }, { 0x80, 0x8b, BY_BIT_0 }, { 0x8c, 0x8c, TWO },
	{ 0x8e, 0x8e, TWO },	  { 0x8f, 0x8f, STACK },    { 0x9c, 0x9d, STACK },
	{ 0xa0, 0xa7, BY_BIT_0 }, { 0xaa, 0xaf, BY_BIT_0 }, { 0xc0, 0xc1, BY_BIT_0 },
	{ 0xc2, 0xc3, STACK },	  { 0xc6, 0xc7, BY_BIT_0 }, { 0xc8, 0xc9, STACK },
	{ 0xd0, 0xd3, BY_BIT_0 }, { 0xd7, 0xd7, ONE },	    { 0xe8, 0xe8, STACK },
	{ 0xf6, 0xf7, BY_BIT_0 }, { 0xfe, 0xfe, ONE },
};

/* Behind 0FH: CMOV, SETcc, BT and its like, IMUL, CMPXCHG, MOVZX, MOVSX, XADD. */
static const struct range two_bytes[] = {
	{ 0x40, 0x4f, WORD }, { 0x90, 0x9f, ONE }, { 0xa3, 0xa3, WORD }, { 0xab, 0xab, WORD },
	{ 0xaf, 0xaf, WORD }, { 0xb0, 0xb0, ONE }, { 0xb1, 0xb1, WORD }, { 0xb3, 0xb3, WORD },
	{ 0xb6, 0xb6, ONE },  { 0xb7, 0xb7, TWO }, { 0xba, 0xbb, WORD }, { 0xbe, 0xbe, ONE },
	{ 0xbf, 0xbf, TWO },  { 0xc0, 0xc0, ONE }, { 0xc1, 0xc1, WORD },
};

static bool is_prefix(u8 byte, bool is_64bit)
{
	static const u8 prefixes[] = { OPERAND_PREFIX, 0x67, 0xf0, 0xf2, 0xf3, 0x26,
				       0x2e,	       0x36, 0x3e, 0x64, 0x65 };

	for (unsigned int i = 0; i < ARRAY_SIZE(prefixes); i++)
		if (byte == prefixes[i])
			return true;
	return is_64bit && (byte & 0xf0) == REX;
}

static u32 bytes_of(enum size size, u8 opcode, u32 word, u32 stack)
{
	switch (size) {
	case BY_BIT_0: return opcode & 1 ? word : 1;
	case ONE: return 1;
	case TWO: return 2;
	case FOUR: return 4;
	case WORD: return word;
	default: return stack;
	}
}

static u32 find(const struct range *ranges, size_t count, u8 opcode, u32 word, u32 stack)
{
	for (size_t i = 0; i < count; i++)
		if (opcode >= ranges[i].first && opcode <= ranges[i].last)
			return bytes_of(ranges[i].size, opcode, word, stack);
	return OPERAND_UNKNOWN;
}

/* INC and DEC of a word; CALL, JMP and PUSH of a pointer; far CALL and JMP, whose pointers are longer. */
static u32 group_ff(u8 modrm, u32 word, u32 stack)
{
	switch (modrm >> 3 & 7) {
	case 0:
	case 1: return word;
	case 3:
	case 5: return OPERAND_UNKNOWN;
	default: return stack;
	}
}

u32 operand_size(const u8 *code, size_t length, bool is_64bit)
{
	u32 word = 4, stack = is_64bit ? 8 : 4;
	size_t at;

	for (at = 0; at < length && is_prefix(code[at], is_64bit); at++) {
		if (code[at] == OPERAND_PREFIX && is_64bit)
			word = 2;
		else if (is_64bit && (code[at] & 0xf0) == REX && (code[at] & REX_W))
			word = 8;
	}
	if (at + 2 > length)
		return OPERAND_UNKNOWN;
	if (code[at] == 0x0f)
		return find(two_bytes, ARRAY_SIZE(two_bytes), code[at + 1], word, stack);
	/* Arithmetic has the same eight rows of eight. */
	if (code[at] < 0x40 && (code[at] & 7) < 4)
		return bytes_of(BY_BIT_0, code[at], word, stack);
	if (code[at] == 0xff)
		return group_ff(code[at + 1], word, stack);
	return find(one_byte, ARRAY_SIZE(one_byte), code[at], word, stack);
}
