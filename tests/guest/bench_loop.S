/* SPDX-License-Identifier: MIT */
/*
 * bool bench_loop(u64 rounds, void (*handler)(void), u64 a, u64 b, bool launch): the shortest loop around an L2
 * that a hypervisor can have. L2 leaves R12 to R15 alone; RBX and RBP are its own.
 */
#define HOST_RSP_FIELD 0x6c14
#define GUEST_RIP_FIELD 0x681e
#define EXIT_LENGTH_FIELD 0x440c

	.text
	.code64
	.global	bench_loop, bench_exit, bench_advance
bench_loop:
	push	%rbx
	push	%rbp
	push	%r12
	push	%r13
	mov	%rdi, %r12
	mov	%rsi, %r13
	mov	%rdx, %rbx
	mov	%rcx, %rbp
	mov	$HOST_RSP_FIELD, %eax
	vmwrite	%rsp, %rax
	test	%r8d, %r8d
	jz	1f
	vmlaunch
	xor	%eax, %eax
	jmp	2f
1:	vmresume
	xor	%eax, %eax
	jmp	2f
bench_exit:
	call	*%r13
	dec	%r12
	jnz	1b
	mov	$1, %eax
2:	pop	%r13
	pop	%r12
	pop	%rbp
	pop	%rbx
	ret

bench_advance:
	mov	$GUEST_RIP_FIELD, %ecx
	mov	$EXIT_LENGTH_FIELD, %edx
	vmread	%rcx, %rax
	vmread	%rdx, %rdx
	add	%rdx, %rax
	vmwrite	%rax, %rcx
	ret

	.section .note.GNU-stack, "", @progbits
