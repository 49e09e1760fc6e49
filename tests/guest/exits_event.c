/* SPDX-License-Identifier: MIT */
/*
 * Guest test "exits", part 2: exceptions, interrupts and NMIs, windows, monitor trap flag, preemption timer, debug traps,
 * blocking, and events whose delivery is cut by another exit. SDM: "VM Exits", "Event Injection", "Virtual NMIs".
 */
#include "tests/guest/lib/test.h"
#include "tests/guest/lib/vmx.h"

enum { IRQ = 0x61 };

static void go(struct vm *vm, const char *what) { vm_report(vm, vm_run(vm), what); }

GUEST_CODE(e_int_13, 64, "int $13; vmcall");	/* no error code on the stack */

/* What the handler of L2 found on its stack, after a VMCALL exit from there. */
static void report_stack(struct vm *vm, const char *what)
{
	u64 code = addr_of(ptr_of(vm->regs.rsp));
	u32 v = vm_vector(vm);
	bool error = v == 8 || (v >= 10 && v <= 14) || v == 17;

	if (v > 255 || (vm->regs.rsp == addr_of(e_int_13) && v == 13))
		return;
	result("%s handler=%u code=%lx rip=%lx flags=%lx", what, v, error ? vm_stack(vm, 0) : 0,
	       vm_stack(vm, error) - (vm->mode == VM_REAL || vm->mode == VM_V86 ? 0 : code), vm_stack(vm, error + 2));
}

GUEST_CODE(e_de, 64, "xor %ecx, %ecx; div %ecx; vmcall");
GUEST_CODE(e_int3, 64, "nop; int3; vmcall");
GUEST_CODE(e_int1, 64, ".byte 0xf1; vmcall");
GUEST_CODE(e_int3_long, 64, "int $3; vmcall");
GUEST_CODE(e_int_n, 64, "int $0x42; vmcall");
GUEST_CODE(e_ud2, 64, "ud2; vmcall");
GUEST_CODE(e_ss, 64, "mov $0x900000000000, %rbp; mov (%rbp), %rax; vmcall");
GUEST_CODE(e_gp, 64, "mov $0x900000000000, %rbx; mov (%rbx), %rax; vmcall");
GUEST_CODE(e_gp_selector, 64, "mov $0x1238, %eax; mov %eax, %ds; vmcall");
GUEST_CODE(e_np, 64, "mov $0x58, %eax; mov %eax, %ds; vmcall");
GUEST_CODE(e_pf, 64, "mov $0x300000000123, %rbx; incb (%rbx); vmcall");
GUEST_CODE(e_pf_fetch, 64, "mov $0x300000000456, %rbx; jmp *%rbx");
GUEST_CODE(e_nm, 64, "fnop; vmcall");
GUEST_CODE(e_ac, 64, "pushf; orl $0x40000, (%rsp); popf; mov 1(%rsp), %eax; vmcall");
GUEST_CODE(e_icebp_real, 16, ".byte 0xf1; vmcall");
GUEST_CODE(e_into, 32, "movb $0x7f, %al; incb %al; into; vmcall");
GUEST_CODE(e_bound, 32, "push $5; push $1; mov $7, %eax; bound %eax, (%esp); vmcall");
GUEST_CODE(e_int_real, 16, "int $0x42; vmcall");
GUEST_CODE(e_ud_real, 16, "ud2; vmcall");
GUEST_CODE(e_df, 64, "ud2");

static const struct {
	const char *name;
	const u8 *code;
	enum vm_mode mode;
} exceptions[] = {
	{ "de", e_de, VM_64 }, { "int3", e_int3, VM_64 }, { "int1", e_int1, VM_64 }, { "int_3", e_int3_long, VM_64 },
	{ "int_42", e_int_n, VM_64 }, { "int_13", e_int_13, VM_64 }, { "ud2", e_ud2, VM_64 }, { "ss", e_ss, VM_64 },
	{ "gp", e_gp, VM_64 }, { "gp_selector", e_gp_selector, VM_64 }, { "np", e_np, VM_64 }, { "pf", e_pf, VM_64 },
	{ "pf_fetch", e_pf_fetch, VM_64 }, { "nm", e_nm, VM_64 }, { "into", e_into, VM_32 }, { "bound", e_bound, VM_32 },
	{ "de_pae", e_de, VM_PAE }, { "int1_real", e_icebp_real, VM_REAL }, { "int_real", e_int_real, VM_REAL },
	{ "ud_real", e_ud_real, VM_REAL }, { "ud_v86", e_ud_real, VM_V86 }, { "int_v86", e_int_real, VM_V86 },
	{ "int1_v86", e_icebp_real, VM_V86 },
};

/* Each exception with its bit clear and set. */
TEST_VMX(exceptions)
{
	struct vm vm;
	u32 i, set;

	gdt_set(SEL_FREE, 0x00cf13000000ffffull); /* data, not present */
	for (i = 0; i < ARRAY_SIZE(exceptions); i++) {
		if (!vm_mode_possible(exceptions[i].mode))
			continue;
		for (set = 0; set < 2; set++) {
			vm_create(&vm, exceptions[i].mode, 0, exceptions[i].code);
			if (exceptions[i].code == e_nm)
				vmset(F_GUEST_CR0, CR0_TS);
			vmwrite(F_EXCEPTION_BITMAP, set ? 0xffffffff : 0);
			vm.regs.rdx = 1;
			go(&vm, exceptions[i].name);
			report_stack(&vm, exceptions[i].name);
		}
	}
	gdt_set(SEL_FREE, 0);
}

/* An exception while an exception is delivered: contributory ones make #DF, #DF's own failure a triple fault. */
TEST_VMX(double_fault)
{
	static const u32 bitmaps[] = { 0, BIT(VEC_GP), BIT(VEC_DF), BIT(VEC_UD) };
	struct vm vm;
	u32 i;

	for (i = 0; i < ARRAY_SIZE(bitmaps); i++) {
		vm_create(&vm, VM_64, 0, e_ud2);
		((u64 *)ptr_of(vmread(F_GUEST_IDTR_BASE)))[2 * VEC_UD] = 0;
		vmwrite(F_EXCEPTION_BITMAP, bitmaps[i]);
		go(&vm, "ud_gate_absent");
		report_stack(&vm, "ud_gate_absent");
		vm_create(&vm, VM_64, 0, e_de);
		((u64 *)ptr_of(vmread(F_GUEST_IDTR_BASE)))[2 * VEC_DE] = 0;
		vmwrite(F_EXCEPTION_BITMAP, bitmaps[i]);
		go(&vm, "de_gate_absent");
		report_stack(&vm, "de_gate_absent");
		((u64 *)ptr_of(vmread(F_GUEST_IDTR_BASE)))[2 * VEC_DF] = 0;
		vm_set_code(&vm, e_de);
		go(&vm, "df_gate_absent");
		vm_create(&vm, VM_64, 0, e_pf);
		vmwrite(F_GUEST_RSP, 0x300000001000);
		vmwrite(F_EXCEPTION_BITMAP, bitmaps[i]);
		go(&vm, "pf_stack_absent");
		vm_create(&vm, VM_64, 0, e_ud2);
		vmwrite(F_GUEST_RSP, 0x300000001000);
		vmwrite(F_EXCEPTION_BITMAP, bitmaps[i] | BIT(VEC_PF));
		go(&vm, "ud_stack_absent");
	}
}

/* #PF: bit 14 of the bitmap, mask and match; more of it in "invariants". */
TEST_VMX(page_faults)
{
	static const struct {
		u32 bit, mask, match;
	} list[] = { { 0, 0, 0 }, { 1, 0, 0 }, { 0, 2, 2 }, { 0, 2, 0 }, { 1, 2, 2 }, { 1, 2, 0 }, { 0, 0, 1 }, { 1, 0, 1 },
		     { 1, 0x1f, 0x12 }, { 1, ~0u, 2 }, { 1, 1, 1 } };
	struct vm vm;
	u32 i;

	for (i = 0; i < ARRAY_SIZE(list); i++) {
		u32 reason;

		vm_create(&vm, VM_64, 0, e_pf);
		vmwrite(F_EXCEPTION_BITMAP, list[i].bit << 14);
		vmwrite(F_PFEC_MASK, list[i].mask);
		vmwrite(F_PFEC_MATCH, list[i].match);
		cr2_write(0x1111);
		reason = vm_run(&vm);
		result("bit=%u mask=%x match=%x exit=%u qual=%lx cr2=%lx", list[i].bit, list[i].mask, list[i].match, reason,
		       vmread(F_QUALIFICATION), cr2_read());
		CHECK((reason == REASON_EXCEPTION) == (((2 & list[i].mask) == list[i].match) == list[i].bit));
	}
}

GUEST_CODE(e_nops, 64, "nop; nop; nop; nop; vmcall");
GUEST_CODE(e_steps, 64, "nop; mov %eax, %ebx; push %rax; pop %rax; cpuid; nop; int3; nop; mov $3, %ecx; rep stosb; nop; "
			"mov %ss, %eax; mov %eax, %ss; nop; nop; ud2");

/* Monitor trap flag: an exit after each instruction, after an injected event's delivery, and each turn of REP. */
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
		result("loop exit=%u value=%s", reason, vmread(F_GUEST_TIMER) == 2000ul >> shift ? "kept" : "changed");
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
		{ "open", e_nops, RFLAGS_IF, 0, ACTIVE }, { "closed", e_nops, 0, 0, ACTIVE },
		{ "sti", e_sti_nops, 0, 0, ACTIVE }, { "popf", e_popf_if, 0, 0, ACTIVE },
		{ "movss", e_movss_nops, RFLAGS_IF, BLOCK_MOV_SS, ACTIVE },
		{ "block_sti", e_nops, RFLAGS_IF, BLOCK_STI, ACTIVE },
		{ "block_movss", e_nops, RFLAGS_IF, BLOCK_MOV_SS, ACTIVE }, { "hlt", e_nops, RFLAGS_IF, 0, HLT },
		{ "sti_cpuid", e_sti_cpuid, 0, 0, ACTIVE }, { "sti_movss", e_sti_movss, 0, 0, ACTIVE },
		{ "sti_hlt", e_sti_hlt, 0, 0, ACTIVE }, { "cli", e_cli, RFLAGS_IF, BLOCK_STI, ACTIVE },
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

/* Two interrupts pending, acknowledged on exit one after the other, the higher first; none is lost or doubled. */
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

GUEST_CODE(e_send_nmi, 64, "mov $0xfee00300, %ebx; movl $0, 0x10(%rbx); movl $0x4400, (%rbx); nop; nop; nop; vmcall; iretq");
GUEST_CODE(e_iret_only, 64, "mov %ss, %eax; push %rax; push %rsp; addq $8, (%rsp); push $2; mov %cs, %eax; push %rax; "
			    "lea 1f(%rip), %rax; push %rax; iretq; 1: nop; nop; vmcall");

static void nmi_to_self(void) { apic_ipi(this_cpu()->apic_id, ICR_NMI | ICR_ASSERT); }

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
	asm volatile("mov %%rsp, %%rax; push %0; push %%rax; pushfq; push %1; lea 1f(%%rip), %%rax; push %%rax; iretq; 1:"
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
		{ "window_open", e_nops, 0, ACTIVE, 0 }, { "window_blocked", e_nops, BLOCK_NMI, ACTIVE, 0 },
		{ "window_iret", e_iret_only, BLOCK_NMI, ACTIVE, 0 }, { "window_movss", e_nops, BLOCK_MOV_SS, ACTIVE, 0 },
		{ "window_sti", e_nops, BLOCK_STI, ACTIVE, 0 }, { "window_hlt", e_nops, 0, HLT, 0 },
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

GUEST_CODE(e_tf, 64, "pushf; orl $0x100, (%rsp); popf; nop; nop; vmcall");
GUEST_CODE(e_tf_rdmsr, 64, "mov $0x1b, %ecx; pushf; orl $0x100, (%rsp); popf; rdmsr; nop; vmcall");
GUEST_CODE(e_tf_wrmsr, 64, "mov $0x174, %ecx; xor %edx, %edx; xor %eax, %eax; pushf; orl $0x100, (%rsp); popf; wrmsr; nop; "
			   "vmcall");
GUEST_CODE(e_tf_cr0, 64, "mov %cr0, %rdx; xor $8, %rdx; pushf; orl $0x100, (%rsp); popf; mov %rdx, %cr0; nop; vmcall");
GUEST_CODE(e_tf_cr3, 64, "mov %cr3, %rdx; pushf; orl $0x100, (%rsp); popf; mov %rdx, %cr3; nop; vmcall");
GUEST_CODE(e_tf_cpuid, 64, "pushf; orl $0x100, (%rsp); popf; cpuid; nop; vmcall");
GUEST_CODE(e_tf_io, 64, "pushf; orl $0x100, (%rsp); popf; in $0x81, %al; nop; vmcall");
GUEST_CODE(e_tf_movss, 64, "mov %ss, %ecx; pushf; orl $0x100, (%rsp); popf; mov %ecx, %ss; nop; nop; vmcall");
GUEST_CODE(e_tf_sti, 64, "pushf; orl $0x100, (%rsp); popf; sti; nop; nop; vmcall");
GUEST_CODE(e_tf_int3, 64, "pushf; orl $0x100, (%rsp); popf; int3; nop; vmcall");
GUEST_CODE(e_tf_touch, 64, "pushf; orl $0x100, (%rsp); popf; incl (%rbx); nop; vmcall");
GUEST_CODE(e_movss_vmcall, 64, "mov %ss, %ecx; mov %ecx, %ss; vmcall");

/* Trap flag over instructions of all kinds, with #DB to L1 and to L2. */
TEST_VMX(trap_flag)
{
	static const struct {
		const char *name;
		const u8 *code;
	} list[] = {
		{ "nop", e_tf }, { "rdmsr", e_tf_rdmsr }, { "wrmsr", e_tf_wrmsr }, { "cr0", e_tf_cr0 }, { "cr3", e_tf_cr3 },
		{ "cpuid", e_tf_cpuid }, { "io", e_tf_io }, { "movss", e_tf_movss }, { "sti", e_tf_sti },
		{ "int3", e_tf_int3 }, { "touch", e_tf_touch },
	};
	u64 page = addr_of(page_alloc());
	struct vm vm;
	u32 i, set;

	for (i = 0; i < ARRAY_SIZE(list); i++) {
		for (set = 0; set < 2; set++) {
			vm_create(&vm, VM_64, caps_proc2(PROC2_EPT) ? VM_EPT : 0, list[i].code);
			if (caps_proc(PROC_MSR_BITMAPS))
				vm_use_msr_bitmap(&vm);
			vmwrite(F_EXCEPTION_BITMAP, set ? BIT(VEC_DB) : 0);
			vm.regs.rbx = page;
			if (vm.ept && list[i].code == e_tf_touch)
				ept_map(vm.ept, page, page, 1, 0);
			dr6_write(0xffff0ff0);
			go(&vm, list[i].name);
			if (vm.ept && list[i].code == e_tf_touch) {
				ept_map(vm.ept, page, page, 1, EPT_RWX | EPT_WB);
				go(&vm, "touch_mapped");
			}
			report_stack(&vm, list[i].name);
			result("%s dr6=%lx dr7=%lx", list[i].name, dr6_read(), vmread(F_GUEST_DR7));
		}
	}
}

TEST_VMX(pending_debug)
{
	static const struct {
		const char *name;
		const u8 *code;
		u64 pending, flags, block, event, activity;
	} list[] = {
		{ "bs", e_nops, BIT(14), RFLAGS_TF, 0, 0, ACTIVE },
		{ "b0", e_nops, BIT(12) | BIT(0), 0, 0, 0, ACTIVE },
		{ "b0_not_enabled", e_nops, BIT(0), 0, 0, 0, ACTIVE },
		{ "b3_bs", e_nops, BIT(14) | BIT(12) | BIT(3), RFLAGS_TF, 0, 0, ACTIVE },
		{ "movss_blocked", e_nops, BIT(12) | BIT(1), 0, BLOCK_MOV_SS, 0, ACTIVE },
		{ "movss_bs", e_nops, BIT(14), RFLAGS_TF, BLOCK_MOV_SS, 0, ACTIVE },
		{ "sti_no_bs", e_nops, 0, RFLAGS_TF, BLOCK_STI, 0, ACTIVE },
		{ "sti_bs", e_nops, BIT(14), RFLAGS_TF | RFLAGS_IF, BLOCK_STI, 0, ACTIVE },
		{ "with_extint", e_nops, BIT(12) | BIT(2), RFLAGS_IF, 0, INTR_EXTERNAL | 0x50, ACTIVE },
		{ "with_hard", e_nops, BIT(12) | BIT(2), 0, 0, INTR_HARD | 6, ACTIVE },
		{ "with_int3", e_nops, BIT(12) | BIT(2), 0, 0, INTR_SOFT_EXC | 3, ACTIVE },
		{ "with_nmi", e_nops, BIT(12) | BIT(2), 0, 0, INTR_NMI | 2, ACTIVE },
		{ "reserved", e_nops, BIT(5), 0, 0, 0, ACTIVE },
	};
	struct vm vm;
	u32 i, set;

	for (i = 0; i < ARRAY_SIZE(list); i++) {
		if (list[i].activity == HLT && !(caps.misc & BIT(6)))
			continue;
		for (set = 0; set < 2; set++) {
			vm_create(&vm, VM_64, 0, list[i].code);
			vmwrite(F_GUEST_PENDING_DEBUG, list[i].pending);
			vmset(F_GUEST_RFLAGS, list[i].flags);
			vmwrite(F_GUEST_INTERRUPTIBILITY, list[i].block);
			vmwrite(F_GUEST_ACTIVITY, list[i].activity);
			if (list[i].event)
				vmwrite(F_ENTRY_INTR_INFO, INTR_VALID | list[i].event);
			vmwrite(F_ENTRY_LENGTH, 1);
			vmwrite(F_EXCEPTION_BITMAP, set ? BIT(VEC_DB) : 0);
			dr6_write(0xffff0ff0);
			go(&vm, list[i].name);
			report_stack(&vm, list[i].name);
			result("%s dr6=%lx", list[i].name, dr6_read());
		}
	}
}

GUEST_CODE(e_vector_int, 64, "int $0x42; vmcall");
GUEST_CODE(e_vector_int3, 64, "int3; vmcall");
GUEST_CODE(e_vector_int1, 64, ".byte 0xf1; vmcall");
GUEST_CODE(e_vector_gp, 64, "mov $0x1238, %eax; mov %eax, %ds; vmcall");
GUEST_CODE(e_vector_pf, 64, "mov $0x300000000123, %rbx; incb (%rbx); vmcall");
GUEST_CODE(e_vector_into, 32, "movb $0x7f, %al; incb %al; into; vmcall");
GUEST_CODE(e_vector_real, 16, "int $0x42; vmcall");
GUEST_CODE(e_vector_real1, 16, ".byte 0xf1; vmcall");

/*
 * The delivery of an event is cut by an EPT violation (IDT, then stack not mapped): IDT-vectoring information, with which
 * L1 injects the event again.
 */
TEST_VMX(idt_vectoring)
{
	static const struct {
		const char *name;
		const u8 *code;
		enum vm_mode mode;
		u64 event;
	} list[] = {
		{ "int_n", e_vector_int, VM_64, 0 }, { "int3", e_vector_int3, VM_64, 0 }, { "int1", e_vector_int1, VM_64, 0 },
		{ "ud2", e_ud2, VM_64, 0 }, { "gp", e_vector_gp, VM_64, 0 }, { "pf", e_vector_pf, VM_64, 0 },
		{ "into", e_vector_into, VM_32, 0 }, { "real_int", e_vector_real, VM_REAL, 0 },
		{ "real_int1", e_vector_real1, VM_REAL, 0 }, { "v86_int", e_vector_real, VM_V86, 0 },
		{ "inj_extint", e_nops, VM_64, INTR_EXTERNAL | 0x50 }, { "inj_nmi", e_nops, VM_64, INTR_NMI | 2 },
		{ "inj_hard", e_nops, VM_64, INTR_HARD | INTR_CODE | 13 }, { "inj_soft", e_nops, VM_64, INTR_SOFT | 0x50 },
		{ "inj_int3", e_nops, VM_64, INTR_SOFT_EXC | 3 }, { "inj_priv", e_nops, VM_64, INTR_PRIV | 1 },
		{ "inj_extint_pae", e_nops, VM_PAE, INTR_EXTERNAL | 0x50 },
		{ "inj_extint_real", e_vector_real, VM_REAL, INTR_EXTERNAL | 0x50 },
	};
	struct vm vm;
	u32 i, k, turn;

	NEED(caps_proc2(PROC2_EPT));
	for (i = 0; i < ARRAY_SIZE(list); i++) {
		u64 holes[2];

		if (!vm_mode_possible(list[i].mode))
			continue;
		vm_create(&vm, list[i].mode, VM_EPT, list[i].code);
		vmset(F_GUEST_RFLAGS, RFLAGS_IF);
		holes[0] = vmread(F_GUEST_IDTR_BASE) & ~0xfffull;
		holes[1] = list[i].mode == VM_V86 ? *(u32 *)ptr_of(vmread(F_GUEST_TR_BASE) + 4) & ~0xfffull :
						    (vmread(F_GUEST_SS_BASE) + vmread(F_GUEST_RSP) - 1) & ~0xfffull;
		for (k = 0; k < 2; k++)
			ept_map(vm.ept, holes[k], holes[k], 1, 0);
		if (list[i].event)
			vmwrite(F_ENTRY_INTR_INFO, INTR_VALID | list[i].event);
		vmwrite(F_ENTRY_ERROR_CODE, 0x18);
		vmwrite(F_ENTRY_LENGTH, 1);
		for (turn = 0; turn < 4; turn++) {
			u32 reason = vm_run(&vm);
			u64 gpa;

			vm_report(&vm, reason, list[i].name);
			if (reason != REASON_EPT_VIOLATION)
				break;
			gpa = vmread(F_GUEST_PHYSICAL) & ~0xfffull;
			ept_map(vm.ept, gpa, gpa, 1, EPT_RWX | EPT_WB);
			if (vmread(F_IDT_INFO) & INTR_VALID) {
				vmwrite(F_ENTRY_INTR_INFO, vmread(F_IDT_INFO) & ~BIT(12));
				vmwrite(F_ENTRY_ERROR_CODE, vmread(F_IDT_ERROR_CODE));
				vmwrite(F_ENTRY_LENGTH, vmread(F_EXIT_LENGTH));
			}
		}
		report_stack(&vm, list[i].name);
	}
}

/* The delivery is cut by an exception that L1 intercepts, and by a task gate. */
TEST_VMX(idt_vectoring_exceptions)
{
	static const u8 *const codes[] = { e_vector_int, e_vector_int3, e_vector_int1, e_ud2, e_vector_gp, e_vector_pf };
	static const char *const names[] = { "int_n", "int3", "int1", "ud2", "gp", "pf" };
	struct vm vm;
	u32 i;

	for (i = 0; i < ARRAY_SIZE(codes); i++) {
		u64 idt;

		vm_create(&vm, VM_64, 0, codes[i]);
		idt = vmread(F_GUEST_IDTR_BASE);
		paging_map(TEST_VA, idt, 0);
		vmwrite(F_GUEST_IDTR_BASE, TEST_VA);
		vmwrite(F_EXCEPTION_BITMAP, BIT(VEC_PF) & (codes[i] == e_vector_pf ? 0 : ~0u));
		go(&vm, names[i]);
		vm_create(&vm, VM_64, 0, codes[i]);
		vmwrite(F_GUEST_IDTR_LIMIT, 0);
		vmwrite(F_EXCEPTION_BITMAP, BIT(VEC_GP) & (codes[i] == e_vector_gp ? 0 : ~0u));
		go(&vm, names[i]);
		vm_create(&vm, VM_64, 0, codes[i]);
		vmwrite(F_GUEST_IDTR_LIMIT, 0);
		vmwrite(F_EXCEPTION_BITMAP, BIT(VEC_DF));
		go(&vm, names[i]);
	}
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
			result("vnmi=%u ept exit=%u qual=%lx block=%lx", vnmi, reason, vmread(F_QUALIFICATION) & ~0xe00ul,
			       vmread(F_GUEST_INTERRUPTIBILITY));
			vm_create(&vm, VM_64, 0, e_iret_only);
			if (vnmi)
				vmset(F_PIN, PIN_VNMI | PIN_NMI);
			vmwrite(F_GUEST_INTERRUPTIBILITY, BLOCK_NMI);
			vmwrite(F_GUEST_RIP, addr_of(p));
			vmwrite(F_GUEST_RSP, 0x300000000100);
			vmwrite(F_EXCEPTION_BITMAP, BIT(VEC_PF));
			reason = vm_run(&vm);
			result("vnmi=%u pf exit=%u intr=%lx block=%lx", vnmi, reason, vmread(F_EXIT_INTR_INFO),
			       vmread(F_GUEST_INTERRUPTIBILITY));
		}
	}
	vm_create(&vm, VM_64, 0, e_iret_only);
	go(&vm, "end");
}
