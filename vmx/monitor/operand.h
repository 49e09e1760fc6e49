/* SPDX-License-Identifier: MIT */
/*
 * How many bytes of memory an instruction accesses, by its bytes. Pure.
 */
#ifndef VMX_MONITOR_OPERAND_H
#define VMX_MONITOR_OPERAND_H

#include "kernel/types.h"

#define OPERAND_UNKNOWN 64u /* of a vector instruction, or one that is not here */

/* At most; in 64-bit code exactly, of those that move and compute general registers or use the stack. */
u32 operand_size(const u8 *code, size_t length, bool is_64bit);

#endif
