/* SPDX-License-Identifier: MIT */
/*
 * Guest test "exits": activity states, INIT and SIPI, VMX abort, task switches.
 */
#include "tests/guest/exits.h"

extern const u8 s_vmcall[];
GUEST_CODE(s_vmcall32, 32, "vmcall; hlt");
GUEST_CODE(s_loop, 64, "1: pause; jmp 1b");

/* VMX abort on another CPU: a store or load list that fails leaves the indicator in the VMCS and the CPU in
 * shutdown. */
static struct abort_case {
	struct vm vm;
	struct msr_entry *list;
	bool load;
	volatile bool came_back;
} abort_case;

static void abort_cpu(void *arg)
{
	struct abort_case *c = arg;

	vmx_enable();
	vm_create(&c->vm, VM_64, 0, s_vmcall);
	c->list[0] = (struct msr_entry){ 0x12345, 0, 0 };
	vmwrite(c->load ? F_EXIT_MSR_LOAD : F_EXIT_MSR_STORE, addr_of(c->list));
	vmwrite(c->load ? F_EXIT_MSR_LOAD_COUNT : F_EXIT_MSR_STORE_COUNT, 1);
	vm_run(&c->vm);
	c->came_back = true;
	vmx_disable();
}

/* Activity state wait-for-SIPI, and INIT, on another CPU. */
static volatile u32 remote_reason;
static volatile u64 remote_qualification, remote_activity, remote_rip;
static volatile bool remote_ready;

static void remote_run(u64 activity, const u8 *code)
{
	static struct vm vm;

	vmx_enable();
	vm_create(&vm, VM_64, 0, code);
	vmwrite(F_GUEST_ACTIVITY, activity);
	remote_ready = true;
	remote_reason = vm_run(&vm);
	remote_qualification = vmread(F_QUALIFICATION);
	remote_activity = vmread(F_GUEST_ACTIVITY);
	remote_rip = vm_pc(&vm);
	vmx_disable();
}

static void remote_active(void *arg)
{
	(void)arg;
	remote_run(ACTIVE, s_loop);
}

static void remote_hlt(void *arg)
{
	(void)arg;
	remote_run(HLT, s_loop);
}

static void remote_shutdown(void *arg)
{
	(void)arg;
	remote_run(SHUTDOWN, s_loop);
}

static void remote_wait(void *arg)
{
	(void)arg;
	remote_run(WAIT_FOR_SIPI, s_loop);
}

static void remote(const char *what, void (*fn)(void *), u32 icr, u32 icr2)
{
	u32 id = cpus[1].apic_id;

	remote_ready = false;
	remote_reason = 0xdead;
	smp_call(1, fn, NULL);
	while (!remote_ready)
		cpu_pause();
	delay(50000);
	if (remote_reason == 0xdead && icr) {
		apic_ipi(id, icr | ICR_ASSERT);
		delay(20000);
	}
	if (remote_reason == 0xdead && icr2)
		apic_ipi(id, icr2 | ICR_ASSERT);
	if (!smp_wait(1, 2000000)) {
		result("%s no exit", what);
		return;
	}
	result("%s exit=%u qual=%lx activity=%lx rip=%s", what, remote_reason, remote_qualification,
	       remote_activity, remote_rip <= 2 ? "loop" : "other");
}

TEST(init_sipi)
{
	NEED(smp_start() > 1);
	remote("init", remote_active, ICR_INIT, 0);
	if (caps.misc & BIT(6))
		remote("init_in_hlt", remote_hlt, ICR_INIT, 0);
	if (caps.misc & BIT(7))
		remote("init_in_shutdown", remote_shutdown, ICR_INIT, 0);
	if (caps.misc & BIT(8)) {
		remote("sipi", remote_wait, ICR_SIPI | 0x9a, 0);
		remote("init_then_sipi", remote_wait, ICR_INIT, ICR_SIPI | 0x34);
		remote("nmi_then_sipi", remote_wait, ICR_NMI, ICR_SIPI | 0x56);
	}
}

/* Last of the two-CPU tests: the other CPU does not come back. */
TEST(vmx_abort)
{
	NEED(smp_start() > 1);
	abort_case.list = page_alloc();
	abort_case.load = option_flag("abort-load");
	smp_call(1, abort_cpu, &abort_case);
	smp_wait(1, 2000000);
	result("came_back=%u indicator=%u", abort_case.came_back,
	       ((volatile u32 *)ptr_of(abort_case.vm.vmcs))[1]);
	CHECK(!abort_case.came_back);
	/* that CPU has VMX on and is gone for this run */
}

TEST_VMX(activity)
{
	static const struct {
		const char *name;
		u64 activity, event, flags;
	} list[] = {
		{ "hlt_extint", HLT, INTR_EXTERNAL | 0x50, RFLAGS_IF },
		{ "hlt_nmi", HLT, INTR_NMI | 2, 0 },
		{ "hlt_db", HLT, INTR_HARD | 1, 0 },
		{ "hlt_mc", HLT, INTR_HARD | 18, 0 },
		{ "hlt_ud", HLT, INTR_HARD | 6, 0 },
		{ "hlt_soft", HLT, INTR_SOFT | 0x50, 0 },
		{ "hlt_int3", HLT, INTR_SOFT_EXC | 3, 0 },
		{ "shutdown_nmi", SHUTDOWN, INTR_NMI | 2, 0 },
		{ "shutdown_extint", SHUTDOWN, INTR_EXTERNAL | 0x50, RFLAGS_IF },
		{ "shutdown_mc", SHUTDOWN, INTR_HARD | 18, 0 },
		{ "shutdown_db", SHUTDOWN, INTR_HARD | 1, 0 },
		{ "wait_nmi", WAIT_FOR_SIPI, INTR_NMI | 2, 0 },
		{ "invalid", 4, 0, 0 },
	};
	struct vm vm;
	u32 i;

	for (i = 0; i < ARRAY_SIZE(list); i++) {
		if (list[i].activity && list[i].activity < 4 && !(caps.misc & BIT(5 + list[i].activity)))
			continue;
		vm_create(&vm, VM_64, 0, s_vmcall);
		vmwrite(F_GUEST_ACTIVITY, list[i].activity);
		vmset(F_GUEST_RFLAGS, list[i].flags);
		vmwrite(F_ENTRY_LENGTH, 1);
		if (list[i].event)
			vmwrite(F_ENTRY_INTR_INFO, INTR_VALID | list[i].event);
		go(&vm, list[i].name);
	}
	vm_create(&vm, VM_64, 0, s_vmcall);
	vmwrite(F_GUEST_ACTIVITY, HLT);
	vmwrite(F_GUEST_INTERRUPTIBILITY, BLOCK_STI);
	vmset(F_GUEST_RFLAGS, RFLAGS_IF);
	go(&vm, "hlt_sti");
	vm_create(&vm, VM_64, 0, s_vmcall);
	vmwrite(F_GUEST_ACTIVITY, HLT);
	vmwrite(F_GUEST_INTERRUPTIBILITY, BLOCK_MOV_SS);
	go(&vm, "hlt_movss");
	vm_create(&vm, VM_64, 0, s_vmcall);
	vmwrite(F_GUEST_ACTIVITY, HLT);
	vmwrite(F_GUEST_SS_RIGHTS, 0xc0f3);
	vmwrite(F_GUEST_CS_RIGHTS, 0xa0fb);
	go(&vm, "hlt_user");
}

GUEST_CODE(s_call_tss, 32, "lcall $0x58, $0; vmcall");
GUEST_CODE(s_jmp_tss, 32, "ljmp $0x58, $0; vmcall");
GUEST_CODE(s_call_gate, 32, "lcall $0x60, $0; vmcall");
GUEST_CODE(s_iret_nt, 32, "pushf; orl $0x4000, (%esp); popf; iret; vmcall");
GUEST_CODE(s_int_gate, 32, "int $0x42; vmcall");
GUEST_CODE(s_ud_gate, 32, "ud2; vmcall");

/* Task switches exit with source and selector, before anything changed. */
TEST_VMX(task_switch)
{
	static const struct {
		const char *name;
		const u8 *code;
		u32 gate; /* vector with a task gate, or 0 */
		u64 event;
	} list[] = {
		{ "call", s_call_tss, 0, 0 },
		{ "jmp", s_jmp_tss, 0, 0 },
		{ "call_gate", s_call_gate, 0, 0 },
		{ "iret", s_iret_nt, 0, 0 },
		{ "int", s_int_gate, 0x42, 0 },
		{ "ud", s_ud_gate, 6, 0 },
		{ "inj_extint", s_vmcall32, 0x50, INTR_EXTERNAL | 0x50 },
		{ "inj_nmi", s_vmcall32, 2, INTR_NMI | 2 },
		{ "inj_hard", s_vmcall32, 13, INTR_HARD | INTR_CODE | 13 },
		{ "inj_soft", s_vmcall32, 0x50, INTR_SOFT | 0x50 },
		{ "inj_int3", s_vmcall32, 3, INTR_SOFT_EXC | 3 },
		{ "inj_int1", s_vmcall32, 1, INTR_PRIV | 1 },
	};
	u64 tss = addr_of(page_alloc());
	struct vm vm;
	u32 i;

	for (i = 0; i < ARRAY_SIZE(list); i++) {
		u32 reason;

		gdt_set(SEL_FREE, 0x67 | (tss & 0xffffff) << 16 | 0x89ull << 40 | (tss >> 24) << 56);
		this_cpu()->gdt[SEL_FREE / 8 + 1] = (u64)SEL_FREE << 16 | 0x85ull << 40; /* task gate at 60 */
		vm_create(&vm, VM_32, 0, list[i].code);
		*(u16 *)ptr_of(vmread(F_GUEST_TR_BASE)) = SEL_FREE; /* back link, for IRET */
		if (list[i].code == s_iret_nt)
			this_cpu()->gdt[SEL_FREE / 8] |= 2ull << 40; /* busy */
		if (list[i].gate)
			((u64 *)ptr_of(vmread(F_GUEST_IDTR_BASE)))[list[i].gate] =
				(u64)SEL_FREE << 16 | 0xe5ull << 40;
		if (list[i].event) {
			vmset(F_GUEST_RFLAGS, RFLAGS_IF);
			vmwrite(F_ENTRY_INTR_INFO, INTR_VALID | list[i].event);
			vmwrite(F_ENTRY_ERROR_CODE, 0x18);
			vmwrite(F_ENTRY_LENGTH, 1);
		}
		reason = vm_run(&vm);
		vm_report(&vm, reason, list[i].name);
		result("%s tr=%lx nt=%u", list[i].name, vmread(F_GUEST_TR),
		       !!(vmread(F_GUEST_RFLAGS) & RFLAGS_NT));
	}
	gdt_set(SEL_FREE, 0);
	this_cpu()->gdt[SEL_FREE / 8 + 1] = 0;
}
