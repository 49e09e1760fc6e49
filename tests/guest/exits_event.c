/* SPDX-License-Identifier: MIT */
/*
 * Guest test "exits", part 2: exceptions, interrupts and NMIs, windows, monitor trap flag, preemption timer,
 * debug traps, blocking, and events whose delivery is cut by another exit. SDM: "VM Exits", "Event
 * Injection", "Virtual NMIs".
 */
#include "tests/guest/exits.h"

enum { IRQ = 0x61 };

GUEST_CODE(e_nops, 64, "nop; nop; nop; nop; vmcall");
GUEST_CODE(e_steps, 64,
	   "nop; mov %eax, %ebx; push %rax; pop %rax; cpuid; nop; int3; nop; mov $3, %ecx; rep stosb; nop; "
	   "mov %ss, %eax; mov %eax, %ss; nop; nop; ud2");
extern const u8 e_ud2[], e_int_n[];

/* Monitor trap flag: an exit after each instruction, after an injected event's delivery, and each turn of
 * REP. */
TEST_VMX(mtf)
{
	struct vm vm;
	u32 i;

	NEED(caps_proc(PROC_MTF));
	vm_create(&vm, VM_64, 0, e_steps);
	vmset(F_PROC, PROC_MTF);
	vm.regs.rdi = addr_of(page_alloc());
	for (i = 0; i < 24; i++) {
		u32 reason = vm_run(&vm);

		vm_report(&vm, reason, "step");
		if (reason == REASON_CPUID)
			vm_skip(&vm);
		else if (reason == REASON_VMCALL)
			vm_iret(&vm);
		else if (reason != REASON_MTF)
			break;
	}
	vm_create(&vm, VM_64, 0, e_steps);
	vmset(F_PROC, PROC_MTF);
	vmwrite(F_ENTRY_INTR_INFO, INTR_VALID | INTR_EXTERNAL | 0x50);
	vmset(F_GUEST_RFLAGS, RFLAGS_IF);
	go(&vm, "injected");
	result("injected at=%lx", vm_vector(&vm) == 0x50 ? 0x50ul : vm_pc(&vm));
	go(&vm, "injected_next");
	vm_create(&vm, VM_64, 0, e_nops);
	vmwrite(F_ENTRY_INTR_INFO, INTR_VALID | INTR_OTHER);
	go(&vm, "injected_mtf");
	go(&vm, "injected_mtf_next");
	vm_create(&vm, VM_64, 0, e_ud2);
	vmset(F_PROC, PROC_MTF);
	go(&vm, "fault");
	result("fault at=%u", vm_vector(&vm));
	vm_create(&vm, VM_64, 0, e_ud2);
	vmset(F_PROC, PROC_MTF);
	vmwrite(F_EXCEPTION_BITMAP, BIT(VEC_UD));
	go(&vm, "fault_intercepted");
	vm_create(&vm, VM_64, 0, e_int_n);
	vmset(F_PROC, PROC_MTF);
	go(&vm, "int_n");
	result("int_n at=%u", vm_vector(&vm));
}

GUEST_CODE(e_loop, 64, "1: pause; jmp 1b");
GUEST_CODE(e_hlt, 64, "hlt; vmcall");
GUEST_CODE(e_sti_hlt, 64, "sti; hlt; vmcall");

TEST_VMX(preemption_timer)
{
	u32 shift = caps.misc & 31;
	struct vm vm;
	u32 reason;

	NEED(caps_pin(PIN_TIMER));
	vm_create(&vm, VM_64, 0, e_nops);
	vmset(F_PIN, PIN_TIMER);
	vmwrite(F_GUEST_TIMER, 0);
	go(&vm, "zero");
	go(&vm, "zero_again");
	vmwrite(F_ENTRY_INTR_INFO, INTR_VALID | INTR_HARD | VEC_UD);
	go(&vm, "zero_injected");
	result("zero_injected at=%u info=%lx", vm_vector(&vm), vmread(F_ENTRY_INTR_INFO));
	vm_create(&vm, VM_64, 0, e_loop);
	vmset(F_PIN, PIN_TIMER);
	vmwrite(F_GUEST_TIMER, 2000 >> shift);
	{
		u64 before = rdtsc();

		reason = vm_run(&vm);
		CHECK(reason == REASON_TIMER && rdtsc() - before >= 1900);
		result("loop exit=%u value=%s", reason,
		       vmread(F_GUEST_TIMER) == 2000ul >> shift ? "kept" : "changed");
	}
	vmwrite(F_GUEST_TIMER, 100000);
	vm_create(&vm, VM_64, 0, e_nops);
	vmset(F_PIN, PIN_TIMER);
	vmwrite(F_GUEST_TIMER, 100000);
	go(&vm, "not_expired");
	result("not_saved value=%lx", vmread(F_GUEST_TIMER));
	if (caps_exit(EXIT_SAVE_TIMER)) {
		vm_create(&vm, VM_64, 0, e_nops);
		vmset(F_PIN, PIN_TIMER);
		vmset(F_EXIT, EXIT_SAVE_TIMER);
		vmwrite(F_GUEST_TIMER, 100000);
		go(&vm, "saved");
		CHECK(vmread(F_GUEST_TIMER) <= 100000 && vmread(F_GUEST_TIMER) > 90000);
		vm_create(&vm, VM_64, 0, e_loop);
		vmset(F_PIN, PIN_TIMER);
		vmset(F_EXIT, EXIT_SAVE_TIMER);
		vmwrite(F_GUEST_TIMER, 1000 >> shift);
		go(&vm, "expired_saved");
		result("expired_saved value=%lx", vmread(F_GUEST_TIMER));
		/* set without the pin control: fails */
		vmunset(F_PIN, PIN_TIMER);
		go(&vm, "save_without_timer");
	}
	if (caps.misc & BIT(6)) {
		vm_create(&vm, VM_64, 0, e_nops);
		vmset(F_PIN, PIN_TIMER);
		vmwrite(F_GUEST_ACTIVITY, HLT);
		vmwrite(F_GUEST_TIMER, 4000 >> shift);
		go(&vm, "hlt_state");
	}
	vm_create(&vm, VM_64, 0, e_hlt);
	vmset(F_PIN, PIN_TIMER);
	vmwrite(F_GUEST_TIMER, 4000 >> shift);
	go(&vm, "hlt");
	if (caps_proc(PROC_MTF)) {
		vm_create(&vm, VM_64, 0, e_nops);
		vmset(F_PIN, PIN_TIMER);
		vmset(F_PROC, PROC_MTF);
		vmwrite(F_GUEST_TIMER, 0);
		go(&vm, "zero_and_mtf");
	}
	vm_create(&vm, VM_64, 0, e_nops);
	vmset(F_PIN, PIN_TIMER);
	vmset(F_PROC, PROC_INTR_WINDOW);
	vmset(F_GUEST_RFLAGS, RFLAGS_IF);
	vmwrite(F_GUEST_TIMER, 0);
	go(&vm, "zero_and_window");
	vmwrite(F_GUEST_PENDING_DEBUG, BIT(14) | BIT(12) | 1);
	vmwrite(F_EXCEPTION_BITMAP, BIT(VEC_DB));
	go(&vm, "zero_and_debug");
}

GUEST_CODE(e_sti_nops, 64, "nop; sti; nop; nop; vmcall");
GUEST_CODE(e_movss_nops, 64, "nop; mov %ss, %eax; mov %eax, %ss; nop; nop; vmcall");
GUEST_CODE(e_popf_if, 64, "nop; push $0x202; popf; nop; vmcall");
GUEST_CODE(e_sti_cpuid, 64, "sti; cpuid; nop; vmcall");
GUEST_CODE(e_movss_cpuid, 64, "mov %ss, %eax; mov %eax, %ss; cpuid; nop; vmcall");
GUEST_CODE(e_sti_movss, 64, "sti; mov %ss, %eax; mov %eax, %ss; nop; nop; vmcall");
GUEST_CODE(e_cli, 64, "cli; vmcall");

TEST_VMX(interrupt_window)
{
	static const struct {
		const char *name;
		const u8 *code;
		u64 flags, block, activity;
	} list[] = {
		{ "open", e_nops, RFLAGS_IF, 0, ACTIVE },
		{ "closed", e_nops, 0, 0, ACTIVE },
		{ "sti", e_sti_nops, 0, 0, ACTIVE },
		{ "popf", e_popf_if, 0, 0, ACTIVE },
		{ "movss", e_movss_nops, RFLAGS_IF, BLOCK_MOV_SS, ACTIVE },
		{ "block_sti", e_nops, RFLAGS_IF, BLOCK_STI, ACTIVE },
		{ "block_movss", e_nops, RFLAGS_IF, BLOCK_MOV_SS, ACTIVE },
		{ "hlt", e_nops, RFLAGS_IF, 0, HLT },
		{ "sti_cpuid", e_sti_cpuid, 0, 0, ACTIVE },
		{ "sti_movss", e_sti_movss, 0, 0, ACTIVE },
		{ "cli", e_cli, RFLAGS_IF, BLOCK_STI, ACTIVE },
	};
	struct vm vm;
	u32 i;

	for (i = 0; i < ARRAY_SIZE(list); i++) {
		if (list[i].activity == HLT && !(caps.misc & BIT(6)))
			continue;
		vm_create(&vm, VM_64, 0, list[i].code);
		vmset(F_PROC, PROC_INTR_WINDOW);
		vmset(F_GUEST_RFLAGS, list[i].flags);
		vmwrite(F_GUEST_INTERRUPTIBILITY, list[i].block);
		vmwrite(F_GUEST_ACTIVITY, list[i].activity);
		go(&vm, list[i].name);
	}
	vm_create(&vm, VM_64, 0, e_nops);
	vmset(F_PROC, PROC_INTR_WINDOW);
	vmset(F_GUEST_RFLAGS, RFLAGS_IF);
	vmwrite(F_ENTRY_INTR_INFO, INTR_VALID | INTR_EXTERNAL | 0x50);
	go(&vm, "injected");
	vm_create(&vm, VM_64, 0, e_sti_cpuid);
	go(&vm, "blocking_at_exit");
	vm_create(&vm, VM_64, 0, e_movss_cpuid);
	go(&vm, "movss_at_exit");
}

/* The window opens while L2 is in HLT; by itself, for there are hypervisors that never come back from it. */
TEST_VMX(interrupt_window_hlt)
{
	struct vm vm;

	vm_create(&vm, VM_64, 0, e_sti_hlt);
	vmset(F_PROC, PROC_INTR_WINDOW);
	vmset(F_GUEST_RFLAGS, 0);
	go(&vm, "sti_hlt");
}

/* An interrupt is pending (sent by this CPU to itself with IF = 0) when L2 is entered. */
TEST_VMX(external_interrupts)
{
	static const struct {
		const char *name;
		const u8 *code;
		bool exiting, ack;
		u64 flags, block, activity;
	} list[] = {
		{ "exiting", e_nops, true, false, RFLAGS_IF, 0, ACTIVE },
		{ "exiting_ack", e_nops, true, true, RFLAGS_IF, 0, ACTIVE },
		{ "exiting_if0", e_nops, true, false, 0, 0, ACTIVE },
		{ "exiting_ack_if0", e_nops, true, true, 0, 0, ACTIVE },
		{ "exiting_sti", e_nops, true, true, RFLAGS_IF, BLOCK_STI, ACTIVE },
		{ "exiting_movss", e_nops, true, true, RFLAGS_IF, BLOCK_MOV_SS, ACTIVE },
		{ "exiting_hlt", e_nops, true, true, RFLAGS_IF, 0, HLT },
		{ "exiting_hlt_if0", e_nops, true, true, 0, 0, HLT },
		{ "delivered", e_nops, false, false, RFLAGS_IF, 0, ACTIVE },
		{ "delivered_sti", e_nops, false, false, RFLAGS_IF, BLOCK_STI, ACTIVE },
		{ "masked", e_nops, false, false, 0, 0, ACTIVE },
		{ "delivered_hlt", e_nops, false, false, RFLAGS_IF, 0, HLT },
		{ "delivered_sti_hlt", e_sti_hlt, false, false, 0, 0, ACTIVE },
		{ "exiting_hlt_insn", e_hlt, true, true, 0, 0, ACTIVE },
	};
	struct vm vm;
	u32 i;

	for (i = 0; i < ARRAY_SIZE(list); i++) {
		u32 before;

		if (list[i].activity == HLT && !(caps.misc & BIT(6)))
			continue;
		vm_create(&vm, VM_64, 0, list[i].code);
		if (list[i].exiting)
			vmset(F_PIN, PIN_EXTINT);
		if (list[i].ack)
			vmset(F_EXIT, EXIT_ACK);
		vmset(F_GUEST_RFLAGS, list[i].flags);
		vmwrite(F_GUEST_INTERRUPTIBILITY, list[i].block);
		vmwrite(F_GUEST_ACTIVITY, list[i].activity);
		before = this_cpu()->irq_count[IRQ];
		apic_self(IRQ);
		delay(100);
		go(&vm, list[i].name);
		report_stack(&vm, list[i].name);
		if (list[i].ack || !list[i].exiting)
			if (vmread(F_EXIT_INTR_INFO) & INTR_VALID || vm_vector(&vm) == IRQ)
				apic_eoi();
		cpu_sti();
		delay(100);
		cpu_cli();
		result("%s l1_got=%u", list[i].name, this_cpu()->irq_count[IRQ] - before);
	}
}

/* Two interrupts pending, acknowledged on exit one after the other, the higher first; none is lost or
 * doubled. */
TEST_VMX(interrupt_pair)
{
	struct vm vm;
	u32 before = this_cpu()->irq_count[IRQ] + this_cpu()->irq_count[IRQ + 16];

	vm_create(&vm, VM_64, 0, e_nops);
	vmset(F_PIN, PIN_EXTINT);
	vmset(F_EXIT, EXIT_ACK);
	apic_self(IRQ);
	apic_self(IRQ + 16);
	delay(100);
	go(&vm, "first");
	apic_eoi();
	go(&vm, "second");
	apic_eoi();
	go(&vm, "none");
	cpu_sti();
	delay(100);
	cpu_cli();
	CHECK(this_cpu()->irq_count[IRQ] + this_cpu()->irq_count[IRQ + 16] == before);
}

GUEST_CODE(e_send_nmi, 64,
	   "mov $0xfee00300, %ebx; movl $0, 0x10(%rbx); movl $0x4400, (%rbx); nop; nop; nop; vmcall; iretq");
GUEST_CODE(e_iret_only, 64,
	   "mov %ss, %eax; push %rax; push %rsp; addq $8, (%rsp); push $2; mov %cs, %eax; push %rax; "
	   "lea 1f(%rip), %rax; push %rax; iretq; 1: nop; nop; vmcall");

static void nmi_to_self(void)
{
	apic_ipi(this_cpu()->apic_id, ICR_NMI | ICR_ASSERT);
}

TEST_VMX(nmi)
{
	struct vm vm;
	u32 before;

	/* L1 itself first: an NMI that L1 sends itself arrives at once */
	before = this_cpu()->nmi_count;
	nmi_to_self();
	delay(100);
	result("l1_nmis=%u", this_cpu()->nmi_count - before);
	/* L2 sends one to this CPU (ICR, shorthand self), NMI exiting */
	before = this_cpu()->nmi_count;
	vm_create(&vm, VM_64, 0, e_send_nmi);
	vmset(F_PIN, PIN_NMI);
	go(&vm, "exiting");
	CHECK(this_cpu()->nmi_count == before);
	/* NMIs are blocked now, as after an NMI's delivery: a second one waits */
	nmi_to_self();
	delay(100);
	result("blocked_after_exit=%u", this_cpu()->nmi_count - before);
	asm volatile("mov %%rsp, %%rax; push %0; push %%rax; pushfq; push %1; lea 1f(%%rip), %%rax; push "
		     "%%rax; iretq; 1:"
		     :
		     : "r"((u64)SEL_DATA), "r"((u64)SEL_CODE64)
		     : "rax", "memory");
	delay(100);
	result("after_iret=%u", this_cpu()->nmi_count - before);
	/* not exiting: L2's own handler, and L2's NMIs are blocked until its IRET */
	vm_create(&vm, VM_64, 0, e_send_nmi);
	go(&vm, "delivered");
	report_stack(&vm, "delivered");
	vm_iret(&vm);
	go(&vm, "delivered_iret");
	result("l1_nmis=%u", this_cpu()->nmi_count - before);
	/* blocked by the interruptibility state: waits for IRET */
	vm_create(&vm, VM_64, 0, e_send_nmi);
	vmwrite(F_GUEST_INTERRUPTIBILITY, BLOCK_NMI);
	go(&vm, "blocked");
	vm_set_code(&vm, e_iret_only);
	go(&vm, "unblocked_by_iret");
	vmwrite(F_GUEST_INTERRUPTIBILITY, 0);
	vm_set_code(&vm, e_iret_only);
	go(&vm, "end");
}

TEST_VMX(virtual_nmis)
{
	static const struct {
		const char *name;
		const u8 *code;
		u64 block, activity;
		u64 event;
	} list[] = {
		{ "window_open", e_nops, 0, ACTIVE, 0 },
		{ "window_blocked", e_nops, BLOCK_NMI, ACTIVE, 0 },
		{ "window_iret", e_iret_only, BLOCK_NMI, ACTIVE, 0 },
		{ "window_movss", e_nops, BLOCK_MOV_SS, ACTIVE, 0 },
		{ "window_sti", e_nops, BLOCK_STI, ACTIVE, 0 },
		{ "window_hlt", e_nops, 0, HLT, 0 },
		{ "injected_nmi", e_nops, 0, ACTIVE, INTR_NMI | 2 },
		{ "injected_extint", e_nops, BLOCK_NMI, ACTIVE, INTR_EXTERNAL | 0x50 },
	};
	struct vm vm;
	u32 i;

	NEED(caps_pin(PIN_VNMI | PIN_NMI) && caps_proc(PROC_NMI_WINDOW));
	for (i = 0; i < ARRAY_SIZE(list); i++) {
		if (list[i].activity == HLT && !(caps.misc & BIT(6)))
			continue;
		vm_create(&vm, VM_64, 0, list[i].code);
		vmset(F_PIN, PIN_VNMI | PIN_NMI);
		vmset(F_PROC, PROC_NMI_WINDOW);
		vmset(F_GUEST_RFLAGS, list[i].event || list[i].block & BLOCK_STI ? RFLAGS_IF : 0);
		vmwrite(F_GUEST_INTERRUPTIBILITY, list[i].block);
		vmwrite(F_GUEST_ACTIVITY, list[i].activity);
		if (list[i].event)
			vmwrite(F_ENTRY_INTR_INFO, INTR_VALID | list[i].event);
		go(&vm, list[i].name);
	}
	/* an injected NMI blocks NMIs; IRET in the handler ends it */
	vm_create(&vm, VM_64, 0, e_nops);
	vmset(F_PIN, PIN_VNMI | PIN_NMI);
	vmwrite(F_ENTRY_INTR_INFO, INTR_VALID | INTR_NMI | 2);
	go(&vm, "handler");
	vm_iret(&vm);
	go(&vm, "after_iret");
}

/* IRET with NMIs blocked that faults: "NMI unblocking due to IRET" for L1. */
TEST_VMX(nmi_unblocking)
{
	struct vm vm;
	u32 vnmi;

	NEED(caps_proc2(PROC2_EPT) && caps_pin(PIN_VNMI | PIN_NMI));
	for (vnmi = 0; vnmi < 2; vnmi++) {
		u64 stack;

		vm_create(&vm, VM_64, VM_EPT, e_iret_only + 0);
		if (vnmi)
			vmset(F_PIN, PIN_VNMI | PIN_NMI);
		vmwrite(F_GUEST_INTERRUPTIBILITY, BLOCK_NMI);
		/* the IRET itself with its frame on a page that is not there */
		stack = addr_of(page_alloc());
		vmwrite(F_GUEST_RIP, addr_of(e_send_nmi) + 0x11);
		vmwrite(F_GUEST_RSP, stack + 0x100);
		ept_map(vm.ept, stack, stack, 1, 0);
		{
			u32 reason;
			const u8 *p = e_send_nmi;

			while (p[0] != 0x48 || p[1] != 0xcf)
				p++;
			vmwrite(F_GUEST_RIP, addr_of(p));
			reason = vm_run(&vm);
			result("vnmi=%u ept exit=%u qual=%lx block=%lx", vnmi, reason,
			       vmread(F_QUALIFICATION) & ~0xe00ul, vmread(F_GUEST_INTERRUPTIBILITY));
			vm_create(&vm, VM_64, 0, e_iret_only);
			if (vnmi)
				vmset(F_PIN, PIN_VNMI | PIN_NMI);
			vmwrite(F_GUEST_INTERRUPTIBILITY, BLOCK_NMI);
			vmwrite(F_GUEST_RIP, addr_of(p));
			vmwrite(F_GUEST_RSP, 0x300000000100);
			vmwrite(F_EXCEPTION_BITMAP, BIT(VEC_PF));
			reason = vm_run(&vm);
			result("vnmi=%u pf exit=%u intr=%lx block=%lx", vnmi, reason,
			       vmread(F_EXIT_INTR_INFO), vmread(F_GUEST_INTERRUPTIBILITY));
		}
	}
	vm_create(&vm, VM_64, 0, e_iret_only);
	go(&vm, "end");
}
