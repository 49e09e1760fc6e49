/* SPDX-License-Identifier: MIT */
/*
 * Guest test "hostile": what memory types, EPT tables, invalidations and absent memory can cost L0. The last
 * test uses up EPT01's tables, for good: nothing that needs another one can come after it.
 */
#include "tests/guest/hostile_cost.h"

static u64 window_base, window_size;

static void find_hole(u64 base, u64 size, u32 type)
{
	(void)type;
	if (size >= 4 * MIB && base >= 16 * MIB && base + size < 0xe0000000) {
		window_base = base;
		window_size = size;
	}
}

TEST(cost_window)
{
	u64 start, i;

	memory_holes(find_hole);
	for (i = 0; i + 64 * PAGE_SIZE < window_size; i += 16 * PAGE_SIZE) {
		start = rdtsc();
		*(volatile u64 *)ptr_of(window_base + i + PAGE_SIZE - 4) = i;
		took(start);
	}
	bounded("absent memory", OPERATION_MAX);
}

/* What L1 gets of memory is what it was. */
TEST(mtrrs_keep_memory)
{
	u64 *page = page_alloc(), i, wrong = 0;

	NEED((msr_read(MSR_MTRRCAP) & 0xff) * 2 >= VARIABLE);
	mtrrs_save();
	for (i = 0; i < 512; i++)
		page[i] = i * 0x1234567;
	for (i = 0; i < 64; i++) {
		msr_write(MSR_PHYSBASE0 + 2, (addr_of(page) & ~(MIB - 1)) | (i & 1 ? 6 : 0));
		msr_write(MSR_PHYSBASE0 + 3, (0xfffffff000 & ~(i << 13)) | 0x800);
		wrong += READ_ONCE(page[i * 8]) != i * 8 * 0x1234567;
		WRITE_ONCE(page[i * 8 + 1], i);
	}
	mtrrs_restore();
	for (i = 0; i < 64; i++)
		wrong += page[i * 8 + 1] != i;
	result("wrong=%lu", wrong);
	CHECK(!wrong);
}

/* ---- EPT ---- */

/* RCX pages from RBX on, RSI apart; EBP: the dearest one */
GUEST_CODE(c_touch, 64,
	   "1: rdtsc; mov %eax, %edi; incl (%rbx); rdtsc; sub %edi, %eax; cmp %eax, %ebp; jae 2f; mov %eax, "
	   "%ebp; "
	   "2: add %rsi, %rbx; loop 1b; vmcall");

static void touch(struct vm *vm, u64 from, u64 stride, u64 count)
{
	vm_set_code(vm, c_touch);
	vm->regs.rbx = from;
	vm->regs.rsi = stride;
	vm->regs.rcx = count;
	vm->regs.rbp = 0;
	CHECK(vm_run(vm) == REASON_VMCALL);
	if ((u32)vm->regs.rbp > cost_worst)
		cost_worst = (u32)vm->regs.rbp;
}

/* One table of L1's stands for each 2 MiB of 2 GiB: L0 needs a table of its own for each. */
static u64 make_wide_ept(struct vm *vm)
{
	u64 *leaves = page_alloc(), *tables = page_alloc(), page = addr_of(page_alloc()), i;

	for (i = 0; i < 512; i++) {
		leaves[i] = page | EPT_RWX | EPT_WB;
		tables[i] = addr_of(leaves) | EPT_RWX;
	}
	*ept_entry(vm->ept, GIB, 3) = *ept_entry(vm->ept, 2 * GIB, 3) = addr_of(tables) | EPT_RWX;
	return addr_of(leaves);
}

static void change_leaves(u64 leaves, u64 bits)
{
	u64 *p = ptr_of(leaves), i;

	for (i = 0; i < 512; i++)
		p[i] ^= bits;
}

TEST_VMX(cost_ept)
{
	u64 leaves, start, base;
	struct vm vm;
	u32 i;

	NEED(caps_proc2(PROC2_EPT));
	vm_create(&vm, VM_64, VM_EPT, c_vmcall);
	leaves = make_wide_ept(&vm);
	for (i = 0; i < 2; i++)
		touch(&vm, GIB, 2 * MIB, 1024);
	touch(&vm, GIB, 32 * 1024, 2048);
	bounded("violations with reclaim", OPERATION_MAX);
	for (i = 0; i < 4; i++) {
		change_leaves(leaves, BIT(52));
		start = rdtsc();
		invept(i & 1 ? 1 : 2, vm.ept | EPTP_FLAGS);
		time_entry(&vm, start);
		touch(&vm, GIB, 2 * MIB, 256);
	}
	for (i = 0; i < 4; i++) {
		change_leaves(leaves, i & 1 ? EPT_W : BIT(5));
		start = rdtsc();
		invept(2, 0);
		time_entry(&vm, start);
		change_leaves(leaves, i & 1 ? EPT_W : BIT(5));
		invept(2, 0);
		touch(&vm, GIB, 2 * MIB, 256);
	}
	bounded("INVEPT, then an entry", OPERATION_MAX);
	touch(&vm, GIB, 2 * MIB, 1024);
	cost_worst = 0;
	*ept_entry(vm.ept, GIB, 3) ^= EPT_RWX;
	*ept_entry(vm.ept, 2 * GIB, 3) ^= EPT_RWX;
	start = rdtsc();
	invept(2, 0);
	time_entry(&vm, start);
	bounded("a GiB taken away", OPERATION_MAX);
	*ept_entry(vm.ept, GIB, 3) ^= EPT_RWX;
	*ept_entry(vm.ept, 2 * GIB, 3) ^= EPT_RWX;
	touch(&vm, GIB, 2 * MIB, 1024);
	cost_worst = 0;
	base = msr_read(MSR_PHYSBASE0 + 2);
	start = rdtsc();
	msr_write(MSR_PHYSBASE0 + 2, base ^ 0x100000);
	msr_write(MSR_PHYSBASE0 + 2, base);
	time_entry(&vm, start);
	bounded("MTRRs with full EPT02s", OPERATION_MAX);
	touch(&vm, GIB, 2 * MIB, 1024);
	cost_worst = 0;
	start = rdtsc();
	vmx_disable();
	took(start);
	bounded("VMXOFF with full EPT02s", OPERATION_MAX);
	vmx_enable();
}

TEST_VMX(cost_invalidations)
{
	u64 start;
	u32 i;

	NEED(caps.ept_vpid & EPT_CAP_INVEPT);
	for (i = 0; i < 64; i++) {
		start = rdtsc();
		invept(2, 0);
		took(start);
		start = rdtsc();
		if (caps.ept_vpid & EPT_CAP_INVVPID) {
			invvpid(2, 0, 0);
			invvpid(1, (u16)(i + 1), 0);
		}
		took(start);
	}
	bounded("INVEPT and INVVPID", OPERATION_MAX);
}

/* ---- memory types ---- */

static u64 write_msr(u64 msr, u64 value, u64 unused)
{
	(void)unused;
	msr_write((u32)msr, value);
	return 0;
}

static u64 read_place(u64 at, u64 a, u64 b)
{
	(void)a;
	(void)b;
	return *(volatile u64 *)ptr_of(at);
}

/* EPT01's tables are used up by MMIO, then ranges whose masks have holes cut all memory into pages. */
TEST(cost_mtrrs)
{
	u64 va = 0x400000000000, seed = 4, r;
	struct fault f;
	u32 i, k;

	NEED((msr_read(MSR_MTRRCAP) & 0xff) * 2 >= VARIABLE);
	mtrrs_save();
	for (i = 0; i < 250; i++) {
		u64 start = rdtsc();

		paging_map(va, 0x1000000000 + i * GIB, PTE_P | PTE_W);
		guard_call(&f, read_place, va, 0, 0);
		took(start);
	}
	bounded("MMIO touched first", OPERATION_MAX);
	for (k = 0; k < 100; k++) {
		u64 start = rdtsc();

		r = random_next(&seed);
		guard_call(&f, write_msr, MSR_PHYSBASE0 + (r & 15),
			   r & 1 ? (0xfffffff000 & ~(r >> 8 & 0xfff000)) | 0x800
				 : (r >> 20 & 0xfffff000) | (r >> 60 & 7),
			   0);
		guard_call(&f, write_msr, MSR_MTRR_DEF_TYPE, 0xc00 | (r >> 40 & 7), 0);
		took(start);
		for (i = 0; i < 6; i++) {
			u64 place = i ? random_next(&seed) & 0x1ffff000 : 0x2000000000;

			start = rdtsc();
			paging_map(va, place, PTE_P | PTE_W);
			guard_call(&f, read_place, va, 0, 0);
			took(start);
		}
	}
	mtrrs_restore();
	bounded("MTRR writes and touches", OPERATION_MAX);
}
