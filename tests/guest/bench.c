/* SPDX-License-Identifier: MIT */
/*
 * Guest benchmark "bench": what VMX costs an L1, by RDTSC, which counts instructions on the emulator: exact
 * there, and the same in every run. Here are the rows of L1's own instructions. The rows are INFO lines: the
 * numbers differ between the bare processor and Socle by nature; what is verified is that L1 gets what it
 * asked.
 */
#include "tests/guest/bench.h"

GUEST_CODE(bench_spin, 64, "1: cpuid; jmp 1b");

struct bench bench_begin(const char *name, u64 rounds)
{
	return (struct bench){ .name = name, .rounds = rounds, .best = ~0ull };
}

static void print_row(const struct bench *bench, const u64 *after)
{
	static const char *const names[HW_COUNTED] = { "vmread", "vmwrite", "vmptrld",
						       "entry",	 "msr",	    "invalidate" };

	print("INFO bench %s rounds=%lu ticks=%lu", bench->name, bench->rounds, bench->best);
	if (after[0] != ~0ull)
		for (u32 i = 0; i < HW_COUNTED; i++)
			print(" %s=%lu", names[i], after[i] - bench->before[i]);
	print("\n");
}

static void snapshot(u64 *counts)
{
	for (u32 i = 0; i < HW_COUNTED; i++)
		counts[i] = socle_hw_count(i);
}

bool bench_turn(struct bench *bench)
{
	u64 now = rdtsc(), after[HW_COUNTED];

	if (bench->run && now - bench->start < bench->best)
		bench->best = now - bench->start;
	if (bench->run++ == RUNS) {
		snapshot(after);
		print_row(bench, after);
		return false;
	}
	snapshot(bench->before);
	bench->start = rdtsc();
	return true;
}

void bench_create(struct vm *vm, enum vm_mode mode, u64 flags, const void *code, u64 a, u64 b)
{
	vm_create(vm, mode, flags & ~BENCH_BITMAPS, code);
	if (flags & BENCH_BITMAPS) {
		vm_use_msr_bitmap(vm);
		vm_use_io_bitmaps(vm);
	}
	vmwrite(F_HOST_RIP, addr_of(bench_exit));
	CHECK(bench_loop(1, bench_advance, a, b, true));
	vm->launched = true;
}

TEST(l1_cpuid)
{
	u32 a, b = 0, c = 0, d = 0;

	BENCH("l1_cpuid", ROUNDS)
	for (u32 i = 0; i < ROUNDS; i++)
		asm volatile("cpuid" : "=a"(a), "=b"(b), "=c"(c), "=d"(d) : "a"(0));
	CHECK(b && c && d);
}

TEST_VMX(fields)
{
	struct vm vm;
	u64 value = 0;

	vm_create(&vm, VM_64, VM_EPT, bench_spin);
	vmwrite(F_GUEST_ES_BASE, 0x1234);
	BENCH("l1_vmread_cold", ROUNDS)
	for (u32 i = 0; i < ROUNDS; i++)
		value = field_get(F_GUEST_ES_BASE);
	CHECK(value == 0x1234);
	BENCH("l1_vmwrite_cold", ROUNDS)
	for (u32 i = 0; i < ROUNDS; i++)
		field_set(F_GUEST_ES_BASE, i);
	CHECK(vmread(F_GUEST_ES_BASE) == ROUNDS - 1);
	BENCH("l1_vmread_hot", ROUNDS)
	for (u32 i = 0; i < ROUNDS; i++)
		value = field_get(F_GUEST_RIP);
	CHECK(value == addr_of(bench_spin));
	BENCH("l1_vmwrite_hot", ROUNDS)
	for (u32 i = 0; i < ROUNDS; i++)
		field_set(F_GUEST_RIP, i);
	CHECK(vmread(F_GUEST_RIP) == ROUNDS - 1);
}

TEST_VMX(pointers)
{
	struct vm a, b;
	u64 spare = vmx_region();

	vm_create(&a, VM_64, VM_EPT, bench_spin);
	vm_create(&b, VM_64, VM_EPT, bench_spin);
	BENCH("l1_vmptrld_same", ROUNDS)
	for (u32 i = 0; i < ROUNDS; i++)
		vmptrld(b.vmcs);
	BENCH("l1_vmptrld_alternating", ROUNDS)
	for (u32 i = 0; i < ROUNDS; i++)
		vmptrld(i & 1 ? b.vmcs : a.vmcs);
	BENCH("l1_vmclear", ROUNDS)
	for (u32 i = 0; i < ROUNDS; i++)
		vmclear(spare);
	CHECK(vmread(F_EPTP) == (b.ept | EPTP_FLAGS));
}

TEST_VMX(invept_of_nothing)
{
	struct vm vm;
	u64 eptp;

	NEED(caps_proc2(PROC2_EPT));
	bench_create(&vm, VM_64, VM_EPT | VM_VPID, bench_spin, 0, 0);
	eptp = vmread(F_EPTP);
	BENCH("l1_invept_single", ROUNDS)
	for (u32 i = 0; i < ROUNDS; i++)
		invept(1, eptp);
	BENCH("l1_invept_all", ROUNDS)
	for (u32 i = 0; i < ROUNDS; i++)
		invept(2, 0);
	CHECK(bench_loop(1, bench_advance, 0, 0, false));
}
