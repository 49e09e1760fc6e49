/* SPDX-License-Identifier: MIT */
/* The benchmark's rows of EPT on EPT, and those of several CPUs at once. */
#include "tests/guest/bench.h"

GUEST_CODE(l2_touch, 64, "1: movb $1, (%rdi); add $4096, %rdi; dec %rcx; jnz 1b; vmcall; jmp 1b");
GUEST_CODE(l2_spin, 64, "1: cpuid; jmp 1b");

enum { PAGES = 256, LARGE_PAGES = 4096, SMALL_PAGES = 1024 };
#define BASE (64 * MIB) /* mapped in pages of 2 MiB on both levels */

static bool touch(struct vm *vm, u64 at, u64 pages)
{
	vm_set_code(vm, l2_touch);
	vm->regs.rdi = at;
	vm->regs.rcx = pages;
	return vm_run(vm) == REASON_VMCALL && !vm->regs.rcx;
}

TEST_VMX(ept_violations)
{
	u64 base = addr_of(page_alloc_contig(PAGES));
	struct vm vm;

	vm_create(&vm, VM_64, VM_EPT | VM_VPID, l2_touch);
	vm_use_msr_bitmap(&vm);
	vm_use_io_bitmaps(&vm);
	BENCH("l2_ept_violation", PAGES)
	{
		for (u64 i = 0; i < PAGES; i++)
			ept_map(vm.ept, base + i * PAGE_SIZE, base + i * PAGE_SIZE, 1, 0);
		invept(1, vmread(F_EPTP));
		vm_set_code(&vm, l2_touch);
		vm.regs.rdi = base;
		vm.regs.rcx = PAGES;
		bench_.start = rdtsc();
		for (u64 i = 0; i < PAGES; i++) {
			CHECK(vm_run(&vm) == REASON_EPT_VIOLATION);
			ept_map(vm.ept, base + i * PAGE_SIZE, base + i * PAGE_SIZE, 1, EPT_RWX | EPT_WB);
		}
	}
	CHECK(vm_run(&vm) == REASON_VMCALL);
}

/* An L2 of its own for each run: the first touch comes once. */
TEST_VMX(first_touch)
{
	struct vm vm;

	BENCH("l2_first_touch_2m", LARGE_PAGES)
	{
		vm_create(&vm, VM_64, VM_EPT | VM_VPID, l2_touch);
		CHECK(touch(&vm, BASE, 1));
		bench_.start = rdtsc();
		CHECK(touch(&vm, BASE + 2 * MIB, LARGE_PAGES));
	}
	BENCH("l2_touched_2m", LARGE_PAGES)
	CHECK(touch(&vm, BASE + 2 * MIB, LARGE_PAGES));
}

/* The same where L1 maps in pages of 4 KiB, all there before: one EPT02 entry at a time. */
TEST_VMX(small_pages)
{
	struct vm vm;

	vm_create(&vm, VM_64, VM_EPT | VM_VPID, l2_touch);
	for (u64 i = 0; i < SMALL_PAGES; i++)
		ept_map(vm.ept, BASE + i * PAGE_SIZE, BASE + i * PAGE_SIZE, 1, EPT_RWX | EPT_WB);
	CHECK(touch(&vm, BASE, SMALL_PAGES));
	BENCH("l2_retouch_4k", SMALL_PAGES)
	CHECK(touch(&vm, BASE, SMALL_PAGES));
	BENCH("l2_retouch_invept_4k", SMALL_PAGES)
	{
		invept(1, vmread(F_EPTP));
		CHECK(touch(&vm, BASE, SMALL_PAGES));
	}
}

/* ---- several CPUs ---- */

static u64 spent[CPU_MAX];
static volatile u32 ready;

static void loop_on_cpu(void *arg)
{
	u64 cpu = (u64)arg, start;
	struct vm vm;

	vmx_enable();
	bench_create(&vm, VM_64, VM_EPT | VM_VPID | BENCH_BITMAPS, l2_spin, 0, 0);
	__atomic_fetch_sub(&ready, 1, __ATOMIC_ACQ_REL);
	while (ready)
		cpu_pause();
	start = rdtsc();
	CHECK(bench_loop(8 * ROUNDS, bench_advance, 0, 0, false));
	spent[cpu] = rdtsc() - start;
	vmx_disable();
}

/* L2 loops on all CPUs at once, each in its own VMCS. */
TEST(cpus)
{
	u64 count = option_number("cpus", 1), all = smp_start();

	if (count > all)
		count = all;
	NEED(count > 1);
	ready = (u32)count;
	for (u64 i = 1; i < count; i++)
		smp_call((u32)i, loop_on_cpu, (void *)i);
	loop_on_cpu(NULL);
	for (u64 i = 1; i < count; i++)
		CHECK(smp_wait((u32)i, GIB));
	for (u64 i = 0; i < count; i++)
		print("INFO bench l2_cpuid_cpu%lu_of_%lu rounds=%u ticks=%lu\n", i, count, 8 * ROUNDS,
		      spent[i]);
}
