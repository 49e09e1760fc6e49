/* SPDX-License-Identifier: MIT */
/*
 * Where a CPU of the storm begins at any SIPI: it finds its stack by its own APIC id, so that any number of CPUs
 * may start at any time. NMIs come here too, in each of the modes on the way: storm_nmi_* are their handlers, which
 * storm.c puts where IDTR's base 0 finds them in real mode, in protected mode and in long mode.
 */
#include "tests/guest/lib/asm.S"

	.text
	.code16
	.global	storm_trampoline, storm_trampoline_end, storm_nmi16, storm_nmi32, storm_nmi64
storm_trampoline:
	cli
	cld
	mov	%cs, %ax
	mov	%ax, %ds
	lgdtl	(storm_gdt - storm_trampoline)
	mov	$0x11, %eax
	mov	%eax, %cr0
	ljmpl	$0x08, $storm_protected
storm_nmi16:
	iret
	.align	4
storm_gdt:
	.word	0x7f
	.long	boot_gdt
storm_trampoline_end:

	/* Nothing is kept from here to long mode: an NMI begins it anew (CS is no selector yet, so no IRET). */
	.code32
storm_nmi32:
storm_protected:
	FLAT_DATA
	mov	$1, %eax
	cpuid
	shr	$24, %ebx
	mov	%ebx, %edi
	mov	storm_stacks(, %edi, 8), %esp
	START_LONG_MODE
	mov	%edi, %edi
	mov	storm_stacks(, %rdi, 8), %rsp
	call	storm_ap_main
2:	hlt
	jmp	2b
storm_nmi64:
	iretq
	.section .note.GNU-stack, "", @progbits
