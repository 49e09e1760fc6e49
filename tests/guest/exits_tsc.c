/* SPDX-License-Identifier: MIT */
/*
 * Guest test "exits": what L2 reads of the time-stamp counter with any multiplier and offset, by RDTSC,
 * RDTSCP and RDMSR, and what is the host's again after the exit. SDM: "Time-Stamp Counter Offset and
 * Multiplier".
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
