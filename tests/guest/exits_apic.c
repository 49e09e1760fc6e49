/* SPDX-License-Identifier: MIT */
/*
 * Guest test "exits", part 4: APIC virtualization: APIC-access page, TPR shadow in its page, APIC-register
 * virtualization, virtual-interrupt delivery, x2APIC mode. SDM: "APIC Virtualization and Virtual Interrupts".
 */
#include "tests/guest/lib/test.h"
#include "tests/guest/lib/vmx.h"

#define APIC_BASE 0xfee00000ul

GUEST_CODE(a_read8, 64, "mov (%rbx), %al; movzx %al, %eax; vmcall");
GUEST_CODE(a_read32, 64, "mov (%rbx), %eax; vmcall");
GUEST_CODE(a_read64, 64, "mov (%rbx), %rax; vmcall");
GUEST_CODE(a_write32, 64, "mov %ecx, (%rbx); mov (%rbx), %eax; vmcall");
GUEST_CODE(a_write8, 64, "mov %cl, (%rbx); vmcall");
GUEST_CODE(a_add32, 64, "addl $0x10, (%rbx); vmcall");
GUEST_CODE(a_push, 64, "mov %rbx, %rsp; push %rax; vmcall");
GUEST_CODE(a_int, 64, "mov %rbx, %rsp; int $0x42; vmcall");

struct apic_guest {
	struct vm vm;
	u8 *access, *virtual;
};

static void start(struct apic_guest *g, u64 flags, u64 proc2, const void *code)
{
	u32 i;

	vm_create(&g->vm, VM_64, flags, code);
	g->access = page_alloc();
	g->virtual = page_alloc();
	for (i = 0; i < 0x400; i += 16)
		*(u32 *)(void *)(g->virtual + i) = 0xa0000000 | i;
	*(u32 *)(void *)(g->virtual + 0x80) = 0x30;
	vmset(F_PROC, PROC_SECONDARY | (caps_proc(PROC_TPR_SHADOW) ? PROC_TPR_SHADOW : 0));
	vmset(F_PROC2, proc2);
	vmwrite(F_VIRTUAL_APIC, addr_of(g->virtual));
	vmwrite(F_TPR_THRESHOLD, 0);
	if (proc2 & PROC2_APIC_ACCESS) {
		vmwrite(F_APIC_ACCESS, addr_of(g->access));
		/* L2 finds the APIC-access page at the usual address: by its page tables, or by EPT */
		if (flags & VM_EPT)
			ept_map(g->vm.ept, APIC_BASE, addr_of(g->access), 1, EPT_RWX | EPT_WB);
		else
			paging_map(APIC_BASE, addr_of(g->access), PTE_P | PTE_W);
	}
	if (proc2 & PROC2_VINTR) {
		vmset(F_PIN, PIN_EXTINT);
		for (i = 0; i < 4; i++)
			vmwrite(F_EOI_EXIT0 + 2 * i, 0);
		vmwrite(F_GUEST_INTR_STATUS, 0);
	}
}

static void access(u64 flags, u64 proc2, const char *how)
{
	static const struct {
		const char *name;
		const u8 *code;
		u32 offset;
	} list[] = {
		{ "read_id", a_read32, 0x20 },
		{ "read_tpr", a_read32, 0x80 },
		{ "read8_tpr", a_read8, 0x80 },
		{ "read64_tpr", a_read64, 0x80 },
		{ "read_tpr_odd", a_read32, 0x82 },
		{ "write_tpr", a_write32, 0x80 },
		{ "write8_tpr", a_write8, 0x80 },
		{ "add_tpr", a_add32, 0x80 },
		{ "write_eoi", a_write32, 0xb0 },
		{ "write_svr", a_write32, 0xf0 },
		{ "write_icr", a_write32, 0x300 },
		{ "write_icr2", a_write32, 0x310 },
		{ "read_icr", a_read32, 0x300 },
		{ "read_isr", a_read32, 0x120 },
		{ "read_reserved", a_read32, 0x40 },
		{ "read_ff0", a_read32, 0xff0 },
		{ "write_id", a_write32, 0x20 },
		{ "write_lvt", a_write32, 0x320 },
		{ "push", a_push, 0x88 },
		{ "int", a_int, 0x400 },
		{ "cross", a_read64, 0xffc },
	};
	u32 i;

	for (i = 0; i < ARRAY_SIZE(list); i++) {
		struct apic_guest g;
		u64 mark = page_mark();
		u32 reason;

		start(&g, flags, proc2, list[i].code);
		g.vm.regs.rbx = APIC_BASE + list[i].offset;
		g.vm.regs.rcx = 0x51;
		reason = vm_run(&g.vm);
		print("RESULT %s %s %s exit=%x qual=%lx", test_name(), how, list[i].name, reason,
		      vmread(F_QUALIFICATION));
		if (reason == REASON_VMCALL)
			print(" rax=%lx", g.vm.regs.rax);
		if (vmread(F_IDT_INFO) & INTR_VALID)
			print(" idt=%lx", vmread(F_IDT_INFO));
		print(" vtpr=%x vicr=%x page=%x pc=%lx\n", *(u32 *)(void *)(g.virtual + 0x80),
		      *(u32 *)(void *)(g.virtual + 0x300),
		      *(u32 *)(void *)(g.access + list[i].offset % 0xff0), vm_pc(&g.vm));
		page_release(mark);
	}
}

TEST_VMX(apic_access)
{
	NEED(caps_proc2(PROC2_APIC_ACCESS) && caps_proc(PROC_TPR_SHADOW));
	access(0, PROC2_APIC_ACCESS, "paging");
	if (caps_proc2(PROC2_EPT))
		access(VM_EPT, PROC2_APIC_ACCESS, "ept");
}

TEST_VMX(apic_registers)
{
	NEED(caps_proc2(PROC2_APIC_ACCESS | PROC2_APIC_REGISTER) && caps_proc(PROC_TPR_SHADOW));
	access(0, PROC2_APIC_ACCESS | PROC2_APIC_REGISTER, "paging");
	if (caps_proc2(PROC2_EPT))
		access(VM_EPT, PROC2_APIC_ACCESS | PROC2_APIC_REGISTER, "ept");
	if (caps_proc2(PROC2_VINTR))
		access(VM_EPT & (caps_proc2(PROC2_EPT) ? ~0ul : 0),
		       PROC2_APIC_ACCESS | PROC2_APIC_REGISTER | PROC2_VINTR, "vintr");
}

GUEST_CODE(a_nops, 64, "nop; nop; nop; nop; vmcall");
GUEST_CODE(a_sti, 64, "sti; nop; nop; nop; vmcall");
GUEST_CODE(a_eoi, 64, "mov $0xfee00000, %ebx; movl $0, 0xb0(%rbx); nop; vmcall");
GUEST_CODE(a_self_ipi, 64, "mov $0xfee00000, %ebx; movl $0x40045, 0x300(%rbx); nop; sti; nop; vmcall");
GUEST_CODE(a_tpr, 64, "mov $0xfee00000, %ebx; movl $0x20, 0x80(%rbx); nop; nop; vmcall");

static u32 report(struct apic_guest *g, const char *what)
{
	u32 reason = vm_run(&g->vm);

	vm_report(&g->vm, reason, what);
	result("%s status=%lx virr=%x visr=%x vppr=%x", what, vmread(F_GUEST_INTR_STATUS),
	       *(u32 *)(void *)(g->virtual + 0x220), *(u32 *)(void *)(g->virtual + 0x120),
	       *(u32 *)(void *)(g->virtual + 0xa0));
	return reason;
}

static void clear_bits(struct apic_guest *g)
{
	u32 i;

	for (i = 0x100; i < 0x280; i += 16)
		*(u32 *)(void *)(g->virtual + i) = 0;
	*(u32 *)(void *)(g->virtual + 0x80) = 0;
	*(u32 *)(void *)(g->virtual + 0xa0) = 0;
}

/* Virtual interrupts: evaluation at entry, delivery, EOI with its exit bitmap, self-IPI, TPR. */
TEST_VMX(virtual_interrupts)
{
	const u64 controls = PROC2_APIC_ACCESS | PROC2_APIC_REGISTER | PROC2_VINTR;
	struct apic_guest g;
	u32 exit;

	NEED(caps_proc2(controls) && caps_proc(PROC_TPR_SHADOW));
	start(&g, 0, controls, a_nops);
	clear_bits(&g);
	*(u32 *)(void *)(g.virtual + 0x220) = BIT(5); /* vector 45h */
	vmwrite(F_GUEST_INTR_STATUS, 0x45);
	vmset(F_GUEST_RFLAGS, RFLAGS_IF);
	report(&g, "delivered");
	vm_iret(&g.vm);
	report(&g, "after_iret");
	start(&g, 0, controls, a_sti);
	clear_bits(&g);
	*(u32 *)(void *)(g.virtual + 0x220) = BIT(5);
	vmwrite(F_GUEST_INTR_STATUS, 0x45);
	report(&g, "after_sti");
	start(&g, 0, controls, a_nops);
	clear_bits(&g);
	*(u32 *)(void *)(g.virtual + 0x220) = BIT(5);
	*(u32 *)(void *)(g.virtual + 0x80) = 0x50;
	vmwrite(F_GUEST_INTR_STATUS, 0x45);
	vmset(F_GUEST_RFLAGS, RFLAGS_IF);
	report(&g, "tpr_too_high");
	start(&g, 0, controls, a_tpr);
	clear_bits(&g);
	*(u32 *)(void *)(g.virtual + 0x220) = BIT(5);
	*(u32 *)(void *)(g.virtual + 0x80) = 0x50;
	vmwrite(F_GUEST_INTR_STATUS, 0x45);
	vmset(F_GUEST_RFLAGS, RFLAGS_IF);
	report(&g, "tpr_lowered");
	for (exit = 0; exit < 2; exit++) {
		start(&g, 0, controls, a_eoi);
		clear_bits(&g);
		*(u32 *)(void *)(g.virtual + 0x120) = BIT(5);
		vmwrite(F_GUEST_INTR_STATUS, 0x4500);
		vmwrite(F_EOI_EXIT1, exit ? BIT(5) : 0);
		report(&g, exit ? "eoi_exit" : "eoi");
	}
	start(&g, 0, controls, a_self_ipi);
	clear_bits(&g);
	report(&g, "self_ipi");
	start(&g, 0, controls, a_nops);
	clear_bits(&g);
	vmwrite(F_GUEST_INTR_STATUS, 0x45);
	vmset(F_GUEST_RFLAGS, RFLAGS_IF);
	vmset(F_PROC, PROC_INTR_WINDOW);
	report(&g, "with_window");
}

/*
 * An interrupt of L1's beside a virtual one. SDM "Virtual-Interrupt Delivery": "delivery of a virtual
 * interrupt takes priority over external interrupts"; RFLAGS.IF holds back only the virtual one.
 */
TEST_VMX(virtual_and_real_interrupts)
{
	static const struct {
		const char *name;
		u32 requested;
		bool masked;
		u64 status; /* at the exit */
	} list[] = {
		{ "real", 0, false, 0 },
		{ "real_and_virtual", 0x45, false, 0x4500 },
		{ "real_and_masked_virtual", 0x45, true, 0x45 },
	};
	struct apic_guest g;
	u32 i;

	NEED(caps_proc2(PROC2_APIC_REGISTER | PROC2_VINTR | PROC2_EPT) && caps_proc(PROC_TPR_SHADOW));
	for (i = 0; i < ARRAY_SIZE(list); i++) {
		start(&g, VM_EPT, PROC2_APIC_ACCESS | PROC2_APIC_REGISTER | PROC2_VINTR, a_nops);
		clear_bits(&g);
		if (list[i].requested)
			*(u32 *)(void *)(g.virtual + 0x220) = BIT(5);
		vmwrite(F_GUEST_INTR_STATUS, list[i].requested);
		if (!list[i].masked)
			vmset(F_GUEST_RFLAGS, RFLAGS_IF);
		apic_self(0x61);
		delay(100);
		CHECK(report(&g, list[i].name) == REASON_EXTINT);
		CHECK(vmread(F_GUEST_INTR_STATUS) == list[i].status);
		cpu_sti();
		delay(50);
		cpu_cli();
	}
}

GUEST_CODE(a_x2_read, 64, "rdmsr; vmcall");
GUEST_CODE(a_x2_write, 64, "xor %edx, %edx; wrmsr; vmcall");

TEST_VMX(x2apic_mode)
{
	static const u32 msrs[] = { 0x802, 0x803, 0x808, 0x80a, 0x80b, 0x80d, 0x80f,
				    0x810, 0x828, 0x830, 0x832, 0x839, 0x83e };
	u64 controls[3] = { PROC2_X2APIC, PROC2_X2APIC | PROC2_APIC_REGISTER,
			    PROC2_X2APIC | PROC2_APIC_REGISTER | PROC2_VINTR };
	u32 i, c, write;

	NEED(caps_proc2(PROC2_X2APIC) && caps_proc(PROC_TPR_SHADOW | PROC_MSR_BITMAPS));
	for (c = 0; c < 3; c++) {
		if (!caps_proc2(controls[c]))
			continue;
		for (i = 0; i < ARRAY_SIZE(msrs); i++) {
			for (write = 0; write < 2; write++) {
				struct apic_guest g;
				u64 mark = page_mark();
				u32 reason;

				/* not virtualized: it would be the real APIC's register, in whatever mode
				 * that is */
				if (c == 0 && msrs[i] != 0x808)
					continue;
				if (write && (c < 2 || (msrs[i] != 0x808 && msrs[i] != 0x80b)) &&
				    msrs[i] != 0x808)
					continue;
				start(&g, 0, controls[c], write ? a_x2_write : a_x2_read);
				vm_use_msr_bitmap(&g.vm);
				g.vm.regs.rcx = msrs[i];
				g.vm.regs.rax = msrs[i] == 0x808 ? 0x40 : 0;
				clear_bits(&g);
				reason = vm_run(&g.vm);
				result("controls=%u %s %x exit=%x qual=%lx value=%lx,%lx vtpr=%x handler=%u",
				       c, write ? "wrmsr" : "rdmsr", msrs[i], reason, vmread(F_QUALIFICATION),
				       g.vm.regs.rdx, g.vm.regs.rax, *(u32 *)(void *)(g.virtual + 0x80),
				       vm_vector(&g.vm));
				page_release(mark);
			}
		}
	}
}
