/* SPDX-License-Identifier: MIT */
/*
 * Guest benchmark "bench": what VMX costs an L1, by RDTSC, which counts instructions on the emulator: exact
 * there, and the same in every run. INFO lines: the numbers differ between the bare processor and Socle by
 * nature.
 */
#include "tests/guest/lib/test.h"
#include "tests/guest/lib/vmx.h"

GUEST_CODE(bench_cpuid, 64, "1: cpuid; jmp 1b");
GUEST_CODE(bench_touch, 64, "1: movb $1, (%rdi); add $4096, %rdi; dec %rcx; jnz 1b; vmcall; jmp 1b");

enum { ROUNDS = 256, WARM = 8, MANY = 14, PAGES = 256 };

/* The least of a few runs: what the first run alone pays (EPT02 fills, first merges) is not in it. */
#define MEASURE(name, per, code)                                                                             \
	do {                                                                                                 \
		u64 best = ~0ull;                                                                            \
		for (int run_ = 0; run_ < 3; run_++) {                                                       \
			u64 start_ = rdtsc();                                                                \
			for (int i = 0; i < (per); i++) {                                                    \
				code;                                                                        \
			}                                                                                    \
			u64 spent_ = (rdtsc() - start_) / (per);                                             \
			best = spent_ < best ? spent_ : best;                                                \
		}                                                                                            \
		info("%s=%lu", name, best);                                                                  \
	} while (0)

TEST(l1_cpuid)
{
	u32 a, b, c, d;

	MEASURE("cpuid_in_l1", ROUNDS, a = 0; asm volatile("cpuid" : "+a"(a), "=b"(b), "=c"(c), "=d"(d)));
}

TEST_VMX(fields)
{
	struct vm vm;
	u64 v = 0;

	vm_create(&vm, VM_64, VM_EPT, bench_cpuid);
	MEASURE("vmread_unshadowed", ROUNDS, vmread_checked(F_GUEST_ES_BASE, &v));
	MEASURE("vmwrite_unshadowed", ROUNDS, vmwrite_checked(F_GUEST_ES_BASE, i & 1));
	MEASURE("vmread_shadowed", ROUNDS, vmread_checked(F_GUEST_RIP, &v));
}

TEST_VMX(vmptrld_two)
{
	struct vm a, b;

	vm_create(&a, VM_64, VM_EPT, bench_cpuid);
	vm_create(&b, VM_64, VM_EPT, bench_cpuid);
	MEASURE("vmptrld_alternating", ROUNDS, vmptrld(i & 1 ? a.vmcs : b.vmcs));
	vm_current(&b);
}

TEST_VMX(l2_cpuid)
{
	struct vm vm;

	vm_create(&vm, VM_64, VM_EPT | VM_VPID, bench_cpuid);
	MEASURE("l2_cpuid", ROUNDS, vm_run(&vm));
	MEASURE("l2_cpuid_advancing", ROUNDS, vm_run(&vm); vm_set_code(&vm, bench_cpuid));
}

/* What a hypervisor's handler does around a CPUID: a dozen reads, half a dozen writes. */
static void handler(void)
{
	static const u64 reads[] = {
		F_EXIT_REASON, F_QUALIFICATION, F_EXIT_LENGTH, F_EXIT_INTR_INFO,
		F_IDT_INFO,    F_GUEST_RIP,	F_GUEST_RSP,   F_GUEST_RFLAGS,
		F_GUEST_CR0,   F_GUEST_CR3,	F_GUEST_CR4,   F_GUEST_INTERRUPTIBILITY
	};
	u64 v = 0;

	for (u32 i = 0; i < ARRAY_SIZE(reads); i++)
		vmread_checked(reads[i], &v);
	vmread_checked(F_GUEST_RSP, &v);
	vmwrite_checked(F_GUEST_RSP, v);
	vmread_checked(F_GUEST_RFLAGS, &v);
	vmwrite_checked(F_GUEST_RFLAGS, v);
	vmwrite_checked(F_GUEST_INTERRUPTIBILITY, 0);
	vmwrite_checked(F_ENTRY_INTR_INFO, 0);
	vmread_checked(F_GUEST_CR3, &v);
	vmwrite_checked(F_GUEST_CR3, v);
}

TEST_VMX(l2_handler)
{
	struct vm vm;

	vm_create(&vm, VM_64, VM_EPT | VM_VPID, bench_cpuid);
	MEASURE("l2_cpuid_handler", ROUNDS, vm_run(&vm); handler());
}

TEST_VMX(many)
{
	static struct vm vms[MANY];

	for (int i = 0; i < MANY; i++)
		vm_create(&vms[i], VM_64, VM_EPT | VM_VPID, bench_cpuid);
	MEASURE("l2_many", ROUNDS, vm_current(&vms[i % MANY]); vm_run(&vms[i % MANY]));
}

TEST_VMX(msr_bitmap)
{
	struct vm vm;

	vm_create(&vm, VM_64, VM_EPT | VM_VPID, bench_cpuid);
	vm_use_msr_bitmap(&vm);
	MEASURE("l2_cpuid_msr_bitmap", ROUNDS, vm_run(&vm));
	/* As every hypervisor in the field has them. */
	vm_use_io_bitmaps(&vm);
	MEASURE("l2_cpuid_bitmaps", ROUNDS, vm_run(&vm));
}

TEST_VMX(ept_violations)
{
	struct vm vm;
	u64 base = addr_of(page_alloc_contig(PAGES));

	vm_create(&vm, VM_64, VM_EPT | VM_VPID, bench_touch);
	for (int i = 0; i < PAGES; i++)
		ept_map(vm.ept, base + i * 4096ull, base + i * 4096ull, 1, 0);
	vm.regs.rdi = base;
	vm.regs.rcx = PAGES;
	MEASURE("ept_violation_repaired", PAGES, vm_run(&vm);
		ept_map(vm.ept, base + i * 4096ull, base + i * 4096ull, 1, EPT_RWX | EPT_WB));
}

TEST_VMX(first_touch)
{
	struct vm vm;
	u64 base = 0x4000000; /* mapped in pages of 2 MiB on both levels */
	u64 start;

	vm_create(&vm, VM_64, VM_EPT | VM_VPID, bench_touch);
	vm.regs.rdi = base;
	vm.regs.rcx = 4096;
	start = rdtsc();
	CHECK(vm_run(&vm) == REASON_VMCALL);
	info("first_touch_2m_per_4k=%lu", (rdtsc() - start) / 4096);
	/* The same in an L2 that has run before: what the memory alone costs. */
	vm_create(&vm, VM_64, VM_EPT | VM_VPID, bench_touch);
	vm.regs.rdi = base;
	vm.regs.rcx = 1;
	start = rdtsc();
	CHECK(vm_run(&vm) == REASON_VMCALL);
	info("first_run_of_an_l2=%lu", rdtsc() - start);
	vm_skip(&vm);
	vm.regs.rdi = base + 2 * MIB;
	vm.regs.rcx = 4096;
	start = rdtsc();
	CHECK(vm_run(&vm) == REASON_VMCALL);
	info("touch_2m_per_4k_thousandths=%lu", (rdtsc() - start) * 1000 / 4096);
	vm_skip(&vm);
	vm.regs.rdi = base + 2 * MIB;
	vm.regs.rcx = 4096;
	start = rdtsc();
	CHECK(vm_run(&vm) == REASON_VMCALL);
	info("touched_2m_per_4k_thousandths=%lu", (rdtsc() - start) * 1000 / 4096);
}

/* The same where L1 maps in pages of 4 KiB, all there before: one EPT02 entry at a time. */
TEST_VMX(first_touch_small)
{
	struct vm vm;
	u64 base = 0x4000000, i;
	u64 start;

	vm_create(&vm, VM_64, VM_EPT | VM_VPID, bench_touch);
	for (i = 0; i < 1024; i++)
		ept_map(vm.ept, base + i * 4096, base + i * 4096, 1, EPT_RWX | EPT_WB);
	vm.regs.rdi = base;
	vm.regs.rcx = 1;
	CHECK(vm_run(&vm) == REASON_VMCALL);
	vm_skip(&vm);
	vm.regs.rcx = 1023;
	start = rdtsc();
	CHECK(vm_run(&vm) == REASON_VMCALL);
	info("first_touch_4k_per_4k=%lu", (rdtsc() - start) / 1023);
}
