/* SPDX-License-Identifier: MIT */
/*
 * Guest test "insn": data breakpoints on the memory operands of VMX instructions, L1's own and L2's under
 * VMCS shadowing. A breakpoint is a trap: it is met by the bytes that the instruction touches, comes behind
 * it, and an instruction that faults leaves nothing. SDM: "Debug Registers", "Pending Debug Exceptions".
 */
#include "tests/guest/insn.h"

#define DR7_NONE 0x400u
/* One breakpoint's part of DR7: it is enabled (1 locally, 2 globally, 0 not), of this kind, of this length.
 */
#define DR7_OF(n, on, kind, length)                                                                          \
	((u32)(on) << 2 * (n) | (u32)(kind) << (16 + 4 * (n)) | (u32)(length) << (18 + 4 * (n)))
enum { EXECUTION, WRITES, PORTS, READS_WRITES };
enum { LEN1, LEN2, LEN8, LEN4 };

#define OPERAND 0x104 /* in `data` */

static const struct watch {
	const char *name;
	i32 at[2]; /* of DR0 and DR1, from the operand */
	u32 dr7;
} watches[] = {
	{ "all", { 0, 0 }, DR7_OF(0, 2, READS_WRITES, LEN4) },
	{ "eight_below", { -4, 0 }, DR7_OF(0, 2, READS_WRITES, LEN8) },
	{ "eight_unaligned", { 3, 0 }, DR7_OF(0, 1, READS_WRITES, LEN8) },
	{ "eight_from_behind", { 10, 0 }, DR7_OF(0, 2, READS_WRITES, LEN8) },
	{ "first_byte", { 0, 0 }, DR7_OF(0, 1, READS_WRITES, LEN1) },
	{ "last_byte", { 7, 0 }, DR7_OF(0, 3, READS_WRITES, LEN1) },
	{ "byte_before", { -1, 0 }, DR7_OF(0, 2, READS_WRITES, LEN1) },
	{ "byte_behind", { 8, 0 }, DR7_OF(0, 2, READS_WRITES, LEN1) },
	{ "two_odd", { 1, 0 }, DR7_OF(0, 2, READS_WRITES, LEN2) },
	{ "two_before", { -1, 0 }, DR7_OF(0, 2, READS_WRITES, LEN2) },
	{ "writes", { 4, 0 }, DR7_OF(0, 2, WRITES, LEN4) },
	{ "execution", { 0, 0 }, DR7_OF(0, 2, EXECUTION, LEN1) },
	{ "ports", { 0, 0 }, DR7_OF(0, 2, PORTS, LEN1) },
	{ "disabled", { 0, 0 }, DR7_OF(0, 0, READS_WRITES, LEN4) },
	{ "one_disabled", { 0, 4 }, DR7_OF(0, 0, READS_WRITES, LEN4) | DR7_OF(1, 2, READS_WRITES, LEN4) },
	{ "other_enabled", { 0, 0x40 }, DR7_OF(0, 0, READS_WRITES, LEN4) | DR7_OF(1, 2, READS_WRITES, LEN4) },
	{ "both", { 4, 0 }, DR7_OF(0, 2, READS_WRITES, LEN4) | DR7_OF(1, 1, WRITES, LEN1) },
	{ "second_word", { 8, 12 }, DR7_OF(0, 2, READS_WRITES, LEN4) | DR7_OF(1, 2, READS_WRITES, LEN4) },
};

static void dr1_write(u64 v)
{
	asm volatile("mov %0, %%db1" : : "r"(v));
}

static void watch_on(const struct watch *w, u64 operand)
{
	dr0_write(operand + (u64)(i64)w->at[0]);
	dr1_write(operand + (u64)(i64)w->at[1]);
	dr6_write(0xffff0ff0);
	dr7_write(DR7_NONE | w->dr7);
}

/* The vector, what DR6 says, and where RIP was. */
static void print_trap(const char *name, const struct exec *e, u64 dr6)
{
	if (e->out.vector == VEC_EXEC_DONE)
		print(" %s=no,%lx", name, dr6 & 0xffff);
	else
		print(" %s=%u,%lx@%lx", name, e->out.vector, dr6 & 0xffff, e->out.frame.rip - e->rip);
	if (e->out.vector == VEC_PF)
		print(",%lx", e->out.frame.rflags & RFLAGS_RF);
}

/* `prefix` code first; `then` the instruction, a NOP and the end. */
static void run_watched(enum op op, const char *prefix, u32 prefix_length, u64 rflags, u64 operand,
			const struct watch *w, const char *name)
{
	u64 dr6;
	u32 n = prefix_length;
	struct exec e;

	insn_set(&e, &insn_settings[0]);
	e.rflags |= rflags;
	e.regs.rbx = operand;
	e.regs.rcx = SEL_DATA;
	e.regs.rsi = addr_of(data) + 0x200;
	e.regs.rdx = op == INVEPT || op == INVVPID ? 2 : F_GUEST_RIP;
	if (op == VMREAD || op == VMWRITE)
		e.regs.rdx = name[0] == 's' ? F_GUEST_RIP : F_GUEST_GDTR_BASE;
	memcpy(code, prefix, n);
	n += insn_assemble(code + n, op, &at_rbx);
	code[n++] = 0x90;
	code[n++] = 0xcd;
	code[n++] = VEC_EXEC_DONE;
	watch_on(w, operand);
	exec_run(&e);
	dr7_write(DR7_NONE);
	dr6 = dr6_read();
	print_trap(name, &e, dr6);
}

/* Each instruction; of VMREAD and VMWRITE a field that processors shadow for an L0, and one that they do not.
 */
static const struct {
	const char *name;
	enum op op;
	u64 value; /* 0: the region's address */
} watched[] = {
	{ "vmclear", VMCLEAR, 0 },	{ "vmptrld", VMPTRLD, 0 },	  { "vmptrld_fails", VMPTRLD, 8 },
	{ "vmptrst", VMPTRST, 1 },	{ "vmread", VMREAD, 1 },	  { "vmwrite", VMWRITE, 1 },
	{ "shadowed_read", VMREAD, 1 }, { "shadowed_write", VMWRITE, 1 }, { "invept", INVEPT, 1 },
	{ "invvpid", INVVPID, 1 },
};

static bool has(enum op op)
{
	return (op != INVEPT || (caps.ept_vpid & EPT_CAP_INVEPT)) &&
	       (op != INVVPID || (caps.ept_vpid & EPT_CAP_INVVPID));
}

/* Every instruction with one breakpoint setting; `at`: the operand's place in `data`. */
static void run_all(const char *what, const char *prefix, u32 prefix_length, u64 rflags, u64 operand,
		    const struct watch *w)
{
	u64 region = vmx_region();
	u32 i;

	print("RESULT %s %s", test_name(), what);
	for (i = 0; i < ARRAY_SIZE(watched); i++) {
		if (!has(watched[i].op))
			continue;
		CHECK(vmclear(region) == VMX_OK && vmptrld(region) == VMX_OK);
		memset(data + OPERAND, 0, 16);
		*(u64 *)(data + OPERAND) = watched[i].value ? watched[i].value : region;
		if (watched[i].op == INVEPT || watched[i].op == INVVPID)
			*(u64 *)(data + OPERAND) = 0;
		run_watched(watched[i].op, prefix, prefix_length, rflags, operand, w, watched[i].name);
	}
	print("\n");
}

TEST_VMX(watch_operand)
{
	u64 operand;
	u32 i;

	insn_prepare();
	operand = addr_of(data) + OPERAND;
	for (i = 0; i < ARRAY_SIZE(watches); i++)
		run_all(watches[i].name, "", 0, 0, operand, &watches[i]);
	/* With the trap flag both come at once; RF holds back breakpoints on execution alone. */
	run_all("tf", "", 0, RFLAGS_TF, operand, &watches[0]);
	run_all("rf", "", 0, RFLAGS_RF, operand, &watches[0]);
	/* MOV SS puts off its own until behind the next instruction; where that one meets another, both come.
	 */
	*(u16 *)(data + 0x200) = SEL_DATA;
	run_all("mov_ss", "\x8e\x16", 2, 0, operand,
		&(struct watch){ "", { 0x200 - OPERAND, 0x40 }, DR7_OF(0, 2, READS_WRITES, LEN2) });
	run_all("mov_ss_both", "\x8e\x16", 2, 0, operand,
		&(struct watch){ "",
				 { 0x200 - OPERAND, 0 },
				 DR7_OF(0, 2, READS_WRITES, LEN2) | DR7_OF(1, 2, READS_WRITES, LEN4) });
}

/* A page fault in the second page: what the first page's bytes would have met is forgotten. */
TEST_VMX(watch_fault)
{
	static const struct watch first = { "", { 0, 0 }, DR7_OF(0, 2, READS_WRITES, LEN4) };

	insn_prepare();
	*paging_entry(cr3_read(), BAD_VA, 1) = addr_of(data) | PTE_P | PTE_W;
	*paging_entry(cr3_read(), BAD_VA + PAGE_SIZE, 1) = 0;
	invlpg(BAD_VA);
	invlpg(BAD_VA + PAGE_SIZE);
	run_all("crossing", "", 0, 0, BAD_VA + 0xffc, &first);
	*paging_entry(cr3_read(), BAD_VA + PAGE_SIZE, 1) = addr_of(data + PAGE_SIZE) | PTE_P | PTE_W;
	invlpg(BAD_VA + PAGE_SIZE);
	*(u32 *)(data + 0xffc) = 8; /* of whatever reads it, a VMfail */
	run_all("crossing_there", "", 0, 0, BAD_VA + 0xffc, &first);
}

/* VMXON reads its operand outside VMX operation alone. */
TEST(watch_vmxon)
{
	insn_prepare();
	if (!(msr_read(MSR_FEATURE_CONTROL) & BIT(0)))
		msr_write(MSR_FEATURE_CONTROL, BIT(0) | BIT(2));
	cr4_write(cr4_read() | CR4_VMXE);
	cr0_write(cr0_read() | CR0_NE);
	*(u64 *)(data + OPERAND) = 8;
	print("RESULT %s", test_name());
	run_watched(VMXON, "", 0, 0, addr_of(data) + OPERAND, &watches[0], "outside");
	print("\n");
	cr4_write(cr4_read() & ~CR4_VMXE);
	vmx_enable();
	*(u64 *)(data + OPERAND) = 8;
	print("RESULT %s", test_name());
	run_watched(VMXON, "", 0, 0, addr_of(data) + OPERAND, &watches[0], "inside");
	print("\n");
	vmx_disable();
}

GUEST_CODE(watch_l2_read, 64, "vmread %rdx, (%rbx); nop; vmcall");
GUEST_CODE(watch_l2_write, 64, "vmwrite (%rbx), %rdx; nop; vmcall");
GUEST_CODE(watch_l2_mov, 64, "mov %rcx, (%rbx); nop; vmcall");

/* L2's VMREAD and VMWRITE without an exit: its #DB, or L1's exit, or behind L1's monitor trap flag. */
TEST_VMX(watch_operand_l2)
{
	static const u8 *const codes[] = { watch_l2_read, watch_l2_write, watch_l2_mov };
	static const u32 kinds[] = { READS_WRITES, WRITES };
	u8 *bitmaps = page_alloc_contig(2);
	u64 shadow = vmx_region();
	struct vm vm;
	u32 i, k, how;

	NEED(caps_proc2(PROC2_SHADOW));
	insn_prepare();
	*(u32 *)ptr_of(shadow) |= BIT(31);
	CHECK(vmclear(shadow) == VMX_OK);
	for (i = 0; i < ARRAY_SIZE(codes); i++) {
		for (k = 0; k < ARRAY_SIZE(kinds); k++) {
			for (how = 0; how < 3; how++) {
				u32 reason;

				vm_create(&vm, VM_64, 0, codes[i]);
				vmwrite(F_VMREAD_BITMAP, addr_of(bitmaps));
				vmwrite(F_VMWRITE_BITMAP, addr_of(bitmaps) + PAGE_SIZE);
				vmset(F_PROC, PROC_SECONDARY | (how == 2 ? PROC_MTF : 0));
				vmset(F_PROC2, PROC2_SHADOW);
				vmwrite(F_VMCS_LINK, shadow);
				vmset(F_ENTRY, ENTRY_LOAD_DEBUG);
				vmwrite(F_GUEST_DR7, DR7_NONE | DR7_OF(0, 2, kinds[k], LEN8));
				vmwrite(F_EXCEPTION_BITMAP, how == 1 ? BIT(VEC_DB) : 0);
				vm.regs.rdx = F_GUEST_RIP;
				vm.regs.rbx = addr_of(data) + OPERAND;
				dr0_write(addr_of(data) + OPERAND);
				dr6_write(0xffff0ff0);
				reason = vm_run(&vm);
				result("code=%u kind=%u how=%u exit=%u pc=%lx handler=%u pending=%lx "
				       "qualification=%lx dr6=%lx",
				       i, k, how, reason, reason == REASON_VMCALL ? 0 : vm_pc(&vm),
				       reason == REASON_VMCALL ? vm_vector(&vm) : 0,
				       vmread(F_GUEST_PENDING_DEBUG), vmread(F_QUALIFICATION),
				       dr6_read() & 0xffff);
			}
		}
	}
	dr6_write(0xffff0ff0);
}
