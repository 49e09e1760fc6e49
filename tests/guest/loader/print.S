/* SPDX-License-Identifier: MIT */
/*
 * For the images of this folder, to be included behind their code: 32-bit flat routines that print on COM1 by polling.
 * They keep EBX, EBP, ESI; `puts` takes ESI.
 */
put_hex:			/* EAX, 8 digits */
	pushl	%ecx
	movl	$8, %ecx
1:	roll	$4, %eax
	pushl	%eax
	andl	$15, %eax
	movb	digits(%eax), %al
	call	put_char
	popl	%eax
	loop	1b
	popl	%ecx
	ret
puts:	lodsb
	testb	%al, %al
	jz	1f
	call	put_char
	jmp	puts
1:	ret
put_char:			/* AL */
	pushl	%edx
	pushl	%eax
	movw	$0x3fd, %dx
1:	inb	%dx, %al
	testb	$0x20, %al
	jz	1b
	popl	%eax
	movw	$0x3f8, %dx
	outb	%al, %dx
	popl	%edx
	ret
finish:
	movl	$done, %esi
	call	puts
1:	hlt
	jmp	1b
digits:	.ascii	"0123456789abcdef"
done:	.asciz	"DONE\n"
	.section .note.GNU-stack, "", @progbits
	.bss
	.balign	16
	.skip	4096
stack:
