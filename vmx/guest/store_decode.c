/* SPDX-License-Identifier: MIT */
/*
 * See vmx/guest/store_decode.h.
 */
#include "vmx/guest/store_decode.h"

#include "kernel/bits.h"
#include "kernel/string.h"
#include "vmx/hw/regcache.h"

#define PREFIX_OPERAND 0x66
#define PREFIX_ADDRESS 0x67
#define REX 0x40
#define REX_W BIT(3)
#define REX_R BIT(2)
#define REX_X BIT(1)
#define REX_B BIT(0)

#define MOV_REGISTER8 0x88
#define MOV_REGISTER 0x89
#define MOV_CONSTANT8 0xc6
#define MOV_CONSTANT 0xc7

struct cursor {
	const u8 *bytes;
	u32 count, at;
	bool operand, address; /* the prefixes */
	u8 rex;
	u8 segment; /* of the last prefix that names one, or SEG_COUNT */
};

static u8 segment_of(u8 byte)
{
	switch (byte) {
	case 0x26: return SEG_ES;
	case 0x2e: return SEG_CS;
	case 0x36: return SEG_SS;
	case 0x3e: return SEG_DS;
	case 0x64: return SEG_FS;
	case 0x65: return SEG_GS;
	default: return SEG_COUNT;
	}
}

/* "In 64-bit mode, the CS, DS, ES and SS segment overrides are ignored." */
static void take_segment(struct cursor *c, u8 segment, unsigned int code_bits)
{
	if (code_bits != 64 || segment == SEG_FS || segment == SEG_GS)
		c->segment = segment;
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
		else if (segment_of(byte) != SEG_COUNT)
			take_segment(c, segment_of(byte), code_bits);
		else
			return;
		c->rex = 0;
	}
}

/* ---- the operand. SDM: "Addressing-Mode Encoding of ModR/M and SIB Bytes" ---- */

/* Sign-extended. */
static bool take_displacement(struct cursor *c, u32 size, struct store *out)
{
	u32 value = 0;

	if (c->count - c->at < size)
		return false;
	memcpy(&value, c->bytes + c->at, size);
	c->at += size;
	out->displacement = size == 1 ? (i8)value : size == 2 ? (i16)value : (i32)value;
	return true;
}

static bool take_operand16(struct cursor *c, u8 modrm, struct store *out)
{
	enum { BX = 3, BP = 5, SI = 6, DI = 7, NONE = STORE_NO_REGISTER };
	static const u8 registers[8][2] = { { BX, SI },	  { BX, DI },	{ BP, SI },   { BP, DI },
					    { SI, NONE }, { DI, NONE }, { BP, NONE }, { BX, NONE } };
	u8 mod = modrm >> 6, rm = modrm & 7;
	bool absolute = !mod && rm == 6;

	out->base = absolute ? NONE : registers[rm][0];
	out->index = absolute ? NONE : registers[rm][1];
	return take_displacement(c, mod == 1 ? 1 : mod == 2 || absolute ? 2 : 0, out);
}

static bool take_sib(struct cursor *c, u8 mod, struct store *out)
{
	u8 sib;

	if (c->at >= c->count)
		return false;
	sib = c->bytes[c->at++];
	out->scale = sib >> 6;
	out->index = (u8)((sib >> 3 & 7) | (c->rex & REX_X ? 8 : 0));
	if (out->index == 4)
		out->index = STORE_NO_REGISTER;
	out->base = sib & 7;
	if (out->base == 5 && !mod)
		out->base = STORE_NO_REGISTER;
	return true;
}

static bool take_operand(struct cursor *c, u8 modrm, unsigned int code_bits, struct store *out)
{
	u8 mod = modrm >> 6;

	out->base = modrm & 7;
	if (out->base == 4) {
		if (!take_sib(c, mod, out))
			return false;
	} else if (out->base == 5 && !mod) {
		/* "RIP-Relative Addressing" */
		out->base = code_bits == 64 ? STORE_NEXT_RIP : STORE_NO_REGISTER;
	}
	if (!take_displacement(c, mod == 1 ? 1 : mod == 2 || out->base >= STORE_NEXT_RIP ? 4 : 0, out))
		return false;
	if (out->base < 8 && (c->rex & REX_B))
		out->base += 8;
	return true;
}

/* "Default Segment Selection Rules": SS where the stack pointer or BP is the base. */
static u8 segment(const struct cursor *c, const struct store *out)
{
	if (c->segment != SEG_COUNT)
		return c->segment;
	return out->base == 4 || out->base == 5 ? SEG_SS : SEG_DS;
}

static bool decode_operand(struct cursor *c, u8 modrm, unsigned int code_bits, struct store *out)
{
	out->index = STORE_NO_REGISTER;
	out->address_bits = (u8)code_bits;
	if (c->address)
		out->address_bits = code_bits == 32 ? 16 : 32;
	if (!(out->address_bits == 16 ? take_operand16(c, modrm, out)
				      : take_operand(c, modrm, code_bits, out)))
		return false;
	out->segment = segment(c, out);
	return true;
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
	struct cursor c = { .bytes = bytes, .count = MIN(count, STORE_BYTES_MAX), .segment = SEG_COUNT };
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
	if (!decode_operand(&c, modrm, code_bits, out) || (out->is_constant && !take_constant(&c, out)))
		return false;
	out->length = (u8)c.at;
	return true;
}
