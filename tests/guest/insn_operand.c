/* SPDX-License-Identifier: MIT */
/*
 * Guest test "insn": operands: every form of address, every register, pages that fault, addresses that are
 * not canonical.
 */
#include "tests/guest/insn.h"

/* Each instruction with operands in random forms: the address must come out right, in root and seen from L2.
 */
TEST_VMX(forms)
{
	static const enum op list[] = { VMCLEAR, VMPTRLD, VMPTRST, VMREAD, VMWRITE, INVEPT, INVVPID };
	u64 regions[2] = { vmx_region(), vmx_region() };
	u64 seed = 1;
	u32 k, i;

	insn_prepare();
	msr_write(MSR_FS_BASE, 0x123456000);
	CHECK(vmclear(regions[0]) == VMX_OK && vmclear(regions[1]) == VMX_OK);
	for (k = 0; k < ARRAY_SIZE(list); k++) {
		u64 hash = 0;
		u32 bad = 0;

		if ((list[k] == INVEPT && !(caps.ept_vpid & EPT_CAP_INVEPT)) ||
		    (list[k] == INVVPID && !(caps.ept_vpid & EPT_CAP_INVVPID)))
			continue;
		for (i = 0; i < 150; i++) {
			struct exec e;
			struct operand o;
			u64 *slot = (u64 *)(data + 64 + (random_next(&seed) & 0xfff));
			u64 want = random_next(&seed);
			bool right;
			u32 n;
			char buf[64];

			vmptrld(regions[0]);
			exec_init(&e, addr_of(code));
			e.rflags |= RFLAGS_STATUS;
			insn_random_form(&e, &o, addr_of(slot), &seed);
			n = insn_assemble(code, list[k], &o);
			if (o.base == RIP) {
				o.disp = (i32)(addr_of(slot) - addr_of(code) - n);
				if (o.segment == SEG_FS)
					o.disp -= (i32)msr_read(MSR_FS_BASE);
				if (o.segment == SEG_GS)
					o.disp -= (i32)msr_read(MSR_GS_BASE);
				n = insn_assemble(code, list[k], &o);
				if (o.segment == SEG_FS || o.segment == SEG_GS)
					continue; /* out of reach */
			}
			code[n] = 0xcd;
			code[n + 1] = VEC_EXEC_DONE;
			slot[0] = slot[1] = 0;
			*insn_register(&e.regs, o.reg) =
				list[k] == INVEPT || list[k] == INVVPID ? 2 : F_GUEST_RIP;
			switch (list[k]) {
			case VMCLEAR:
			case VMPTRLD: slot[0] = regions[1]; break;
			case VMREAD: vmwrite(F_GUEST_RIP, want); break;
			case VMWRITE: slot[0] = want; break;
			default: break;
			}
			exec_run(&e);
			switch (list[k]) {
			case VMPTRLD: right = vmptrst() == regions[1]; break;
			case VMPTRST: right = slot[0] == regions[0]; break;
			case VMREAD: right = slot[0] == want; break;
			case VMWRITE: right = vmread(F_GUEST_RIP) == want; break;
			default: right = true;
			}
			right = right && e.out.vector == VEC_EXEC_DONE &&
				!(e.out.frame.rflags & RFLAGS_STATUS);
			hash = hash_add(hash, e.out.vector << 16 | (e.out.frame.rflags & RFLAGS_STATUS));
			if (!right && bad++ < 5) {
				print("FAIL %s %s form %u base=%u index=%u scale=%u disp=%x seg=%x a32=%u "
				      "reg=%u %s\n",
				      test_name(), insn_ops[list[k]].name, i, o.base, o.index, o.scale,
				      o.disp, o.segment, o.address32, o.reg, insn_outcome(&e, buf));
				test_failed();
			}
		}
		result("%s hash=%lx bad=%u", insn_ops[list[k]].name, hash, bad);
	}
	msr_write(MSR_FS_BASE, 0);
}

/* Register operands: every register as source, target and field; only VMREAD and VMWRITE may have them. */
TEST_VMX(registers)
{
	u64 region = vmx_region();
	enum op op;
	u32 a, b;
	char buf[64];

	insn_prepare();
	CHECK(vmclear(region) == VMX_OK && vmptrld(region) == VMX_OK);
	for (op = 0; op < OPS; op++) {
		struct operand o = { .is_register = true, .rm = 0, .reg = 1 };
		struct exec e;

		if (insn_ops[op].kind == NO_OPERAND || op == VMREAD || op == VMWRITE)
			continue;
		insn_set(&e, &insn_settings[0]);
		insn_run(&e, &insn_settings[0], op, &o);
		/* 0F C7 /6 and /7 with a register are RDRAND and RDSEED: not VMX's matter */
		if (op == INVEPT || op == INVVPID)
			result("%s=%s", insn_ops[op].name, insn_outcome(&e, buf));
	}
	for (a = 0; a < 16; a++) {
		for (b = 0; b < 16; b++) {
			struct operand o = { .is_register = true, .rm = (u8)a, .reg = (u8)b };
			u64 want = 0x1111111111111111ull * a + b;
			struct exec e;
			u64 got;

			if (a == b || b == 4)
				continue;
			vmwrite(F_GUEST_RIP, want);
			exec_init(&e, addr_of(code));
			e.rflags |= RFLAGS_STATUS;
			*insn_register(&e.regs, b) = F_GUEST_RIP;
			insn_run(&e, &insn_settings[0], VMREAD, &o);
			got = a == 4 ? e.out.frame.rsp : *insn_register(&e.out.frame.regs, a);
			if (a != 4 && (got != want || e.out.vector != VEC_EXEC_DONE))
				test_fail(__FILE__, __LINE__, "vmread into a register");
			exec_init(&e, addr_of(code));
			*insn_register(&e.regs, b) = F_GUEST_RIP;
			if (a != 4)
				*insn_register(&e.regs, a) = ~want;
			insn_run(&e, &insn_settings[0], VMWRITE, &o);
			CHECK(vmread(F_GUEST_RIP) == (a == 4 ? e.regs.rsp : ~want));
		}
	}
	result("done=1");
}

/* Operands whose pages fault, each kind for each instruction that has a memory operand. */
struct place {
	const char *name;
	u64 flags[2]; /* of two pages in a row; 0: not present */
	u64 offset;
	u64 cr4, rflags;
	bool wp_off;
	u32 pkru;
};

#define KEY1 BIT(59) /* protection key 1 */
#define PKRU_AD1 (1u << 2)
#define PKRU_WD1 (1u << 3)
#define USER_KEY1 (PTE_P | PTE_W | PTE_U | KEY1)
#define USED (PTE_A | PTE_D) /* as the walks of a running L1 find its pages: nothing is left to set */

static const struct place places[] = {
	{ "plain", { PTE_P | PTE_W, PTE_P | PTE_W }, 0x10, 0, 0, false, 0 },
	{ "crossing", { PTE_P | PTE_W, PTE_P | PTE_W }, 0xffc, 0, 0, false, 0 },
	{ "absent", { 0, 0 }, 0x10, 0, 0, false, 0 },
	{ "second_absent", { PTE_P | PTE_W, 0 }, 0xffc, 0, 0, false, 0 },
	{ "first_absent", { 0, PTE_P | PTE_W }, 0xffd, 0, 0, false, 0 },
	{ "read_only", { PTE_P, PTE_P }, 0x10, 0, 0, false, 0 },
	{ "second_read_only", { PTE_P | PTE_W, PTE_P }, 0xff9, 0, 0, false, 0 },
	{ "read_only_wp0", { PTE_P, PTE_P }, 0x10, 0, 0, true, 0 },
	{ "user", { PTE_P | PTE_W | PTE_U, PTE_P | PTE_W | PTE_U }, 0x10, 0, 0, false, 0 },
	{ "user_smap", { PTE_P | PTE_W | PTE_U, PTE_P | PTE_W | PTE_U }, 0x10, CR4_SMAP, 0, false, 0 },
	{ "user_smap_ac",
	  { PTE_P | PTE_W | PTE_U, PTE_P | PTE_W | PTE_U },
	  0x10,
	  CR4_SMAP,
	  RFLAGS_AC,
	  false,
	  0 },
	{ "user_smep", { PTE_P | PTE_W | PTE_U, PTE_P | PTE_W | PTE_U }, 0x10, CR4_SMEP, 0, false, 0 },
	{ "no_execute", { PTE_P | PTE_W | PTE_XD, PTE_P | PTE_W | PTE_XD }, 0x10, 0, 0, false, 0 },
	{ "reserved", { PTE_P | PTE_W | BIT(51), PTE_P | PTE_W }, 0x10, 0, 0, false, 0 },
	{ "misaligned_ac", { PTE_P | PTE_W, PTE_P | PTE_W }, 0x13, 0, RFLAGS_AC, false, 0 },
	{ "key_access", { USER_KEY1, USER_KEY1 }, 0x10, CR4_PKE, 0, false, PKRU_AD1 },
	{ "key_write", { USER_KEY1, USER_KEY1 }, 0x10, CR4_PKE, 0, false, PKRU_WD1 },
	{ "key_write_wp0", { USER_KEY1, USER_KEY1 }, 0x10, CR4_PKE, 0, true, PKRU_WD1 },
	{ "key_access_wp0", { USER_KEY1, USER_KEY1 }, 0x10, CR4_PKE, 0, true, PKRU_AD1 },
	{ "key_other", { USER_KEY1, USER_KEY1 }, 0x10, CR4_PKE, 0, false, 0xfffffff0u },
	{ "key_supervisor",
	  { PTE_P | PTE_W | KEY1, PTE_P | PTE_W | KEY1 },
	  0x10,
	  CR4_PKE,
	  0,
	  false,
	  PKRU_AD1 },
	{ "key_second", { PTE_P | PTE_W, USER_KEY1 }, 0xffc, CR4_PKE, 0, false, PKRU_AD1 },
	{ "key_smap", { USER_KEY1, USER_KEY1 }, 0x10, CR4_PKE | CR4_SMAP, 0, false, PKRU_AD1 },
	{ "key_without_pke", { USER_KEY1, USER_KEY1 }, 0x10, 0, 0, false, PKRU_AD1 },
	{ "used", { PTE_P | PTE_W | USED, PTE_P | PTE_W | USED }, 0x10, 0, 0, false, 0 },
	{ "used_read_only", { PTE_P | USED, PTE_P | USED }, 0x10, 0, 0, false, 0 },
	{ "used_reserved", { PTE_P | PTE_W | USED | BIT(51), PTE_P | PTE_W | USED }, 0x10, 0, 0, false, 0 },
	{ "used_user_smap",
	  { PTE_P | PTE_W | PTE_U | USED, PTE_P | PTE_W | PTE_U | USED },
	  0x10,
	  CR4_SMAP,
	  0,
	  false,
	  0 },
	{ "used_key_write", { USER_KEY1 | USED, USER_KEY1 | USED }, 0x10, CR4_PKE, 0, false, PKRU_WD1 },
};

static bool cr4_possible(u64 bits)
{
	u32 ebx = cpuid(0, 0).eax >= 7 ? cpuid(7, 0).ebx : 0;

	u32 ecx = cpuid(0, 0).eax >= 7 ? cpuid(7, 0).ecx : 0;

	return !(bits & CR4_SMEP && !(ebx & BIT(7))) && !(bits & CR4_SMAP && !(ebx & BIT(20))) &&
	       !(bits & CR4_PKE && !(ecx & BIT(3)));
}

static void pkru_write(u32 v)
{
	asm volatile(".byte 0x0f, 0x01, 0xef" : : "a"(v), "c"(0), "d"(0) : "memory");
}

static void set_operand_value(enum op op, u64 region, u64 offset)
{
	static const u8 zero[16];
	u64 v = op == VMXON ? 8 : op == VMCLEAR || op == VMPTRLD ? region + 8 : 0x77;
	u32 at;

	for (at = 0; at < 2 * PAGE_SIZE; at += 16)
		memcpy(data + at, zero, 16);
	memcpy(data + offset, &v, op == INVEPT || op == INVVPID ? 0 : 8);
}

TEST(places)
{
	static const enum op list[] = { VMXON, VMCLEAR, VMPTRLD, VMPTRST, VMREAD, VMWRITE, INVEPT, INVVPID };
	u32 p, k;
	char buf[64];

	insn_prepare();
	for (p = 0; p < ARRAY_SIZE(places); p++) {
		const struct place *place = &places[p];
		/* The emulator lets a supervisor into an access-disabled page: see deviations.md. */
		bool told = place->pkru & PKRU_AD1 && place->cr4 && place->flags[1] & PTE_U;
		u64 cr4, cr0;

		if (!cr4_possible(place->cr4 | (place->pkru ? CR4_PKE : 0))) {
			info("%s is not possible", place->name);
			continue;
		}
		print("%s %s %s", told ? "INFO" : "RESULT", test_name(), place->name);
		for (k = 0; k < ARRAY_SIZE(list); k++) {
			u64 region;
			struct exec e;
			u64 *e0 = paging_entry(cr3_read(), BAD_VA, 1);
			u64 *e1 = paging_entry(cr3_read(), BAD_VA + PAGE_SIZE, 1);

			region = vmx_region();
			if (list[k] == VMXON) {
				cr4_write(cr4_read() | CR4_VMXE);
				cr0_write(cr0_read() | CR0_NE);
			} else {
				vmx_enable();
				CHECK(vmclear(region) == VMX_OK && vmptrld(region) == VMX_OK);
			}
			set_operand_value(list[k], region, place->offset);
			*e0 = place->flags[0] ? addr_of(data) | place->flags[0] : 0;
			*e1 = place->flags[1] ? (addr_of(data) + PAGE_SIZE) | place->flags[1] : 0;
			invlpg(BAD_VA);
			invlpg(BAD_VA + PAGE_SIZE);
			exec_init(&e, addr_of(code));
			e.rflags |= RFLAGS_STATUS | place->rflags;
			e.regs.rbx = BAD_VA + place->offset;
			e.regs.rdx = list[k] == INVEPT || list[k] == INVVPID ? 2 : F_GUEST_RIP;
			cr4 = cr4_read();
			cr0 = cr0_read();
			if (place->pkru) {
				cr4_write(cr4 | CR4_PKE);
				pkru_write(place->pkru);
				cr4_write(cr4);
			}
			cr4_write(cr4 | place->cr4);
			if (place->wp_off)
				cr0_write(cr0 & ~CR0_WP);
			if (place->rflags & RFLAGS_AC)
				cr0_write(cr0_read() | CR0_AM);
			insn_run(&e, &insn_settings[0], list[k], &at_rbx);
			cr4_write(cr4);
			cr0_write(cr0);
			print(" %s=%s", insn_ops[list[k]].name, insn_outcome(&e, buf));
			/* VMREAD and VMWRITE may be the emulator's own, by VMCS shadowing. */
			if (told && under_socle() && list[k] != VMREAD && list[k] != VMWRITE)
				CHECK(e.out.vector == VEC_PF &&
				      e.out.error == (list[k] == VMPTRST ? 0x23 : 0x21));
			if (!(*e0 & PTE_A) != !(place->flags[0] && e.out.vector != VEC_GP) &&
			    !place->flags[0])
				print("(accessed)");
			vmx_disable();
			cr4_write(cr4_read() & ~CR4_VMXE);
		}
		print("\n");
	}
}

/* What is looked at first: the operand in memory, the field or type, the current VMCS. */
TEST_VMX(operand_order)
{
	static const enum op list[] = { VMREAD, VMWRITE, INVEPT, INVVPID };
	static const u64 values[] = { F_GUEST_RIP, 0x4ffe, F_EXIT_REASON, 77 };
	u64 region = vmx_region();
	u32 k, v, current;
	char buf[64];

	insn_prepare();
	*paging_entry(cr3_read(), BAD_VA, 1) = 0;
	CHECK(vmclear(region) == VMX_OK);
	for (current = 0; current < 2; current++) {
		if (current)
			CHECK(vmptrld(region) == VMX_OK);
		for (k = 0; k < ARRAY_SIZE(list); k++) {
			/* the SDM looks at field and type first; see deviations.md */
			print("%s %s current=%u %s",
			      list[k] == VMREAD || (list[k] == VMWRITE && !current) ? "RESULT" : "INFO",
			      test_name(), current, insn_ops[list[k]].name);
			for (v = 0; v < ARRAY_SIZE(values); v++) {
				struct exec e;

				if (values[v] == F_EXIT_REASON && caps.misc & BIT(29) && list[k] == VMWRITE)
					continue;
				insn_set(&e, &insn_settings[0]);
				e.regs.rbx = BAD_VA + 0x100;
				e.regs.rdx = values[v];
				insn_run(&e, &insn_settings[0], list[k], &at_rbx);
				print(" %lx=%s", values[v], insn_outcome(&e, buf));
				if (current && under_socle())
					CHECK((e.out.vector == VEC_PF) ==
					      ((values[v] == F_GUEST_RIP && list[k] <= VMWRITE) ||
					       (values[v] == F_EXIT_REASON && list[k] == VMREAD)));
			}
			print("\n");
		}
	}
}

/* Addresses that are not canonical: #GP, or #SS by the segment. */
TEST_VMX(not_canonical)
{
	static const enum op list[] = { VMCLEAR, VMPTRLD, VMPTRST, VMREAD, VMWRITE, INVEPT, INVVPID };
	static const struct {
		const char *name;
		struct operand o;
		u64 base;
	} cases[] = {
		{ "rbx", { .base = 3, .index = NONE, .reg = 2 }, 0x800000000000 },
		{ "rbp", { .base = 5, .index = NONE, .reg = 2 }, 0x800000000000 },
		{ "rbp_plus",
		  { .base = 5, .index = NONE, .reg = 2, .disp = 0x10, .disp_size = 1 },
		  0x7ffffffffff8 },
		{ "rbx_end", { .base = 3, .index = NONE, .reg = 2 }, 0x7ffffffffffc },
		{ "rbx_top", { .base = 3, .index = NONE, .reg = 2 }, 0xfffffffffffffffc },
		{ "rbx_ss", { .base = 3, .index = NONE, .reg = 2, .segment = SEG_SS }, 0x900000000000 },
		{ "rbx_fs", { .base = 3, .index = NONE, .reg = 2, .segment = SEG_FS }, 0x7fffffffff00 },
		{ "rsi_high", { .base = 6, .index = NONE, .reg = 2 }, 0xffff7fffffffffff },
	};
	u64 region = vmx_region();
	u32 c, k;
	char buf[64];

	insn_prepare();
	msr_write(MSR_FS_BASE, 0x1000);
	CHECK(vmclear(region) == VMX_OK && vmptrld(region) == VMX_OK);
	for (c = 0; c < ARRAY_SIZE(cases); c++) {
		print("RESULT %s %s", test_name(), cases[c].name);
		for (k = 0; k < ARRAY_SIZE(list); k++) {
			struct exec e;

			insn_set(&e, &insn_settings[0]);
			e.regs.rdx = list[k] == INVEPT || list[k] == INVVPID ? 2 : F_GUEST_RIP;
			*insn_register(&e.regs, cases[c].o.base) = cases[c].base;
			insn_run(&e, &insn_settings[0], list[k], &cases[c].o);
			print(" %s=%s", insn_ops[list[k]].name, insn_outcome(&e, buf));
		}
		print("\n");
	}
	msr_write(MSR_FS_BASE, 0);
}
