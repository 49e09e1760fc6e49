/* SPDX-License-Identifier: MIT */
/*
 * socle-disk.bin: the smallest L1 there is.  It goes to real mode, reads the boot sector of a BIOS disk, and jumps to it, as
 * the BIOS does: so the system that is installed on that disk becomes L1.  The disk is named by a word `hdN` on the command
 * line; without one it is the disk that the boot loader came from.  It is a flat multiboot image, and boots without Socle too.
 * Multiboot Specification 0.6.96; BIOS Boot Specification 1.01: "IPL device boot".
 */
#define MAGIC 0x1badb002
#define FLAGS 0x10000			/* the header has the addresses */
#define LOADED_BY_MULTIBOOT 0x2badb002
#define BASE 0x100000
#define REAL 0x8000			/* behind the boot sector, which is read to 7c00H */
#define SECTOR 0x7c00
#define VECTOR_13H (0x13 * 4)
#define IN_REAL(label) (REAL + label - real)
#define COM1 0x3f8

	.text
	.code32
	.globl	start
header:
	.long	MAGIC, FLAGS, -(MAGIC + FLAGS)
	.long	BASE, BASE, BASE + end - header, 0, BASE + start - header

start:
	cli
	cld
	movl	$0x80, %edx
	cmpl	$LOADED_BY_MULTIBOOT, %eax
	jne	4f
	testb	$2, (%ebx)		/* a boot device: its highest byte is the BIOS's number */
	jz	1f
	movb	15(%ebx), %dl
1:	testb	$4, (%ebx)		/* a command line */
	jz	4f
	movl	16(%ebx), %esi
2:	lodsb
	testb	%al, %al
	jz	4f
	cmpb	$'h', %al
	jne	2b
	cmpb	$'d', (%esi)
	jne	2b
	incl	%esi
	xorl	%edx, %edx
3:	lodsb
	subb	$'0', %al
	cmpb	$9, %al
	ja	5f
	imull	$10, %edx
	movzbl	%al, %eax
	addl	%eax, %edx
	jmp	3b
5:	orb	$0x80, %dl
4:	movl	$(BASE + real - header), %esi
	movl	$REAL, %edi
	movl	$(end - real), %ecx
	rep movsb
	lgdt	IN_REAL(gdt_pointer)
	ljmp	$8, $REAL

	.code16
real:
	movw	$0x10, %ax
	movw	%ax, %ds
	movw	%ax, %es
	movw	%ax, %ss
	movw	%ax, %fs
	movw	%ax, %gs
	lidtl	IN_REAL(idt_pointer)
	movl	%cr0, %eax
	andb	$0xfe, %al
	movl	%eax, %cr0
	ljmp	$0, $IN_REAL(1f)
1:	xorw	%ax, %ax
	movw	%ax, %ds
	movw	%ax, %es
	movw	%ax, %ss
	movw	%ax, %fs
	movw	%ax, %gs
	movl	$SECTOR, %esp
	movw	$IN_REAL(no_bios), %si
	cmpw	$0x8000, VECTOR_13H + 2	/* a BIOS's code is above conventional memory, or at its top */
	jb	fail
	sti
	pushw	%dx
	movw	$3, %ax			/* the screen as a BIOS leaves it: text */
	int	$0x10
	popw	%dx
	movw	$5, %bp			/* the first tries may fail: the drive spins up */
2:	xorw	%ax, %ax
	movw	%ax, %es
	pushw	%dx
	int	$0x13
	popw	%dx
	pushw	%dx
	movw	$0x0201, %ax
	movw	$SECTOR, %bx
	movw	$1, %cx
	movb	$0, %dh
	int	$0x13
	popw	%dx
	jnc	3f
	decw	%bp
	jnz	2b
	movw	$IN_REAL(no_disk), %si
	jmp	fail
3:	movw	$IN_REAL(no_boot), %si
	cmpw	$0xaa55, SECTOR + 510
	jne	fail
	xorw	%ax, %ax
	movw	%ax, %ds
	movw	%ax, %es
	xorw	%di, %di		/* ES:DI: no plug-and-play BIOS is named */
	movw	$SECTOR, %sp
	movb	$0, %dh
	ljmp	$0, $SECTOR

/* Says the text at SI on the first serial port and, where there is a BIOS, on the screen; halts. */
fail:
	xorw	%ax, %ax
	movw	%ax, %ds
	lodsb
	testb	%al, %al
	jz	7f
	movb	%al, %bl
	movw	$COM1 + 5, %dx
	movw	$0xffff, %cx
5:	inb	%dx, %al
	testb	$0x20, %al
	loopz	5b
	movb	%bl, %al
	movw	$COM1, %dx
	outb	%al, %dx
	cmpw	$0x8000, VECTOR_13H + 2
	jb	fail
	pushw	%si
	movb	$0x0e, %ah
	xorw	%bx, %bx
	int	$0x10
	popw	%si
	jmp	fail
7:	cli
	hlt
	jmp	7b

no_bios:
	.asciz	"socle-disk: this machine has no BIOS: use UEFI's own boot loader\r\n"
no_disk:
	.asciz	"socle-disk: the disk cannot be read: name another one by hd0, hd1, ... on this module's line\r\n"
no_boot:
	.asciz	"socle-disk: the disk has no boot sector: name another one by hd0, hd1, ... on this module's line\r\n"
	.balign	8
gdt:
	.quad	0
	.quad	0x00009b000000ffff
	.quad	0x000093000000ffff
gdt_pointer:
	.word	. - gdt - 1
	.long	IN_REAL(gdt)
idt_pointer:
	.word	0x3ff
	.long	0
end:
	.section .note.GNU-stack, "", @progbits
