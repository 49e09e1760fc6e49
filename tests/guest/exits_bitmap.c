/* SPDX-License-Identifier: MIT */
/*
 * Guest test "exits": MSR and I/O bitmaps, string I/O, the TSC and PAUSE loops.
 */
#include "tests/guest/exits.h"

GUEST_CODE(c_rdmsr, 64, "rdmsr; vmcall");
GUEST_CODE(c_wrmsr, 64, "wrmsr; vmcall");

static void set_bit(u64 page, u64 bit)
{
	((u8 *)ptr_of(page))[bit / 8] |= 1 << bit % 8;
}

TEST_VMX(msr_bitmap)
{
	static const struct {
		u32 msr;
		i32 low_bit, high_bit; /* which bit of the low or high half stands for it; -1: none */
	} list[] = {
		{ 0, 0, -1 },
		{ MSR_SYSENTER_CS, MSR_SYSENTER_CS, -1 },
		{ MSR_TSC, MSR_TSC, -1 },
		{ 0x1fff, 0x1fff, -1 },
		{ 0x2000, -1, -1 },
		{ 0xbfffffff, -1, -1 },
		{ 0xc0000000, -1, 0 },
		{ MSR_STAR, -1, 0x81 },
		{ MSR_FS_BASE, -1, 0x100 },
		{ MSR_KERNEL_GS_BASE, -1, 0x102 },
		{ MSR_EFER, -1, 0x80 },
		{ 0xc0001fff, -1, 0x1fff },
		{ 0xc0002000, -1, -1 },
		{ 0x40000000, -1, -1 },
		{ 0xffffffff, -1, -1 },
		{ MSR_VMX_BASIC, MSR_VMX_BASIC, -1 },
		{ MSR_FEATURE_CONTROL, MSR_FEATURE_CONTROL, -1 },
	};
	struct vm vm;
	u32 i, write, mode;

	NEED(caps_proc(PROC_MSR_BITMAPS));
	for (i = 0; i < ARRAY_SIZE(list); i++) {
		for (write = 0; write < 2; write++) {
			/* all clear but the neighbours; only its own bit; no bitmap */
			for (mode = 0; mode < 3; mode++) {
				char name[48];
				i32 bit = list[i].low_bit >= 0 ? list[i].low_bit : list[i].high_bit;
				u64 base;

				vm_create(&vm, VM_64, 0, write ? c_wrmsr : c_rdmsr);
				if (mode < 2)
					vm_use_msr_bitmap(&vm);
				base = vm.msr_bitmap + (write ? 2048 : 0) + (list[i].low_bit >= 0 ? 0 : 1024);
				if (mode == 0 && bit >= 0) {
					memset(ptr_of(vm.msr_bitmap), 0xff, 4096);
					((u8 *)ptr_of(base))[bit / 8] &= ~(1 << bit % 8);
				}
				if (mode == 1 && bit >= 0)
					set_bit(base, (u64)bit);
				vm.regs.rcx = list[i].msr;
				if (write) {
					struct fault f;
					u64 now = guard_call(&f, (u64(*)(u64, u64, u64))(void *)msr_read,
							     list[i].msr, 0, 0);

					if (list[i].msr == MSR_TSC)
						continue;
					if (list[i].msr == MSR_EFER)
						now |= EFER_LMA;
					vm.regs.rax = (u32)now;
					vm.regs.rdx = now >> 32;
				}
				format(name, sizeof(name), "%s %x %s", write ? "wrmsr" : "rdmsr", list[i].msr,
				       mode == 0   ? "clear"
				       : mode == 1 ? "set"
						   : "none");
				go(&vm, name);
			}
		}
	}
}

/* MSRs of L2's own: what L2 writes and reads stays L2's, and L1 has its own back after the exit. */
GUEST_CODE(c_msr_own, 64, "wrmsr; xor %eax, %eax; xor %edx, %edx; rdmsr; vmcall");

TEST_VMX(msr_values)
{
	static const u32 list[] = { MSR_SYSENTER_CS, MSR_SYSENTER_ESP, MSR_SYSENTER_EIP,
				    MSR_FS_BASE,     MSR_GS_BASE,      MSR_KERNEL_GS_BASE,
				    MSR_STAR,	     MSR_LSTAR,	       MSR_SFMASK,
				    MSR_PAT,	     MSR_EFER };
	struct vm vm;
	u32 i;

	NEED(caps_proc(PROC_MSR_BITMAPS));
	for (i = 0; i < ARRAY_SIZE(list); i++) {
		u64 mine = msr_read(list[i]);
		u64 v = list[i] == MSR_PAT    ? 0x0007040600070405
			: list[i] == MSR_EFER ? EFER_LME | EFER_LMA
					      : 0x12345678;
		char name[48];

		vm_create(&vm, VM_64, 0, c_msr_own);
		vm_use_msr_bitmap(&vm);
		if (list[i] == MSR_EFER && !caps_exit(EXIT_LOAD_EFER))
			continue;
		if (list[i] == MSR_PAT && !caps_exit(EXIT_LOAD_PAT | EXIT_SAVE_PAT))
			continue;
		if (list[i] == MSR_PAT)
			vmset(F_EXIT, EXIT_LOAD_PAT | EXIT_SAVE_PAT);
		vm.regs.rcx = list[i];
		vm.regs.rax = v;
		vm.regs.rdx = v >> 32;
		format(name, sizeof(name), "msr=%x", list[i]);
		go(&vm, name);
		result("msr=%x read=%lx%08lx l1_changed=%lx", list[i], vm.regs.rdx, vm.regs.rax,
		       msr_read(list[i]) ^ mine);
		if (list[i] == MSR_EFER)
			result("saved_efer=%lx", vmread(F_GUEST_EFER));
		if (list[i] == MSR_PAT)
			result("saved_pat=%lx", vmread(F_GUEST_PAT));
		msr_write(list[i], mine);
	}
}

GUEST_CODE(c_in8_dx, 64, "in %dx, %al; vmcall");
GUEST_CODE(c_out8_imm, 64, "out %al, $0x80; vmcall");

/*
 * RF says that the breakpoint at the instruction has been dealt with: it is executed, also where a hypervisor
 * below has had to look into the bitmap first.
 */
TEST_VMX(bitmaps_and_breakpoints)
{
	static const struct {
		const char *name;
		const u8 *code;
		u64 rcx, rdx;
	} list[] = {
		{ "rdmsr_low", c_rdmsr, MSR_SYSENTER_CS, 0 },
		{ "rdmsr_high", c_rdmsr, MSR_STAR, 0 },
		{ "wrmsr", c_wrmsr, MSR_KERNEL_GS_BASE, 0 },
		{ "out", c_out8_imm, 0, 0 },
		{ "in_low", c_in8_dx, 0, 0x84 },
		{ "in_high", c_in8_dx, 0, 0xc000 },
	};
	struct vm vm;
	u32 i;

	NEED(caps_proc(PROC_MSR_BITMAPS | PROC_IO_BITMAPS));
	for (i = 0; i < 2 * ARRAY_SIZE(list); i++) {
		u32 row = i / 2;
		char name[48];

		vm_create(&vm, VM_64, 0, list[row].code);
		vm_use_msr_bitmap(&vm);
		vm_use_io_bitmaps(&vm);
		vmset(F_ENTRY, ENTRY_LOAD_DEBUG);
		vmwrite(F_GUEST_DR7, 0x401);
		vmwrite(F_EXCEPTION_BITMAP, BIT(VEC_DB));
		vmwrite(F_GUEST_RFLAGS, RFLAGS_FIXED | (i & 1 ? RFLAGS_RF : 0));
		dr0_write(addr_of(list[row].code));
		vm.regs.rcx = list[row].rcx;
		vm.regs.rdx = list[row].rdx;
		vm.regs.rax = 0;
		format(name, sizeof(name), "%s rf=%u", list[row].name, i & 1);
		go(&vm, name);
		CHECK(vmread(F_EXIT_REASON) == (i & 1 ? REASON_VMCALL : REASON_EXCEPTION));
	}
	dr0_write(0);
}

GUEST_CODE(c_in16_dx, 64, "in %dx, %ax; vmcall");
GUEST_CODE(c_in32_dx, 64, "in %dx, %eax; vmcall");
GUEST_CODE(c_out8_dx, 64, "out %al, %dx; vmcall");
GUEST_CODE(c_out16_dx, 64, "out %ax, %dx; vmcall");
GUEST_CODE(c_out32_dx, 64, "out %eax, %dx; vmcall");
GUEST_CODE(c_insb, 64, "insb; vmcall");
GUEST_CODE(c_rep_insw, 64, "rep insw; vmcall");
GUEST_CODE(c_outsl, 64, "outsl; vmcall");
GUEST_CODE(c_rep_outsb, 64, "rep outsb; vmcall");
GUEST_CODE(c_rep_outsb_fs, 64, "rep outsb %fs:(%rsi), %dx; vmcall");
GUEST_CODE(c_outsw_a32, 64, "outsw (%esi), %dx; vmcall");
GUEST_CODE(c_rep_insb_std, 64, "std; rep insb; vmcall");
GUEST_CODE(c16_rep_outsb, 16, "rep outsb; vmcall");
GUEST_CODE(c16_outsb_cs, 16, "cs outsb; vmcall");
GUEST_CODE(c16_insw_a32, 16, "addr32 insw; vmcall");
GUEST_CODE(c32_outsl_es, 32, "outsl %es:(%esi), %dx; vmcall");
GUEST_CODE(c32_in_imm, 32, "in $0x71, %al; vmcall");

TEST_VMX(io_bitmaps)
{
	static const u8 *const codes[] = {
		c_in8_dx, c_in16_dx, c_in32_dx, c_out8_dx, c_out16_dx, c_out32_dx
	};
	static const char *const names[] = { "in8", "in16", "in32", "out8", "out16", "out32" };
	static const u32 bits[] = { 0x5000, 0x7fff, 0x8000, 0xffff };
	struct vm vm;
	u32 i, b, delta;

	NEED(caps_proc(PROC_IO_BITMAPS));
	for (b = 0; b < ARRAY_SIZE(bits); b++) {
		for (i = 0; i < ARRAY_SIZE(codes); i++) {
			print("RESULT %s bit=%x %s", test_name(), bits[b], names[i]);
			for (delta = 0; delta < 6; delta++) {
				u32 port = bits[b] + 1 - delta;
				u32 reason;

				if (port > 0xffff)
					continue;
				vm_create(&vm, VM_64, 0, codes[i]);
				vm_use_io_bitmaps(&vm);
				set_bit(vm.io_bitmap, bits[b]);
				vm.regs.rdx = port;
				reason = vm_run(&vm);
				print(" %x:%u/%lx", port, reason,
				      reason == REASON_IO ? vmread(F_QUALIFICATION) : vm_pc(&vm));
			}
			print("\n");
		}
	}
	/* over the end of the port space: exits whatever the bitmaps say */
	for (i = 0; i < ARRAY_SIZE(codes); i++) {
		vm_create(&vm, VM_64, 0, codes[i]);
		vm_use_io_bitmaps(&vm);
		vm.regs.rdx = 0xffff;
		go(&vm, names[i]);
	}
	/* the bitmaps win over unconditional exiting; the bitmap is read at the access, not at entry */
	vm_create(&vm, VM_64, 0, c_in8_dx);
	vm_use_io_bitmaps(&vm);
	vmset(F_PROC, PROC_IO);
	vm.regs.rdx = 0x5000;
	go(&vm, "both_controls");
	vm_set_code(&vm, c_in8_dx);
	set_bit(vm.io_bitmap, 0x5000);
	go(&vm, "bit_set_later");
}

GUEST_CODE(c_rdtsc_then, 64, "rdtsc; vmcall");

/* What the primary controls govern holds from the entry on that has them, though L1 wrote nothing else
 * between. */
TEST_VMX(primary_controls_alone)
{
	struct vm vm;
	u32 on;

	NEED(caps_proc(PROC_IO_BITMAPS) && caps_proc(PROC_TSC_OFFSET));
	vm_create(&vm, VM_64, 0, c_in8_dx);
	vm_use_io_bitmaps(&vm);
	set_bit(vm.io_bitmap, 0x5000);
	vm.regs.rdx = 0x5000;
	vmunset(F_PROC, PROC_IO_BITMAPS);
	go(&vm, "without_bitmaps");
	vm_set_code(&vm, c_in8_dx);
	vmset(F_PROC, PROC_IO_BITMAPS);
	go(&vm, "with_bitmaps");
	CHECK(vmread(F_EXIT_REASON) == REASON_IO);
	vm_create(&vm, VM_64, 0, c_rdtsc_then);
	vmwrite(F_TSC_OFFSET, BIT(60));
	for (on = 0; on < 4; on++) {
		if (on & 1)
			vmset(F_PROC, PROC_TSC_OFFSET);
		else
			vmunset(F_PROC, PROC_TSC_OFFSET);
		vm_set_code(&vm, c_rdtsc_then);
		CHECK(vm_run(&vm) == REASON_VMCALL);
		result("tsc_offset=%u top=%lx", on & 1, vm.regs.rdx >> 28);
		CHECK(vm.regs.rdx >> 28 == (on & 1));
	}
}

TEST_VMX(string_io)
{
	static const struct {
		const char *name;
		const u8 *code;
		enum vm_mode mode;
	} list[] = {
		{ "insb", c_insb, VM_64 },
		{ "rep_insw", c_rep_insw, VM_64 },
		{ "outsl", c_outsl, VM_64 },
		{ "rep_outsb", c_rep_outsb, VM_64 },
		{ "rep_outsb_fs", c_rep_outsb_fs, VM_64 },
		{ "outsw_a32", c_outsw_a32, VM_64 },
		{ "rep_insb_std", c_rep_insb_std, VM_64 },
		{ "real_rep_outsb", c16_rep_outsb, VM_REAL },
		{ "real_outsb_cs", c16_outsb_cs, VM_REAL },
		{ "real_insw_a32", c16_insw_a32, VM_REAL },
		{ "v86_rep_outsb", c16_rep_outsb, VM_V86 },
		{ "32_outsl_es", c32_outsl_es, VM_32 },
		{ "32_in_imm", c32_in_imm, VM_32 },
	};
	u64 page = addr_of(page_alloc());
	struct vm vm;
	u32 i, k;

	for (i = 0; i < ARRAY_SIZE(list); i++) {
		if (!vm_mode_possible(list[i].mode))
			continue;
		for (k = 0; k < 4; k++) {
			bool low = list[i].mode == VM_REAL || list[i].mode == VM_V86;
			char name[48];

			vm_create(&vm, list[i].mode, 0, list[i].code);
			vmset(F_PROC, PROC_IO);
			vm.regs.rsi = low ? 0x9000 : page + 0x20;
			vm.regs.rdi = low ? 0x9800 : page + 0x40;
			vm.regs.rcx = k == 1 ? 0 : 5;
			vm.regs.rdx = 0x5000;
			if (list[i].mode == VM_64)
				vmwrite(F_GUEST_FS_BASE, 0x1000);
			if (k == 2) { /* a fault of the operand, or the exit first? */
				if (low)
					vm.regs.rsi = vm.regs.rdi = 0xffff;
				else
					vm.regs.rsi = vm.regs.rdi = 0x900000000000;
			}
			if (k == 3)
				vmwrite(F_EXCEPTION_BITMAP, ~0ull);
			format(name, sizeof(name), "%s k=%u", list[i].name, k);
			{
				u32 reason = vm_run(&vm);

				vm_report(&vm, reason, name);
				if (reason == REASON_IO && vmread(F_QUALIFICATION) & BIT(4))
					result("%s linear=%lx", name, vmread(F_GUEST_LINEAR));
			}
		}
	}
}

GUEST_CODE(c_tsc, 64, "rdtsc; shl $32, %rdx; or %rdx, %rax; mov %rax, %rbx; mov $0x10, %ecx; rdmsr; vmcall");

TEST_VMX(tsc)
{
	static const u64 offsets[] = { 0, 1ull << 40, 0ull - (1ull << 30) };
	struct vm vm;
	u32 i;

	NEED(caps_proc(PROC_TSC_OFFSET | PROC_MSR_BITMAPS));
	for (i = 0; i < ARRAY_SIZE(offsets); i++) {
		u64 before, after, msr;

		vm_create(&vm, VM_64, 0, c_tsc);
		vmset(F_PROC, PROC_TSC_OFFSET);
		vmwrite(F_TSC_OFFSET, offsets[i]);
		vm_use_msr_bitmap(&vm);
		before = rdtsc();
		CHECK(vm_run(&vm) == REASON_VMCALL);
		after = rdtsc();
		msr = vm.regs.rdx << 32 | vm.regs.rax;
		CHECK(vm.regs.rbx - offsets[i] - before <= after - before);
		CHECK(msr - offsets[i] - before <= after - before);
		CHECK(msr > vm.regs.rbx);
	}
	result("offsets=%lu", ARRAY_SIZE(offsets));
	if (!caps_proc2(PROC2_TSC_SCALING))
		return;
	for (i = 0; i < 3; i++) {
		u64 multiplier = 1ull << (47 + i);
		u64 before, after;

		vm_create(&vm, VM_64, 0, c_tsc);
		vm_use_msr_bitmap(&vm);
		vmset(F_PROC, PROC_TSC_OFFSET | PROC_SECONDARY);
		vmset(F_PROC2, PROC2_TSC_SCALING);
		vmwrite(F_TSC_OFFSET, 0x1000000);
		vmwrite(F_TSC_MULTIPLIER, multiplier);
		before = rdtsc();
		CHECK(vm_run(&vm) == REASON_VMCALL);
		after = rdtsc();
		before = (u64)((unsigned __int128)before * multiplier >> 48) + 0x1000000;
		after = (u64)((unsigned __int128)after * multiplier >> 48) + 0x1000000;
		CHECK(vm.regs.rbx - before <= after - before);
	}
	result("multipliers=%u", i);
}

GUEST_CODE(c_pause_loop, 64, "mov $10000, %ecx; 1: pause; loop 1b; vmcall");

TEST_VMX(pause_loop)
{
	struct vm vm;

	NEED(caps_proc2(PROC2_PLE));
	vm_create(&vm, VM_64, 0, c_pause_loop);
	vmset(F_PROC, PROC_SECONDARY);
	vmset(F_PROC2, PROC2_PLE);
	vmwrite(F_PLE_GAP, 0xffff);
	vmwrite(F_PLE_WINDOW, 100);
	result("exit=%u", vm_run(&vm));
}
