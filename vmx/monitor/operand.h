/* SPDX-License-Identifier: MIT */
/*
 * How many bytes of memory an instruction accesses, by its bytes. Pure.
 */
#ifndef VMX_MONITOR_OPERAND_H
#define VMX_MONITOR_OPERAND_H

#include "kernel/types.h"

#define OPERAND_UNKNOWN 64u /* of a vector instruction, or one that is not here */

/*
 * The bytes of one access, at most; as many as it has in 64-bit code, of instructions that move or compute
 * general registers or use the stack. ENTER, PUSHA and event delivery make several accesses.
 */
u32 operand_size(const u8 *code, size_t length, bool is_64bit);

#endif
