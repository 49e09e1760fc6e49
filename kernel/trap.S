/* SPDX-License-Identifier: MIT */
/*
 * The 32 exception entries: each pushes what struct trap_frame (trap.h) has and calls trap_handle(). Hardware pushed
 * SS:RSP, RFLAGS, CS:RIP and for some vectors an error code. GS is L0's own at all times, so nothing is swapped.
 */
#include "kernel/x86.h"

	.text
	.balign 16
trap_common:
	cld
	push	%rax
	push	%rbx
	push	%rcx
	push	%rdx
	push	%rsi
	push	%rdi
	push	%rbp
	push	%r8
	push	%r9
	push	%r10
	push	%r11
	push	%r12
	push	%r13
	push	%r14
	push	%r15
	mov	%rsp, %rdi
	mov	%rsp, %rbp
	and	$~15, %rsp
	call	trap_handle
	mov	%rbp, %rsp
	pop	%r15
	pop	%r14
	pop	%r13
	pop	%r12
	pop	%r11
	pop	%r10
	pop	%r9
	pop	%r8
	pop	%rbp
	pop	%rdi
	pop	%rsi
	pop	%rdx
	pop	%rcx
	pop	%rbx
	pop	%rax
	add	$16, %rsp	/* vector, error code */
	iretq

	.macro	entry vector
	.balign	16
	.if !((1 << \vector) & 0x00227d00)	/* #DF #TS #NP #SS #GP #PF #AC #CP push an error code */
	push	$0
	.endif
	push	$\vector
	jmp	trap_common
	.endm

	.balign	16
	.global	trap_entries	/* 16 bytes each */
trap_entries:
	.altmacro
	.set	number, 0
	.rept	32
	entry	%number
	.set	number, number + 1
	.endr

	.section .note.GNU-stack, "", @progbits
