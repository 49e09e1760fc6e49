/* SPDX-License-Identifier: MIT */
/*
 * Entry of a guest test: multiboot1 header, 32-bit start, identity map of 4 GiB with 2 MiB pages, 64-bit mode, main.
 * Also the trampoline with which another CPU starts (copied to TRAMPOLINE below 1 MiB by smp.c).
 */
#include "tests/guest/lib/asm.S"

	.section .multiboot, "ax"
	.align	4
	.long	0x1badb002, 3, -(0x1badb002 + 3)

	.text
	.code32
	.global	start
start:
	cli
	cld
	mov	$(boot_stack + 16384), %esp
	mov	%eax, multiboot_magic
	mov	%ebx, multiboot_info

	/* four page directories: present, writable, large; A and D set */
	mov	$page_directories, %edi
	mov	$0xe3, %eax
	mov	$2048, %ecx
1:	mov	%eax, (%edi)
	movl	$0, 4(%edi)
	add	$0x200000, %eax
	add	$8, %edi
	loop	1b
	mov	$page_pdpt, %edi
	mov	$(page_directories + 0x27), %eax
	mov	$4, %ecx
1:	mov	%eax, (%edi)
	add	$4096, %eax
	add	$8, %edi
	loop	1b
	movl	$(page_pdpt + 0x27), page_pml4
	mov	$boot_gdt_register, %eax
	lgdt	(%eax)
	call	go_long
	.code64
	mov	$(boot_stack + 16384), %rsp
	call	main
1:	hlt
	jmp	1b

/* From 32-bit protected mode to 64-bit mode; returns to the 32-bit return address, now as 64-bit code. */
	.code32
go_long:
	pop	%esi
	START_LONG_MODE
	mov	%esi, %esi
	jmp	*%rsi

/* A started CPU comes here in real mode at TRAMPOLINE:0; no stack until the C side's slot is read. */
	.code16
	.global	trampoline, trampoline_end
trampoline:
	cli
	cld
	mov	%cs, %ax
	mov	%ax, %ds
	lgdtl	(trampoline_gdt - trampoline)
	mov	$0x11, %eax
	mov	%eax, %cr0
	ljmpl	$0x08, $2f
	.align	4
trampoline_gdt:
	.word	0x7f
	.long	boot_gdt
trampoline_end:
	.code32
2:	FLAT_DATA
	mov	smp_stack, %esp
	call	go_long
	.code64
	mov	smp_stack, %rsp
	call	smp_main
1:	hlt
	jmp	1b

	.data
	.align	16
	.global	boot_gdt
boot_gdt:
	.quad	0
	.quad	0x00cf9b000000ffff	/* 08 code32 */
	.quad	0x00cf93000000ffff	/* 10 data */
	.quad	0x00af9b000000ffff	/* 18 code64 */
	.quad	0x00cffb000000ffff	/* 20 user code32 */
	.quad	0x00cff3000000ffff	/* 28 user data */
	.quad	0x00affb000000ffff	/* 30 user code64 */
	.quad	0x000f9b000000ffff	/* 38 code16 */
	.quad	0x000f93000000ffff	/* 40 data16 */
	.fill	15, 8, 0		/* 48 TSS, 58.. free for tests */
boot_gdt_register:
	.word	. - boot_gdt - 1
	.long	boot_gdt
	.global	multiboot_magic, multiboot_info
multiboot_magic:
	.long	0
multiboot_info:
	.long	0

	.bss
	.align	4096
	.global	page_pml4, page_directories
page_pml4:
	.skip	4096
page_pdpt:
	.skip	4096
page_directories:
	.skip	4096 * 4
boot_stack:
	.skip	16384
