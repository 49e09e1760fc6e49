/* SPDX-License-Identifier: MIT */
/*
 * Doorway of traps, the guard's call and unwind, and the start of code for exec.c. Offsets: struct cpu in trap.h.
 */
#include "tests/guest/lib/asm.S"

	.text
	.code64
	.global	trap_stubs
	.align	16
trap_stubs:
	IDT_STUBS 256, trap_common


trap_common:
	push	%r15
	push	%r14
	push	%r13
	push	%r12
	push	%r11
	push	%r10
	push	%r9
	push	%r8
	push	%rdi
	push	%rsi
	push	%rbp
	push	$0
	push	%rbx
	push	%rdx
	push	%rcx
	push	%rax
	cld
	mov	%rsp, %rdi
	call	trap_handle
	pop	%rax
	pop	%rcx
	pop	%rdx
	pop	%rbx
	add	$8, %rsp
	pop	%rbp
	pop	%rsi
	pop	%rdi
	pop	%r8
	pop	%r9
	pop	%r10
	pop	%r11
	pop	%r12
	pop	%r13
	pop	%r14
	pop	%r15
	add	$16, %rsp
	iretq

/* u64 guard_call(struct fault *f, fn, a, b, c): the guard before is kept on the stack */
	.global	guard_call
guard_call:
	PUSH_KEPT
	pushq	%gs:8
	pushq	%gs:16
	sub	$8, %rsp
	mov	%rsp, %gs:8
	mov	%rdi, %gs:16
	movl	$0x100, (%rdi)
	mov	%rsi, %rax
	mov	%rdx, %rdi
	mov	%rcx, %rsi
	mov	%r8, %rdx
	call	*%rax
guard_leave:
	add	$8, %rsp
	popq	%gs:16
	popq	%gs:8
	POP_KEPT
	ret

/* the trap handler leaves through here to the innermost guard's caller */
	.global	guard_unwind
guard_unwind:
	mov	%gs:8, %rsp
	xor	%eax, %eax
	jmp	guard_leave

/* u64 exec_start(struct exec *e): all registers from it; never returns but by the guard */
	.global	exec_start
exec_start:
	pushq	152(%rdi)		/* ss */
	pushq	32(%rdi)		/* rsp */
	pushq	144(%rdi)		/* rflags */
	pushq	136(%rdi)		/* cs */
	pushq	128(%rdi)		/* rip */
	mov	0(%rdi), %rax
	mov	8(%rdi), %rcx
	mov	16(%rdi), %rdx
	mov	24(%rdi), %rbx
	mov	40(%rdi), %rbp
	mov	48(%rdi), %rsi
	mov	64(%rdi), %r8
	mov	72(%rdi), %r9
	mov	80(%rdi), %r10
	mov	88(%rdi), %r11
	mov	96(%rdi), %r12
	mov	104(%rdi), %r13
	mov	112(%rdi), %r14
	mov	120(%rdi), %r15
	mov	56(%rdi), %rdi
	iretq

	.global	exec_vmexit
exec_vmexit:
	int	$0xf1
