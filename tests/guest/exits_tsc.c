/* SPDX-License-Identifier: MIT */
/*
 * Guest test "exits": what L2 reads of the time-stamp counter with any multiplier and offset, by RDTSC,
 * RDTSCP and RDMSR, and what is the host's again after the exit; and the time of an exit that its MSR-store
 * list takes. SDM: "Time-Stamp Counter Offset and Multiplier", "Saving MSRs".
 */
#include "tests/guest/exits.h"

GUEST_CODE(t_all, 64,
	   "rdtsc; shl $32, %rdx; or %rdx, %rax; mov %rax, %rbx; "
	   "rdtscp; shl $32, %rdx; or %rdx, %rax; mov %rax, %rsi; mov %ecx, %edi; "
	   "mov $0x10, %ecx; rdmsr; shl $32, %rdx; or %rdx, %rax; vmcall");

static u64 scaled(u64 tsc, u64 multiplier, u64 offset)
{
	return (u64)((unsigned __int128)tsc * multiplier >> 48) + offset;
}

TEST_VMX(tsc_multipliers)
{
	static const u64 multipliers[] = {
		1ull << 48, 0x0001800000000001, 0x00007fffffffffff, 0x0123456789abcdef, ~0ull, 1ull << 20, 1,
		0
	};
	static const u64 offsets[] = { 0, 0x123456789abcdef0, 0ull - 0x1000 };
	struct vm vm;
	u32 i, k, scaling;

	NEED(caps_proc(PROC_TSC_OFFSET | PROC_MSR_BITMAPS) && caps_proc2(PROC2_TSC_SCALING | PROC2_RDTSCP));
	msr_write(MSR_TSC_AUX, 0x1234);
	for (i = 0; i < ARRAY_SIZE(multipliers); i++) {
		for (k = 0; k < ARRAY_SIZE(offsets); k++) {
			/* scaling alone; offset alone; neither: as on the host */
			for (scaling = 0; scaling < 4; scaling++) {
				u64 multiplier = scaling == 3 ? multipliers[i] : 1ull << 48;
				u64 offset = scaling & 1 ? offsets[k] : 0;
				u64 before, after, values[3];
				u32 reason, v, good = 0;

				vm_create(&vm, VM_64, 0, t_all);
				vm_use_msr_bitmap(&vm);
				/* "use TSC scaling" does nothing without "use TSC offsetting" */
				vmset(F_PROC, PROC_SECONDARY | (scaling & 1 ? PROC_TSC_OFFSET : 0));
				vmset(F_PROC2, PROC2_RDTSCP | (scaling & 2 ? PROC2_TSC_SCALING : 0));
				vmwrite(F_TSC_OFFSET, offsets[k]);
				vmwrite(F_TSC_MULTIPLIER, multipliers[i]);
				before = rdtsc();
				reason = vm_run(&vm);
				after = rdtsc();
				values[0] = vm.regs.rbx;
				values[1] = vm.regs.rsi;
				values[2] = vm.regs.rax;
				for (v = 0; v < 3 && reason == REASON_VMCALL; v++)
					good += values[v] - scaled(before, multiplier, offset) <=
						scaled(after, multiplier, offset) -
							scaled(before, multiplier, offset);
				result("multiplier=%lx offset=%lx scaling=%u exit=%x good=%u aux=%lx",
				       multipliers[i], offsets[k], scaling, reason, good, vm.regs.rdi);
				CHECK(rdtsc() - after < 10000000);
			}
		}
	}
	msr_write(MSR_TSC_AUX, 0);
}

/* ---- IA32_TIME_STAMP_COUNTER in the MSR-store list ---- */

#define NEAR 100 /* ticks; the bare processor needs a few */

GUEST_CODE(t_vmcall, 64, "rdtsc; shl $32, %rdx; or %rdx, %rax; vmcall");
GUEST_CODE(t_cpuid, 64, "rdtsc; shl $32, %rdx; or %rdx, %rax; mov %rax, %rsi; cpuid");
/* L0 finds that the value is none; L1's exit is the #GP. */
GUEST_CODE(t_wrmsr, 64,
	   "rdtsc; shl $32, %rdx; or %rdx, %rax; mov %rax, %rsi; mov $0x1b, %ecx; xor %eax, %eax; "
	   "mov $-1, %edx; wrmsr; vmcall");

/* The entries of the list that store the TSC, by bit: their times are all behind L2's and near it. */
static void run_stored(struct vm *vm, const char *what, struct msr_entry *list, u32 count, u32 stores,
		       u64 offset)
{
	u64 before, after, l2;
	u32 i, reason, near = 0, in_order = 0;

	for (i = 0; i < count; i++)
		list[i] = (struct msr_entry){ stores & BIT(i) ? MSR_TSC : MSR_SYSENTER_CS, 0, 0x5555 };
	before = rdtsc();
	reason = vm_run(vm);
	after = rdtsc();
	l2 = (reason == REASON_VMCALL ? vm->regs.rax : vm->regs.rsi) - offset;
	for (i = 0; i < count; i++) {
		if (!(stores & BIT(i)))
			continue;
		near |= (list[i].value - l2 < NEAR) << i;
		in_order |= (list[i].value - before < after - before) << i;
	}
	result("%s count=%u stores=%x offset=%lx exit=%u near=%x in_order=%x other=%lx", what, count, stores,
	       offset, reason, near, in_order, stores & BIT(0) ? 0 : list[0].value);
	CHECK(near == stores && in_order == stores);
}

TEST_VMX(tsc_stored)
{
	static const u64 offsets[] = { 0, 0x123456789, 0ull - 0x1000000 };
	static const u8 *const codes[] = { t_vmcall, t_cpuid, t_wrmsr };
	static const char *const names[] = { "vmcall", "cpuid", "wrmsr" };
	struct msr_entry *list = page_alloc_contig(2);
	struct vm vm;
	u32 i, k, turn;

	NEED(caps_proc(PROC_TSC_OFFSET | PROC_MSR_BITMAPS));
	for (i = 0; i < ARRAY_SIZE(codes); i++) {
		for (k = 0; k < ARRAY_SIZE(offsets); k++) {
			vm_create(&vm, VM_64, 0, codes[i]);
			vm_use_msr_bitmap(&vm);
			vmset(F_PROC, PROC_TSC_OFFSET);
			vmwrite(F_TSC_OFFSET, offsets[k]);
			vmwrite(F_EXCEPTION_BITMAP, BIT(VEC_GP));
			vmwrite(F_EXIT_MSR_STORE, addr_of(list));
			/* Each list is L1's to change without a word; the second run has the one, the third
			 * another. */
			for (turn = 0; turn < 5; turn++) {
				static const u32 stores[] = { 1, 0, 2, 7, 1 };

				vmwrite(F_EXIT_MSR_STORE_COUNT, turn == 4 ? 1 : 3);
				vm_set_code(&vm, codes[i]);
				run_stored(&vm, names[i], list, turn == 4 ? 1 : 3, stores[turn], offsets[k]);
			}
		}
	}
	/* Across a page, the last of many. */
	vm_create(&vm, VM_64, 0, t_vmcall);
	vmwrite(F_EXIT_MSR_STORE, addr_of(list) + PAGE_SIZE - 32);
	vmwrite(F_EXIT_MSR_STORE_COUNT, 4);
	run_stored(&vm, "crossing", list + PAGE_SIZE / 16 - 2, 4, 8, 0);
}

/* An exit that comes before L2 has run: its time is the one of the entry. */
TEST_VMX(tsc_stored_held)
{
	struct msr_entry *list = page_alloc();
	u32 i, reason;
	struct vm vm;

	NEED(caps_pin(PIN_NMI | PIN_VNMI));
	vm_create(&vm, VM_64, 0, t_vmcall);
	vmwrite(F_EXIT_MSR_STORE, addr_of(list));
	vmwrite(F_EXIT_MSR_STORE_COUNT, 2);
	list[0].msr = list[1].msr = MSR_TSC;
	for (i = 0; i < 3; i++) {
		u64 before, after;

		vm_set_code(&vm, t_vmcall);
		vmunset(F_PIN, PIN_NMI | PIN_VNMI);
		if (i != 1) {
			nmi_block_and_hold();
			vm_current(&vm);
			vmset(F_PIN, PIN_NMI | PIN_VNMI);
		}
		before = rdtsc();
		reason = vm_run(&vm);
		after = rdtsc();
		if (i != 1)
			nmi_unblock();
		result("turn=%u exit=%u in_order=%u,%u", i, reason, list[0].value - before < after - before,
		       list[1].value - before < after - before);
		CHECK(list[1].value - before < after - before);
	}
}
