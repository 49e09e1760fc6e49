/* SPDX-License-Identifier: MIT */
/*
 * Guest test "exits": an NMI that waits for the VM entry, among all else that an entry can find: what the
 * entry injects, pending debug exceptions, the VMX-preemption timer, the TPR threshold, an NMI window, the
 * shadow of STI and MOV SS, virtual-NMI blocking. SDM: "Other Causes of VM Exits", "Priority Among Concurrent
 * Events", "Virtual NMIs".
 */
#include "tests/guest/exits.h"

/* Ends by itself, should no NMI ever come. */
GUEST_CODE(n_spin, 64, "mov $200, %ecx; 1: loop 1b; vmcall");

enum { NMI_EXITS = PIN_NMI, VIRTUAL = PIN_NMI | PIN_VNMI, PENDING_BS = BIT(14) };

struct held {
	const char *name;
	u64 pin, proc, block, pending_debug, inject, exceptions;
	bool step;
	u32 activity;
	bool socle_only; /* the emulator has it otherwise: tests/deviations.md. At the first place where it
			    may be: */
	u32 reason, vector;
};

static const struct held cases[] = {
	{ "plain", VIRTUAL, 0, 0, 0, 0, 0, false, 0, false, 0, 0 },
	{ "blocked", VIRTUAL, 0, BLOCK_NMI, 0, 0, 0, false, 0, false, 0, 0 },
	{ "sti", VIRTUAL, 0, BLOCK_STI, 0, 0, 0, false, 0, false, 0, 0 },
	{ "mov_ss", VIRTUAL, 0, BLOCK_MOV_SS, 0, 0, 0, false, 0, false, 0, 0 },
	{ "blocked_sti", VIRTUAL, 0, BLOCK_NMI | BLOCK_STI, 0, 0, 0, false, 0, false, 0, 0 },
	{ "blocked_mov_ss", VIRTUAL, 0, BLOCK_NMI | BLOCK_MOV_SS, 0, 0, 0, false, 0, false, 0, 0 },
	{ "blocked_mov_ss_mtf", VIRTUAL, PROC_MTF, BLOCK_NMI | BLOCK_MOV_SS, 0, 0, 0, false, 0, false, 0, 0 },
	{ "blocked_mov_ss_step", VIRTUAL, 0, BLOCK_NMI | BLOCK_MOV_SS, PENDING_BS, 0, 0, true, 0, false, 0,
	  0 },
	{ "timer", VIRTUAL | PIN_TIMER, 0, 0, 0, 0, 0, false, 0, false, 0, 0 },
	{ "blocked_timer", VIRTUAL | PIN_TIMER, 0, BLOCK_NMI, 0, 0, 0, false, 0, false, 0, 0 },
	{ "window", VIRTUAL, PROC_NMI_WINDOW, 0, 0, 0, 0, false, 0, false, 0, 0 },
	{ "blocked_window", VIRTUAL, PROC_NMI_WINDOW, BLOCK_NMI, 0, 0, 0, false, 0, false, 0, 0 },
	{ "window_mov_ss", VIRTUAL, PROC_NMI_WINDOW, BLOCK_MOV_SS, 0, 0, 0, false, 0, false, 0, 0 },
	{ "debug", VIRTUAL, 0, 0, PENDING_BS, 0, 0, false, 0, false, 0, 0 },
	{ "debug_exits", VIRTUAL, 0, 0, PENDING_BS, 0, BIT(VEC_DB), false, 0, false, 0, 0 },
	{ "blocked_debug", VIRTUAL, 0, BLOCK_NMI, PENDING_BS, 0, 0, false, 0, false, 0, 0 },
	{ "blocked_debug_exits", VIRTUAL, 0, BLOCK_NMI, PENDING_BS, 0, BIT(VEC_DB), false, 0, false, 0, 0 },
	{ "debug_window", VIRTUAL, PROC_NMI_WINDOW, 0, PENDING_BS, 0, BIT(VEC_DB), false, 0, false, 0, 0 },
	{ "tpr", VIRTUAL, PROC_TPR_SHADOW, 0, 0, 0, 0, false, 0, false, 0, 0 },
	{ "blocked_tpr", VIRTUAL, PROC_TPR_SHADOW, BLOCK_NMI, 0, 0, 0, false, 0, false, 0, 0 },
	{ "interrupt", VIRTUAL, 0, 0, 0, INTR_VALID | 0x41, 0, false, 0, false, 0, 0 },
	{ "blocked_interrupt", VIRTUAL, 0, BLOCK_NMI, 0, INTR_VALID | 0x41, 0, false, 0, false, 0, 0 },
	{ "nmi", VIRTUAL, 0, 0, 0, INTR_VALID | 2u << 8 | 2, 0, false, 0, false, 0, 0 },
	{ "no_virtual", NMI_EXITS, 0, 0, 0, 0, 0, false, 0, false, 0, 0 },
	{ "no_virtual_mov_ss", NMI_EXITS, 0, BLOCK_MOV_SS, 0, 0, 0, false, 0, false, 0, 0 },
	{ "no_virtual_timer", NMI_EXITS | PIN_TIMER, 0, 0, 0, 0, 0, false, 0, false, 0, 0 },
	{ "no_virtual_debug", NMI_EXITS, 0, 0, PENDING_BS, 0, BIT(VEC_DB), false, 0, false, 0, 0 },
	{ "own", 0, 0, 0, 0, 0, 0, false, 0, false, 0, 0 },
	{ "own_timer", PIN_TIMER, 0, 0, 0, 0, 0, false, 0, false, 0, 0 },
	{ "own_mov_ss", 0, 0, BLOCK_MOV_SS, 0, 0, 0, false, 0, false, 0, 0 },
	{ "own_debug", 0, 0, 0, PENDING_BS, 0, 0, false, 0, false, 0, 0 },
	{ "own_debug_exits", 0, 0, 0, PENDING_BS, 0, BIT(VEC_DB), false, 0, false, 0, 0 },
	{ "own_tpr", 0, PROC_TPR_SHADOW, 0, 0, 0, 0, false, 0, false, 0, 0 },
	{ "hlt", VIRTUAL, 0, 0, 0, 0, 0, false, HLT, false, 0, 0 },
	{ "hlt_tpr", VIRTUAL, PROC_TPR_SHADOW, 0, 0, 0, 0, false, HLT, false, 0, 0 },
	{ "hlt_window", VIRTUAL, PROC_NMI_WINDOW, 0, 0, 0, 0, false, HLT, false, 0, 0 },
	{ "own_hlt", 0, 0, 0, 0, 0, 0, false, HLT, false, 0, 0 },
	{ "shutdown", VIRTUAL, 0, 0, 0, 0, 0, false, SHUTDOWN, false, 0, 0 },
	{ "blocked_shutdown", VIRTUAL, 0, BLOCK_NMI, 0, 0, 0, false, SHUTDOWN, false, 0, 0 },
	{ "blocked_shutdown_debug", VIRTUAL, 0, BLOCK_NMI, PENDING_BS, 0, 0, false, SHUTDOWN, true,
	  REASON_EXCEPTION, 256 },
	{ "shutdown_tpr", VIRTUAL, PROC_TPR_SHADOW, 0, 0, 0, 0, false, SHUTDOWN, true, REASON_EXCEPTION,
	  256 },
	{ "blocked_shutdown_tpr", VIRTUAL, PROC_TPR_SHADOW, BLOCK_NMI, 0, 0, 0, false, SHUTDOWN, true,
	  REASON_EXCEPTION, 256 },
	{ "own_shutdown", 0, 0, 0, 0, 0, 0, false, SHUTDOWN, false, 0, 0 },
	{ "own_shutdown_tpr", 0, PROC_TPR_SHADOW, 0, 0, 0, 0, false, SHUTDOWN, true, REASON_TPR, 2 },
};

static bool is_possible(const struct held *c)
{
	if (c->activity && !(caps.misc & BIT(5 + c->activity)))
		return false;
	if ((c->proc & PROC_TPR_SHADOW) && !caps_proc2(PROC2_APIC_ACCESS))
		return false;
	return caps_pin(c->pin & PIN_VNMI) && caps_pin(c->pin & PIN_TIMER) && caps_proc(c->proc);
}

/* The activity state that such an exit saves is another thing: exits, external_interrupts. */
static void run(struct vm *vm, const struct held *c)
{
	u32 reason;

	if (!c->activity) {
		go(vm, c->name);
		return;
	}
	reason = vm_run(vm);
	if (!c->socle_only) {
		result("%s exit=%u intr=%lx vector=%u", c->name, reason,
		       reason == REASON_EXCEPTION ? vmread(F_EXIT_INTR_INFO) : 0, vm_vector(vm));
	} else if (under_socle()) {
		CHECK(reason == c->reason && vm_vector(vm) == c->vector);
		if (reason == REASON_EXCEPTION)
			CHECK((vmread(F_EXIT_INTR_INFO) & 0xfff) == (2 << 8 | 2));
	}
}

TEST_VMX(held_nmi)
{
	for (u32 i = 0; i < ARRAY_SIZE(cases); i++) {
		const struct held *c = &cases[i];
		u64 mark = page_mark();
		u32 before;
		struct vm vm;

		if (!is_possible(c))
			continue;
		nmi_block_and_hold();
		before = this_cpu()->nmi_count;
		vm_create(&vm, VM_64, 0, n_spin);
		vmset(F_PIN, c->pin);
		vmset(F_PROC, c->proc);
		if (c->pin & PIN_TIMER)
			vmwrite(F_GUEST_TIMER, 0);
		if (c->proc & PROC_TPR_SHADOW) {
			vmwrite(F_VIRTUAL_APIC, addr_of(page_alloc()));
			vmwrite(F_TPR_THRESHOLD, 1);
			/* with it the threshold may be above the virtual TPR at the entry */
			vmset(F_PROC, PROC_SECONDARY);
			vmset(F_PROC2, PROC2_APIC_ACCESS);
			vmwrite(F_APIC_ACCESS, addr_of(page_alloc()));
		}
		vmset(F_GUEST_RFLAGS, RFLAGS_IF | (c->step ? RFLAGS_TF : 0));
		vmwrite(F_GUEST_INTERRUPTIBILITY, c->block);
		vmwrite(F_GUEST_ACTIVITY, c->activity);
		vmwrite(F_GUEST_PENDING_DEBUG, c->pending_debug);
		vmwrite(F_ENTRY_INTR_INFO, c->inject);
		vmwrite(F_EXCEPTION_BITMAP, c->exceptions);
		run(&vm, c);
		/* one that was no exit is L1's now, unless blocking by the exit's own NMI holds it */
		delay(50);
		if (!c->socle_only)
			result("%s l1=%u", c->name, this_cpu()->nmi_count - before);
		nmi_unblock();
		delay(50);
		if (!c->socle_only)
			result("%s l1 unblocked=%u", c->name, this_cpu()->nmi_count - before);
		page_release(mark);
	}
}
