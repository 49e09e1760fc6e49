/* SPDX-License-Identifier: MIT */
/*
 * From 64-bit mode to real mode, INT 15h there, and back: bios_call(struct bios_registers *) of bios.c. The real-mode
 * part is copied to REAL, below 1 MiB; the registers travel by the word block at REGISTERS. Interrupts stay masked.
 */
#include "tests/guest/lib/asm.S"

#define REAL 0x6000
#define REGISTERS 0x6800
#define HERE(label) (REAL + label - bios_real)

	.text
	.code64
	.global	bios_enter
bios_enter:
	PUSH_KEPT
	SAVE_LONG_MODE
	lgdt	flat_gdt
	GO_COMPATIBLE
	LEAVE_LONG_MODE
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
	FLAT_DATA_ALL
	ENTER_LONG_MODE
	POP_KEPT
	ret

	.data
	LONG_MODE_DATA
flat_gdt:
	.word	0x7f
	.quad	boot_gdt
	.section .note.GNU-stack, "", @progbits
