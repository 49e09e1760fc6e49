/* SPDX-License-Identifier: MIT */
/*
 * A multiboot1 L1 that prints what its boot loader told it: the flags of the information structure, the boot device, the
 * loader's name, the number of section headers and their size.
 */
#define MAGIC 0x1badb002

	.code32
	.text
	.balign	4
	.long	MAGIC, 0, -MAGIC
	.globl	_start
_start:	cld
	movl	$stack, %esp
	movl	$flags, %esi
	call	puts
	movl	(%ebx), %eax
	call	put_hex
	movl	$device, %esi
	call	puts
	movl	12(%ebx), %eax
	call	put_hex
	movl	$sections, %esi
	call	puts
	movl	28(%ebx), %eax
	call	put_hex
	movl	$each, %esi
	call	puts
	movl	32(%ebx), %eax
	call	put_hex
	movl	$name, %esi
	call	puts
	movl	64(%ebx), %esi
	call	puts
	movb	$'\n', %al
	call	put_char
	jmp	finish
flags:	.asciz	"RESULT flags "
device:	.asciz	"\nRESULT boot_device "
sections: .asciz "\nRESULT sections "
each:	.asciz	" of "
name:	.asciz	"\nRESULT loader "
#include "print.S"
