/* SPDX-License-Identifier: MIT */
/*
 * Guest test "exits": the guest-linear address of LMSW with a memory operand and of INS and OUTS: segments,
 * address sizes, wrap-around; and that it, the instruction's information and its length are those of this
 * exit whatever exits of L0's own came between. SDM: "Guest-Linear Address", "Exit Qualification".
 */
#include "tests/guest/exits.h"

GUEST_CODE(n_lmsw, 64, "lmsw 8(%rbx); vmcall");
GUEST_CODE(n_lmsw_fs, 64, "lmsw %fs:8(%rbx,%rcx,2); vmcall");
GUEST_CODE(n_lmsw_gs, 64, "lmsw %gs:(%rbx); vmcall");
GUEST_CODE(n_lmsw_ss, 64, "lmsw %ss:(%rbx); vmcall");
GUEST_CODE(n_lmsw_a32, 64, "lmsw 0x10(%ebx); vmcall");
GUEST_CODE(n_lmsw_rip, 64, "lmsw 1f(%rip); vmcall; 1: .word 0xffff");
GUEST_CODE(n_lmsw_32, 32, "lmsw 4(%ebx); vmcall");
GUEST_CODE(n_lmsw_32_es, 32, "lmsw %es:4(%ebx); vmcall");
GUEST_CODE(n_lmsw_32_ebp, 32, "mov %ebx, %ebp; lmsw 4(%ebp); vmcall");
GUEST_CODE(n_lmsw_16, 16, "lmsw 4(%bx); vmcall");
GUEST_CODE(n_lmsw_16_fs, 16, "lmsw %fs:4(%bx); vmcall");
GUEST_CODE(n_outs, 64, "outsb; vmcall");
GUEST_CODE(n_outs_fs, 64, "outsl %fs:(%rsi), %dx; vmcall");
GUEST_CODE(n_outs_a32, 64, "outsw (%esi), %dx; vmcall");
GUEST_CODE(n_ins, 64, "insl; vmcall");
GUEST_CODE(n_ins_fs, 64, "fs insl; vmcall");
GUEST_CODE(n_outs_32, 32, "outsl; vmcall");
GUEST_CODE(n_outs_32_es, 32, "outsl %es:(%esi), %dx; vmcall");
GUEST_CODE(n_ins_32, 32, "insl; vmcall");
GUEST_CODE(n_ins_32_a16, 32, "addr16 insl; vmcall");
GUEST_CODE(n_outs_16, 16, "outsw; vmcall");
GUEST_CODE(n_outs_16_fs, 16, "outsw %fs:(%si), %dx; vmcall");
GUEST_CODE(n_ins_16, 16, "insw; vmcall");

TEST_VMX(linear_addresses)
{
	static const struct {
		const char *name;
		enum vm_mode mode;
		const u8 *code;
		u64 bases; /* of DS, ES, FS, GS: once, twice, three and four times this */
		u64 offset;
	} list[] = {
		{ "lmsw", VM_64, n_lmsw, 0x10, 0 },
		{ "lmsw_fs", VM_64, n_lmsw_fs, 0x10, 0 },
		{ "lmsw_gs", VM_64, n_lmsw_gs, 0x10, 0 },
		{ "lmsw_ss", VM_64, n_lmsw_ss, 0x10, 0 },
		{ "lmsw_a32", VM_64, n_lmsw_a32, 0x10, 0xabcd00000000 },
		{ "lmsw_rip", VM_64, n_lmsw_rip, 0x10, 0 },
		{ "lmsw_32", VM_32, n_lmsw_32, 0x10, 0 },
		{ "lmsw_32_es", VM_PAE, n_lmsw_32_es, 0x10, 0 },
		{ "lmsw_32_ebp", VM_PAE, n_lmsw_32_ebp, 0x10, 0 },
		{ "lmsw_32_wraps", VM_PAE, n_lmsw_32, 0x80000000, 0x80000000 },
		{ "lmsw_compat", VM_COMPAT, n_lmsw_32, 0x80000000, 0x80000000 },
		{ "lmsw_real", VM_REAL, n_lmsw_16, 0x100, 0 },
		{ "lmsw_real_fs", VM_REAL, n_lmsw_16_fs, 0x100, 0 },
		{ "outs", VM_64, n_outs, 0x10, 0 },
		{ "outs_fs", VM_64, n_outs_fs, 0x10, 0 },
		{ "outs_a32", VM_64, n_outs_a32, 0x10, 0x123400000000 },
		{ "ins", VM_64, n_ins, 0x10, 0 },
		{ "ins_fs", VM_64, n_ins_fs, 0x10, 0 },
		{ "outs_32", VM_32, n_outs_32, 0x10, 0 },
		{ "outs_32_es", VM_PAE, n_outs_32_es, 0x10, 0 },
		{ "outs_32_wraps", VM_PAE, n_outs_32, 0x80000000, 0x80000000 },
		{ "ins_32", VM_COMPAT, n_ins_32, 0x10, 0 },
		{ "ins_32_a16", VM_PAE, n_ins_32_a16, 0x8000, 0 },
		{ "outs_real", VM_REAL, n_outs_16, 0x100, 0 },
		{ "outs_real_fs", VM_REAL, n_outs_16_fs, 0x100, 0 },
		{ "ins_real", VM_REAL, n_ins_16, 0x100, 0 },
		{ "outs_v86", VM_V86, n_outs_16, 0, 0 },
	};
	u64 page = addr_of(page_alloc());
	u32 i, s, ept;

	memset(ptr_of(page), 0xff, PAGE_SIZE);
	for (i = 0; i < ARRAY_SIZE(list); i++) {
		for (ept = 0; ept < 2; ept++) {
			bool low = list[i].mode == VM_REAL || list[i].mode == VM_V86;
			u64 at = (low ? 0x9000 : page + 0x100) + list[i].offset, mark = page_mark(), linear;
			struct vm vm;
			u32 reason;

			if (!vm_mode_possible(list[i].mode) || (ept && !caps_proc2(PROC2_EPT)))
				continue;
			if (low)
				memset(ptr_of(0x9000), 0xff, PAGE_SIZE);
			vm_create(&vm, list[i].mode, ept ? VM_EPT : 0, list[i].code);
			if (ept)
				invept(2, 0);
			vmset(F_PROC, PROC_IO);
			vmwrite(F_CR0_MASK, CR0_TS);
			vmwrite(F_CR0_SHADOW, 0);
			/* in v86 mode they follow from the selectors; in IA-32e mode DS and ES have none */
			for (s = 0; s < 4 && list[i].mode != VM_V86; s++) {
				static const u32 fields[] = { F_GUEST_DS_BASE, F_GUEST_ES_BASE,
							      F_GUEST_FS_BASE, F_GUEST_GS_BASE };
				vmwrite(fields[s], (u32)(list[i].bases * (s + 1)));
			}
			vm.regs.rbx = vm.regs.rsi = vm.regs.rdi = at;
			vm.regs.rcx = 3;
			vm.regs.rdx = 0x5000;
			reason = vm_run(&vm);
			linear = vmread(F_GUEST_LINEAR);
			result("%s ept=%u exit=%u qual=%lx len=%lu linear=%lx info=%lx", list[i].name, ept,
			       reason, vmread(F_QUALIFICATION), vmread(F_EXIT_LENGTH),
			       reason == REASON_CR || reason == REASON_IO ? linear - (low ? 0 : page) : 0,
			       reason == REASON_IO ? vmread(F_INSTRUCTION_INFO) & 0x38380 : 0);
			page_release(mark);
		}
	}
}
