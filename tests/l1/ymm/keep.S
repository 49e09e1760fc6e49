/* SPDX-License-Identifier: MIT */
/*
 * keep.S: ymm_keep(): a turn of holding values in all YMM registers while others run on the processor. In assembly
 * throughout, for a compiler would use the registers in between.
 */
#define SYS_SCHED_YIELD 24

.macro each_register instruction
	\instruction 0
	\instruction 1
	\instruction 2
	\instruction 3
	\instruction 4
	\instruction 5
	\instruction 6
	\instruction 7
	\instruction 8
	\instruction 9
	\instruction 10
	\instruction 11
	\instruction 12
	\instruction 13
	\instruction 14
	\instruction 15
.endm

.macro load number
	vmovdqu \number * 32(%rdi), %ymm\number
.endm

.macro store number
	vmovdqu %ymm\number, \number * 32(%rsi)
.endm

	.text
	.globl ymm_keep
	.type ymm_keep, @function
ymm_keep:	/* (rdi = have, rsi = found, rdx = spins) */
	each_register load
1:	dec %rdx
	jnz 1b
	mov $SYS_SCHED_YIELD, %eax
	syscall		/* changes rax, rcx, r11 only */
	each_register store
	vzeroupper
	ret
	.size ymm_keep, . - ymm_keep

	.section .note.GNU-stack, "", @progbits
