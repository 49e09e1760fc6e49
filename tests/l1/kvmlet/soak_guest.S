/* SPDX-License-Identifier: MIT */
/*
 * The guest of `kvmlet soak`: 32-bit with PAE paging, copied to guest physical 0x8000 and started there. Each iteration
 * goes through four sets of PDPTEs, by MOV to CR3 and, after two of them changed places in memory, by CR4.PGE; behind
 * each PDPTE are pages that say whose they are and count their visits. It takes a page fault in each set, exits by CPUID,
 * and sleeps until the next interrupt of its timer. A write to port 0xf4 ends it; STATUS says how it went.
 */

#define SELF		0x8000
#define AT(label)	(label - soak_guest + SELF)

#define STATUS		0x7800		/* what soak.c reads and writes: struct soak_status */
#define ITERATIONS	STATUS
#define TICKS		(STATUS + 4)
#define FAULTS		(STATUS + 8)
#define ERROR		(STATUS + 12)
#define DETAIL		(STATUS + 16)
#define WANTED		(STATUS + 20)
#define ROUNDS		(STATUS + 24)
#define ROUND		(STATUS + 28)
#define FAULT_AT	(STATUS + 32)	/* where the next #PF is expected, and its page-table entry */
#define FAULT_PTE	(STATUS + 36)

#define STACK		0x7000
#define IDT		0x5000
#define PDPT		0x1000		/* four sets, 32 bytes apart */
#define PD_LOW		0x2000
#define PD_APIC		0x3000
#define PD		0x10000		/* of window k, 0x2000 apart; its page table behind it */
#define FRAMES		0x100000	/* of window k, 0x10000 apart: 16 pages */
#define WINDOW_A	0x40000000	/* by the second PDPTE */
#define WINDOW_B	0x80000000	/* by the third */
#define APIC		0xfee00000
#define TIMER_VECTOR	0x40
#define TIMER_COUNT	10000000	/* 10 ms */
#define CR4_PGE		0x80

	.section .rodata
	.globl	soak_guest, soak_guest_end
	.code32
soak_guest:
	mov	$STACK, %esp
	lgdt	AT(gdt_register)
	cld

	/* every exception is an error, but #PF; the timer */
	mov	$IDT, %edi
	xor	%ecx, %ecx
1:	mov	$AT(unexpected), %eax
	cmp	$14, %ecx
	jne	2f
	mov	$AT(page_fault), %eax
2:	cmp	$TIMER_VECTOR, %ecx
	jne	3f
	mov	$AT(timer), %eax
3:	movzwl	%ax, %edx
	or	$0x80000, %edx
	mov	%edx, (%edi)
	and	$0xffff0000, %eax
	or	$0x8e00, %eax
	mov	%eax, 4(%edi)
	add	$8, %edi
	inc	%ecx
	cmp	$TIMER_VECTOR + 1, %ecx
	jb	1b
	lidt	AT(idt_register)

	/* page tables */
	xor	%eax, %eax
	mov	$PDPT, %edi
	mov	$0x3000 / 4, %ecx
	rep stosl
	mov	$PD, %edi
	mov	$8 * 0x2000 / 4, %ecx
	rep stosl
	movl	$0x0000e3, PD_LOW
	movl	$0x2000e3, PD_LOW + 8
	movl	$APIC + 0xfb, PD_APIC + 8 * 0x1f7
	xor	%ebx, %ebx
1:	mov	%ebx, %edi			/* window k */
	shl	$13, %edi
	add	$PD, %edi
	lea	0x1023(%edi), %eax
	mov	%eax, (%edi)
	mov	%ebx, %esi
	shl	$16, %esi
	lea	FRAMES(%esi), %esi
	mov	%ebx, %eax
	shl	$16, %eax
	add	$0x5a, %eax
	xor	%ecx, %ecx
2:	lea	0x63(%esi), %edx
	mov	%edx, 0x1000(%edi, %ecx, 8)
	mov	%eax, (%esi)
	movl	$0, 4(%esi)
	add	$0x1000, %esi
	add	$0x100, %eax
	inc	%ecx
	cmp	$16, %ecx
	jb	2b
	inc	%ebx
	cmp	$8, %ebx
	jb	1b
	mov	$PDPT, %edi
	mov	$PD + 1, %eax
1:	movl	$PD_LOW + 1, (%edi)
	mov	%eax, 8(%edi)
	lea	4 * 0x2000(%eax), %edx
	mov	%edx, 16(%edi)
	movl	$PD_APIC + 1, 24(%edi)
	add	$0x2000, %eax
	add	$32, %edi
	cmp	$PDPT + 4 * 32, %edi
	jb	1b
	mov	%cr4, %eax
	or	$0xa0, %eax			/* PAE, PGE */
	mov	%eax, %cr4
	mov	$PDPT, %eax
	mov	%eax, %cr3
	mov	%cr0, %eax
	or	$0x80010000, %eax
	mov	%eax, %cr0

	movl	$0x1ff, APIC + 0xf0
	movl	$0xb, APIC + 0x3e0
	movl	$0x20000 + TIMER_VECTOR, APIC + 0x320
	movl	$TIMER_COUNT, APIC + 0x380
	sti

iteration:
	mov	ROUNDS, %eax
	mov	%eax, ROUND
round:
	xor	%ebx, %ebx
set:
	mov	%ebx, %ebp
	shl	$5, %ebp
	add	$PDPT, %ebp			/* the set's PDPTEs */
	mov	%ebp, %cr3
	call	check_as_made
	mov	8(%ebp), %eax
	xchg	%eax, 16(%ebp)
	mov	%eax, 8(%ebp)
	mov	%cr4, %eax
	xor	$CR4_PGE, %eax
	mov	%eax, %cr4
	mov	$WINDOW_A, %eax
	lea	4(%ebx), %edx
	call	check
	mov	$WINDOW_B, %eax
	mov	%ebx, %edx
	call	check
	mov	8(%ebp), %eax
	xchg	%eax, 16(%ebp)
	mov	%eax, 8(%ebp)
	mov	%ebp, %cr3
	call	check_as_made
	call	fault
	inc	%ebx
	cmp	$4, %ebx
	jb	set
	xor	%eax, %eax
	cpuid
	decl	ROUND
	jnz	round
	mov	TICKS, %eax
1:	cli
	cmp	%eax, TICKS
	jne	2f
	sti
	hlt
	jmp	1b
2:	sti
	incl	ITERATIONS
	mov	WANTED, %eax
	cmp	%eax, ITERATIONS
	jb	iteration
end:	cli
	out	%al, $0xf4
	hlt

check_as_made:
	mov	$WINDOW_A, %eax
	mov	%ebx, %edx
	call	check
	mov	$WINDOW_B, %eax
	lea	4(%ebx), %edx

/* The pages at EAX are window EDX's, and a visit through them is one to the frame. */
check:
	xor	%ecx, %ecx
	shl	$16, %edx
	lea	FRAMES(%edx), %edi
	add	$0x5a, %edx
1:	cmp	%edx, (%eax)
	jne	wrong_page
	mov	4(%eax), %esi
	cmp	%esi, 4(%edi)
	jne	wrong_count
	incl	4(%eax)
	inc	%esi
	cmp	%esi, 4(%edi)
	jne	wrong_count
	add	$0x1000, %eax
	add	$0x1000, %edi
	add	$0x100, %edx
	inc	%ecx
	cmp	$16, %ecx
	jb	1b
	ret
wrong_page:
	movl	$1, ERROR
	mov	%eax, DETAIL
	jmp	end
wrong_count:
	movl	$2, ERROR
	mov	%eax, DETAIL
	jmp	end

/* A write to a page of the second PDPTE's that is not present. */
fault:
	mov	ITERATIONS, %ecx
	add	%ebx, %ecx
	and	$15, %ecx
	mov	%ebx, %edi
	shl	$13, %edi
	lea	PD + 0x1000(%edi, %ecx, 8), %edi
	mov	%edi, FAULT_PTE
	shl	$12, %ecx
	lea	WINDOW_A + 8(%ecx), %eax
	mov	%eax, FAULT_AT
	mov	FAULTS, %esi
	inc	%esi
	andl	$~1, (%edi)
	invlpg	(%eax)
	mov	%esi, (%eax)
	cmp	%esi, FAULTS
	jne	1f
	cmp	%esi, (%eax)
	jne	1f
	ret
1:	movl	$3, ERROR
	mov	%eax, DETAIL
	jmp	end

page_fault:
	push	%eax
	mov	%cr2, %eax
	cmpl	$2, 4(%esp)
	jne	unexpected
	cmp	FAULT_AT, %eax
	jne	unexpected
	mov	FAULT_PTE, %eax
	orl	$1, (%eax)
	incl	FAULTS
	movl	$0, FAULT_AT
	pop	%eax
	add	$4, %esp
	iret

timer:
	incl	TICKS
	movl	$0, APIC + 0xb0
	iret

unexpected:
	movl	$4, ERROR
	mov	%cr2, %eax
	mov	%eax, DETAIL
	jmp	end

	.balign	8
gdt:	.quad	0, 0x00cf9b000000ffff, 0x00cf93000000ffff
gdt_register:
	.word	23
	.long	AT(gdt)
idt_register:
	.word	(TIMER_VECTOR + 1) * 8 - 1
	.long	IDT
soak_guest_end:

	.section .note.GNU-stack, "", @progbits
