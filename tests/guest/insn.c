/* SPDX-License-Identifier: MIT */
/*
 * Guest test "insn": the sweep of the thirteen VMX instructions: outside VMX operation, in VMX root and from
 * L2; rings and modes; every form of operand; faults of the operand; errors of the value. The expectation is
 * the bare processor's own output; CHECKs are there for what no processor may do otherwise. SDM: "VMX
 * Instruction Reference".
 */
#include "tests/guest/insn.h"

static void sweep_settings(const char *what)
{
	u32 s;
	enum op op;
	char buf[64];

	gdt_set(SEL_CODE16, 0x000f9b010000ffffull); /* base LOW_CODE */
	for (s = 0; s < SETTINGS; s++) {
		print("RESULT %s %s %s", test_name(), what, insn_settings[s].name);
		for (op = 0; op < OPS; op++) {
			struct exec e;

			if (op == VMXOFF && insn_settings[s].cs == SEL_CODE64 && this_cpu()->vmx_on)
				continue;
			insn_set(&e, &insn_settings[s]);
			insn_run(&e, &insn_settings[s], op, &at_rbx);
			print(" %s=%s", insn_ops[op].name, insn_outcome(&e, buf));
		}
		print("\n");
	}
}

/* "Outside VMX operation": #UD but for VMXON, and VMXON without CR4.VMXE too. */
TEST(outside)
{
	struct exec e;
	char buf[64];
	u64 cr0 = cr0_read();

	insn_prepare();
	*(u64 *)data = 8; /* VMXON's operand: not aligned */
	sweep_settings("vmxe=0");
	if (!(msr_read(MSR_FEATURE_CONTROL) & BIT(0)))
		msr_write(MSR_FEATURE_CONTROL, BIT(0) | BIT(2));
	cr4_write(cr4_read() | CR4_VMXE);
	cr0_write(cr0 | CR0_NE);
	sweep_settings("vmxe=1");
	cr0_write(cr0 & ~CR0_NE);
	insn_set(&e, &insn_settings[0]);
	insn_run(&e, &insn_settings[0], VMXON, &at_rbx);
	result("ne=0 vmxon=%s", insn_outcome(&e, buf));
	CHECK(e.out.vector == VEC_GP && e.out.error == 0);
	insn_set(&e, &insn_settings[1]);
	e.regs.rbx = 0x8000000000000000ull;
	insn_run(&e, &insn_settings[1], VMXON, &at_rbx);
	result("user vmxon=%s", insn_outcome(&e, buf));
}

TEST_VMX(root_no_vmcs)
{
	insn_prepare();
	sweep_settings("no_vmcs");
}

TEST_VMX(root_vmcs)
{
	u64 region = vmx_region();

	insn_prepare();
	CHECK(vmclear(region) == VMX_OK && vmptrld(region) == VMX_OK);
	*(u64 *)data = region + 8;
	sweep_settings("vmcs");
	CHECK(vmptrst() == region);
}

TEST_VMX(root_shadow)
{
	u64 region = vmx_region();
	enum vmx_result r;
	char buf[64];

	NEED(caps_proc2(PROC2_SHADOW));
	insn_prepare();
	*(u32 *)ptr_of(region) |= BIT(31);
	CHECK(vmclear(region) == VMX_OK);
	r = vmptrld(region);
	result("vmptrld_shadow=%s", vmx_result_name(r, buf));
	*(u64 *)data = region + 8;
	sweep_settings("shadow");
	result("vmread=%s", vmx_result_name(vmread_checked(F_GUEST_RIP, (u64 *)data), buf));
	result("vmwrite=%s", vmx_result_name(vmwrite_checked(F_GUEST_RIP, 5), buf));
	result("read_back=%lx", vmread(F_GUEST_RIP));
	CHECK(vmclear(region) == VMX_OK);
}

/* What VMX operation forbids: CR0 and CR4 bits, and writes to the capability MSRs. */
TEST_VMX(fixed_bits)
{
	static const u8 set_cr0[] = { 0x0f, 0x22, 0xc0, 0xcd, VEC_EXEC_DONE };
	static const u8 set_cr4[] = { 0x0f, 0x22, 0xe0, 0xcd, VEC_EXEC_DONE };
	static const u8 set_msr[] = { 0x0f, 0x30, 0xcd, VEC_EXEC_DONE };
	static const u64 cr0_flips[] = { CR0_PE,	  CR0_MP,  CR0_EM,  CR0_TS, CR0_NE,
					 CR0_WP,	  CR0_AM,  CR0_NW,  CR0_CD, CR0_PG,
					 CR0_CD | CR0_NW, BIT(32), BIT(63), BIT(6), CR0_PG | CR0_PE };
	struct exec e;
	char buf[64];
	u64 cr0 = cr0_read();
	u64 cr4 = cr4_read();
	u64 refused = 0;
	u32 i;

	insn_prepare();
	for (i = 0; i < ARRAY_SIZE(cr0_flips); i++) {
		insn_set(&e, &insn_settings[0]);
		memcpy(code, set_cr0, sizeof(set_cr0));
		e.regs.rax = cr0 ^ cr0_flips[i];
		exec_run(&e);
		result("cr0^%lx %s now=%lx", cr0_flips[i],
		       e.out.vector == VEC_EXEC_DONE ? "ok" : fault_name(&e.out, buf), cr0_read() ^ cr0);
		cr0_write(cr0);
	}
	for (i = 0; i < 64; i++) {
		if (i == 21 || i == 20 || i == 22) /* depend on the model */
			continue;
		insn_set(&e, &insn_settings[0]);
		memcpy(code, set_cr4, sizeof(set_cr4));
		e.regs.rax = cr4 ^ BIT(i);
		exec_run(&e);
		if (e.out.vector == VEC_GP && cr4_read() == cr4)
			refused |= BIT(i);
		else
			info("cr4^%lx %s", BIT(i),
			     e.out.vector == VEC_EXEC_DONE ? "ok" : fault_name(&e.out, buf));
		cr4_write(cr4);
	}
	result("cr4 refused=%lx", refused & ~GENMASK(24, 14));
	info("cr4 refused=%lx", refused);
	for (i = MSR_VMX_BASIC; i <= MSR_VMX_VMFUNC; i++) {
		insn_set(&e, &insn_settings[0]);
		memcpy(code, set_msr, sizeof(set_msr));
		e.regs.rcx = i;
		exec_run(&e);
		CHECK(e.out.vector == VEC_GP);
	}
	insn_set(&e, &insn_settings[0]);
	e.regs.rcx = MSR_FEATURE_CONTROL;
	e.regs.rax = msr_read(MSR_FEATURE_CONTROL);
	exec_run(&e);
	result("feature_control=%s", insn_outcome(&e, buf));
}
