/* SPDX-License-Identifier: MIT */
/*
 * Guest test "events": the delivery of events, cut at each place where it may end in an exit and begun again
 * by L1: on the IDT, the GDT, the TSS and the stack; by EPT violations and misconfigurations, APIC accesses,
 * a full page- modification log, in all modes. SDM: "Information for VM Exits That Occur During Event
 * Delivery".
 */
#include "tests/guest/events.h"

GUEST_CODE(v_int, 64, "int $0x42; vmcall");
GUEST_CODE(v_int3, 64, "int3; vmcall");
GUEST_CODE(v_int1, 64, ".byte 0xf1; vmcall");
GUEST_CODE(v_ud, 64, "ud2; vmcall");
GUEST_CODE(v_gp, 64, "mov $0x1238, %eax; mov %eax, %ds; vmcall");
GUEST_CODE(v_pf, 64, "mov $0x300000000123, %rbx; incb (%rbx); vmcall");
GUEST_CODE(v_int_real, 16, "int $0x42; vmcall");
GUEST_CODE(v_ud_real, 16, "ud2; vmcall");
GUEST_CODE(v_nop, 64, "nop; nop; vmcall");

static const struct event_case {
	const char *name;
	const u8 *code;
	u64 event;
	bool real; /* the code is 16-bit too */
} events[] = {
	{ "int_n", v_int, 0, false },
	{ "int3", v_int3, 0, true },
	{ "int1", v_int1, 0, true },
	{ "ud", v_ud, 0, true },
	{ "gp", v_gp, 0, false },
	{ "pf", v_pf, 0, false },
	{ "int_real", v_int_real, 0, true },
	{ "inj_extint", v_nop, INTR_EXTERNAL | 0x50, true },
	{ "inj_nmi", v_nop, INTR_NMI | 2, true },
	{ "inj_hard", v_nop, INTR_HARD | VEC_UD, true },
	{ "inj_code", v_nop, INTR_HARD | INTR_CODE | VEC_GP, false },
	{ "inj_soft", v_nop, INTR_SOFT | 0x50, true },
	{ "inj_int3", v_nop, INTR_SOFT_EXC | 3, true },
	{ "inj_int1", v_nop, INTR_PRIV | 1, true },
};

static void inject(const struct event_case *e)
{
	if (!e->event)
		return;
	vmwrite(F_ENTRY_INTR_INFO, INTR_VALID | e->event);
	vmwrite(F_ENTRY_ERROR_CODE, 0x18);
	vmwrite(F_ENTRY_LENGTH, 1);
}

/* As a hypervisor does after it has repaired what cut the delivery. */
static void inject_again(void)
{
	u64 idt = vmread(F_IDT_INFO);

	if (!(idt & INTR_VALID))
		return;
	vmwrite(F_ENTRY_INTR_INFO, idt & ~BIT(12));
	vmwrite(F_ENTRY_ERROR_CODE, vmread(F_IDT_ERROR_CODE));
	vmwrite(F_ENTRY_LENGTH, vmread(F_EXIT_LENGTH));
	/* NMIs may not be blocked when one is injected */
	if ((idt & 0x700) == INTR_NMI)
		vmwrite(F_GUEST_INTERRUPTIBILITY, vmread(F_GUEST_INTERRUPTIBILITY) & ~BLOCK_NMI);
}

enum { RING3 = 1 };

static void create(struct vm *vm, enum vm_mode mode, u64 flags, const struct event_case *e, u64 user)
{
	vm_create(vm, mode, flags, e->code);
	if (flags & VM_EPT) /* its tables are where others have been */
		invept(2, 0);
	vmset(F_GUEST_RFLAGS, RFLAGS_IF);
	if (user) {
		vmwrite(F_GUEST_CS, SEL_USER64);
		vmwrite(F_GUEST_CS_RIGHTS, 0xa0fb);
		vmwrite(F_GUEST_SS, SEL_USER_DATA);
		vmwrite(F_GUEST_SS_RIGHTS, 0xc0f3);
	}
	inject(e);
}

/* The pages that a delivery touches. */
static u64 place(struct vm *vm, u32 where)
{
	switch (where) {
	case 0: return vmread(F_GUEST_IDTR_BASE);
	case 1: return vmread(F_GUEST_GDTR_BASE);
	case 2: return vmread(F_GUEST_TR_BASE);
	case 3: return *(u64 *)ptr_of(vmread(F_GUEST_TR_BASE) + 4) - 8;
	case 4: return vmread(F_GUEST_SS_BASE) + vmread(F_GUEST_RSP) - 2;
	}
	return vm->ept;
}

static void allow_user(const void *code)
{
	u64 at = addr_of(code) & ~(PAGE_SIZE - 1);

	*paging_entry(cr3_read(), at, 1) |= PTE_U;
	cr3_write(cr3_read());
}

/* All events x places x {violation, misconfiguration}, in ring 0 and ring 3, repaired and begun again. */
TEST_VMX(cut_by_ept)
{
	static const char *const names[] = { "idt", "gdt", "tss", "stack0", "stack" };
	u32 i, where, wrong, user;

	NEED(caps_proc2(PROC2_EPT));
	allow_user(v_int);
	for (i = 0; i < ARRAY_SIZE(events); i++) {
		if (events[i].code == v_int_real)
			continue;
		for (user = 0; user < 2; user++) {
			print("RESULT %s %s ring=%u", test_name(), events[i].name, user ? 3 : 0);
			for (where = 0; where < 5; where++) {
				for (wrong = 0; wrong < 2; wrong++) {
					u64 mark = page_mark();
					struct vm vm;
					u64 hole;
					u32 turn;

					create(&vm, VM_64, VM_EPT, &events[i], user);
					hole = place(&vm, where) & ~(PAGE_SIZE - 1);
					ept_map(vm.ept, hole, hole, 1, wrong ? EPT_W | EPT_WB : 0);
					print(" %s%s", names[where], wrong ? "!" : "");
					for (turn = 0; turn < 3; turn++) {
						u32 reason = vm_run(&vm);

						print(":%u", reason);
						if (reason == REASON_VMCALL)
							print("@%u", vm_vector(&vm));
						if (reason != REASON_EPT_VIOLATION &&
						    reason != REASON_EPT_MISCONFIG)
							break;
						print("(%lx,%lx,%lu,%lx)",
						      reason == REASON_EPT_VIOLATION ? vmread(F_QUALIFICATION)
										     : 0,
						      vmread(F_IDT_INFO),
						      (vmread(F_IDT_INFO) & 0x700) >= INTR_SOFT
							      ? vmread(F_EXIT_LENGTH)
							      : 0,
						      vmread(F_GUEST_INTERRUPTIBILITY));
						ept_map(vm.ept, hole, hole, 1, EPT_RWX | EPT_WB);
						inject_again();
					}
					page_release(mark);
				}
			}
			print("\n");
		}
	}
}

/* The same in real mode and virtual-8086 mode: the interrupt vector table and the stack. */
TEST_VMX(cut_in_real_mode)
{
	static const enum vm_mode modes[] = { VM_REAL, VM_V86 };
	u32 i, m, where, wrong;

	NEED(caps_proc2(PROC2_EPT));
	for (m = 0; m < ARRAY_SIZE(modes); m++) {
		if (!vm_mode_possible(modes[m]))
			continue;
		for (i = 0; i < ARRAY_SIZE(events); i++) {
			if (!events[i].real)
				continue;
			print("RESULT %s %s %s", test_name(), vm_mode_names[modes[m]], events[i].name);
			for (where = 0; where < 2; where++) {
				for (wrong = 0; wrong < 2; wrong++) {
					u64 mark = page_mark();
					struct vm vm;
					u64 hole;
					u32 turn;

					create(&vm, modes[m], VM_EPT, &events[i], 0);
					hole = place(&vm, where ? 4 : 0) & ~(PAGE_SIZE - 1);
					if (where && modes[m] == VM_V86)
						hole = *(u32 *)ptr_of(vmread(F_GUEST_TR_BASE) + 4) &
						       ~0xfffull;
					ept_map(vm.ept, hole, hole, 1, wrong ? EPT_W | EPT_WB : 0);
					print(" %s%s", where ? "stack" : "table", wrong ? "!" : "");
					for (turn = 0; turn < 3; turn++) {
						u32 reason = vm_run(&vm);

						print(":%u", reason);
						if (reason == REASON_VMCALL)
							print("@%u", vm_vector(&vm));
						if (reason != REASON_EPT_VIOLATION &&
						    reason != REASON_EPT_MISCONFIG)
							break;
						print("(%lx)", vmread(F_IDT_INFO));
						ept_map(vm.ept, hole, hole, 1, EPT_RWX | EPT_WB);
						inject_again();
					}
					page_release(mark);
				}
			}
			print("\n");
		}
	}
}

/* The IDT, or the stack, lies in the APIC-access page. */
TEST_VMX(cut_by_apic_access)
{
	u32 i, where, ept;

	NEED(caps_proc2(PROC2_APIC_ACCESS));
	for (ept = 0; ept < 2; ept++) {
		if (ept && !caps_proc2(PROC2_EPT))
			continue;
		for (i = 0; i < ARRAY_SIZE(events); i++) {
			print("RESULT %s ept=%u %s", test_name(), ept, events[i].name);
			for (where = 0; where < 2; where++) {
				u64 mark = page_mark(), page = addr_of(page_alloc());
				struct vm vm;
				u32 reason;

				if (events[i].code == v_int_real)
					continue;
				create(&vm, VM_64, ept ? VM_EPT : 0, &events[i], 0);
				vmset(F_PROC, PROC_SECONDARY | PROC_TPR_SHADOW);
				vmset(F_PROC2, PROC2_APIC_ACCESS);
				vmwrite(F_VIRTUAL_APIC, addr_of(page_alloc()));
				vmwrite(F_TPR_THRESHOLD, 0);
				vmwrite(F_APIC_ACCESS, page);
				if (where)
					vmwrite(F_GUEST_RSP, page + 0x800);
				else
					vmwrite(F_GUEST_IDTR_BASE, page);
				reason = vm_run(&vm);
				print(" %s:%u(%lx,%lx,%lu,%lx)", where ? "stack" : "idt", reason,
				      vmread(F_QUALIFICATION), vmread(F_IDT_INFO),
				      (vmread(F_IDT_INFO) & 0x700) >= INTR_SOFT ? vmread(F_EXIT_LENGTH) : 0,
				      vmread(F_GUEST_INTERRUPTIBILITY));
				page_release(mark);
			}
			print("\n");
		}
	}
}

/* The push of the frame dirties a page with the log full. */
TEST_VMX(cut_by_full_log)
{
	u32 i;

	NEED(caps_proc2(PROC2_EPT | PROC2_PML));
	for (i = 0; i < ARRAY_SIZE(events); i++) {
		u64 mark = page_mark();
		struct vm vm;
		u32 reason;

		if (events[i].code == v_int_real)
			continue;
		create(&vm, VM_64, VM_EPT, &events[i], 0);
		vmwrite(F_EPTP, vm.ept | EPTP_FLAGS | EPTP_AD);
		vmset(F_PROC2, PROC2_PML);
		vmwrite(F_PML_ADDRESS, addr_of(page_alloc()));
		vmwrite(F_GUEST_PML_INDEX, 0xffff);
		reason = vm_run(&vm);
		result("%s exit=%u idt=%lx len=%lu block=%lx", events[i].name, reason, vmread(F_IDT_INFO),
		       (vmread(F_IDT_INFO) & 0x700) >= INTR_SOFT ? vmread(F_EXIT_LENGTH) : 0,
		       vmread(F_GUEST_INTERRUPTIBILITY));
		inject_again();
		vmwrite(F_GUEST_PML_INDEX, 511);
		reason = vm_run(&vm);
		result("%s again exit=%u at=%u", events[i].name, reason, vm_vector(&vm));
		page_release(mark);
	}
}
