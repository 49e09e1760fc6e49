/* SPDX-License-Identifier: MIT */
/*
 * The exercise of docs/debugging.md for gdb: a hypervisor whose guest never gets on, and nothing is refused
 * that Socle could explain. Its mistake is in emulate_cpuid().
 */
#include "tests/guest/lib/test.h"
#include "tests/guest/lib/vmx.h"

GUEST_CODE(code_ask, 64, "mov $3, %ebp; 1: cpuid; dec %ebp; jnz 1b; vmcall");

static u64 emulated, patience = ~0ull;

/* The guest is told that it has no leaves, and goes on behind its CPUID. */
static void __attribute__((noinline)) emulate_cpuid(struct vm *vm)
{
	vm->regs.rax = vm->regs.rbx = vm->regs.rcx = vm->regs.rdx = 0;
	emulated++;
}

static u32 run_guest(struct vm *vm)
{
	u32 reason = vm_run(vm);

	while (reason == REASON_CPUID && emulated < patience) {
		emulate_cpuid(vm);
		reason = vm_run(vm);
	}
	return reason;
}

TEST_VMX(asks)
{
	struct vm vm;

	vm_create(&vm, VM_64, caps_proc2(PROC2_EPT) ? VM_EPT : 0, code_ask);
	info("asks begins");
	CHECK(run_guest(&vm) == REASON_VMCALL);
	result("emulated=%lx", emulated);
}
