/* SPDX-License-Identifier: MIT */
/*
 * OUT with a guest's general registers in the processor's, all but RSP: see cpu_out_registers() in kernel/hw/cpu.h.
 * The registers are in the order of the instruction encoding, 8 bytes each.
 */
	.text
	.balign 16
	.globl	cpu_out_registers
/* %rdi: the registers, %esi: the port, %edx: the size */
cpu_out_registers:
	push	%rbp
	push	%rbx
	push	%r12
	push	%r13
	push	%r14
	push	%r15
	push	%rdi
	/* DX is the port; the guest's own, if it named the port in the instruction, comes back afterwards */
	mov	16(%rdi), %rax
	mov	%si, %ax
	push	%rax
	cmp	$2, %edx
	mov	0(%rdi), %rax
	mov	8(%rdi), %rcx
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
	mov	(%rsp), %rdx
	je	2f
	ja	3f
	outb	%al, %dx
	jmp	4f
2:	outw	%ax, %dx
	jmp	4f
3:	outl	%eax, %dx
4:	push	%rdi
	mov	16(%rsp), %rdi
	mov	%rax, 0(%rdi)
	mov	%rcx, 8(%rdi)
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
	pop	%rax
	mov	%rax, 56(%rdi)
	pop	%rax
	cmp	%rax, %rdx
	je	5f
	mov	%rdx, 16(%rdi)
5:	pop	%rdi
	pop	%r15
	pop	%r14
	pop	%r13
	pop	%r12
	pop	%rbx
	pop	%rbp
	ret
	.section .note.GNU-stack, "", @progbits
