/* SPDX-License-Identifier: MIT */
/*
 * Guest test "exits": the trap flag over all kinds of instructions, and pending debug exceptions.
 */
#include "tests/guest/exits.h"

extern const u8 e_nops[];
GUEST_CODE(e_tf, 64, "pushf; orl $0x100, (%rsp); popf; nop; nop; vmcall");
GUEST_CODE(e_tf_rdmsr, 64, "mov $0x1b, %ecx; pushf; orl $0x100, (%rsp); popf; rdmsr; nop; vmcall");
GUEST_CODE(e_tf_wrmsr, 64,
	   "mov $0x174, %ecx; xor %edx, %edx; xor %eax, %eax; pushf; orl $0x100, (%rsp); popf; wrmsr; nop; "
	   "vmcall");
GUEST_CODE(e_tf_cr0, 64,
	   "mov %cr0, %rdx; xor $8, %rdx; pushf; orl $0x100, (%rsp); popf; mov %rdx, %cr0; nop; vmcall");
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
		{ "nop", e_tf },       { "rdmsr", e_tf_rdmsr }, { "wrmsr", e_tf_wrmsr },
		{ "cr0", e_tf_cr0 },   { "cr3", e_tf_cr3 },	{ "cpuid", e_tf_cpuid },
		{ "io", e_tf_io },     { "movss", e_tf_movss }, { "sti", e_tf_sti },
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

struct pending {
	const char *name;
	const u8 *code;
	u64 pending, flags, block, event;
};

static void enter_with_pending(const struct pending *p, u64 activity)
{
	struct vm vm;
	u32 set;

	for (set = 0; set < 2; set++) {
		vm_create(&vm, VM_64, 0, p->code);
		vmwrite(F_GUEST_PENDING_DEBUG, p->pending);
		vmset(F_GUEST_RFLAGS, p->flags);
		vmwrite(F_GUEST_INTERRUPTIBILITY, p->block);
		vmwrite(F_GUEST_ACTIVITY, activity);
		if (p->event)
			vmwrite(F_ENTRY_INTR_INFO, INTR_VALID | p->event);
		vmwrite(F_ENTRY_LENGTH, 1);
		vmwrite(F_EXCEPTION_BITMAP, set ? BIT(VEC_DB) : 0);
		dr6_write(0xffff0ff0);
		go(&vm, p->name);
		report_stack(&vm, p->name);
		result("%s dr6=%lx", p->name, dr6_read());
	}
}

TEST_VMX(pending_debug)
{
	static const struct pending list[] = {
		{ "bs", e_nops, BIT(14), RFLAGS_TF, 0, 0 },
		{ "b0", e_nops, BIT(12) | BIT(0), 0, 0, 0 },
		{ "b0_not_enabled", e_nops, BIT(0), 0, 0, 0 },
		{ "b3_bs", e_nops, BIT(14) | BIT(12) | BIT(3), RFLAGS_TF, 0, 0 },
		{ "movss_blocked", e_nops, BIT(12) | BIT(1), 0, BLOCK_MOV_SS, 0 },
		{ "movss_bs", e_nops, BIT(14), RFLAGS_TF, BLOCK_MOV_SS, 0 },
		{ "sti_no_bs", e_nops, 0, RFLAGS_TF, BLOCK_STI, 0 },
		{ "sti_bs", e_nops, BIT(14), RFLAGS_TF | RFLAGS_IF, BLOCK_STI, 0 },
		{ "with_extint", e_nops, BIT(12) | BIT(2), RFLAGS_IF, 0, INTR_EXTERNAL | 0x50 },
		{ "with_hard", e_nops, BIT(12) | BIT(2), 0, 0, INTR_HARD | 6 },
		{ "with_int3", e_nops, BIT(12) | BIT(2), 0, 0, INTR_SOFT_EXC | 3 },
		{ "with_nmi", e_nops, BIT(12) | BIT(2), 0, 0, INTR_NMI | 2 },
		{ "reserved", e_nops, BIT(5), 0, 0, 0 },
	};
	u32 i;

	for (i = 0; i < ARRAY_SIZE(list); i++)
		enter_with_pending(&list[i], ACTIVE);
}

/* They end HLT; by itself, for there are hypervisors that never come back from it. */
TEST_VMX(pending_debug_hlt)
{
	static const struct pending list[] = {
		{ "hlt_b0", e_nops, BIT(12) | BIT(0), 0, 0, 0 },
		{ "hlt_b0_sti", e_nops, BIT(12) | BIT(0), RFLAGS_IF, BLOCK_STI, 0 },
		{ "hlt_bs", e_nops, BIT(14), RFLAGS_TF, 0, 0 },
		{ "hlt_with_nmi", e_nops, BIT(12) | BIT(2), 0, 0, INTR_NMI | 2 },
	};
	u32 i;

	NEED(caps.misc & BIT(6));
	for (i = 0; i < ARRAY_SIZE(list); i++)
		enter_with_pending(&list[i], HLT);
}
