/* SPDX-License-Identifier: MIT */
/*
 * IN and OUT. A host build has none of this: tests/fake/kernel/hw/cpu.h has its own.
 * SDM: "Input/Output".
 */
#ifndef KERNEL_HW_PORT_H
#define KERNEL_HW_PORT_H

#include "kernel/types.h"

#define CPU_PORT(suffix, type)                                                                               \
	static inline type in##suffix(u16 port)                                                              \
	{                                                                                                    \
		type value;                                                                                  \
		asm volatile("in" #suffix " %1, %0" : "=a"(value) : "Nd"(port) : "memory");                  \
		return value;                                                                                \
	}                                                                                                    \
	static inline void out##suffix(u16 port, type value)                                                 \
	{                                                                                                    \
		asm volatile("out" #suffix " %0, %1" : : "a"(value), "Nd"(port) : "memory");                 \
	}
CPU_PORT(b, u8)
CPU_PORT(w, u16)
CPU_PORT(l, u32)
#undef CPU_PORT

/*
 * OUT of AL, AX or EAX (`size` 1, 2 or 4) with these general registers, by instruction encoding, in the
 * processor's, RSP excepted; what an SMI handler changed in them comes back.  DX is the port: a guest's own
 * that differs is kept. kernel/io.S.
 */
void cpu_out_registers(u64 *gpr, u16 port, u32 size);

#endif
