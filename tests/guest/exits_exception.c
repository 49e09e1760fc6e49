/* SPDX-License-Identifier: MIT */
/*
 * Guest test "exits": exceptions by bitmap, on top of each other, and events whose delivery another exit cuts
 * off.
 */
#include "tests/guest/exits.h"

extern const u8 e_int_13[], e_nops[];
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
	{ "de", e_de, VM_64 },
	{ "int3", e_int3, VM_64 },
	{ "int1", e_int1, VM_64 },
	{ "int_3", e_int3_long, VM_64 },
	{ "int_42", e_int_n, VM_64 },
	{ "int_13", e_int_13, VM_64 },
	{ "ud2", e_ud2, VM_64 },
	{ "ss", e_ss, VM_64 },
	{ "gp", e_gp, VM_64 },
	{ "gp_selector", e_gp_selector, VM_64 },
	{ "np", e_np, VM_64 },
	{ "pf", e_pf, VM_64 },
	{ "pf_fetch", e_pf_fetch, VM_64 },
	{ "nm", e_nm, VM_64 },
	{ "into", e_into, VM_32 },
	{ "bound", e_bound, VM_32 },
	{ "de_pae", e_de, VM_PAE },
	{ "int1_real", e_icebp_real, VM_REAL },
	{ "int_real", e_int_real, VM_REAL },
	{ "ud_real", e_ud_real, VM_REAL },
	{ "ud_v86", e_ud_real, VM_V86 },
	{ "int_v86", e_int_real, VM_V86 },
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

/* An exception while an exception is delivered: contributory ones make #DF, #DF's own failure a triple fault.
 */
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
		cr2_write(0x1111);
		go(&vm, "pf_stack_absent");
		result("cr2=%lx", cr2_read()); /* the second fault's, also if it makes a double fault */
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
	} list[] = { { 0, 0, 0 }, { 1, 0, 0 }, { 0, 2, 2 },	  { 0, 2, 0 },	 { 1, 2, 2 }, { 1, 2, 0 },
		     { 0, 0, 1 }, { 1, 0, 1 }, { 1, 0x1f, 0x12 }, { 1, ~0u, 2 }, { 1, 1, 1 } };
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
		result("bit=%u mask=%x match=%x exit=%u qual=%lx cr2=%lx", list[i].bit, list[i].mask,
		       list[i].match, reason, vmread(F_QUALIFICATION), cr2_read());
		CHECK((reason == REASON_EXCEPTION) == (((2 & list[i].mask) == list[i].match) == list[i].bit));
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
 * The delivery of an event is cut by an EPT violation (IDT, then stack not mapped): IDT-vectoring
 * information, with which L1 injects the event again.
 */
TEST_VMX(idt_vectoring)
{
	static const struct {
		const char *name;
		const u8 *code;
		enum vm_mode mode;
		u64 event;
	} list[] = {
		{ "int_n", e_vector_int, VM_64, 0 },
		{ "int3", e_vector_int3, VM_64, 0 },
		{ "int1", e_vector_int1, VM_64, 0 },
		{ "ud2", e_ud2, VM_64, 0 },
		{ "gp", e_vector_gp, VM_64, 0 },
		{ "pf", e_vector_pf, VM_64, 0 },
		{ "into", e_vector_into, VM_32, 0 },
		{ "real_int", e_vector_real, VM_REAL, 0 },
		{ "real_int1", e_vector_real1, VM_REAL, 0 },
		{ "v86_int", e_vector_real, VM_V86, 0 },
		{ "inj_extint", e_nops, VM_64, INTR_EXTERNAL | 0x50 },
		{ "inj_nmi", e_nops, VM_64, INTR_NMI | 2 },
		{ "inj_hard", e_nops, VM_64, INTR_HARD | INTR_CODE | 13 },
		{ "inj_soft", e_nops, VM_64, INTR_SOFT | 0x50 },
		{ "inj_int3", e_nops, VM_64, INTR_SOFT_EXC | 3 },
		{ "inj_priv", e_nops, VM_64, INTR_PRIV | 1 },
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
		holes[1] = list[i].mode == VM_V86
				   ? *(u32 *)ptr_of(vmread(F_GUEST_TR_BASE) + 4) & ~0xfffull
				   : (vmread(F_GUEST_SS_BASE) + vmread(F_GUEST_RSP) - 1) & ~0xfffull;
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
	static const u8 *const codes[] = { e_vector_int, e_vector_int3, e_vector_int1,
					   e_ud2,	 e_vector_gp,	e_vector_pf };
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
