/* SPDX-License-Identifier: MIT */
/*
 * Guest test "ept": memory that is not there, above all L0's window, mapped and touched in every way.
 */
#include "tests/guest/ept.h"

/* L0's window, mapped by L1 in every size: nothing is there. On the bare processor there is no such thing. */
static u64 hole_base, hole_end;

static void note_hole(u64 base, u64 size, u32 type)
{
	/* Socle's window is the reserved range right below the end of RAM; firmware's is not that large. */
	if (type != 1 && size >= 8 * MIB && base + size <= 2 * GIB && size > hole_end - hole_base) {
		hole_base = base;
		hole_end = base + size;
	}
}

GUEST_CODE(
	absent_scan, 64,
	"1: mov $512, %ecx; 2: and (%rdi), %rax; add $8, %rdi; dec %ecx; jnz 2b; dec %rsi; jnz 1b; vmcall");
GUEST_CODE(absent_spoil, 64, "1: movb $0x55, (%rdi); add $4096, %rdi; dec %rsi; jnz 1b; vmcall");

static u64 sweep(struct vm *vm, const void *code)
{
	vm_set_code(vm, code);
	vm->regs.rax = ~0ull;
	vm->regs.rdi = hole_base;
	vm->regs.rsi = (hole_end - hole_base) / PAGE_SIZE;
	CHECK(vm_run(vm) == REASON_VMCALL && vm->regs.rdi == hole_end);
	return vm->regs.rax;
}

/* Each word of the window, by an L2 whose EPT has all of it in pages of one size: ones, whatever it writes.
 */
TEST_VMX(absent_all)
{
	u32 level, ad;

	NEED(caps_proc2(PROC2_EPT));
	hole_base = hole_end = 0;
	memory_holes(note_hole);
	if (!under_socle() || !hole_base) {
		info("no window here");
		return;
	}
	for (ad = 0; ad <= !!(caps.ept_vpid & EPT_CAP_AD); ad++)
		for (level = 1; level <= 3; level++) {
			u64 span = 1ull << (12 + 9 * (level - 1)), at;
			struct target t;

			if ((level == 3 && !(caps.ept_vpid & EPT_CAP_1G)) || (ad && level != 2))
				continue;
			create_target(&t, ad);
			for (at = hole_base & ~(span - 1); at < hole_end; at += span)
				ept_map(t.vm.ept, at, at, (int)level, EPT_RWX | EPT_WB);
			CHECK(sweep(&t.vm, absent_scan) == ~0ull);
			sweep(&t.vm, absent_spoil);
			CHECK(sweep(&t.vm, absent_scan) == ~0ull);
			info("level=%u ad=%u bytes=%lx", level, ad, hole_end - hole_base);
		}
}

TEST_VMX(absent)
{
	static const u32 levels[] = { 1, 2, 3 };
	u32 i;

	NEED(caps_proc2(PROC2_EPT));
	hole_base = hole_end = 0;
	memory_holes(note_hole);
	if (!under_socle() || !hole_base) {
		info("no window here");
		return;
	}
	for (i = 0; i < ARRAY_SIZE(levels); i++) {
		u64 span = 1ull << (12 + 9 * (levels[i] - 1));
		u64 at, step = 64 * PAGE_SIZE; /* absent_all goes everywhere; here the edges matter */
		struct target t;
		u64 cr3, tried = 0, wrong = 0;

		if (levels[i] == 3 && !(caps.ept_vpid & EPT_CAP_1G))
			continue;
		create_target(&t, false);
		cr3 = vmread(F_GUEST_CR3);
		for (at = hole_base - 4 * PAGE_SIZE; at < hole_end + 4 * PAGE_SIZE;
		     at += at < hole_base || at >= hole_end - step ? PAGE_SIZE : step) {
			bool inside = at >= hole_base && at < hole_end;
			u64 old = inside ? ~0ull : *(volatile u64 *)ptr_of(at);
			u64 value;

			/* The hole at its own address behind HIGH or, for 1 GiB pages, in place. */
			*ept_entry(t.vm.ept, at, levels[i] == 3 ? 3 : (int)levels[i]) =
				(at & ~(span - 1)) | EPT_RWX | EPT_WB | (levels[i] > 1 ? EPT_PS : 0);
			*paging_entry(cr3, TEST_VA, 1) = at | PTE_P | PTE_W | PTE_A | PTE_D;
			t.vm.regs.rdi = TEST_VA;
			tried++;
			if (attempt(&t, READ) != REASON_VMCALL || t.vm.regs.rax != old)
				wrong++;
			if (attempt(&t, WRITE) != REASON_VMCALL)
				wrong++;
			if (attempt(&t, READ) != REASON_VMCALL)
				wrong++;
			value = t.vm.regs.rax;
			if (inside ? value != old : (u32)value != VMCALL_NOP)
				wrong++;
			if (!inside)
				*(volatile u64 *)ptr_of(at) = old;
		}
		info("level=%u tried=%lu wrong=%lu", levels[i], tried, wrong);
		CHECK(!wrong);
	}
}

GUEST_CODE(ept_copy, 64, "mov %rdi, %rsi; add $2048, %rsi; mov $512, %ecx; cld; rep movsb; vmcall");

/* Each way of touching what is not there, by an L2 with EPT and one without; by L1 itself; under L1's monitor
 * trap flag. */
static u32 touch_absent(struct vm *vm, const void *code, u64 va)
{
	vm_set_code(vm, code);
	vm->regs.rdi = va;
	return vm_run(vm);
}

TEST_VMX(absent_ways)
{
	u64 page, *own;
	u32 ept, i;

	NEED(caps_proc2(PROC2_EPT));
	hole_base = hole_end = 0;
	memory_holes(note_hole);
	if (!under_socle() || !hole_base) {
		info("no window here");
		return;
	}
	page = hole_base + 16 * PAGE_SIZE;
	own = ptr_of(page);
	for (i = 0; i < 64; i++) {
		CHECK(READ_ONCE(own[i * 8]) == ~0ull);
		WRITE_ONCE(own[i * 8], i);
		CHECK(READ_ONCE(own[i * 8]) == ~0ull);
	}
	memcpy(own, own + 100, 64);
	memset(own + 256, 0x55, 4096);
	CHECK(READ_ONCE(own[0]) == ~0ull && READ_ONCE(own[511]) == ~0ull && READ_ONCE(own[600]) == ~0ull);
	for (ept = 0; ept < 2; ept++) {
		u64 cr3 = paging_create64();
		struct vm vm;
		u64 pc;

		vm_create(&vm, VM_64, ept ? VM_EPT | VM_VPID : VM_VPID, ept_read);
		vmwrite(F_GUEST_CR3, cr3);
		for (i = 0; i < 3; i++)
			*paging_entry(cr3, TEST_VA + i * PAGE_SIZE, 1) =
				(page + i * PAGE_SIZE) | PTE_P | PTE_W | PTE_A | PTE_D;
		for (i = 0; i < 3; i++) {
			u64 va = TEST_VA + (i == 1 ? 0xffc : i * 8);

			CHECK(touch_absent(&vm, ept_read, va) == REASON_VMCALL && vm.regs.rax == ~0ull);
			CHECK(touch_absent(&vm, ept_write, va) == REASON_VMCALL);
			CHECK(touch_absent(&vm, ept_rmw, va) == REASON_VMCALL);
			CHECK(touch_absent(&vm, ept_copy, va) == REASON_VMCALL && vm.regs.rcx == 0);
			CHECK(touch_absent(&vm, ept_read, va) == REASON_VMCALL && vm.regs.rax == ~0ull);
		}
		/* Ones are no instruction: FF FF is #UD. */
		vmwrite(F_EXCEPTION_BITMAP, BIT(6));
		CHECK(touch_absent(&vm, ept_fetch, TEST_VA) == REASON_EXCEPTION &&
		      (vmread(F_EXIT_INTR_INFO) & 0xff) == 6);
		vmwrite(F_EXCEPTION_BITMAP, 0);
		/* L1 steps over the same instruction: one exit, behind it. */
		if (!caps_proc(PROC_MTF))
			continue;
		vmset(F_PROC, PROC_MTF);
		CHECK(touch_absent(&vm, ept_write, TEST_VA) == REASON_MTF);
		pc = vm_pc(&vm);
		CHECK(pc == 6);
		vmunset(F_PROC, PROC_MTF);
		CHECK(vm_run(&vm) == REASON_VMCALL);
		CHECK(touch_absent(&vm, ept_read, TEST_VA) == REASON_VMCALL && vm.regs.rax == ~0ull);
		info("ept=%u done", ept);
	}
}
