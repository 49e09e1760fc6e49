/* SPDX-License-Identifier: MIT */
/*
 * Guest test "ports", second part: the same instructions by L2s whose L1 has neither I/O control,
 * unconditional exiting or bitmaps: in each mode, with faults that L1 intercepts or not, in pages that EPT12
 * has not; single steps by TF and by the monitor trap flag. SDM: "Instructions That Cause VM Exits
 * Conditionally", "Monitor Trap Flag".
 */
#include "tests/guest/ports.h"

GUEST_CODE(p_in8, 64, "in %dx, %al; vmcall");
GUEST_CODE(p_in16, 64, "in %dx, %ax; vmcall");
GUEST_CODE(p_in32, 64, "in %dx, %eax; vmcall");
GUEST_CODE(p_out8, 64, "out %al, %dx; vmcall");
GUEST_CODE(p_out16, 64, "out %ax, %dx; vmcall");
GUEST_CODE(p_out32, 64, "out %eax, %dx; vmcall");
GUEST_CODE(p_insw, 64, "insw; vmcall");
GUEST_CODE(p_outsw, 64, "outsw; vmcall");
GUEST_CODE(p_outsb_fs, 64, "outsb %fs:(%rsi), %dx; vmcall");
GUEST_CODE(p_rep_insw, 64, "rep insw; vmcall");
GUEST_CODE(p_rep_outsw, 64, "rep outsw; vmcall");
GUEST_CODE(p_rep_outsw_a32, 64, "rep outsw (%esi), %dx; vmcall");
GUEST_CODE(p32_insw, 32, "insw; vmcall");
GUEST_CODE(p32_outsl_es, 32, "outsl %es:(%esi), %dx; vmcall");
GUEST_CODE(p32_outsb_ss, 32, "outsb %ss:(%esi), %dx; vmcall");
GUEST_CODE(p32_outsb_cs, 32, "outsb %cs:(%esi), %dx; vmcall");
GUEST_CODE(p32_rep_insb_a16, 32, "addr16 rep insb; vmcall");
GUEST_CODE(p32_rep_outsw, 32, "rep outsw; vmcall");
GUEST_CODE(p32_rep_outsw_std, 32, "std; rep outsw; vmcall");
GUEST_CODE(p16_insw, 16, "insw; vmcall");
GUEST_CODE(p16_outsw, 16, "outsw; vmcall");
GUEST_CODE(p16_outsb_ss, 16, "ss outsb; vmcall");
GUEST_CODE(p16_rep_outsb_a32, 16, "addr32 rep outsb; vmcall");
GUEST_CODE(p16_rep_insw, 16, "rep insw; vmcall");

struct form {
	const char *name;
	enum vm_mode mode;
	const u8 *code;
	u64 count;
};
static const struct form forms[] = {
	{ "in8", VM_64, p_in8, 0 },
	{ "in16", VM_64, p_in16, 0 },
	{ "in32", VM_64, p_in32, 0 },
	{ "out8", VM_64, p_out8, 0 },
	{ "out16", VM_64, p_out16, 0 },
	{ "out32", VM_64, p_out32, 0 },
	{ "insw", VM_64, p_insw, 0 },
	{ "outsw", VM_64, p_outsw, 0 },
	{ "outsb_fs", VM_64, p_outsb_fs, 0 },
	{ "rep_insw", VM_64, p_rep_insw, 70 },
	{ "rep_outsw", VM_64, p_rep_outsw, 70 },
	{ "rep_outsw_a32", VM_64, p_rep_outsw_a32, 0xbad00000007 },
	{ "32_insw", VM_32, p32_insw, 0 },
	{ "32_outsl_es", VM_32, p32_outsl_es, 0 },
	{ "32_outsb_ss", VM_32, p32_outsb_ss, 0 },
	{ "pae_outsb_cs", VM_PAE, p32_outsb_cs, 0 },
	{ "pae_rep_insb_a16", VM_PAE, p32_rep_insb_a16, 0x10005 },
	{ "compat_rep_outsw", VM_COMPAT, p32_rep_outsw, 40 },
	{ "protected_outsw_std", VM_PROTECTED, p32_rep_outsw_std, 40 },
	{ "real_insw", VM_REAL, p16_insw, 0 },
	{ "real_outsw", VM_REAL, p16_outsw, 0 },
	{ "real_outsb_ss", VM_REAL, p16_outsb_ss, 0 },
	{ "real_rep_outsb_a32", VM_REAL, p16_rep_outsb_a32, 40 },
	{ "real_rep_insw", VM_REAL, p16_rep_insw, 40 },
	{ "v86_insw", VM_V86, p16_insw, 0 },
	{ "v86_outsb_ss", VM_V86, p16_outsb_ss, 0 },
	{ "v86_rep_insw", VM_V86, p16_rep_insw, 40 },
};

enum control { NEITHER, UNCONDITIONAL, BITMAPS_CLEAR, BITMAPS_SET, CONTROLS };
static const char *const control_names[CONTROLS] = { "neither", "unconditional", "clear", "set" };

static bool is_low(const struct form *f)
{
	return f->mode == VM_REAL || f->mode == VM_V86;
}

/* A VM with this control for the ports around PM1a_CNT; its operand is at `offset` of the mode's segments. */
static void prepare(struct vm *vm, const struct form *f, u64 flags, enum control control, u64 offset)
{
	u16 pm1 = pm1_port();

	vm_create(vm, f->mode, flags, f->code);
	if (flags & VM_EPT)
		invept(2, 0);
	if (control == UNCONDITIONAL)
		vmset(F_PROC, PROC_IO);
	if (control >= BITMAPS_CLEAR)
		vm_use_io_bitmaps(vm);
	if (control == BITMAPS_SET)
		((u8 *)ptr_of(vm->io_bitmap))[pm1 / 8] |= (u8)(1 << pm1 % 8);
	vm->regs.rsi = vm->regs.rdi = offset;
	vm->regs.rcx = f->count;
	vm->regs.rdx = pm1;
	vm->regs.rax = 0x8182838481811014;
	vmwrite(F_GUEST_FS_BASE, is_low(f) ? 0 : 0x10);
	dr6_write(0xffff0ff0);
	io_out16(pm1, harmless_word((u32)f->count));
}

static void report(struct vm *vm, const struct form *f, u32 reason, const char *how, u64 offset)
{
	char name[96];

	format(name, sizeof(name), "%s %s", f->name, how);
	/* bits 11:9 are the processor's advanced information, which L0 does not give: docs/limits.md */
	if (reason == REASON_EPT_VIOLATION)
		result("%s exit=%u qual=%lx gpa=%lx gla=%lx pc=%lx", name, reason,
		       vmread(F_QUALIFICATION) & ~GENMASK(11, 9), vmread(F_GUEST_PHYSICAL),
		       vmread(F_GUEST_LINEAR), vm_pc(vm));
	else
		vm_report(vm, reason, name);
	result("%s rax=%lx rsi=%lx rdi=%lx rcx=%lx pm1=%x flags=%lx", name, vm->regs.rax,
	       vm->regs.rsi - offset, vm->regs.rdi - offset, vm->regs.rcx, io_in16(pm1_port()),
	       vmread(F_GUEST_RFLAGS));
}

TEST_VMX(l2_io)
{
	u64 buffer = addr_of(page_alloc_contig(4));
	u32 i, control, ept;

	NEED(pm1_port() && caps_proc(PROC_IO_BITMAPS));
	for (i = 0; i < ARRAY_SIZE(forms); i++) {
		const struct form *f = &forms[i];
		u64 memory = is_low(f) ? 0x9000 : buffer, offset = memory + (is_low(f) ? 0x80 : 0x1081);

		if (!vm_mode_possible(f->mode))
			continue;
		for (control = 0; control < CONTROLS; control++) {
			for (ept = 0; ept < (caps_proc2(PROC2_EPT) ? 2 : 1); ept++) {
				u64 mark = page_mark();
				struct vm vm;

				/* a 16-bit address of 32-bit code reaches low memory alone: the count is what
				 * matters */
				fill_harmless(memory, PAGE_SIZE);
				prepare(&vm, f, ept ? VM_EPT : 0, control,
					f->code == p32_rep_insb_a16 ? 0x9080 : offset);
				if (f->mode == VM_V86)
					offset = 0x80;
				report(&vm, f, vm_run(&vm), control_names[control], offset);
				result("%s memory=%lx", f->name, bytes_hash(memory, PAGE_SIZE));
				page_release(mark);
			}
		}
	}
	io_out16(pm1_port(), 1);
}

/* What is wrong with the operand: a segment or a page; L1 intercepts the exception or L2 has it. */
TEST_VMX(l2_faults)
{
	enum { LIMIT, UNUSABLE, READ_ONLY_SEGMENT, PAGE, EPT_PAGE, WRONGS };
	static const char *const names[] = { "limit", "unusable", "read_only", "page", "ept_page" };
	u64 buffer = addr_of(page_alloc_contig(4));
	u32 i, wrong, intercept;

	NEED(pm1_port() && caps_proc2(PROC2_EPT));
	for (i = 0; i < ARRAY_SIZE(forms); i++) {
		const struct form *f = &forms[i];

		if (!vm_mode_possible(f->mode))
			continue;
		for (wrong = 0; wrong < WRONGS; wrong++) {
			for (intercept = 0; intercept < 2; intercept++) {
				u64 mark = page_mark();
				u64 offset = is_low(f) ? 0x8000 : buffer + PAGE_SIZE - 5;
				struct vm vm;
				u32 s, reason;

				if (wrong == PAGE && f->mode != VM_64)
					continue;
				if (is_low(f) && (wrong == UNUSABLE || wrong == READ_ONLY_SEGMENT ||
						  (wrong == LIMIT && f->mode == VM_V86)))
					continue;
				if (is_low(f) && wrong == LIMIT)
					offset = 0xffff;
				fill_harmless(buffer, 4 * PAGE_SIZE);
				prepare(&vm, f, VM_EPT, NEITHER, offset);
				for (s = 0; s < 6 && f->mode != VM_64 && !is_low(f); s++) {
					u64 rights = vmread(F_GUEST_ES_RIGHTS + 2 * s);

					/* CS and SS must go on working */
					if (s == 1 || s == 2)
						continue;
					if (wrong == LIMIT) {
						vmwrite(F_GUEST_ES_LIMIT + 2 * s, (u32)offset + 3);
						vmwrite(F_GUEST_ES_RIGHTS + 2 * s, rights & ~BIT(15));
					}
					if (wrong == UNUSABLE)
						vmwrite(F_GUEST_ES_RIGHTS + 2 * s, BIT(16));
					if (wrong == READ_ONLY_SEGMENT)
						vmwrite(F_GUEST_ES_RIGHTS + 2 * s, rights & ~2ull);
				}
				if (wrong == PAGE) {
					u64 cr3 = paging_create64();

					*paging_entry(cr3, buffer + PAGE_SIZE, 1) = 0;
					vmwrite(F_GUEST_CR3, cr3);
				}
				if (wrong == EPT_PAGE)
					ept_map(vm.ept, is_low(f) ? 0x8000 : buffer + PAGE_SIZE,
						buffer + PAGE_SIZE, 1, EPT_X);
				if (wrong == EPT_PAGE && !(caps.ept_vpid & EPT_CAP_EXEC_ONLY))
					ept_map(vm.ept, is_low(f) ? 0x8000 : buffer + PAGE_SIZE, 0, 1, 0);
				if (intercept)
					vmwrite(F_EXCEPTION_BITMAP, ~0ull);
				reason = vm_run(&vm);
				report(&vm, f, reason, names[wrong], offset);
				if (reason == REASON_VMCALL && vm_vector(&vm) < 256)
					result("%s stack=%lx %lx", f->name, vm_stack(&vm, 0),
					       vm_stack(&vm, 2) & RFLAGS_RF);
				page_release(mark);
			}
		}
	}
	io_out16(pm1_port(), 1);
}

/* Boundaries inside a repeated instruction: TF, the monitor trap flag, both; and interrupts' shadows end. */
TEST_VMX(l2_steps)
{
	static const struct {
		const char *name;
		u64 mtf, flags, block, exceptions;
	} ways[] = {
		{ "mtf", PROC_MTF, 0, 0, 0 },
		{ "tf", 0, RFLAGS_TF, 0, BIT(VEC_DB) },
		{ "tf_l2", 0, RFLAGS_TF, 0, 0 },
		{ "both", PROC_MTF, RFLAGS_TF, 0, BIT(VEC_DB) },
		{ "sti", PROC_MTF, RFLAGS_IF, BLOCK_STI, 0 },
		{ "movss", PROC_MTF, 0, BLOCK_MOV_SS, 0 },
	};
	static const struct form list[] = {
		{ "in16", VM_64, p_in16, 0 },
		{ "out16", VM_64, p_out16, 0 },
		{ "outsw", VM_64, p_outsw, 0 },
		{ "rep_insw", VM_64, p_rep_insw, 3 },
		{ "rep_outsw", VM_64, p_rep_outsw, 3 },
		{ "rep_none", VM_64, p_rep_outsw, 0 },
		{ "real_rep_insw", VM_REAL, p16_rep_insw, 3 },
	};
	u64 buffer = addr_of(page_alloc());
	u32 i, w, k;

	NEED(pm1_port() && caps_proc(PROC_MTF));
	for (i = 0; i < ARRAY_SIZE(list); i++) {
		if (!vm_mode_possible(list[i].mode))
			continue;
		for (w = 0; w < ARRAY_SIZE(ways); w++) {
			u64 mark = page_mark(), offset = is_low(&list[i]) ? 0x9000 : buffer;
			struct vm vm;

			fill_harmless(offset, 64);
			prepare(&vm, &list[i], 0, NEITHER, offset);
			vmset(F_PROC, ways[w].mtf);
			vmset(F_GUEST_RFLAGS, ways[w].flags);
			vmwrite(F_GUEST_INTERRUPTIBILITY, ways[w].block);
			vmwrite(F_EXCEPTION_BITMAP, ways[w].exceptions);
			for (k = 0; k < 6; k++) {
				u32 reason = vm_run(&vm);

				report(&vm, &list[i], reason, ways[w].name, offset);
				if (reason == REASON_EXCEPTION)
					vmwrite(F_GUEST_PENDING_DEBUG, 0);
				else if (reason != REASON_MTF)
					break;
			}
			page_release(mark);
		}
	}
	io_out16(pm1_port(), 1);
}
