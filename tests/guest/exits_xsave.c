/* SPDX-License-Identifier: MIT */
/*
 * Guest test "exits": XSAVES and XRSTORS by their control and the XSS-exiting bitmap, IA32_XSS, XSETBV. No
 * state component of IA32_XSS is left for L1 on the models that are tested (CET is hidden), so that the
 * bitmap never makes an exit here. SDM: volume 3, "Instructions That Cause VM Exits Conditionally"; volume 1,
 * "XSAVES".
 */
#include "tests/guest/exits.h"

#define CET_COMPONENTS (BIT(11) | BIT(12)) /* the bare processor may have them */

GUEST_CODE(x_saves, 64, ".byte 0x0f, 0xc7, 0x2b; vmcall");
GUEST_CODE(x_rstors, 64, ".byte 0x0f, 0xc7, 0x1b; vmcall");
GUEST_CODE(x_saves64, 64, ".byte 0x48, 0x0f, 0xc7, 0x6b, 0x40; vmcall");
GUEST_CODE(x_rdmsr, 64, "rdmsr; vmcall");
GUEST_CODE(x_wrmsr, 64, "wrmsr; vmcall");

TEST_VMX(xsaves)
{
	static const u8 *const codes[] = { x_saves, x_saves64, x_rstors };
	static const u64 features[] = { 0, 1, 7, BIT(8) | BIT(40), ~0ull };
	u64 area = addr_of(page_alloc_contig(2));
	u32 c, control, bitmap, f, mode;
	struct vm vm;

	NEED(caps_proc2(PROC2_XSAVES) && cpuid(13, 1).eax & BIT(3));
	*paging_entry(cr3_read(), addr_of(x_saves) & ~(PAGE_SIZE - 1), 1) |= PTE_U;
	*paging_entry(cr3_read(), area, 1) |= PTE_U;
	cr3_write(cr3_read());
	for (c = 0; c < ARRAY_SIZE(codes); c++) {
		for (control = 0; control < 2; control++) {
			for (bitmap = 0; bitmap < 2; bitmap++) {
				print("RESULT %s code=%u control=%u bitmap=%u", test_name(), c, control,
				      bitmap);
				/* as it is; TS; without OSXSAVE; ring 3; not aligned */
				for (mode = 0; mode < 5; mode++) {
					for (f = 0; f < ARRAY_SIZE(features); f++) {
						u64 mark = page_mark();
						u32 reason;

						vm_create(&vm, VM_64, 0, codes[c]);
						vmwrite(F_EXCEPTION_BITMAP, ~0u);
						vmset(F_PROC, PROC_SECONDARY);
						if (control)
							vmset(F_PROC2, PROC2_XSAVES);
						vmwrite(F_XSS_BITMAP, bitmap ? ~0ull : 0);
						if (mode != 2)
							vmset(F_GUEST_CR4, CR4_OSXSAVE);
						if (mode == 1)
							vmset(F_GUEST_CR0, CR0_TS);
						if (mode == 3) {
							vmwrite(F_GUEST_CS, SEL_USER64);
							vmwrite(F_GUEST_CS_RIGHTS, 0xa0fb);
							vmwrite(F_GUEST_SS, SEL_USER_DATA);
							vmwrite(F_GUEST_SS_RIGHTS, 0xc0f3);
						}
						vm.regs.rbx = area + (mode == 4 ? 8 : 0);
						vm.regs.rax = (u32)features[f];
						vm.regs.rdx = features[f] >> 32;
						/* a header that XRSTORS takes */
						memset(ptr_of(area), 0, 1024);
						((u64 *)ptr_of(area))[65] = BIT(63);
						reason = vm_run(&vm);
						print(" %u", reason);
						if (reason == REASON_EXCEPTION)
							print("(%lx)", vmread(F_EXIT_INTR_INFO) & 0xff);
						else if (reason == REASON_VMCALL && c < 2)
							print("(%lx,%lx)", ((u64 *)ptr_of(area))[64 + c * 8],
							      ((u64 *)ptr_of(area))[65 + c * 8]);
						page_release(mark);
					}
				}
				print("\n");
			}
		}
	}
}

/* IA32_XSS by L1, by L2 with and without an exit, and by a list: a bit of a component that is not there
 * faults.
 */
TEST_VMX(xss)
{
	u64 refused = 0, other = 0, mark;
	struct msr_entry *entry = page_alloc();
	struct fault f;
	struct vm vm;
	u32 i;

	guard_call(&f, (u64(*)(u64, u64, u64))(void *)msr_read, MSR_XSS, 0, 0);
	result("read vector=%x", f.vector);
	mark = page_mark();
	for (i = 0; i < 64; i++) {
		guard_call(&f, (u64(*)(u64, u64, u64))(void *)msr_write, MSR_XSS, BIT(i), 0);
		if (f.vector == VEC_GP)
			refused |= BIT(i);
		else
			guard_call(&f, (u64(*)(u64, u64, u64))(void *)msr_write, MSR_XSS, 0, 0);
		vm_create(&vm, VM_64, 0, x_wrmsr);
		vm_use_msr_bitmap(&vm);
		vmwrite(F_EXCEPTION_BITMAP, BIT(VEC_GP));
		vm.regs.rcx = MSR_XSS;
		vm.regs.rax = (u32)BIT(i);
		vm.regs.rdx = BIT(i) >> 32;
		if (vm_run(&vm) == REASON_EXCEPTION)
			other |= BIT(i);
		guard_call(&f, (u64(*)(u64, u64, u64))(void *)msr_write, MSR_XSS, 0, 0);
		page_release(mark);
	}
	result("refused=%lx l2=%lx", refused | CET_COMPONENTS, other | CET_COMPONENTS);
	info("refused=%lx l2=%lx", refused, other);
	for (i = 0; i < 3; i++) {
		vm_create(&vm, VM_64, 0, x_rdmsr);
		vmwrite(F_EXCEPTION_BITMAP, BIT(VEC_GP));
		vm_use_msr_bitmap(&vm);
		entry[0] = (struct msr_entry){ MSR_XSS, 0, i == 0 ? 0 : i == 1 ? BIT(8) : BIT(62) };
		vmwrite(F_ENTRY_MSR_LOAD, addr_of(entry));
		vmwrite(F_ENTRY_MSR_LOAD_COUNT, 1);
		vm.regs.rcx = MSR_XSS;
		go(&vm, "list");
	}
}

GUEST_CODE(x_umwait, 64, ".byte 0xf2, 0x0f, 0xae, 0xf1; vmcall");
GUEST_CODE(x_tpause, 64, ".byte 0x66, 0x0f, 0xae, 0xf6; vmcall");
GUEST_CODE(x_umonitor, 64, ".byte 0xf3, 0x0f, 0xae, 0xf3; .byte 0xf2, 0x0f, 0xae, 0xf1; vmcall");

/* UMWAIT and TPAUSE: undefined without "enable user wait and pause", exits by "RDTSC exiting" with it. The
 * deadline is past. On the models sapphire_rapids and later. */
TEST_VMX(user_wait)
{
	static const u8 *const codes[] = { x_umwait, x_tpause, x_umonitor };
	u64 page = addr_of(page_alloc());
	u32 c, control, exiting, mode;
	struct vm vm;

	NEED(caps_proc2(PROC2_USER_WAIT) && cpuid(7, 0).ecx & BIT(5));
	*paging_entry(cr3_read(), addr_of(x_umwait) & ~(PAGE_SIZE - 1), 1) |= PTE_U;
	*paging_entry(cr3_read(), page, 1) |= PTE_U;
	cr3_write(cr3_read());
	for (c = 0; c < ARRAY_SIZE(codes); c++) {
		for (control = 0; control < 2; control++) {
			for (exiting = 0; exiting < 2; exiting++) {
				/* as it is; a reserved bit in the operand; ring 3; the same with TSD */
				for (mode = 0; mode < 4; mode++) {
					char name[48];

					vm_create(&vm, VM_64, 0, codes[c]);
					vmwrite(F_EXCEPTION_BITMAP, ~0u);
					vmset(F_PROC, PROC_SECONDARY | (exiting ? PROC_RDTSC : 0));
					if (control)
						vmset(F_PROC2, PROC2_USER_WAIT);
					if (mode > 1) {
						vmwrite(F_GUEST_CS, SEL_USER64);
						vmwrite(F_GUEST_CS_RIGHTS, 0xa0fb);
						vmwrite(F_GUEST_SS, SEL_USER_DATA);
						vmwrite(F_GUEST_SS_RIGHTS, 0xc0f3);
					}
					if (mode == 3)
						vmset(F_GUEST_CR4, CR4_TSD);
					vm.regs.rcx = vm.regs.rsi = mode == 1 ? 2 : 1;
					vm.regs.rbx = page;
					format(name, sizeof(name), "code=%u control=%u exiting=%u mode=%u", c,
					       control, exiting, mode);
					go(&vm, name);
				}
			}
		}
	}
}

GUEST_CODE(x_xsetbv, 64, "xsetbv; vmcall");
GUEST_CODE(x_xsetbv16, 16, "xsetbv; vmcall");

static u64 xcr0_read(void)
{
	u32 low, high;

	asm volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
	return low | (u64)high << 32;
}

/*
 * XSETBV outside ring 0 is #GP(0), before the exit, and leaves XCR0 alone; without CR4.OSXSAVE #UD comes
 * first. The emulator exits before it looks at the privilege level (tests/deviations.md): from L2 that shows
 * in INFO lines. L1's is its processor's on the bare machine, and must be the same under Socle.
 */
TEST_VMX(xsetbv_user)
{
	u8 *page = page_alloc();
	u64 cr4 = cr4_read();
	u32 mode, reason;
	struct exec e;
	struct vm vm;

	NEED(cpuid(1, 0).ecx & BIT(26));
	*paging_entry(cr3_read(), addr_of(x_xsetbv) & ~(PAGE_SIZE - 1), 1) |= PTE_U;
	memcpy(page, "\x0f\x01\xd1\xcd\xf0", 5);
	paging_map(addr_of(page), addr_of(page), PTE_P | PTE_W | PTE_U);
	cr4_write(cr4 | CR4_OSXSAVE);
	xsetbv(0, 3);
	/* OSXSAVE or not; ring 3, ring 0 */
	for (mode = 0; mode < 4; mode++) {
		char name[48];

		cr4_write(mode & 1 ? cr4 & ~CR4_OSXSAVE : cr4 | CR4_OSXSAVE);
		exec_init(&e, addr_of(page));
		if (mode < 2)
			exec_user(&e);
		e.regs.rax = 1;
		e.regs.rcx = e.regs.rdx = 0;
		exec_run(&e);
		cr4_write(cr4 | CR4_OSXSAVE);
		result("L1 mode=%u %s xcr0=%lx", mode, fault_name(&e.out, name), xcr0_read());
	}
	xsetbv(0, 3);
	/* OSXSAVE or not; ring 3, virtual-8086 mode */
	for (mode = 0; mode < 4; mode++) {
		vm_create(&vm, mode & 2 ? VM_V86 : VM_64, 0, mode & 2 ? x_xsetbv16 : x_xsetbv);
		vmwrite(F_EXCEPTION_BITMAP, ~0u);
		if (!(mode & 1))
			vmset(F_GUEST_CR4, CR4_OSXSAVE);
		if (!(mode & 2)) {
			vmwrite(F_GUEST_CS, SEL_USER64);
			vmwrite(F_GUEST_CS_RIGHTS, 0xa0fb);
			vmwrite(F_GUEST_SS, SEL_USER_DATA);
			vmwrite(F_GUEST_SS_RIGHTS, 0xc0f3);
		}
		vm.regs.rax = 1;
		vm.regs.rcx = vm.regs.rdx = 0;
		reason = vm_run(&vm);
		info("L2 mode=%u exit=%u", mode, reason);
		if (under_socle() || mode & 1)
			CHECK(reason == REASON_EXCEPTION &&
			      (vmread(F_EXIT_INTR_INFO) & 0xff) == (mode & 1 ? VEC_UD : VEC_GP));
		CHECK(xcr0_read() == 3);
	}
	xsetbv(0, 1);
	cr4_write(cr4);
}
