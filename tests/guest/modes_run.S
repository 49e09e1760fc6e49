/* SPDX-License-Identifier: MIT */
/*
 * Leaves long mode and runs one piece of code in real mode, virtual-8086 mode or protected mode without long mode,
 * until a fault or INT F0h ends it, then comes back: for an L1 in its legacy modes. struct modes of modes.h.
 */
#include "tests/guest/lib/asm.S"

	/* struct modes */
	.set	M_KIND, 0
	.set	M_CR0, 4
	.set	M_CR3, 8
	.set	M_CR4, 12
	.set	M_TR, 16
	.set	M_LDT, 20
	.set	M_VMXON, 24
	.set	M_VMCS, 32
	.set	M_REGS, 40			/* what PUSHAL pushes: EDI ESI EBP ESP EBX EDX ECX EAX */
	.set	M_SEGMENTS, 72			/* GS FS ES DS */
	.set	M_EIP, 88			/* EIP CS EFLAGS ESP SS, as IRET wants them */
	.set	M_OUT, 108			/* vector, error, CR2, TR, CR0, CR3, rights of SEL_TSS */
	.set	KIND_V86, 1
	.set	KIND_REAL, 2

	.set	REAL_CODE, 0x11000		/* the part at real_begin is copied there */
	.set	REAL_DATA, 0x12000		/* struct modes while real mode runs */
	.set	REAL_SIZE, 132

	.text
	.code64
	.global	modes_run
modes_run:
	PUSH_KEPT
	mov	%edi, argument
	SAVE_LONG_MODE
	GO_COMPATIBLE
	FLAT_DATA
	mov	$stack_top, %esp
	mov	argument, %ebx
	LEAVE_LONG_MODE
	mov	M_CR4(%ebx), %eax
	mov	%eax, %cr4
	mov	M_CR3(%ebx), %eax
	mov	%eax, %cr3
	mov	M_CR0(%ebx), %eax
	mov	%eax, %cr0
	cmpl	$KIND_REAL, M_KIND(%ebx)
	je	to_real
	lidt	idt_register
	lldt	M_LDT(%ebx)
	ltr	M_TR(%ebx)
	cmpl	$0, M_VMXON(%ebx)
	je	1f
	vmxon	M_VMXON(%ebx)
	vmptrld	M_VMCS(%ebx)
1:	lea	M_EIP(%ebx), %esi
	testl	$0x20000, 8(%esi)		/* EFLAGS.VM */
	jnz	v86
	testl	$3, 4(%esi)			/* RPL of CS */
	jnz	inner
	sub	$12, %esp
	mov	%esp, %edi
	mov	$3, %ecx
	rep movsl
	jmp	load
v86:	lea	M_SEGMENTS(%ebx), %eax		/* IRET wants ES DS FS GS behind SS */
	pushl	0(%eax)
	pushl	4(%eax)
	pushl	12(%eax)
	pushl	8(%eax)
inner:	sub	$20, %esp
	mov	%esp, %edi
	mov	$5, %ecx
	rep movsl
load:	testl	$0x20000, M_EIP + 8(%ebx)
	jnz	1f
	mov	M_SEGMENTS(%ebx), %gs
	mov	M_SEGMENTS + 4(%ebx), %fs
	mov	M_SEGMENTS + 8(%ebx), %es
1:	sub	$32, %esp
	mov	%ds, %eax
	lea	M_REGS(%ebx), %esi
	push	%es
	mov	%eax, %es
	lea	4(%esp), %edi
	mov	$8, %ecx
	rep movsl
	pop	%es
	testl	$0x20000, M_EIP + 8(%ebx)
	jnz	1f
	mov	M_SEGMENTS + 12(%ebx), %ds
1:	popal
	iret

	.global	modes_stubs
	.align	16
modes_stubs:
	IDT_STUBS 256, ended

/* On the stack: vector, error, EIP, CS, EFLAGS, and ESP and SS from ring 3 or v86. */
ended:
	cld
	pushal
	push	%ds
	push	%es
	push	%fs
	push	%gs
	mov	$0x10, %eax
	mov	%eax, %ds
	mov	%eax, %es
	mov	argument, %ebx
	lea	M_SEGMENTS(%ebx), %edi
	mov	%esp, %esi
	mov	$4, %ecx
	rep movsl %ss:(%esi), %es:(%edi)
	lea	M_REGS(%ebx), %edi
	mov	$8, %ecx
	rep movsl %ss:(%esi), %es:(%edi)
	lea	M_OUT(%ebx), %edi
	movsl	%ss:(%esi), %es:(%edi)
	movsl	%ss:(%esi), %es:(%edi)
	lea	M_EIP(%ebx), %edi
	mov	$3, %ecx
	rep movsl %ss:(%esi), %es:(%edi)
	mov	%esi, 0(%edi)
	mov	%ss, 4(%edi)
	mov	M_EIP + 4(%ebx), %eax
	and	$3, %eax
	mov	M_EIP + 8(%ebx), %ecx
	and	$0x20000, %ecx
	or	%ecx, %eax
	jz	1f
	movsl	%ss:(%esi), %es:(%edi)
	movsl	%ss:(%esi), %es:(%edi)
1:	mov	%cr2, %eax
	mov	%eax, M_OUT + 8(%ebx)
	str	%eax
	mov	%eax, M_OUT + 12(%ebx)
	mov	%cr0, %eax
	mov	%eax, M_OUT + 16(%ebx)
	mov	%cr3, %eax
	mov	%eax, M_OUT + 20(%ebx)
	mov	$0x10, %eax
	mov	%eax, %ss
	mov	$stack_top, %esp
	cmpl	$0, M_VMXON(%ebx)
	je	out
	vmxoff

out:
	xor	%eax, %eax
	lldt	%ax
	lgdt	saved_gdt
	mov	argument, %ebx
	mov	saved_gdt + 2, %eax
	mov	0x48 + 5(%eax), %cl
	mov	%cl, M_OUT + 24(%ebx)
	andb	$~2, 0x48 + 5(%eax)		/* the way to long mode is closed with a 16-bit TSS */
	mov	$0x48, %ecx
	ltr	%cx
	ljmp	$0x08, $1f
1:	FLAT_DATA_ALL
	pushl	$2
	popf
	clts
	mov	%cr0, %eax
	and	$0x7fffffff, %eax
	mov	%eax, %cr0
	ENTER_LONG_MODE 0x10000
	POP_KEPT
	ret

	.code32
to_real:
	mov	%ebx, %esi
	mov	$REAL_DATA, %edi
	mov	$REAL_SIZE, %ecx
	rep movsb
	lidt	real_idt_register
	ljmp	$0x38, $real_enter - real_begin
from_real:
	FLAT_DATA
	mov	$stack_top, %esp
	mov	$REAL_DATA, %esi
	mov	argument, %edi
	mov	$REAL_SIZE, %ecx
	rep movsb
	jmp	out

	.code16
	.global	real_begin, real_stubs, real_end
real_begin:
real_enter:
	mov	$0x40, %ax			/* segments with 64 KiB limits */
	mov	%ax, %ds
	mov	%ax, %es
	mov	%ax, %fs
	mov	%ax, %gs
	mov	%ax, %ss
	mov	%cr0, %eax
	and	$~1, %al
	mov	%eax, %cr0
	ljmp	$REAL_CODE >> 4, $1f - real_begin
1:	mov	$REAL_DATA >> 4, %ax
	mov	%ax, %ds
	mov	M_EIP + 16, %ss
	mov	M_EIP + 12, %sp
	pushw	M_EIP + 8
	pushw	M_EIP + 4
	pushw	M_EIP
	mov	M_SEGMENTS + 8, %es
	mov	M_REGS, %edi
	mov	M_REGS + 4, %esi
	mov	M_REGS + 8, %ebp
	mov	M_REGS + 16, %ebx
	mov	M_REGS + 20, %edx
	mov	M_REGS + 24, %ecx
	mov	M_REGS + 28, %eax
	mov	M_SEGMENTS + 12, %ds
	iret
real_stubs:
	.set	vector, 0
	.rept	256
	.align	8
	pushw	$vector
	jmp	real_ended
	.set	vector, vector + 1
	.endr
real_ended:
	push	%ds
	pushw	$REAL_DATA >> 4
	pop	%ds
	mov	%eax, M_REGS + 28
	mov	%ecx, M_REGS + 24
	mov	%edx, M_REGS + 20
	mov	%ebx, M_REGS + 16
	mov	%ebp, M_REGS + 8
	mov	%esi, M_REGS + 4
	mov	%edi, M_REGS
	xor	%eax, %eax
	pop	%ax
	mov	%eax, M_SEGMENTS + 12
	pop	%ax
	mov	%eax, M_OUT
	pop	%ax
	mov	%eax, M_EIP
	pop	%ax
	mov	%eax, M_EIP + 4
	pop	%ax
	mov	%eax, M_EIP + 8
	mov	%esp, M_EIP + 12
	cld
	cli
	mov	%cr0, %eax
	or	$1, %al
	mov	%eax, %cr0
	ljmpl	$0x08, $from_real
real_end:

	.data
	.align	8
	.global	modes_idt
modes_idt:
	.skip	8 * 256
idt_register:
	.word	8 * 256 - 1
	.long	modes_idt
real_idt_register:
	.word	0x3ff
	.long	0x14000
	LONG_MODE_DATA
argument:
	.long	0
	.bss
	.align	16
	.skip	4096
stack_top:
