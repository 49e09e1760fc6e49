/* SPDX-License-Identifier: MIT */
/*
 * Guest test "insn": values: pointers, field encodings, the order of errors at VM entry, INVEPT and INVVPID.
 */
#include "tests/guest/insn.h"

/* Values of the 64-bit operand of VMXON, VMCLEAR and VMPTRLD. */
TEST(pointers)
{
	static const enum op list[] = { VMXON, VMCLEAR, VMPTRLD };
	u32 k, i;
	char buf[64];

	insn_prepare();
	for (k = 0; k < ARRAY_SIZE(list); k++) {
		for (i = 0; i < 13; i++) {
			u64 current = vmx_region();
			u64 region = vmx_region();
			u64 revision = caps.basic & 0x7fffffff;
			u64 value = region;
			struct exec e;
			const char *name = "right";

			if (i == 7 && list[k] == VMPTRLD)
				continue; /* shadow VMCSs have their own test */
			if (list[k] == VMXON) {
				cr4_write(cr4_read() | CR4_VMXE);
				cr0_write(cr0_read() | CR0_NE);
			} else {
				vmx_enable();
				CHECK(vmclear(current) == VMX_OK && vmptrld(current) == VMX_OK);
			}
			switch (i) {
			case 1:
				name = "plus1";
				value = region + 1;
				break;
			case 2:
				name = "plus800";
				value = region + 0x800;
				break;
			case 3:
				name = "bit52";
				value = region | BIT(52);
				break;
			case 4:
				name = "bit63";
				value = region | BIT(63);
				break;
			case 5:
				name = "ones";
				value = ~0ull;
				break;
			case 6:
				name = "revision_plus1";
				*(u32 *)ptr_of(region) = (u32)revision + 1;
				break;
			case 7:
				name = "revision_bit31";
				*(u32 *)ptr_of(region) = (u32)revision | 0x80000000u;
				break;
			case 8:
				name = "revision_zero";
				*(u32 *)ptr_of(region) = 0;
				break;
			case 9:
				name = "vmxon_region";
				if (list[k] != VMXON)
					value = this_cpu()->vmxon_page;
				break;
			case 10:
				name = "current";
				value = current;
				break;
			case 11:
				name = "garbage";
				memset(ptr_of(region + 4), 0xa5, 4092);
				break;
			case 12:
				name = "first_unsupported";
				value = 1ull << (cpuid(0x80000008, 0).eax & 0xff);
				break;
			}
			*(u64 *)data = value;
			insn_set(&e, &insn_settings[0]);
			insn_run(&e, &insn_settings[0], list[k], &at_rbx);
			result("%s %s %s", insn_ops[list[k]].name, name, insn_outcome(&e, buf));
			if (list[k] != VMXON)
				result("%s %s current=%s", insn_ops[list[k]].name, name,
				       vmptrst() == current ? "same"
				       : vmptrst() == ~0ull ? "none"
							    : "new");
			if (list[k] == VMXON && e.out.vector == VEC_EXEC_DONE &&
			    !(e.out.frame.rflags & RFLAGS_STATUS))
				vmxoff();
			vmx_disable();
			cr4_write(cr4_read() & ~CR4_VMXE);
		}
	}
}

/*
 * All encodings to bit 14, read and written, as one hash for each 256; then what is written to each field
 * that exists comes back in its width.
 */
TEST_VMX(encodings)
{
	u64 region = vmx_region();
	u32 group, i;

	CHECK(vmclear(region) == VMX_OK && vmptrld(region) == VMX_OK);
	for (group = 0; group < 0x80; group++) {
		u64 hash = 0;
		u64 there = 0;

		for (i = group << 8; i < (group + 1) << 8; i++) {
			u64 v = 0;
			enum vmx_result rd = vmread_checked(i, &v);
			enum vmx_result wr = vmwrite_checked(i, 0x123456789abcdef0ull + i);
			u64 back = 0;

			hash = hash_add(hash, rd << 8 | wr);
			if (rd != VMX_OK)
				continue;
			there |= BIT(i & 63);
			if (wr == VMX_OK) {
				vmread_checked(i, &back);
				hash = hash_add(hash, back);
			}
		}
		if (there)
			result("group=%x fields=%lx hash=%lx", group << 8, there, hash);
		else
			CHECK(hash != 0);
	}
	for (i = 15; i < 64; i++) {
		u64 v = 0;
		char buf[64];

		if (vmread_checked(F_GUEST_RIP | BIT(i), &v) != VMX_FAIL_VALID || vmx_error() != 12)
			result("bit=%u %s", i, vmx_result_name(VMX_OK, buf));
	}
}

GUEST_CODE(exec_mov_ss_launch, 64, "mov %ss, %ecx; mov %ecx, %ss; vmlaunch; " EXEC_END);
GUEST_CODE(exec_mov_ss_resume, 64, "mov %ss, %ecx; mov %ecx, %ss; vmresume; " EXEC_END);
GUEST_CODE(exec_sti_launch, 64, "sti; vmlaunch; cli; " EXEC_END);
GUEST_CODE(exec_launch, 64, "vmlaunch; " EXEC_END);
GUEST_CODE(exec_resume, 64, "vmresume; " EXEC_END);
GUEST_CODE(code_l2, 64, "vmcall");

/* Which error wins: no VMCS, MOV SS, launch state, controls, host state. SDM: "Basic VM-Entry Checks". */
TEST_VMX(entry_order)
{
	static const struct {
		const char *name;
		const u8 *text;
	} how[] = {
		{ "launch", exec_launch },
		{ "resume", exec_resume },
		{ "movss_launch", exec_mov_ss_launch },
		{ "movss_resume", exec_mov_ss_resume },
		{ "sti_launch", exec_sti_launch },
	};
	struct vm vm;
	u32 state, h, bad;
	char buf[64];

	for (state = 0; state < 3; state++) {
		for (bad = 0; bad < 4; bad++) {
			for (h = 0; h < ARRAY_SIZE(how); h++) {
				struct exec e;

				vm_create(&vm, VM_64, 0, code_l2);
				if (state == 1)
					CHECK(vm_run(&vm) == REASON_VMCALL);
				if (bad & 1)
					vmwrite(F_CR3_TARGET_COUNT, 5);
				if (bad & 2)
					vmwrite(F_HOST_CS, 0);
				vmwrite(F_HOST_RIP, addr_of(exec_vmexit));
				exec_init(&e, addr_of(how[h].text));
				vmwrite(F_HOST_RSP, e.regs.rsp);
				e.rflags |= RFLAGS_STATUS;
				if (state == 2) {
					vmclear(vm.vmcs);
					this_cpu()->vm = NULL;
				}
				exec_run(&e);
				result("state=%s bad=%u %s %s",
				       state == 0   ? "clear"
				       : state == 1 ? "launched"
						    : "none",
				       bad, how[h].name, insn_outcome(&e, buf));
			}
		}
	}
}

/* INVEPT and INVVPID: types and descriptors. */
TEST_VMX(invalidations)
{
	static const u64 types[] = { 0, 1, 2, 3, 4, 0x80000000, 0x100000001, 0x100000002, ~0ull };
	u64 root, region = vmx_region();
	u32 t, i;
	char buf[64];

	NEED(caps.ept_vpid & EPT_CAP_INVEPT);
	insn_prepare();
	root = addr_of(page_alloc());
	CHECK(vmclear(region) == VMX_OK && vmptrld(region) == VMX_OK);
	for (t = 0; t < ARRAY_SIZE(types); t++) {
		/* bit 7 depends on CET */
		const u64 eptps[] = { root | EPTP_FLAGS,
				      root | 0x18,
				      root | 1 | 0x18,
				      root | 6,
				      root | 6 | 0x20,
				      root | EPTP_FLAGS | BIT(8),
				      root | EPTP_FLAGS | BIT(11),
				      root | EPTP_FLAGS | BIT(52),
				      root | 2 | 0x18,
				      ~0ull,
				      0 };

		for (i = 0; i < ARRAY_SIZE(eptps); i++) {
			struct exec e;

			insn_set(&e, &insn_settings[0]);
			((u64 *)data)[0] = eptps[i];
			((u64 *)data)[1] = 0;
			e.regs.rdx = types[t];
			insn_run(&e, &insn_settings[0], INVEPT, &at_rbx);
			print("%s%s", i ? " " : "", i ? "" : "RESULT invalidations ");
			if (!i)
				print("invept type=%lx ", types[t]);
			print("%s", insn_outcome(&e, buf));
		}
		print("\n");
		{
			struct exec e;

			insn_set(&e, &insn_settings[0]);
			((u64 *)data)[0] = root | EPTP_FLAGS;
			((u64 *)data)[1] = 1;
			e.regs.rdx = types[t];
			insn_run(&e, &insn_settings[0], INVEPT, &at_rbx);
			result("invept type=%lx reserved=%s", types[t], insn_outcome(&e, buf));
		}
	}
	if (!(caps.ept_vpid & EPT_CAP_INVVPID))
		return;
	for (t = 0; t < ARRAY_SIZE(types); t++) {
		static const struct inv_descriptor d[] = {
			{ 0, 0 },
			{ 1, 0 },
			{ 0xffff, 0x1000 },
			{ 0x10001, 0 },
			{ BIT(63) | 1, 0 },
			{ 1, 0x800000000000 },
			{ 1, 0xffff800000000000 },
			{ 0, 0x800000000000 },
			{ 1, ~0ull },
		};

		print("RESULT %s invvpid type=%lx", test_name(), types[t]);
		for (i = 0; i < ARRAY_SIZE(d); i++) {
			struct exec e;

			insn_set(&e, &insn_settings[0]);
			memcpy(data, &d[i], 16);
			e.regs.rdx = types[t];
			insn_run(&e, &insn_settings[0], INVVPID, &at_rbx);
			print(" %s", insn_outcome(&e, buf));
		}
		print("\n");
	}
}
