/* SPDX-License-Identifier: MIT */
/*
 * Guest test "exits": host state that L1 cannot read back, by what it does: the TSS limit that an exit loads.
 * SDM: "Loading Host Segment and Descriptor-Table Registers".
 */
#include "tests/guest/lib/test.h"
#include "tests/guest/lib/vmx.h"

GUEST_CODE(x_vmcall, 64, "vmcall");
GUEST_CODE(x_in, 64, "in %dx, %al; int $0xf0");

/* The I/O bitmap begins behind the limit of 67H: ring 3 has no port, though zeros follow in memory. */
TEST_VMX(host_tss_limit)
{
	struct exec e;
	struct vm vm;
	char buf[48];

	vm_create(&vm, VM_64, 0, x_vmcall);
	CHECK(vm_run(&vm) == REASON_VMCALL);
	exec_init(&e, addr_of(x_in));
	exec_user(&e);
	e.regs.rdx = 0x80;
	*paging_entry(cr3_read(), e.rip, 1) |= PTE_U;
	*paging_entry(cr3_read(), e.regs.rsp - 8, 1) |= PTE_U;
	cr3_write(cr3_read());
	exec_run(&e);
	result("in_ring_3=%s", fault_name(&e.out, buf));
	CHECK(e.out.vector == VEC_GP && !e.out.error);
}
