/* SPDX-License-Identifier: MIT */
/*
 * Guest test "invariants", the first, by the route that is L1's: a task switch of L2's is always L1's exit.
 * L1 makes it, with new PDPTEs in the VMCS, and something is pending at the next entry: the exit that this
 * makes shows the new PDPTEs, and L2 then reads through them. SDM: "Treatment of Task Switches".
 */
#include "tests/guest/invariants.h"

GUEST_CODE(t_switch, 32, "ljmp $0x58, $0; nop; movl 0xc0000000, %ecx; vmcall");

enum { TIMER = INTERVENERS, INIT, ALL };

static void send_init(void *target)
{
	apic_ipi((u32)(u64)target, ICR_INIT | ICR_ASSERT);
}

static bool set(struct vm *vm, u32 what)
{
	switch (what) {
	case TIMER:
		if (!caps_pin(PIN_TIMER))
			return false;
		vmset(F_PIN, PIN_TIMER);
		vmwrite(F_GUEST_TIMER, 0);
		return true;
	case INIT: /* VMX root operation holds it */
		if (smp_start() < 2)
			return false;
		smp_call(1, send_init, (void *)(u64)this_cpu()->apic_id);
		CHECK(smp_wait(1, 50000000));
		delay(1000);
		return true;
	default: return intervener_set(vm, what);
	}
}

/* L1 does what a processor does of a task switch: CR3 with its PDPTEs, TR, CR0.TS, and where to go on. */
static void emulate_switch(struct vm *vm, const struct pae_tables *to, bool ept)
{
	u32 i;

	CHECK(vmread(F_QUALIFICATION) == (SEL_FREE | 2u << 30)); /* by JMP */
	vmwrite(F_GUEST_CR3, addr_of(to->pdpt));
	for (i = 0; ept && i < 4; i++)
		vmwrite(F_GUEST_PDPTE0 + 2 * i, to->pdpt[i]);
	vmwrite(F_GUEST_TR, SEL_FREE);
	vmset(F_GUEST_CR0, BIT(3));
	vm_skip(vm);
}

static void one(u32 what, bool ept)
{
	const char *name = what < INTERVENERS ? intervener_names[what] : what == TIMER ? "timer" : "init";
	struct pae_tables from, to;
	struct vm vm;
	u32 reason, then;
	u64 pdpte, at;

	pae_make(&from);
	pae_make(&to);
	to.pdpt[3] = addr_of(to.pd_b) | PTE_P;
	pae_guest(&vm, &from, ept ? VM_EPT : 0, t_switch);
	CHECK(vm_run(&vm) == REASON_TASK_SWITCH);
	emulate_switch(&vm, &to, ept);
	if (ept) /* the fields count, not memory */
		to.pdpt[3] = addr_of(to.pd_a) | PTE_P;
	if (!set(&vm, what))
		return;
	reason = vm_run(&vm);
	pdpte = ept ? vmread(F_GUEST_PDPTE3) : to.pdpt[3];
	at = vm_pc(&vm);
	CHECK(pdpte == (addr_of(to.pd_b) | PTE_P) && vmread(F_GUEST_CR3) == addr_of(to.pdpt));
	then = reason;
	if (what != NOTHING) {
		if (what < INTERVENERS)
			intervener_clear(what);
		vmunset(F_PIN, PIN_TIMER);
		then = vm_run(&vm);
	}
	result("%s ept=%u exit=%u pc=%lx then=%u read=%x", name, ept, reason, at, then, (u32)vm.regs.rcx);
	CHECK(then == REASON_VMCALL && (u32)vm.regs.rcx == MARK_B);
}

TEST_VMX(pdpte_update_task)
{
	u32 what, ept;

	gdt_set(SEL_FREE, 0x67 | (addr_of(page_alloc()) & 0xffffff) << 16 | 0x89ul << 40);
	for (ept = 0; ept <= caps_proc2(PROC2_EPT); ept++)
		for (what = NOTHING; what < ALL; what++)
			one(what, ept);
	gdt_set(SEL_FREE, 0);
}
