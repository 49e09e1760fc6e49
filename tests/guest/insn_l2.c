/* SPDX-License-Identifier: MIT */
/*
 * Guest test "insn": the same instructions executed by L2, in all modes.
 */
#include "tests/guest/insn.h"

/* From L2: all but VMFUNC exit to L1 in 64-bit mode, whatever the ring, before the operand is looked at. */
TEST_VMX(from_l2)
{
	enum op op;
	u32 i;
	u64 seed = 7;
	static const u8 rights[] = { 0, 3 };
	struct vm vm;

	insn_prepare();
	for (op = 0; op < OPS; op++) {
		for (i = 0; i < 2; i++) {
			u32 n;

			vm_create(&vm, VM_64, 0, code);
			memset(code, 0x90, 32);
			n = insn_assemble(code, op, &at_rbx);
			memcpy(code + n, "\x0f\x01\xc1", 3);
			vm.regs.rbx = 0x1234;
			if (rights[i]) {
				vmwrite(F_GUEST_RIP, CODE_VA);
				vm.regs.rsp = CODE_VA;
				vmwrite(F_GUEST_CS, SEL_USER64);
				vmwrite(F_GUEST_CS_RIGHTS, 0xa0fb);
				vmwrite(F_GUEST_SS, SEL_USER_DATA);
				vmwrite(F_GUEST_SS_RIGHTS, 0xc0f3);
			}
			vm_report(&vm, vm_run(&vm), insn_ops[op].name);
		}
		if (insn_ops[op].kind == NO_OPERAND)
			continue;
		for (i = 0; i < 12; i++) {
			struct exec e;
			struct operand o;
			u32 n;

			memset(&e, 0, sizeof(e));
			insn_random_form(&e, &o, addr_of(data), &seed);
			if (i < 2 && (op == VMREAD || op == VMWRITE))
				o = (struct operand){ .is_register = true,
						      .rm = (u8)(i ? 12 : 3),
						      .reg = (u8)(i ? 1 : 9) };
			vm_create(&vm, VM_64, 0, code);
			n = insn_assemble(code, op, &o);
			memcpy(code + n, "\x0f\x01\xc1", 3);
			vm_report(&vm, vm_run(&vm), insn_ops[op].name);
		}
	}
}

/* The other modes of L2: #UD in real mode, virtual-8086 mode and compatibility mode, seen through the bitmap.
 */
TEST_VMX(from_l2_modes)
{
	enum op op;
	enum vm_mode mode;
	struct vm vm;

	insn_prepare();
	for (mode = VM_COMPAT; mode < VM_MODES; mode++) {
		if (!vm_mode_possible(mode))
			continue;
		for (op = 0; op < OPS; op++) {
			u32 n = insn_assemble(code, op, &at_rbx);

			memcpy(code + n, "\x0f\x01\xc1", 3);
			vm_create(&vm, mode, 0, code);
			vm.regs.rbx = mode >= VM_REAL ? 0x100 : addr_of(data);
			vmwrite(F_EXCEPTION_BITMAP, BIT(VEC_UD) | BIT(VEC_GP));
			print("RESULT %s %s", test_name(), vm_mode_names[mode]);
			{
				u32 reason = vm_run(&vm);

				print(" %s=%u", insn_ops[op].name, reason);
				if (reason == REASON_EXCEPTION)
					print("(%lx)", vmread(F_EXIT_INTR_INFO));
				else
					print("(%lx,%lx,%lu)", vmread(F_QUALIFICATION),
					      insn_ops[op].kind == NO_OPERAND ? 0
									      : vmread(F_INSTRUCTION_INFO),
					      vmread(F_EXIT_LENGTH));
			}
			print("\n");
		}
	}
}
