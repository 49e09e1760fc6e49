/* SPDX-License-Identifier: MIT */
/*
 * Guest test "insn": prefixes before the opcodes of VMX instructions: those that make another instruction of
 * it, those that are ignored, not allowed, repeated, out of order, too many; and register operands where only
 * memory is allowed. SDM: volume 2, "Instruction Prefixes", "Notation" (NP), "VMX Instruction Reference".
 */
#include "tests/guest/insn.h"

#define TEN_CS "\x2e\x2e\x2e\x2e\x2e\x2e\x2e\x2e\x2e\x2e"

/* The last ones have a REX byte: not outside 64-bit mode. */
static const char *const strings[] = { "",
				       "\x66",
				       "\xf2",
				       "\xf3",
				       "\xf0",
				       "\x67",
				       "\x2e",
				       "\x36",
				       "\x3e",
				       "\x26",
				       "\x64",
				       "\x65",
				       "\x66\x66",
				       "\xf2\xf2",
				       "\xf3\xf3",
				       "\xf0\xf0",
				       "\x67\x67",
				       "\x36\x36",
				       "\x64\x64",
				       "\x66\xf2",
				       "\x66\xf3",
				       "\xf2\x66",
				       "\xf3\x66",
				       "\xf2\xf3",
				       "\xf3\xf2",
				       "\xf0\x66",
				       "\xf3\xf0",
				       "\xf0\xf2",
				       "\x67\x66",
				       "\x66\x67",
				       "\x67\xf3",
				       "\xf3\x67",
				       "\x67\xf0",
				       "\x64\x65",
				       "\x65\x64",
				       "\x2e\x64",
				       "\x64\x2e",
				       "\x36\x65",
				       "\x64\x66",
				       "\x64\x67\xf3",
				       "\xf3\x66\x67",
				       TEN_CS,
				       TEN_CS "\x2e",
				       TEN_CS "\x2e\x2e",
				       TEN_CS "\x2e\x2e\x2e",
				       TEN_CS "\x66\xf3",
				       "\x40",
				       "\x48",
				       "\x41",
				       "\x42",
				       "\x44",
				       "\x4f",
				       "\x66\x48",
				       "\x48\x66",
				       "\xf3\x48",
				       "\x48\xf3",
				       "\x48\x48",
				       "\x44\x40",
				       "\x67\x48",
				       "\x64\x48",
				       "\x66\xf3\x4c",
				       "\xf3\x66\x67\x64\x49",
				       TEN_CS "\x48",
				       TEN_CS "\x2e\x48" };
enum { WITHOUT_REX = 46 };

static const struct row {
	const char *name;
	u8 size, bytes[4];
	bool only; /* "NP": 66, F2 and F3 are not allowed */
} rows[] = {
	{ "c7/6", 3, { 0x0f, 0xc7, 0x33 }, false }, /* VMPTRLD, VMCLEAR, VMXON at [RBX]; register: RDRAND */
	{ "c7/6r", 3, { 0x0f, 0xc7, 0xf3 }, false },
	{ "c7/7", 3, { 0x0f, 0xc7, 0x3b }, true }, /* VMPTRST; RDSEED, RDPID */
	{ "c7/7r", 3, { 0x0f, 0xc7, 0xfb }, false },
	{ "78", 3, { 0x0f, 0x78, 0x13 }, true }, /* VMREAD: RDX is the field */
	{ "78r", 3, { 0x0f, 0x78, 0xd3 }, true },
	{ "79", 3, { 0x0f, 0x79, 0x13 }, true }, /* VMWRITE */
	{ "79r", 3, { 0x0f, 0x79, 0xd3 }, true },
	{ "80", 4, { 0x0f, 0x38, 0x80, 0x13 }, false }, /* INVEPT with 66 */
	{ "80r", 4, { 0x0f, 0x38, 0x80, 0xd3 }, false },
	{ "81", 4, { 0x0f, 0x38, 0x81, 0x13 }, false }, /* INVVPID with 66 */
	{ "81r", 4, { 0x0f, 0x38, 0x81, 0xd3 }, false },
	{ "vmcall", 3, { 0x0f, 0x01, 0xc1 }, false },
	{ "vmlaunch", 3, { 0x0f, 0x01, 0xc2 }, false },
	{ "vmresume", 3, { 0x0f, 0x01, 0xc3 }, false },
	{ "vmxoff", 3, { 0x0f, 0x01, 0xc4 }, false },
	{ "vmfunc", 3, { 0x0f, 0x01, 0xd4 }, true },
};

static bool has(const char *string, u8 byte)
{
	for (; *string; string++)
		if ((u8)*string == byte)
			return true;
	return false;
}

static bool mandatory(const char *string)
{
	return has(string, 0x66) || has(string, 0xf2) || has(string, 0xf3);
}

static u32 put(u8 *p, const char *string, const struct row *row)
{
	u32 n = (u32)strlen(string);

	memcpy(p, string, n);
	memcpy(p + n, row->bytes, row->size);
	return n + row->size;
}

/* An outcome is told for the plain opcode, and where prefixes change it. */
static void tell(const char *string, const char *outcome, char plain[64])
{
	u32 i;

	if (!*string) {
		memcpy(plain, outcome, strlen(outcome) + 1);
		print("=%s", outcome);
		return;
	}
	if (strlen(outcome) == strlen(plain) && !memcmp(outcome, plain, strlen(plain)))
		return;
	print(" ");
	for (i = 0; string[i]; i++)
		print(i == 2 && string[1] == 0x2e	     ? ".."
		      : i > 1 && i < 10 && string[1] == 0x2e ? ""
							     : "%x",
		      (u8)string[i]);
	print("=%s", outcome);
}

static void set_operands(u64 value)
{
	((u64 *)data)[0] = value;
	((u64 *)data)[1] = 0;
	*(u64 *)(data + PAGE_SIZE) = 0xfff; /* with an override by FS or GS */
	*(u64 *)(data + PAGE_SIZE + 8) = 0;
}

/* One opcode with all prefixes in L1. */
static void in_l1(const char *what, const struct row *row, u64 region, u64 fs_base)
{
	char buf[64], plain[64];
	u32 i;

	print("RESULT %s %s %s", test_name(), what, row->name);
	for (i = 0; i < ARRAY_SIZE(strings); i++) {
		struct exec e;
		const char *outcome;
		u32 n;

		set_operands(region ? region + 8 : 8);
		insn_set(&e, &insn_settings[0]);
		e.regs.r10 = F_GUEST_RSP; /* REX.R */
		if (has(strings[i], 0x67))
			e.regs.rbx |= 0xdead000000000000ull;
		e.regs.r11 = e.regs.rbx;
		msr_write(MSR_FS_BASE, fs_base);
		n = put(code, strings[i], row);
		code[n] = 0xcd;
		code[n + 1] = VEC_EXEC_DONE;
		exec_run(&e);
		outcome = insn_outcome(&e, buf);
		if (*(u64 *)(data + PAGE_SIZE) != 0xfff)
			outcome = "at_fs";
		if (has(strings[i], 0xf0) || (row->only && n <= 15 && mandatory(strings[i])))
			CHECK(e.out.vector == VEC_UD);
		tell(strings[i], outcome, plain);
		if (region && row->bytes[2] == 0xc4 && e.out.vector == VEC_EXEC_DONE) {
			this_cpu()->vmx_on = false;
			vmx_enable();
			CHECK(vmptrld(region) == VMX_OK);
		}
	}
	msr_write(MSR_FS_BASE, 0);
	print("\n");
}

TEST(prefixes_outside)
{
	u32 r;

	insn_prepare();
	if (!(msr_read(MSR_FEATURE_CONTROL) & BIT(0)))
		msr_write(MSR_FEATURE_CONTROL, BIT(0) | BIT(2));
	cr4_write(cr4_read() | CR4_VMXE);
	cr0_write(cr0_read() | CR0_NE);
	for (r = 0; r < ARRAY_SIZE(rows); r++)
		in_l1("outside", &rows[r], 0, PAGE_SIZE);
}

TEST_VMX(prefixes_root)
{
	u64 region = vmx_region();
	u32 r;

	insn_prepare();
	CHECK(vmclear(region) == VMX_OK && vmptrld(region) == VMX_OK);
	for (r = 0; r < ARRAY_SIZE(rows); r++)
		in_l1("root", &rows[r], region, PAGE_SIZE);
	CHECK(vmptrst() == region);
}

/* From L2, where the exit tells length and instruction information. */
TEST_VMX(prefixes_l2)
{
	static const enum vm_mode modes[] = { VM_64, VM_COMPAT, VM_PAE };
	char buf[64], plain[64];
	struct vm vm;
	u32 m, r, i;

	insn_prepare();
	for (m = 0; m < ARRAY_SIZE(modes); m++) {
		vm_create(&vm, modes[m], 0, code);
		vmwrite(F_EXCEPTION_BITMAP, ~0u);
		vmwrite(F_GUEST_FS_BASE, PAGE_SIZE);
		for (r = 0; r < ARRAY_SIZE(rows); r++) {
			print("RESULT %s %s %s", test_name(), vm_mode_names[modes[m]], rows[r].name);
			for (i = 0; i < (modes[m] == VM_64 ? ARRAY_SIZE(strings) : WITHOUT_REX); i++) {
				u32 n = put(code, strings[i], &rows[r]), reason;

				memcpy(code + n, "\x0f\x01\xc1", 3);
				set_operands(8);
				vmwrite(F_GUEST_RIP, addr_of(code));
				vm.regs.rbx = vm.regs.r11 = addr_of(data);
				vm.regs.rdx = F_GUEST_RIP;
				reason = vm_run(&vm);
				if (reason == REASON_EXCEPTION)
					format(buf, 64, "#%lx", vmread(F_EXIT_INTR_INFO) & 0xff);
				else if (vm_pc(&vm))
					format(buf, 64, "done");
				else
					format(buf, 64, "%u(%lu,%lx,%lx)", reason,
					       vmread(F_EXIT_LENGTH) - strlen(strings[i]),
					       rows[r].bytes[1] != 1 ? vmread(F_INSTRUCTION_INFO) : 0,
					       vmread(F_QUALIFICATION));
				tell(strings[i], buf, plain);
			}
			print("\n");
		}
	}
}
