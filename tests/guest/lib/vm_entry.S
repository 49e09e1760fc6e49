/* SPDX-License-Identifier: MIT */
/*
 * u32 vm_enter(struct vm *vm, u64 launched): 0 after a VM exit, 1 for VMfailInvalid, 2 for VMfailValid.
 * The guest's general registers are the first members of struct vm.
 */
#include "tests/guest/lib/asm.S"

#define HOST_RSP_FIELD 0x6c14

	.text
	.code64
	.global	vm_enter, vm_exit_stub
vm_enter:
	PUSH_KEPT
	push	%rdi
	mov	$HOST_RSP_FIELD, %eax
	vmwrite	%rsp, %rax
	test	%esi, %esi
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
	jnz	1f
	vmlaunch
	jmp	2f
1:	vmresume
2:	pop	%rdi
	mov	$1, %eax
	jc	3f
	mov	$2, %eax
	jmp	3f

vm_exit_stub:
	push	%rdi
	mov	8(%rsp), %rdi
	mov	%rax, 0(%rdi)
	mov	%rcx, 8(%rdi)
	mov	%rdx, 16(%rdi)
	mov	%rbx, 24(%rdi)
	mov	%rbp, 40(%rdi)
	mov	%rsi, 48(%rdi)
	mov	%r8, 64(%rdi)
	mov	%r9, 72(%rdi)
	mov	%r10, 80(%rdi)
	mov	%r11, 88(%rdi)
	mov	%r12, 96(%rdi)
	mov	%r13, 104(%rdi)
	mov	%r14, 112(%rdi)
	mov	%r15, 120(%rdi)
	pop	56(%rdi)
	pop	%rdi
	xor	%eax, %eax
3:	POP_KEPT
	cld
	ret
