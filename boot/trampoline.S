/* SPDX-License-Identifier: MIT */
/*
 * Where an AP starts after its SIPI: real mode at the start of a page below
 * 1 MiB that holds a copy of this.  On to long mode with L0's page tables,
 * in which this page is mapped at its own address for the moment, to be
 * executed and read; it is written by the direct map.  The AP
 * that is wanted goes on to the stack and function in the parameters at the
 * end; any other writes its APIC ID behind those that came before it, halts,
 * and stays here until an INIT.  No stack and no record is touched before
 * that is known.
 */
#include "boot/trampoline.h"

#define CR0_START 0x80010031
#define CR4_START 0xe0
#define EFER_START 0x900
#define EFER_MSR 0xc0000080
#define MISC_ENABLE_MSR 0x1a0
#define XD_DISABLE 2
#define APIC_BASE_MSR 0x1b
#define APIC_BASE_X2APIC 10
#define APIC_BASE_LOW 0xfffff000
#define APIC_REG_ID 0x20
#define X2APIC_ID_MSR 0x802
#define DIRECT_MAP_BASE 0xffff800000000000
#define LOCAL(symbol) ((symbol) - trampoline_start)

	.section .rodata
	.globl trampoline_start, trampoline_parameters, trampoline_end
	.code16
trampoline_start:
	cli
	cld
	movl	$0x80000001, %eax
	cpuid
	btl	$20, %edx
	jc	1f
	movl	$MISC_ENABLE_MSR, %ecx	/* as in start.S */
	rdmsr
	btrl	$XD_DISABLE, %edx
	wrmsr
1:	movw	%cs, %ax
	movw	%ax, %ds
	xorl	%ebx, %ebx
	movw	%ax, %bx
	shll	$4, %ebx		/* our own linear address */
	leal	LOCAL(gdt)(%ebx), %eax
	movl	%eax, LOCAL(gdt_pointer) + 2
	lgdtl	LOCAL(gdt_pointer)
	leal	LOCAL(in_long_mode)(%ebx), %eax
	movl	%eax, LOCAL(far_pointer)
	movl	%cr4, %eax
	orl	$CR4_START, %eax
	movl	%eax, %cr4
	movl	LOCAL(parameter_cr3), %eax
	movl	%eax, %cr3
	movl	$EFER_MSR, %ecx
	rdmsr
	orl	$EFER_START, %eax
	wrmsr
	movl	$CR0_START, %eax
	movl	%eax, %cr0
	ljmpl	*LOCAL(far_pointer)

	.code64
in_long_mode:
	xorl	%eax, %eax
	movl	%eax, %ds
	movl	%eax, %es
	movl	%eax, %ss
	movl	%eax, %fs
	movl	%eax, %gs
	movl	$APIC_BASE_MSR, %ecx	/* our APIC ID, as apic_id() has it */
	rdmsr
	btl	$APIC_BASE_X2APIC, %eax
	jc	2f
	andl	$APIC_BASE_LOW, %eax
	shlq	$32, %rdx
	orq	%rdx, %rax
	movabsq	$DIRECT_MAP_BASE, %rcx
	movl	APIC_REG_ID(%rcx,%rax), %eax
	shrl	$24, %eax
	jmp	3f
2:	movl	$X2APIC_ID_MSR, %ecx
	rdmsr
3:	cmpl	LOCAL(parameter_wanted)(%rbx), %eax
	jne	4f
	movq	LOCAL(parameter_stack)(%rbx), %rsp
	movq	LOCAL(parameter_argument)(%rbx), %rdi
	movq	LOCAL(parameter_function)(%rbx), %rax
	xorl	%ebp, %ebp
	call	*%rax
4:	movabsq	$DIRECT_MAP_BASE, %rcx
	addq	%rcx, %rbx
	movl	$1, %ecx
	lock xaddl %ecx, LOCAL(parameter_count)(%rbx)
	cmpl	$TRAMPOLINE_ID_MAX, %ecx
	jae	5f
	movl	%eax, LOCAL(trampoline_end)(%rbx,%rcx,4)
5:	hlt
	jmp	5b

	.balign 8
gdt:
	.quad	0
	.quad	0x00af9b000000ffff
gdt_pointer:
	.word	15
	.long	0
	.balign 4
far_pointer:
	.long	0
	.word	8

/* struct trampoline of boot/trampoline.h */
	.balign 8
trampoline_parameters:
parameter_stack:
	.quad	0
parameter_function:
	.quad	0
parameter_argument:
	.quad	0
parameter_cr3:
	.quad	0
parameter_wanted:
	.long	0
parameter_count:
	.long	0
trampoline_end:
	.section .note.GNU-stack, "", @progbits
