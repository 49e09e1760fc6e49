/* SPDX-License-Identifier: MIT */
/*
 * The call of vmx/hw/entry.S, which keeps no register: the compiler is told, and saves none that it does not
 * need. A host build shadows this header.
 */
#ifndef KERNEL_HW_ENTER_H
#define KERNEL_HW_ENTER_H

#include "kernel/types.h"

/* An enum enter_result (vmx/hw/entry.h). `*vcpu` stays as it is; but it comes back in a register. */
static inline u32 hw_enter(void **vcpu)
{
	u32 result;

	__asm__ volatile("call vmx_enter"
			 : "=a"(result), "+D"(*vcpu)
			 :
			 : "rcx", "rdx", "rbx", "rbp", "rsi", "r8", "r9", "r10", "r11", "r12", "r13", "r14",
			   "r15", "cc", "memory");
	return result;
}

#endif
