/* SPDX-License-Identifier: MIT */
/*
 * Guest test "hostile", memory that is not there while L2 ends: an instruction has written to it, or was
 * about to, when the next entry fails, a fault or an exit comes. Whatever runs next finds all memory as it
 * should be: L1's own is there, what is not there reads as ones. And the TPR threshold, by which an entry of
 * L0's own could fail. SDM: "Monitor Trap Flag", "VM Exits Induced by the TPR Threshold".
 */
#include "tests/guest/hostile.h"

#define ABSENT_ON_BARE 0x80000000ul

static u64 window;

static void find_window(u64 base, u64 size, u32 type)
{
	(void)type;
	if (size >= 4 * MIB && base >= 16 * MIB && base + size < 0xe0000000)
		window = base;
}

bool hostile_has_window(void)
{
	if (!window && under_socle())
		memory_holes(find_window);
	return window;
}

u64 hostile_absent(void)
{
	return hostile_has_window() ? window : ABSENT_ON_BARE;
}

bool hostile_absent_is_ones(void)
{
	return under_socle() || *(volatile u64 *)ptr_of(hostile_absent()) == ~0ul;
}

GUEST_CODE(s_lower, 64, "movb $0, (%rsi); mov %rax, (%rbx); vmcall");
GUEST_CODE(s_cross, 64, "mov %rax, (%rbx); vmcall");
GUEST_CODE(s_write, 64, "mov %rax, (%rbx); vmcall");
GUEST_CODE(s_read, 64, "mov (%rbx), %rax; vmcall");
GUEST_CODE(s_cpuid, 64, "cpuid; vmcall");

/* How L2 ends, or might, while its store to absent memory is under way. */
enum way { WAY_THRESHOLD, WAY_CROSS, WAY_COUNT };
static const char *const way_names[] = { "threshold", "cross" };

/* VTPR is below the threshold by a store of L2's own, of which the processor takes no notice. */
static void with_threshold(struct vm *vm, u64 *vtpr)
{
	u64 page = addr_of(page_alloc());

	vmset(F_PROC, PROC_TPR_SHADOW);
	vmwrite(F_VIRTUAL_APIC, page);
	vmwrite(F_TPR_THRESHOLD, 8);
	*vtpr = page + 0x80;
	*(volatile u32 *)ptr_of(*vtpr) = 0xf0;
	vm->regs.rsi = *vtpr;
}

/* L2 writes to the absent page that it sees at `gpa`. */
static void write_absent(struct vm *vm, enum way way, u64 gpa, u64 flags)
{
	u64 absent = hostile_absent() + 0x5000, vtpr, cr3;
	u32 reason;

	vm_create(vm, VM_64, flags, way == WAY_CROSS ? s_cross : s_lower);
	vm->regs.rbx = gpa;
	vm->regs.rax = 0x1122334455667788;
	if (vm->ept)
		ept_map(vm->ept, gpa, absent, 1, EPT_RWX | EPT_WB);
	if (way == WAY_THRESHOLD) {
		with_threshold(vm, &vtpr);
	} else {
		/* the second page of the store is an exit: by EPT, or by the fault */
		vm->regs.rbx = gpa + PAGE_SIZE - 4;
		if (vm->ept) {
			ept_map(vm->ept, gpa + PAGE_SIZE, 0, 1, 0);
		} else {
			cr3 = paging_create64();
			*paging_entry(cr3, gpa + PAGE_SIZE, 1) = 0;
			vmwrite(F_GUEST_CR3, cr3);
			vmwrite(F_EXCEPTION_BITMAP, BIT(VEC_PF));
		}
	}
	reason = vm_run(vm);
	result("%s first exit=%x pc=%lx", way_names[way], reason, vm_pc(vm));
}

/* The first L2 had EPT, the second runs on L1's memory as it is: a page of L1's was at L2's address. */
TEST_VMX(step_then_without_ept)
{
	struct vm a, b;
	u32 way;

	NEED(caps_proc2(PROC2_EPT) && caps_proc(PROC_TPR_SHADOW));
	for (way = 0; way < WAY_COUNT; way++) {
		volatile u64 *page = page_alloc_contig(2);
		u64 before;

		*page = 0xabcdef;
		write_absent(&a, way, addr_of((const void *)(u64)page), VM_EPT);
		vm_create(&b, VM_64, 0, s_cpuid);
		result("second exit=%x", vm_run(&b));
		vm_set_code(&b, s_cpuid);
		result("second exit=%x", vm_run(&b));
		before = *page;
		*page = 0x55;
		result("L1's page has %lx, then %lx", before, *page);
		CHECK(before == 0xabcdef && *page == 0x55);
	}
}

/* The other way round: nothing of the first L2's store stays at the absent address. */
TEST_VMX(step_then_with_ept)
{
	struct vm a, b;
	u32 way, i;

	NEED(caps_proc2(PROC2_EPT) && caps_proc(PROC_TPR_SHADOW));
	NEED(hostile_absent_is_ones());
	for (way = 0; way < WAY_COUNT; way++) {
		u64 at = hostile_absent() + 0x5000;
		volatile u64 *absent = ptr_of(at);

		write_absent(&a, way, at, 0);
		vm_create(&b, VM_64, VM_EPT, s_cpuid);
		result("second exit=%x", vm_run(&b));
		for (i = 0; i < 512; i += 73) {
			absent[i] = 0x4242;
			if (absent[i] != ~0ul)
				break;
		}
		result("absent words=%x", i >= 512);
		CHECK(i >= 512);
	}
}

/* And back in the first one, which may write there as often as it likes. */
TEST_VMX(step_then_the_same)
{
	struct vm a, b;
	u32 way;

	NEED(caps_proc2(PROC2_EPT) && caps_proc(PROC_TPR_SHADOW));
	NEED(hostile_absent_is_ones());
	for (way = 0; way < WAY_COUNT; way++) {
		u64 gpa = 0x3fff8000;

		write_absent(&a, way, gpa, VM_EPT);
		vm_create(&b, VM_64, VM_EPT, s_cpuid);
		result("second exit=%x", vm_run(&b));
		vm_current(&a);
		vmwrite(F_TPR_THRESHOLD, 0);
		vm_set_code(&a, s_write);
		a.regs.rbx = gpa;
		a.regs.rax = 0x6666;
		result("first exit=%x", vm_run(&a));
		vm_set_code(&a, s_read);
		a.regs.rbx = gpa;
		result("first exit=%x", vm_run(&a));
		result("read %lx", a.regs.rax);
		CHECK(a.regs.rax == ~0ul);
	}
}

/* After a store to absent memory, at which L0 enters anew, the threshold is still L1's. */
GUEST_CODE(s_tpr, 64,
	   "movb $0, (%rsi); mov %rax, (%rbx); mov %cr8, %rdx; mov %rcx, %cr8; nop; mov %cr8, %rcx; mov "
	   "%rax, (%rbx); "
	   "mov %rdi, %cr8; nop; vmcall");
/* What is written at first is above the threshold: L0 has no more reason to see the writes. */
GUEST_CODE(s_x2apic, 64,
	   "mov %rcx, %r8; mov $0xf0, %eax; mov $0x808, %ecx; xor %edx, %edx; wrmsr; wrmsr; wrmsr; wrmsr; "
	   "movb $0, (%rsi); mov %rax, (%rbx); mov %r8, %rax; wrmsr; nop; rdmsr; "
	   "vmcall");

static void report_threshold(struct vm *vm, const char *what, u32 reason, u64 vtpr)
{
	result("%s exit=%x pc=%lx vtpr=%x rdx=%lx rcx=%lx handler=%u pending=%lx", what, reason, vm_pc(vm),
	       *(volatile u32 *)ptr_of(vtpr), vm->regs.rdx, vm->regs.rcx, vm_vector(vm),
	       vmread(F_GUEST_PENDING_DEBUG));
}

TEST_VMX(threshold_after_l2s_store)
{
	static const struct {
		const char *name;
		u64 first, second, proc;
	} list[] = {
		{ "below", 7, 0, 0 },
		{ "above_then_below", 9, 4, 0 },
		{ "equal_then_above", 8, 15, 0 },
		{ "reserved", 16, 0, 0 },
		{ "l1_wants_cr8", 7, 0, PROC_CR8_LOAD },
		{ "l1_steps", 7, 0, PROC_MTF },
	};
	u32 i, n;

	NEED(caps_proc(PROC_TPR_SHADOW | PROC_MTF));
	for (i = 0; i < ARRAY_SIZE(list); i++) {
		struct vm vm;
		u64 vtpr;

		vm_create(&vm, VM_64, 0, s_tpr);
		with_threshold(&vm, &vtpr);
		vmset(F_PROC, list[i].proc);
		vm.regs.rbx = hostile_absent() + 0x5ff8;
		vm.regs.rcx = list[i].first;
		vm.regs.rdi = list[i].second;
		for (n = 0; n < 3; n++) {
			u32 reason = vm_run(&vm);

			report_threshold(&vm, list[i].name, reason, vtpr);
			if (reason == REASON_VMCALL || (reason & (VM_FAIL | REASON_FAILED_ENTRY)))
				break;
			if (reason == REASON_CR)
				vm_skip(&vm);
			/* SDM: an entry with VTPR below the threshold fails */
			vmwrite(F_TPR_THRESHOLD, 0);
		}
	}
}

TEST_VMX(threshold_by_x2apic)
{
	static const u64 values[] = { 0x70, 0x7f, 0x80, 0xff, 0x100 };
	u32 i;

	NEED(caps_proc(PROC_TPR_SHADOW | PROC_MSR_BITMAPS) && caps_proc2(PROC2_X2APIC));
	for (i = 0; i < ARRAY_SIZE(values); i++) {
		struct vm vm;
		u64 vtpr;

		vm_create(&vm, VM_64, 0, s_x2apic);
		with_threshold(&vm, &vtpr);
		vm_use_msr_bitmap(&vm);
		vmset(F_PROC, PROC_SECONDARY);
		vmset(F_PROC2, PROC2_X2APIC);
		vm.regs.rbx = hostile_absent() + 0x5ff8;
		vm.regs.rcx = values[i];
		report_threshold(&vm, "wrmsr", vm_run(&vm), vtpr);
	}
}
