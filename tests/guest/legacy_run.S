/* SPDX-License-Identifier: MIT */
/*
 * Leaves long mode and runs a list of steps in 32-bit protected mode with paging of choice, then comes back: for an L1
 * that is a 32-bit hypervisor. A step is eight words: op, a, b, result, flags, vector, error, cr2 (see legacy.c). A step
 * that faults is recorded and the next one follows. legacy.c's struct legacy: cr3, cr4, steps, code and data selectors.
 */
#include "tests/guest/lib/asm.S"

	.text
	.code64
	.global	legacy_run
legacy_run:
	PUSH_KEPT
	mov	%rdi, %rbx
	mov	%ebx, argument
	SAVE_LONG_MODE
	GO_COMPATIBLE
	FLAT_DATA
	mov	$stack_top, %esp
	LEAVE_LONG_MODE
	mov	4(%ebx), %eax
	mov	%eax, %cr4
	mov	0(%ebx), %eax
	mov	%eax, %cr3
	mov	%cr0, %eax
	or	$0x80010020, %eax
	mov	%eax, %cr0
	mov	8(%ebx), %esi
	mov	20(%ebx), %ebp			/* where linear addresses begin */
	lea	legacy_idt(%ebp), %eax
	mov	%eax, idt_register + 2
	lidt	idt_register
	add	%ebp, saved_gdt_base
	lgdt	saved_gdt
	pushl	12(%ebx)
	pushl	$1f
	mov	16(%ebx), %eax
	lret
1:	mov	%eax, %ds
	mov	%eax, %es
	mov	%eax, %ss
	mov	$stack_top, %esp

step:
	mov	%esi, current
	mov	0(%esi), %eax
	mov	4(%esi), %ecx
	mov	8(%esi), %edx
	jmp	*table(, %eax, 4)
table:
	.long	out, do_vmxon, do_vmxoff, do_vmclear, do_vmptrld, do_vmptrst, do_vmread, do_vmread_memory, do_vmwrite
	.long	do_vmwrite_memory, do_vmlaunch, do_vmresume, do_invept, do_invvpid, do_vmcall, do_cr0, do_cr3, do_cr4
	.long	do_load, do_store, do_efer, do_task, do_invlpg, do_task_iret, do_ltr
do_vmxon:
	vmxon	(%ecx)
	jmp	done
do_vmxoff:
	vmxoff
	jmp	done
do_vmclear:
	vmclear	(%ecx)
	jmp	done
do_vmptrld:
	vmptrld	(%ecx)
	jmp	done
do_vmptrst:
	vmptrst	(%ecx)
	jmp	done
do_vmread:
	vmread	%ecx, %edx
	mov	%edx, 12(%esi)
	jmp	done
do_vmread_memory:
	vmread	%ecx, (%edx)
	jmp	done
do_vmwrite:
	vmwrite	%edx, %ecx
	jmp	done
do_vmwrite_memory:
	vmwrite	(%edx), %ecx
	jmp	done
do_vmlaunch:
	vmlaunch
	jmp	done
do_vmresume:
	vmresume
	jmp	done
do_invept:
	invept	(%edx), %ecx
	jmp	done
do_invvpid:
	invvpid	(%edx), %ecx
	jmp	done
do_vmcall:
	vmcall
	jmp	done
do_cr0:
	mov	%ecx, %cr0
	mov	%cr0, %edx
	mov	%edx, 12(%esi)
	jmp	done
do_cr3:
	mov	%ecx, %cr3
	jmp	done
do_cr4:
	mov	%ecx, %cr4
	mov	%cr4, %edx
	mov	%edx, 12(%esi)
	jmp	done
do_load:
	mov	(%ecx), %edx
	mov	%edx, 12(%esi)
	jmp	done
do_store:
	mov	%edx, (%ecx)
	jmp	done
do_efer:
	mov	%ecx, %edi
	mov	$0xc0000080, %ecx
	rdmsr
	mov	%edi, %eax
	wrmsr
	jmp	done
do_task:				/* from the TSS of selector a to the one of selector b */
	ltr	%cx
	mov	%edx, task_pointer + 4
	ljmp	*task_pointer
do_task_iret:				/* the same by the link in the first TSS */
	ltr	%cx
	pushf
	orl	$0x4000, (%esp)
	popf
	iret
	.global	legacy_task
legacy_task:
	mov	current, %esi
	jmp	done
do_ltr:
	ltr	%cx
	jmp	done
do_invlpg:
	invlpg	(%ecx)
	jmp	done
done:
	pushf
	popl	16(%esi)
next:
	add	$32, %esi
	jmp	step

/* VM exits come here */
	.global	legacy_exit
legacy_exit:
	mov	current, %esi
	mov	$0x4402, %eax
	vmread	%eax, 12(%esi)
	movl	$0x1000000, 16(%esi)		/* a mark that no RFLAGS has */
	jmp	next

	.global	legacy_stubs
	.align	16
legacy_stubs:
	IDT_STUBS 32, fault
fault:
	pop	%eax
	pop	%ecx
	mov	%ss, %edx			/* a task switch that faults has loaded no other segment */
	mov	%edx, %ds
	mov	%edx, %es
	mov	current, %esi
	mov	%eax, 20(%esi)
	mov	%ecx, 24(%esi)
	mov	%cr2, %edx
	mov	%edx, 28(%esi)
	mov	$stack_top, %esp
	jmp	next

out:
	mov	argument, %ebx
	mov	20(%ebx), %ebp
	sub	%ebp, saved_gdt_base
	lgdt	saved_gdt
	ljmp	$0x08, $1f
1:	FLAT_DATA
	mov	%cr0, %eax
	and	$0x7fffffff, %eax
	mov	%eax, %cr0
	ENTER_LONG_MODE
	POP_KEPT
	ret

	.data
	.align	16
	.global	legacy_idt
legacy_idt:
	.skip	8 * 256
idt_register:
	.word	8 * 256 - 1
	.long	legacy_idt
	LONG_MODE_DATA
argument:
	.long	0
task_pointer:
	.long	0
	.word	0
	.word	0
current:
	.long	0
	.skip	4096
	.global	legacy_stack
legacy_stack:
stack_top:
	.long	0
