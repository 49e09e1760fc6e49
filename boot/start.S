/* SPDX-License-Identifier: MIT */
/*
 * The first instructions: from the boot loader's 32-bit protected mode to
 * 64-bit code at its linked address, on early tables that map the first
 * 4 GiB at 0, at the direct map and at the image's base.  Then the moves
 * that C cannot make: onto the copy in the window, onto another stack.
 * Multiboot2 specification: "I386 machine state".
 */

#define IMAGE_BASE 0xffffffff80000000
#define PHYSICAL(symbol) ((symbol) - IMAGE_BASE)
#define EARLY_STACK_SIZE 0x8000
#define COM1 0x3f8
#define UART_WAIT 20000	/* reads of a port */
#define VGA_TEXT 0xb8000
#define CR0_START 0x80010031	/* PG, WP, NE, ET, PE */
#define CR4_START 0xe0		/* PGE, MCE, PAE */
#define EFER_START 0x900	/* NXE, LME */
#define EFER_MSR 0xc0000080
#define MISC_ENABLE_MSR 0x1a0
#define XD_DISABLE 2		/* bit 34, in EDX */
#define LARGE_PAGE 0x83		/* present, writable, large */
#define TABLE 0x3

	.section .text
	.code32
	.globl start32
start32:
	cli
	cld
	movl	%eax, %ebp
	movl	%ebx, %edi
	movl	%cr0, %eax
	movl	%eax, PHYSICAL(start_cr0)
	movl	$PHYSICAL(early_stack_top), %esp
	movl	$0x80000000, %eax
	cpuid
	cmpl	$0x80000001, %eax
	jb	no_long_mode
	movl	$0x80000001, %eax
	cpuid
	btl	$29, %edx
	jnc	no_long_mode
	btl	$20, %edx
	jc	1f
	/* Firmware may hide execute-disable; EFER.NXE would fault then. */
	movl	$MISC_ENABLE_MSR, %ecx
	rdmsr
	btrl	$XD_DISABLE, %edx
	jnc	no_execute_disable
	wrmsr
1:

	/* Four page directories: the first 4 GiB in pages of 2 MiB. */
	movl	$PHYSICAL(early_pd), %ebx
	movl	$LARGE_PAGE, %eax
	movl	$2048, %ecx
1:	movl	%eax, (%ebx)
	addl	$0x200000, %eax
	addl	$8, %ebx
	loop	1b
	movl	$PHYSICAL(early_pd) + TABLE, %eax
	movl	$PHYSICAL(early_pdpt_low), %ebx
	movl	%eax, PHYSICAL(early_pdpt_high) + 510 * 8
	movl	$4, %ecx
2:	movl	%eax, (%ebx)
	addl	$0x1000, %eax
	addl	$8, %ebx
	loop	2b
	movl	$PHYSICAL(early_pdpt_low) + TABLE, PHYSICAL(early_pml4)
	movl	$PHYSICAL(early_pdpt_low) + TABLE, PHYSICAL(early_pml4) + 256 * 8
	movl	$PHYSICAL(early_pdpt_high) + TABLE, PHYSICAL(early_pml4) + 511 * 8

	movl	$PHYSICAL(early_pml4), %eax
	call	long_mode_on
	lgdt	PHYSICAL(start_gdt_pointer)
	ljmp	$0x8, $PHYSICAL(start64)

/*
 * CR3 from EAX; keeps EBP, EDI.  What firmware left on in CR4 and IA32_EFER, such as 5-level paging, goes off.
 */
long_mode_on:
	movl	%eax, %cr3
	movl	$CR4_START, %eax
	movl	%eax, %cr4
	movl	$EFER_MSR, %ecx
	movl	$EFER_START, %eax
	xorl	%edx, %edx
	wrmsr
	movl	$CR0_START, %eax
	movl	%eax, %cr0
	ret

no_execute_disable:
	movl	$PHYSICAL(no_execute_disable_text), %esi
	jmp	3f
no_long_mode:
	movl	$PHYSICAL(no_long_mode_text), %esi
	/* On VGA's text screen, if there is one, and on the first serial port, if it takes characters. */
3:	movl	$VGA_TEXT, %edi
4:	lodsb
	testb	%al, %al
	jz	5f
	cmpb	$' ', %al
	jb	6f
	movb	%al, (%edi)
	movb	$7, 1(%edi)
	addl	$2, %edi
6:	movb	%al, %bl
	movl	$UART_WAIT, %ecx
	movw	$COM1 + 5, %dx
7:	inb	%dx, %al
	testb	$0x20, %al
	loopz	7b
	movb	%bl, %al
	movw	$COM1, %dx
	outb	%al, %dx
	jmp	4b
5:	hlt
	jmp	5b

	.code64
start64:
	movabsq	$start_high, %rax
	jmp	*%rax
start_high:
	xorl	%eax, %eax
	movl	%eax, %ds
	movl	%eax, %es
	movl	%eax, %ss
	movl	%eax, %fs
	movl	%eax, %gs
	lgdt	start_gdt_pointer_high(%rip)	/* valid in the window too */
	leaq	early_stack_top(%rip), %rsp
	movl	%edi, %esi
	movl	%ebp, %edi
	xorl	%ebp, %ebp
	call	kernel_main
6:	hlt
	jmp	6b

/*
 * void start_relocate(void *to, const void *from, u64 size, u64 cr3)
 * Copies the image and goes on in the copy: nothing is written between.
 */
	.globl start_relocate
start_relocate:
	movq	%rcx, %rax
	movq	%rdx, %rcx
	rep movsb
	movq	%rax, %cr3
	ret

/* NORETURN void start_on_stack(u64 top, void (*function)(void)) */
	.globl start_on_stack
start_on_stack:
	movq	%rdi, %rsp
	xorl	%ebp, %ebp
	call	*%rsi
7:	hlt
	jmp	7b

	.section .rodata
	.balign 8
start_gdt:
	.quad	0
	.quad	0x00af9b000000ffff
	.quad	0x00cf93000000ffff
start_gdt_pointer:
	.word	. - start_gdt - 1
	.long	PHYSICAL(start_gdt)
start_gdt_pointer_high:
	.word	start_gdt_pointer - start_gdt - 1
	.quad	start_gdt
no_execute_disable_text:
	.ascii	"socle: error: the processor has no execute-disable; enable it in the firmware's setup"
	.ascii	"\r\nsocle: error: halted\r\n\0"
no_long_mode_text:
	.ascii	"socle: error: the processor has no 64-bit mode; use an Intel processor with VT-x"
	.ascii	"\r\nsocle: error: halted\r\n\0"

	.section .bss
	.balign 4
	.globl start_cr0
start_cr0:			/* as the boot loader left it */
	.skip	4
	.balign 4096
early_pml4:
	.skip	4096
early_pdpt_low:
	.skip	4096
early_pdpt_high:
	.skip	4096
early_pd:
	.skip	4 * 4096
	.skip	EARLY_STACK_SIZE
early_stack_top:
	.section .note.GNU-stack, "", @progbits
