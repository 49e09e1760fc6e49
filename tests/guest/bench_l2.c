/* SPDX-License-Identifier: MIT */
/*
 * The benchmark's round trips: L2 exits, L1's handler does what it does, L2 goes on. Handlers touch the
 * fields that the hypervisor of their name touches around such an exit, as its source has it.
 */
#include "tests/guest/bench.h"

GUEST_CODE(l2_cpuid, 64, "1: cpuid; jmp 1b");
GUEST_CODE(l2_vmcall, 64, "1: vmcall; jmp 1b");
GUEST_CODE(l2_rdmsr, 64, "1: mov $0x10, %ecx; rdmsr; jmp 1b");
GUEST_CODE(l2_out, 64, "1: out %al, $0x80; jmp 1b");
GUEST_CODE(l2_cr3, 32, "1: mov %ebx, %cr3; xchg %ebx, %ebp; vmcall; jmp 1b");

enum { MANY = 14 };

static void row(const char *name, u64 flags, const void *code, void (*handler)(void), u32 reason)
{
	struct vm vm;

	bench_create(&vm, VM_64, flags, code, 0, 0);
	BENCH(name, ROUNDS)
	CHECK(bench_loop(ROUNDS, handler, 0, 0, false));
	CHECK(vmread(F_EXIT_REASON) == reason);
}

#define USUAL (VM_EPT | VM_VPID | BENCH_BITMAPS)

TEST_VMX(l2_cpuid)
{
	row("l2_cpuid", USUAL, l2_cpuid, bench_advance, REASON_CPUID);
	row("l2_cpuid_no_bitmaps", VM_EPT | VM_VPID, l2_cpuid, bench_advance, REASON_CPUID);
	row("l2_cpuid_no_vpid", VM_EPT | BENCH_BITMAPS, l2_cpuid, bench_advance, REASON_CPUID);
	row("l2_cpuid_no_ept", BENCH_BITMAPS, l2_cpuid, bench_advance, REASON_CPUID);
	row("l2_vmcall", USUAL, l2_vmcall, bench_advance, REASON_VMCALL);
}

/* As KVM has it where L2's IA32_EFER is L1's own: neither entry nor exit loads it. */
TEST_VMX(l2_cpuid_no_efer)
{
	struct vm vm;

	bench_create(&vm, VM_64, USUAL, l2_cpuid, 0, 0);
	vmwrite(F_ENTRY, vmread(F_ENTRY) & ~ENTRY_LOAD_EFER);
	vmwrite(F_EXIT, vmread(F_EXIT) & ~EXIT_LOAD_EFER);
	BENCH("l2_cpuid_no_efer", ROUNDS)
	CHECK(bench_loop(ROUNDS, bench_advance, 0, 0, false));
	CHECK(vmread(F_EXIT_REASON) == REASON_CPUID);
}

/* Linux 6.1, arch/x86/kvm/vmx: twelve reads, six writes; the TSC offset and the interrupt window at each. */
static void handler_kvm(void)
{
	static u64 turn;
	u64 rip, rsp;

	turn++;
	field_get(F_EXIT_REASON);
	field_get(F_IDT_INFO);
	field_get(F_EXIT_INTR_INFO);
	field_get(F_QUALIFICATION);
	field_get(F_GUEST_RFLAGS);
	field_get(F_GUEST_CR0);
	field_get(F_GUEST_CR3);
	field_get(F_GUEST_CR4);
	rip = field_get(F_GUEST_RIP);
	rsp = field_get(F_GUEST_RSP);
	field_set(F_GUEST_RIP, rip + field_get(F_EXIT_LENGTH));
	field_set(F_GUEST_INTERRUPTIBILITY, field_get(F_GUEST_INTERRUPTIBILITY) & ~3ull);
	field_set(F_GUEST_RSP, rsp);
	field_set(F_TSC_OFFSET, turn << 8);
	field_set(F_PROC, field_get(F_PROC) ^ PROC_INTR_WINDOW);
	field_set(F_ENTRY_INTR_INFO, 0);
}

/* Xen 4.17, xen/arch/x86/hvm/vmx. */
static void handler_xen(void)
{
	u64 rip, rsp, rflags;

	rip = field_get(F_GUEST_RIP);
	rsp = field_get(F_GUEST_RSP);
	rflags = field_get(F_GUEST_RFLAGS);
	field_get(F_EXIT_REASON);
	field_get(F_GUEST_CR3);
	field_get(F_IDT_INFO);
	field_get(F_GUEST_INTERRUPTIBILITY);
	rip += field_get(F_EXIT_LENGTH);
	field_get(F_ENTRY_INTR_INFO);
	field_set(F_TPR_THRESHOLD, 0);
	field_set(F_GUEST_RIP, rip);
	field_set(F_GUEST_RSP, rsp);
	field_set(F_GUEST_RFLAGS, rflags);
}

TEST_VMX(l2_handlers)
{
	struct vm vm;

	bench_create(&vm, VM_64, USUAL, l2_cpuid, 0, 0);
	vmset(F_PROC, PROC_TSC_OFFSET);
	BENCH("l2_cpuid_kvm", ROUNDS)
	CHECK(bench_loop(ROUNDS, handler_kvm, 0, 0, false));
	CHECK(vmread(F_EXIT_REASON) == REASON_CPUID);
	row("l2_cpuid_xen", USUAL, l2_cpuid, handler_xen, REASON_CPUID);
}

TEST_VMX(l2_by_bitmap)
{
	struct vm vm;
	u8 *bitmap;

	bench_create(&vm, VM_64, USUAL, l2_cpuid, 0, 0);
	bitmap = ptr_of(vm.msr_bitmap);
	bitmap[0x10 / 8] |= BIT(0x10 % 8);
	vm_set_code(&vm, l2_rdmsr);
	BENCH("l2_rdmsr", ROUNDS)
	CHECK(bench_loop(ROUNDS, bench_advance, 0, 0, false));
	CHECK(vmread(F_EXIT_REASON) == REASON_RDMSR);
	bitmap = ptr_of(vm.io_bitmap);
	bitmap[0x80 / 8] |= BIT(0x80 % 8);
	vm_set_code(&vm, l2_out);
	BENCH("l2_out", ROUNDS)
	CHECK(bench_loop(ROUNDS, bench_advance, 0, 0, false));
	CHECK(vmread(F_EXIT_REASON) == REASON_IO);
}

static u64 inject_rip, inject_rsp;

static void handler_none(void)
{
}

/* The handler in L2 is a VMCALL: it never returns, its frame is thrown away. */
static void handler_inject(void)
{
	field_set(F_GUEST_RIP, inject_rip);
	field_set(F_GUEST_RSP, inject_rsp);
	field_set(F_GUEST_RFLAGS, 0x202);
	field_set(F_ENTRY_INTR_INFO, INTR_VALID | INTR_EXTERNAL | 0x40);
}

TEST_VMX(l2_inject)
{
	struct vm vm;

	bench_create(&vm, VM_64, USUAL, l2_vmcall, 0, 0);
	inject_rip = addr_of(l2_vmcall);
	inject_rsp = vm.stack;
	BENCH("l2_inject", ROUNDS)
	CHECK(bench_loop(ROUNDS, handler_inject, 0, 0, false));
	CHECK(bench_loop(1, handler_none, 0, 0, false));
	CHECK(vmread(F_EXIT_REASON) == REASON_VMCALL && vm_vector(&vm) == 0x40);
}

TEST_VMX(l2_pae_cr3)
{
	u64 one = paging_create_pae(), other = paging_create_pae();
	struct vm vm;

	bench_create(&vm, VM_PAE, USUAL, l2_cr3, one, other);
	BENCH("l2_pae_cr3", ROUNDS)
	CHECK(bench_loop(ROUNDS, bench_advance, one, other, false));
	CHECK(vmread(F_GUEST_CR3) == other && vmread(F_GUEST_PDPTE0) == *(u64 *)ptr_of(other));
}

TEST_VMX(l2_many)
{
	static struct vm vms[MANY];

	for (u32 i = 0; i < MANY; i++) {
		vm_create(&vms[i], VM_64, VM_EPT | VM_VPID, l2_cpuid);
		vm_use_msr_bitmap(&vms[i]);
		vm_use_io_bitmaps(&vms[i]);
		CHECK(vm_run(&vms[i]) == REASON_CPUID);
	}
	BENCH("l2_many", ROUNDS)
	for (u32 i = 0; i < ROUNDS; i++)
		CHECK(vm_run(&vms[i % MANY]) == REASON_CPUID);
}
