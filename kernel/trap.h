/* SPDX-License-Identifier: MIT */
/*
 * Exceptions and NMIs that hit L0 itself. The stubs are trap.S; a fault inside an instruction listed in
 * the exception table continues at its fix-up, NMIs and machine checks go
 * to their hooks, everything else is a panic.
 */
#ifndef KERNEL_TRAP_H
#define KERNEL_TRAP_H

#include "kernel/types.h"

/* As trap.S pushes it; the last five are the processor's. */
struct trap_frame {
	u64 r15, r14, r13, r12, r11, r10, r9, r8;
	u64 rbp, rdi, rsi, rdx, rcx, rbx, rax;
	u64 vector, error_code;
	u64 rip, cs, rflags, rsp, ss;
};

/* Called with NMIs blocked, on the NMI stack; may change frame->rip. Without one, NMIs are dropped. */
void trap_set_nmi_hook(void (*hook)(struct trap_frame *frame));

/* The same for machine checks, on their own stack; false: it cannot be survived. */
void trap_set_machine_check_hook(bool (*hook)(struct trap_frame *frame));

/* From trap.S. */
void trap_handle(struct trap_frame *frame);

/* Builds the IDT (BSP, once); loads it (each CPU). */
void trap_init(void);
void trap_load(void);

/* IST slots of the TSS, 1-based as in a gate. */
#define TRAP_IST_NMI 1
#define TRAP_IST_DF 2
#define TRAP_IST_MC 3

#endif
