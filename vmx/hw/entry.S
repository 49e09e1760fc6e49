/* SPDX-License-Identifier: MIT */
/*
 * VM entry and VM exit: general registers in and out, nothing else. RSP points at the vCPU from the look at the
 * requests until the exit's registers are saved; only an NMI, which has a stack of its own, can come in between.
 * SDM: "VM Entries", "VM Exits".
 */
#define VCPU_GPR(n) (8 * (n))
#define VCPU_REQUEST 128
#define VCPU_LAUNCHED 192
#define VCPU_HOST_STACK 200

#define ENTER_FAIL_INVALID 1
#define ENTER_FAIL_VALID 2
#define ENTER_REQUEST 3

	.text

/*
 * RDI: the vCPU, before it and behind. EAX behind it: an enum enter_result. Every other register but RSP is
 * lost, for whoever calls it (kernel/hw/enter.h) has nothing in one.
 */
	.globl vmx_enter
	.type vmx_enter, @function
vmx_enter:
	movq	%rsp, VCPU_HOST_STACK(%rdi)
	movq	%rdi, %rsp
	.globl vmx_entry_begin
vmx_entry_begin:
	cmpq	$0, VCPU_REQUEST(%rsp)
	jne	vmx_entry_restart
	cmpq	$0, VCPU_LAUNCHED(%rsp)
	movq	VCPU_GPR(0)(%rsp), %rax
	movq	VCPU_GPR(1)(%rsp), %rcx
	movq	VCPU_GPR(2)(%rsp), %rdx
	movq	VCPU_GPR(3)(%rsp), %rbx
	movq	VCPU_GPR(5)(%rsp), %rbp
	movq	VCPU_GPR(6)(%rsp), %rsi
	movq	VCPU_GPR(7)(%rsp), %rdi
	movq	VCPU_GPR(8)(%rsp), %r8
	movq	VCPU_GPR(9)(%rsp), %r9
	movq	VCPU_GPR(10)(%rsp), %r10
	movq	VCPU_GPR(11)(%rsp), %r11
	movq	VCPU_GPR(12)(%rsp), %r12
	movq	VCPU_GPR(13)(%rsp), %r13
	movq	VCPU_GPR(14)(%rsp), %r14
	movq	VCPU_GPR(15)(%rsp), %r15
	je	1f
	vmresume
	jmp	2f
1:	vmlaunch
	.globl vmx_entry_end
vmx_entry_end:
2:	movl	$ENTER_FAIL_VALID, %eax
	jnc	3f
	movl	$ENTER_FAIL_INVALID, %eax
	jmp	3f
	.globl vmx_entry_restart
vmx_entry_restart:
	movl	$ENTER_REQUEST, %eax
3:	movq	%rsp, %rdi
	movq	VCPU_HOST_STACK(%rsp), %rsp
	ret
	.size vmx_enter, . - vmx_enter

	.globl vmx_exit
	.type vmx_exit, @function
vmx_exit:
	movq	%rax, VCPU_GPR(0)(%rsp)
	movq	%rcx, VCPU_GPR(1)(%rsp)
	movq	%rdx, VCPU_GPR(2)(%rsp)
	movq	%rbx, VCPU_GPR(3)(%rsp)
	movq	%rbp, VCPU_GPR(5)(%rsp)
	movq	%rsi, VCPU_GPR(6)(%rsp)
	movq	%rdi, VCPU_GPR(7)(%rsp)
	movq	%r8, VCPU_GPR(8)(%rsp)
	movq	%r9, VCPU_GPR(9)(%rsp)
	movq	%r10, VCPU_GPR(10)(%rsp)
	movq	%r11, VCPU_GPR(11)(%rsp)
	movq	%r12, VCPU_GPR(12)(%rsp)
	movq	%r13, VCPU_GPR(13)(%rsp)
	movq	%r14, VCPU_GPR(14)(%rsp)
	movq	%r15, VCPU_GPR(15)(%rsp)
	xorl	%eax, %eax	/* ENTER_EXITED */
	movq	%rsp, %rdi
	movq	VCPU_HOST_STACK(%rsp), %rsp
	ret
	.size vmx_exit, . - vmx_exit

	.section .note.GNU-stack, "", @progbits
