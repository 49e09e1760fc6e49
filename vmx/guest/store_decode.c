/* SPDX-License-Identifier: MIT */
/*
 * See vmx/guest/store_decode.h.
 */
#include "vmx/guest/store_decode.h"

#include "kernel/bits.h"
#include "kernel/string.h"

#define PREFIX_OPERAND 0x66
#define PREFIX_ADDRESS 0x67
#define REX 0x40
#define REX_W BIT(3)
#define REX_R BIT(2)

#define MOV_REGISTER8 0x88
#define MOV_REGISTER 0x89
#define MOV_CONSTANT8 0xc6
#define MOV_CONSTANT 0xc7

struct cursor {
	const u8 *bytes;
	u32 count, at;
	bool operand, address; /* the prefixes */
	u8 rex;
};

static bool is_segment_prefix(u8 byte)
{
	return byte == 0x26 || byte == 0x2e || byte == 0x36 || byte == 0x3e || byte == 0x64 || byte == 0x65;
}

/* A REX prefix counts only right before the opcode. */
static void take_prefixes(struct cursor *c, unsigned int code_bits)
{
	for (; c->at < c->count; c->at++) {
		u8 byte = c->bytes[c->at];

		if (code_bits == 64 && (byte & 0xf0) == REX) {
			c->rex = byte;
			continue;
		}
		if (byte == PREFIX_OPERAND)
			c->operand = true;
		else if (byte == PREFIX_ADDRESS)
			c->address = true;
		else if (!is_segment_prefix(byte))
			return;
		c->rex = 0;
	}
}

/* Bytes of displacement behind ModRM (and SIB). SDM: "Addressing-Mode Encoding of ModR/M and SIB Bytes". */
static u32 displacement16(u8 modrm)
{
	u8 mod = modrm >> 6;

	return mod == 1 ? 1 : mod == 2 || (!mod && (modrm & 7) == 6) ? 2 : 0;
}

static u32 displacement32(u8 modrm, u8 base)
{
	u8 mod = modrm >> 6;

	return mod == 1 ? 1 : mod == 2 || (!mod && base == 5) ? 4 : 0;
}

static bool skip_operand(struct cursor *c, u8 modrm, bool address16)
{
	u8 base = modrm & 7;

	if (address16) {
		c->at += displacement16(modrm);
		return c->at <= c->count;
	}
	if (base == 4) {
		if (c->at >= c->count)
			return false;
		base = c->bytes[c->at++] & 7;
	}
	c->at += displacement32(modrm, base);
	return c->at <= c->count;
}

static u8 width_of(const struct cursor *c, u8 opcode, unsigned int code_bits)
{
	if (opcode == MOV_REGISTER8 || opcode == MOV_CONSTANT8)
		return 1;
	if (c->rex & REX_W)
		return 8;
	return c->operand == (code_bits == 16) ? 4 : 2;
}

/* "imm32": sign-extended to 64 bits. */
static bool take_constant(struct cursor *c, struct store *out)
{
	u32 size = MIN((u32)out->width, 4u);

	if (c->count - c->at < size)
		return false;
	memcpy(&out->constant, c->bytes + c->at, size);
	if (out->width == 8)
		out->constant = (u64)(i64)(i32)out->constant;
	c->at += size;
	return true;
}

bool store_decode(const u8 *bytes, u32 count, unsigned int code_bits, struct store *out)
{
	struct cursor c = { .bytes = bytes, .count = MIN(count, STORE_BYTES_MAX) };
	u8 opcode, modrm, reg;

	*out = (struct store){ .length = 0 };
	take_prefixes(&c, code_bits);
	if (c.count - c.at < 2)
		return false;
	opcode = bytes[c.at++];
	modrm = bytes[c.at++];
	reg = modrm >> 3 & 7;
	out->is_constant = opcode == MOV_CONSTANT8 || opcode == MOV_CONSTANT;
	if ((!out->is_constant && opcode != MOV_REGISTER8 && opcode != MOV_REGISTER) || modrm >> 6 == 3 ||
	    (out->is_constant && reg))
		return false;
	out->width = width_of(&c, opcode, code_bits);
	out->high_byte = opcode == MOV_REGISTER8 && !c.rex && reg >= 4;
	out->from = (u8)(out->high_byte ? reg - 4 : reg + (c.rex & REX_R ? 8 : 0));
	if (!skip_operand(&c, modrm, code_bits != 64 && c.address == (code_bits == 32)) ||
	    (out->is_constant && !take_constant(&c, out)))
		return false;
	out->length = (u8)c.at;
	return true;
}
