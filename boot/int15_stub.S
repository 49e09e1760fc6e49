/* SPDX-License-Identifier: MIT */
/*
 * INT 15h for an L1 that asks the BIOS for the memory map: E820, E801 and 88h
 * answered from Socle's table, in which L0's window is reserved; all else
 * goes on to the BIOS.  Copied to the start of a segment of its own; the
 * table is boot/int15.c's.  Real mode; changes only what the calls return.
 */
	.section .rodata
	.code16
	.globl int15_start, int15_header, int15_end

#define SMAP 0x534d4150
#define ENTRY_SIZE 20
#define LOCAL(symbol) (symbol - int15_start)

int15_start:
	cmpl	$0xe820, %eax
	je	map_entry
	cmpw	$0xe801, %ax
	je	map_e801
	cmpb	$0x88, %ah
	je	map_88
chain:
	ljmpw	*%cs:LOCAL(header_chain)

map_entry:
	cmpl	$SMAP, %edx
	jne	chain
	cmpl	$ENTRY_SIZE, %ecx
	jb	fail
	cmpl	%cs:LOCAL(header_count), %ebx
	jae	fail
	pushw	%si
	pushw	%di
	imulw	$ENTRY_SIZE, %bx, %si
	movw	$ENTRY_SIZE, %cx
1:	movb	%cs:LOCAL(int15_end)(%si), %al
	movb	%al, %es:(%di)
	incw	%si
	incw	%di
	loop	1b
	popw	%di
	popw	%si
	incl	%ebx
	cmpl	%cs:LOCAL(header_count), %ebx
	jb	2f
	xorl	%ebx, %ebx
2:	movl	$SMAP, %eax
	movl	$ENTRY_SIZE, %ecx
	jmp	done

/* KiB between 1 and 16 MiB, 64 KiB blocks above. */
map_e801:
	movw	%cs:LOCAL(header_below_16m), %ax
	movw	%cs:LOCAL(header_above_16m), %bx
	movw	%ax, %cx
	movw	%bx, %dx
	jmp	done

map_88:
	movw	%cs:LOCAL(header_88), %ax
done:
	pushw	%bp
	movw	%sp, %bp
	andw	$0xfffe, 6(%bp)
	popw	%bp
	iretw

fail:
	movb	$0x86, %ah
	pushw	%bp
	movw	%sp, %bp
	orw	$1, 6(%bp)
	popw	%bp
	iretw

/* struct int15_header of boot/int15.c; the entries follow. */
	.balign 4
int15_header:
header_chain:
	.long	0
header_count:
	.long	0
header_below_16m:
	.word	0
header_above_16m:
	.word	0
header_88:
	.word	0
	.word	0
int15_end:
	.section .note.GNU-stack, "", @progbits
