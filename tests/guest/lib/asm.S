/* SPDX-License-Identifier: MIT */
/*
 * Assembler macros that the guest tests' doorways share: what a C function keeps, an IDT's stubs, and the ways between 64-bit
 * mode and 32-bit mode. The ways use boot_gdt (start.S: 08h is 32-bit code, 10h data, 18h 64-bit code), clobber EAX, ECX and
 * EDX, and keep their state in saved_*, which LONG_MODE_DATA reserves.
 */
	.macro	PUSH_KEPT
	push	%rbx
	push	%rbp
	push	%r12
	push	%r13
	push	%r14
	push	%r15
	.endm

	.macro	POP_KEPT
	pop	%r15
	pop	%r14
	pop	%r13
	pop	%r12
	pop	%rbp
	pop	%rbx
	.endm

	/* `count` stubs of 16 bytes, from an address that is aligned so: they push an error code of 0 where the
	   processor pushes none, and the vector */
	.macro	IDT_STUBS count, common
	.set	vector, 0
	.rept	\count
	.align	16
	.if	(vector == 8 || (vector >= 10 && vector <= 14) || vector == 17 || vector == 21)
	.else
	push	$0
	.endif
	push	$vector
	jmp	\common
	.set	vector, vector + 1
	.endr
	.endm

	.macro	FLAT_DATA
	mov	$0x10, %eax
	mov	%eax, %ds
	mov	%eax, %es
	mov	%eax, %ss
	.endm

	.macro	FLAT_DATA_ALL
	FLAT_DATA
	mov	%eax, %fs
	mov	%eax, %gs
	.endm

	/* In 64-bit mode; loading GS will clear its base */
	.macro	SAVE_LONG_MODE
	mov	%rsp, saved_rsp
	sidt	saved_idt
	sgdt	saved_gdt
	mov	%cr3, %rax
	mov	%eax, saved_cr3
	mov	%cr4, %rax
	mov	%eax, saved_cr4
	mov	$0xc0000101, %ecx
	rdmsr
	mov	%eax, saved_gs
	mov	%edx, saved_gs + 4
	.endm

	/* From 64-bit mode to compatibility mode; the lines behind it are 32-bit code */
	.macro	GO_COMPATIBLE
	pushq	$0x08
	lea	1f(%rip), %rax
	push	%rax
	lretq
	.code32
1:
	.endm

	/* From compatibility mode to protected mode without paging */
	.macro	LEAVE_LONG_MODE
	mov	%cr0, %eax
	and	$0x7fffffff, %eax
	mov	%eax, %cr0
	mov	$0xc0000080, %ecx
	rdmsr
	and	$~0x100, %eax
	wrmsr
	.endm

	/* From 32-bit code at 08h, without paging, to 64-bit mode on the kept stack; `cr0` is set beside PG */
	.macro	ENTER_LONG_MODE cr0=0
	mov	saved_cr4, %eax
	mov	%eax, %cr4
	mov	saved_cr3, %eax
	mov	%eax, %cr3
	mov	$0xc0000080, %ecx
	rdmsr
	or	$0x100, %eax
	wrmsr
	mov	%cr0, %eax
	or	$(0x80000000 | \cr0), %eax
	mov	%eax, %cr0
	ljmp	$0x18, $1f
	.code64
1:	mov	saved_rsp, %rsp
	lgdt	saved_gdt
	lidt	saved_idt
	mov	saved_gs, %eax
	mov	saved_gs + 4, %edx
	mov	$0xc0000101, %ecx
	wrmsr
	.endm

	/* From protected mode at 08h without paging to 64-bit mode on page_pml4, for a CPU that starts */
	.macro	START_LONG_MODE
	mov	%cr4, %eax
	or	$0x20, %eax
	mov	%eax, %cr4
	mov	$page_pml4, %eax
	mov	%eax, %cr3
	mov	$0xc0000080, %ecx
	rdmsr
	or	$0x900, %eax
	wrmsr
	mov	$0x80010033, %eax
	mov	%eax, %cr0
	ljmp	$0x18, $1f
	.code64
1:	FLAT_DATA_ALL
	.endm

	.macro	LONG_MODE_DATA
	.align	8
saved_rsp:
	.quad	0
saved_gs:
	.quad	0
saved_cr3:
	.long	0
saved_cr4:
	.long	0
saved_idt:
	.skip	10
saved_gdt:
	.word	0
saved_gdt_base:
	.quad	0
	.endm
