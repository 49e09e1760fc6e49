/* SPDX-License-Identifier: MIT */
/*
 * The short guests of `kvmlet selftest`, one for each CPU mode. Each is copied to guest physical 0x8000 (GUEST_BASE) and
 * started there with a stack below 0x7000. A byte written to port 0x3f8 is printed; a write to port 0xf4 marks the start
 * and the end of a timed loop; HLT ends the guest, with 0x600d in EAX if all it looked at was right.
 */

#define GUEST_BASE	0x8000
#define AT(guest, label)	(label - guest + GUEST_BASE)
#define PORT_MARK	0xf4
#define GOOD		0x600d
#define LOOPS		1000

/* print the text that (E/R)SI points to */
.macro PRINT
	mov	$0x3f8, %dx
1:	lodsb
	test	%al, %al
	jz	2f
	out	%al, %dx
	jmp	1b
2:
.endm

/* a loop of exits that L1 handles in its kernel; EDI counts, CPUID leaves it alone */
.macro CPUID_LOOP
	out	%al, $PORT_MARK
	mov	$LOOPS, %edi
1:	xor	%eax, %eax
	cpuid
	dec	%edi
	jnz	1b
	out	%al, $PORT_MARK
.endm

	.section .rodata
	.globl	guest_real16, guest_real16_end, guest_prot32, guest_prot32_end
	.globl	guest_pae32, guest_pae32_end, guest_long64, guest_long64_end

/* ---- real mode: a software interrupt through the IVT --------------------------------------------------------------- */
	.code16
guest_real16:
	mov	$AT(guest_real16, 3f), %si
	PRINT
	movw	$AT(guest_real16, 4f), 0x20 * 4
	movw	$0, 0x20 * 4 + 2
	xor	%bp, %bp
	int	$0x20
	CPUID_LOOP
	mov	$GOOD, %eax
	cmp	$0x1234, %bp
	je	1f
	xor	%eax, %eax
1:	hlt
4:	mov	$0x1234, %bp
	iret
3:	.asciz	"L2 says: hello from real mode\n"
guest_real16_end:

/* ---- 32-bit protected mode, turning 4 MiB paging on: page 2 onto page 1, then onto page 0 -------------------------- */
	.code32
guest_prot32:
	mov	$AT(guest_prot32, 3f), %esi
	PRINT
	mov	$0x2000, %ebx
	movl	$0x00000083, (%ebx)
	movl	$0x00400083, 4(%ebx)
	movl	$0x00400083, 8(%ebx)
	mov	%cr4, %eax
	or	$0x10, %eax
	mov	%eax, %cr4
	mov	%ebx, %cr3
	mov	%cr0, %eax
	or	$0x80000000, %eax
	mov	%eax, %cr0
	xor	%ebp, %ebp
	movl	$0x12345678, 0x400000
	cmpl	$0x12345678, 0x800000
	jne	4f
	movl	$0x00000083, 8(%ebx)
	invlpg	0x800000
	mov	0x800000 + GUEST_BASE, %eax
	cmp	GUEST_BASE, %eax
	jne	4f
	mov	$GOOD, %ebp
4:	CPUID_LOOP
	mov	%ebp, %eax
	hlt
3:	.asciz	"L2 says: hello from 32-bit protected mode\n"
guest_prot32_end:

/* ---- 32-bit PAE paging: two sets of PDPTEs, and one that changes in memory before CR3 is loaded again --------------- */
guest_pae32:
	mov	$AT(guest_pae32, 3f), %esi
	PRINT
	movl	$0x2001, 0x1000
	movl	$0x3001, 0x1020
	movl	$0x00000083, 0x2000
	movl	$0x00200083, 0x2008
	movl	$0x00200083, 0x2010
	movl	$0x00000083, 0x3000
	movl	$0x00200083, 0x3008
	movl	$0x00400083, 0x3010
	movl	$0x11111111, 0x200000
	movl	$0x22222222, 0x400000
	mov	%cr4, %eax
	or	$0x20, %eax
	mov	%eax, %cr4
	mov	$0x1000, %ebx
	mov	%ebx, %cr3
	mov	%cr0, %eax
	or	$0x80000000, %eax
	mov	%eax, %cr0
	xor	%ebp, %ebp
	cmpl	$0x11111111, 0x400000
	jne	4f
	mov	$0x1020, %eax
	mov	%eax, %cr3
	cmpl	$0x22222222, 0x400000
	jne	4f
	movl	$0x3001, 0x1000
	mov	%ebx, %cr3
	cmpl	$0x22222222, 0x400000
	jne	4f
	mov	$GOOD, %ebp
4:	CPUID_LOOP
	mov	%ebp, %eax
	hlt
3:	.asciz	"L2 says: hello from 32-bit PAE paging\n"
guest_pae32_end:

/* ---- long mode: first touch of 256 pages (EPT violations), and an access where there is no memory (MMIO) ------------ */
	.code64
guest_long64:
	mov	$AT(guest_long64, 3f), %esi
	PRINT
	CPUID_LOOP
	out	%al, $PORT_MARK
	mov	$0x100000, %edi
	mov	$256, %ecx
1:	movb	$1, (%rdi)
	add	$0x1000, %rdi
	dec	%ecx
	jnz	1b
	out	%al, $PORT_MARK
	mov	$0x3f000000, %edi
	movl	$0x600dcafe, (%rdi)
	mov	$GOOD, %eax
	hlt
3:	.asciz	"L2 says: hello from long mode\n"
guest_long64_end:

	.section .note.GNU-stack, "", @progbits
