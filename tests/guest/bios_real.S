/* SPDX-License-Identifier: MIT */
/*
 * From 64-bit mode to real mode, INT 15h there, and back: bios_call(struct bios_registers *) of bios.c. The real-mode
 * part is copied to REAL, below 1 MiB; the registers travel by the word block at REGISTERS. Interrupts stay masked.
 */
#define REAL 0x6000
#define REGISTERS 0x6800
#define HERE(label) (REAL + label - bios_real)
#define MSR_EFER 0xc0000080

	.text
	.code64
	.global	bios_enter
bios_enter:
	push	%rbx
	push	%rbp
	push	%r12
	push	%r13
	push	%r14
	push	%r15
	mov	%rsp, saved_rsp
	sidt	saved_idt
	sgdt	saved_gdt
	mov	%cr3, %rax
	mov	%eax, saved_cr3
	mov	%cr4, %rax
	mov	%eax, saved_cr4
	mov	$0xc0000101, %ecx	/* loading GS clears its base */
	rdmsr
	mov	%eax, saved_gs
	mov	%edx, saved_gs + 4
	lgdt	flat_gdt
	pushq	$0x08
	lea	1f(%rip), %rax
	push	%rax
	lretq
	.code32
1:	mov	%cr0, %eax
	and	$0x7fffffff, %eax
	mov	%eax, %cr0
	mov	$MSR_EFER, %ecx
	rdmsr
	and	$~0x100, %eax
	wrmsr
	xor	%eax, %eax
	mov	%eax, %cr4
	ljmp	$0x38, $REAL

	.code16
	.global	bios_real, bios_real_end
bios_real:
	mov	$0x40, %ax
	mov	%ax, %ds
	mov	%ax, %es
	mov	%ax, %ss
	lidtl	HERE(real_idt)
	mov	%cr0, %eax
	and	$0xfffffffe, %eax
	mov	%eax, %cr0
	ljmp	$0, $HERE(1f)
1:	xor	%ax, %ax
	mov	%ax, %ds
	mov	%ax, %es
	mov	%ax, %ss
	mov	$REAL, %esp
	mov	REGISTERS, %eax
	mov	REGISTERS + 4, %ebx
	mov	REGISTERS + 8, %ecx
	mov	REGISTERS + 12, %edx
	mov	REGISTERS + 16, %edi
	int	$0x15
	cli
	cld
	pushfl
	push	%ds
	pushl	%eax
	xor	%ax, %ax
	mov	%ax, %ds
	popl	%eax
	mov	%eax, REGISTERS
	mov	%ebx, REGISTERS + 4
	mov	%ecx, REGISTERS + 8
	mov	%edx, REGISTERS + 12
	mov	%edi, REGISTERS + 16
	pop	%ax			/* DS as the BIOS left it: zero */
	mov	%ax, REGISTERS + 24
	popl	REGISTERS + 20
	lgdtl	HERE(real_gdt)
	mov	%cr0, %eax
	or	$1, %eax
	mov	%eax, %cr0
	ljmpl	$0x08, $bios_back
	.align	4
real_idt:
	.word	0x3ff
	.long	0
real_gdt:
	.word	0x7f
	.long	boot_gdt
bios_real_end:

	.code32
bios_back:
	mov	$0x10, %eax
	mov	%eax, %ds
	mov	%eax, %es
	mov	%eax, %ss
	mov	%eax, %fs
	mov	%eax, %gs
	mov	saved_cr4, %eax
	mov	%eax, %cr4
	mov	saved_cr3, %eax
	mov	%eax, %cr3
	mov	$MSR_EFER, %ecx
	rdmsr
	or	$0x100, %eax
	wrmsr
	mov	%cr0, %eax
	or	$0x80000000, %eax
	mov	%eax, %cr0
	ljmp	$0x18, $1f
	.code64
1:	mov	saved_rsp, %rsp
	lgdt	saved_gdt
	lidt	saved_idt
	mov	$0xc0000101, %ecx
	mov	saved_gs, %eax
	mov	saved_gs + 4, %edx
	wrmsr
	pop	%r15
	pop	%r14
	pop	%r13
	pop	%r12
	pop	%rbp
	pop	%rbx
	ret

	.data
	.align	8
saved_rsp:
	.quad	0
saved_gs:
	.quad	0
saved_cr3:
	.long	0
saved_cr4:
	.long	0
flat_gdt:
	.word	0x7f
	.quad	boot_gdt
saved_idt:
	.skip	10
saved_gdt:
	.skip	10
	.section .note.GNU-stack, "", @progbits
