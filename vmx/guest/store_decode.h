/* SPDX-License-Identifier: MIT */
/*
 * The plain stores: MOV of a register or a constant to memory, from the bytes
 * of the instruction: what it stores, and by which registers it says where.
 * Pure.  SDM volume 2: "Instruction Format", "MOV".
 */
#ifndef VMX_STORE_DECODE_H
#define VMX_STORE_DECODE_H

#include "kernel/types.h"

#define STORE_BYTES_MAX 15u /* no instruction is longer */

struct store {
	u8 length; /* of the instruction */
	u8 width;  /* 1, 2, 4 or 8 bytes */
	bool is_constant;
	bool high_byte; /* AH, CH, DH or BH: bits 15:8 of register 0-3 */
	u8 from;	/* a general register */
	u64 constant;

	/* Where to: segment:[base + index << scale + displacement], modulo 2^address_bits. */
	u8 segment;	 /* SEG_* */
	u8 base, index;	 /* general registers, or one of the two below */
	u8 scale;	 /* 0-3 */
	u8 address_bits; /* 16, 32 or 64 */
	i64 displacement;
};
#define STORE_NO_REGISTER 0xffu
#define STORE_NEXT_RIP 0xfeu /* as a base: the address behind the instruction */

/*
 * `code_bits`: 16, 32 or 64.  False: no plain store (one with LOCK, REP, or of another opcode), or the bytes
 * end before it does.
 */
bool store_decode(const u8 *bytes, u32 count, unsigned int code_bits, struct store *out);

#endif
