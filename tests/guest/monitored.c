/* SPDX-License-Identifier: MIT */
/*
 * Guest test "monitored": L1s and L2s that loop with interrupts off for a known number of instructions, so
 * that Socle's monitor has something to look at (tests/system/test_monitor.py); and timers of L1's that the
 * monitor's own must not disturb.
 */
#include "tests/guest/lib/test.h"
#include "tests/guest/lib/vmx.h"

/* RCX rounds of two instructions. */
GUEST_CODE(code_count_down, 64, "cli; movabs $0x1122334455667788, %r8; 1: dec %rcx; jnz 1b; vmcall");

#define ROUNDS 40000000ull

/* Without an exit, for about two seconds of the emulator's time. */
TEST_VMX(l2_loops)
{
	struct vm vm;

	vm_create(&vm, VM_64, caps_proc2(PROC2_EPT) ? VM_EPT : 0, code_count_down);
	vm.regs.rcx = ROUNDS;
	info("l2_loops begins");
	CHECK(vm_run(&vm) == REASON_VMCALL);
	result("rcx=%lx r8=%lx", vm.regs.rcx, vm.regs.r8);
}

TEST(l1_loops)
{
	u64 rounds = ROUNDS, value = 0x8877665544332211;

	info("l1_loops begins");
	asm volatile("mov %2, %%r9; 1: dec %0; jnz 1b; mov %%r9, %1"
		     : "+r"(rounds), "=r"(value)
		     : "r"(value)
		     : "r9", "cc");
	result("rounds=%lx value=%lx", rounds, value);
}

/*
 * L1's timer is longer than any of L0's: L2 ends by it, its value then is 0, and the time that has passed is
 * L1's. Saved at another exit, the value has gone down by what has passed.
 */
TEST_VMX(l1_timer)
{
	u32 shift = caps.misc & 31, ticks = 30000000u >> shift;
	struct vm vm;
	u64 start, passed;

	NEED(caps_pin(PIN_TIMER) && caps_exit(EXIT_SAVE_TIMER));
	vm_create(&vm, VM_64, 0, code_count_down);
	vmset(F_PIN, PIN_TIMER);
	vmset(F_EXIT, EXIT_SAVE_TIMER);
	vmwrite(F_GUEST_TIMER, ticks);
	vm.regs.rcx = ROUNDS;
	start = rdtsc();
	CHECK(vm_run(&vm) == REASON_TIMER);
	passed = rdtsc() - start;
	CHECK(vmread(F_GUEST_TIMER) == 0);
	result("early=%d", passed + (1u << shift) < (u64)ticks << shift);
	vm.regs.rcx = ROUNDS / 8;
	vmwrite(F_GUEST_TIMER, ticks);
	CHECK(vm_run(&vm) == REASON_VMCALL);
	passed = ticks - vmread(F_GUEST_TIMER);
	result("saved=%d", passed > (ROUNDS / 5) >> shift && passed < (ROUNDS / 3) >> shift);
}
