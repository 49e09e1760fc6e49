/* SPDX-License-Identifier: MIT */
/*
 * NMIs that wait: L1's NMIs are blocked as after an exit by one, and one more is pending. VMX is on.
 */
#include "tests/guest/lib/test.h"
#include "tests/guest/lib/vmx.h"

GUEST_CODE(send_nmi, 64,
	   "mov $0xfee00300, %ebx; movl $0, 0x10(%rbx); movl $0x4400, (%rbx); nop; nop; vmcall");

/* An exit by an NMI blocks NMIs for L1; the next one waits for a VM entry. Ended by nmi_unblock(). */
void nmi_block_and_hold(void)
{
	struct vm vm;

	vm_create(&vm, VM_64, 0, send_nmi);
	vmset(F_PIN, PIN_NMI);
	CHECK(vm_run(&vm) == REASON_EXCEPTION);
	apic_ipi(this_cpu()->apic_id, ICR_NMI | ICR_ASSERT);
	delay(100);
}

void nmi_unblock(void)
{
	asm volatile(
		"mov %%rsp, %%rax; push %0; push %%rax; pushfq; push %1; lea 1f(%%rip), %%rax; push %%rax; "
		"iretq; 1:"
		:
		: "r"((u64)SEL_DATA), "r"((u64)SEL_CODE64)
		: "rax", "memory");
}
