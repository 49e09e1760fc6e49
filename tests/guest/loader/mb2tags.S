/* SPDX-License-Identifier: MIT */
/*
 * A multiboot2 L1 that prints what its boot loader told it: the type of each tag, and what is in those that any loader
 * fills alike (its own name, the boot device). Its header has all that a header may have without demanding what a machine
 * may lack: a required information request, EFI boot services, a relocatable image (which says where it lies).
 */
#define MAGIC 0xe85250d6
#define TAG_LOADER 2
#define TAG_BOOT_DEVICE 5
#define TAG_LOAD_BASE 21

	.code32
	.text
	.balign	8
header:	.long	MAGIC, 0, header_end - header, -(MAGIC + (header_end - header))
	.word	1, 0
	.long	2f - . + 4
	.long	TAG_LOADER, TAG_BOOT_DEVICE, 9, TAG_LOAD_BASE
2:	.balign	8
	.word	7, 0
	.long	8
	.word	10, 0		/* exactly where it is linked: this code is no position-independent one */
	.long	24, 0x400000, 0x40ffff, 0x1000, 1
	.word	0, 0
	.long	8
header_end:

	.globl	_start
_start:	cld
	movl	$stack, %esp
	leal	8(%ebx), %ebp
next:	movl	$result, %esi
	call	puts
	movl	(%ebp), %eax
	call	put_hex
	cmpl	$TAG_LOADER, (%ebp)
	je	string
	cmpl	$TAG_BOOT_DEVICE, (%ebp)
	je	device
	cmpl	$TAG_LOAD_BASE, (%ebp)
	jne	end
	call	word
	jmp	end
string:	movb	$' ', %al
	call	put_char
	leal	8(%ebp), %esi
	call	puts
	jmp	end
device:	call	word
	addl	$4, %ebp
	call	word
	subl	$4, %ebp
end:	movb	$'\n', %al
	call	put_char
	cmpl	$0, (%ebp)
	je	finish
	movl	4(%ebp), %eax
	addl	$7, %eax
	andl	$~7, %eax
	addl	%eax, %ebp
	jmp	next
word:	movb	$' ', %al
	call	put_char
	movl	8(%ebp), %eax
	jmp	put_hex
result:	.asciz	"RESULT tag "
#include "print.S"
