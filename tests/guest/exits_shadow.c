/* SPDX-License-Identifier: MIT */
/*
 * Guest test "exits": an instruction in the shadow of STI or MOV SS, or single-stepped, that L0 may have to
 * carry out or to let through by itself: what waits for the end of the shadow comes right behind it, neither
 * before nor an instruction later. SDM: "Interruptibility State", "Pending Debug Exceptions", "Monitor Trap
 * Flag".
 */
#include "tests/guest/exits.h"

enum { IRQ = 0x61 };

GUEST_CODE(h_nop, 64, "nop; nop; nop; vmcall");
GUEST_CODE(h_rdmsr, 64, "rdmsr; nop; nop; vmcall");
GUEST_CODE(h_wrmsr, 64, "wrmsr; nop; nop; vmcall");
GUEST_CODE(h_cr0, 64, "mov %rsi, %cr0; nop; nop; vmcall");
GUEST_CODE(h_cr3, 64, "mov %rdi, %cr3; nop; nop; vmcall");
GUEST_CODE(h_clts, 64, "clts; nop; nop; vmcall");
GUEST_CODE(h_touch, 64, "mov (%rbx), %r8; nop; nop; vmcall");
GUEST_CODE(h_ud, 64, "ud2; nop; nop; vmcall");
GUEST_CODE(h_cpuid, 64, "cpuid; nop; nop; vmcall");
GUEST_CODE(h_vmfunc, 64, "vmfunc; nop; nop; vmcall");
GUEST_CODE(h_pf, 64, "mov (%r9), %r8; nop; nop; vmcall");

static const struct shadowed {
	const char *name;
	const u8 *code;
	u32 msr;
} instructions[] = {
	{ "nop", h_nop, 0 },
	{ "rdmsr_vmx", h_rdmsr, MSR_VMX_BASIC },
	{ "rdmsr_bad", h_rdmsr, 0x4321 },
	{ "wrmsr_vmx", h_wrmsr, MSR_VMX_BASIC },
	{ "wrmsr_apic", h_wrmsr, MSR_APIC_BASE },
	{ "cr0", h_cr0, 0 },
	{ "cr3", h_cr3, 0 },
	{ "clts", h_clts, 0 },
	{ "touch", h_touch, 0 },
	{ "pf", h_pf, 0 },
	{ "ud", h_ud, 0 },
	{ "cpuid", h_cpuid, 0 },
	{ "vmfunc", h_vmfunc, 0 },
};

static const struct watch {
	const char *name;
	u64 pin, proc, exceptions;
	bool interrupt, step;
} watches[] = {
	{ "plain", 0, 0, 0, false, false },
	{ "exceptions", 0, 0, ~0u, false, false },
	{ "window", 0, PROC_INTR_WINDOW, 0, false, false },
	{ "nmi_window", PIN_NMI | PIN_VNMI, PROC_NMI_WINDOW, 0, false, false },
	{ "interrupt", 0, 0, 0, true, false },
	{ "interrupt_exits", PIN_EXTINT, 0, 0, true, false },
	{ "mtf", 0, PROC_MTF, 0, false, false },
	{ "step", 0, 0, 0, false, true },
	{ "step_exits", 0, 0, BIT(VEC_DB), false, true },
	{ "step_mtf", 0, PROC_MTF, 0, false, true },
	{ "step_window", 0, PROC_INTR_WINDOW, 0, false, true },
	{ "step_interrupt", 0, 0, 0, true, true },
};

static void one(const struct shadowed *i, const struct watch *w, u64 block)
{
	u64 fresh = addr_of(page_alloc()), *list = page_alloc(), *pages = page_alloc_contig(8);
	struct vm vm;
	u32 reason;

	vm_create(&vm, VM_64, caps_proc2(PROC2_EPT) ? VM_EPT : 0, i->code);
	vm_use_msr_bitmap(&vm);
	vmset(F_PIN, w->pin);
	vmset(F_PROC, w->proc);
	vmwrite(F_EXCEPTION_BITMAP, w->exceptions);
	vmset(F_GUEST_RFLAGS, RFLAGS_IF | (w->step ? RFLAGS_TF : 0));
	vmwrite(F_GUEST_INTERRUPTIBILITY, block);
	/* as the instruction before left it */
	if (w->step && block)
		vmwrite(F_GUEST_PENDING_DEBUG, BIT(14));
	if (i->code == h_clts)
		vmset(F_GUEST_CR0, CR0_TS);
	if (i->code == h_vmfunc) {
		vmset(F_PROC2, PROC2_VMFUNC);
		vmwrite(F_VMFUNC_CONTROLS, 1);
		vmwrite(F_EPTP_LIST, addr_of(list));
		list[0] = vm.ept | EPTP_FLAGS;
	}
	if (vm.ept) { /* another page each time, which L0 has not mapped yet */
		static u32 turn;

		ept_map(vm.ept, fresh, addr_of(pages) + turn++ % 8 * PAGE_SIZE, 1, EPT_RWX | EPT_WB);
		invept(2, 0);
	}
	vm.regs.rax = i->msr == MSR_APIC_BASE ? (u32)msr_read(MSR_APIC_BASE) : 0;
	vm.regs.rcx = i->msr;
	vm.regs.rbx = fresh;
	vm.regs.rsi = vmread(F_GUEST_CR0) ^ CR0_MP;
	vm.regs.rdi = vmread(F_GUEST_CR3);
	vm.regs.r9 = 0x300000000123;
	dr6_write(0xffff0ff0);
	if (w->interrupt) {
		apic_self(IRQ);
		delay(100);
	}
	reason = vm_run(&vm);
	print(" %u", reason);
	if (vm_vector(&vm) < 256)
		print("@%u", vm_vector(&vm));
	else
		print("+%lx", vm_pc(&vm));
	if (reason == REASON_EXCEPTION)
		print("(%lx,%lx)", vmread(F_EXIT_INTR_INFO), vmread(F_QUALIFICATION));
	if (vmread(F_GUEST_INTERRUPTIBILITY) || vmread(F_GUEST_PENDING_DEBUG))
		print("[%lx,%lx]", vmread(F_GUEST_INTERRUPTIBILITY), vmread(F_GUEST_PENDING_DEBUG));
	if (vm_vector(&vm) == IRQ)
		apic_eoi();
	if (w->interrupt) {
		cpu_sti();
		delay(50);
		cpu_cli();
	}
}

TEST_VMX(shadows)
{
	static const u64 blocks[] = { 0, BLOCK_STI, BLOCK_MOV_SS };
	u32 i, w, b;

	NEED(caps_proc(PROC_MSR_BITMAPS) && caps_pin(PIN_VNMI) && caps_proc(PROC_MTF));
	for (i = 0; i < ARRAY_SIZE(instructions); i++) {
		if (instructions[i].code == h_vmfunc && !(caps_proc2(PROC2_VMFUNC) && caps.vmfunc & 1))
			continue;
		for (w = 0; w < ARRAY_SIZE(watches); w++) {
			print("RESULT %s %s %s", test_name(), instructions[i].name, watches[w].name);
			for (b = 0; b < ARRAY_SIZE(blocks); b++) {
				u64 mark = page_mark();

				one(&instructions[i], &watches[w], blocks[b]);
				page_release(mark);
			}
			print("\n");
		}
	}
}
