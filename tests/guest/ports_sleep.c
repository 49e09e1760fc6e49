/* SPDX-License-Identifier: MIT */
/*
 * Guest test "ports", fourth part, only with `sleep` on the command line and only under Socle: L1 sets a
 * waking vector and asks for S3 in every form that reaches PM1a_CNT, itself and from L2s that have the port.
 * It goes on, for each is refused; bare the machine would sleep. SLP_TYP 1 is S3 in the emulator's BIOS.
 */
#include "tests/guest/ports.h"

enum { S3 = 1 << 10 | 1 << 13, BEFORE = 0x0001 };

GUEST_CODE(s_out8, 64, "out %al, %dx; vmcall");
GUEST_CODE(s_out16, 64, "out %ax, %dx; vmcall");
GUEST_CODE(s_out32, 64, "out %eax, %dx; vmcall");
GUEST_CODE(s_outsw, 64, "outsw; vmcall");
GUEST_CODE(s_rep_outsw, 64, "rep outsw; vmcall");
GUEST_CODE(s_rep_outsl, 64, "rep outsl; vmcall");
GUEST_CODE(s_loop, 64, "1: out %ax, %dx; dec %rcx; jnz 1b; vmcall");

static const struct {
	const char *name;
	const u8 *code;
	int delta;
	u64 rax;
} forms[] = {
	{ "out16", s_out16, 0, S3 },
	{ "out8_high", s_out8, 1, S3 >> 8 },
	{ "out16_high", s_out16, 1, S3 >> 8 },
	{ "out32", s_out32, 0, S3 },
	{ "out32_less_2", s_out32, -2, (u64)S3 << 16 },
	{ "out32_less_1", s_out32, -1, (u64)S3 << 8 },
	{ "out16_s2", s_out16, 0, 2 << 10 | 1 << 13 },
	{ "out16_s7", s_out16, 0, 7 << 10 | 1 << 13 },
	{ "outsw", s_outsw, 0, S3 },
	{ "rep_outsw", s_rep_outsw, 0, S3 },
	{ "rep_outsl", s_rep_outsl, 0, S3 },
};

static bool wanted(void)
{
	return option_flag("sleep") && under_socle() && pm1_port();
}

/* What a hypervisor that wants out would do: real-mode code of its own at the waking vector. */
static void set_waking_vector(void)
{
	u8 *facs = ptr_of(*(u32 *)((u8 *)acpi_table("FACP") + 36));

	memcpy(ptr_of(0x8000), "\xfa\xf4\xeb\xfd", 4);
	*(u32 *)(facs + 12) = 0x8000;
}

static u64 memory_with(u64 value)
{
	static u32 words[64];
	u32 i;

	for (i = 0; i < ARRAY_SIZE(words); i++)
		words[i] = (u32)value | (u32)value << 16;
	return addr_of(words);
}

static void check(const char *who, const char *name, u32 how)
{
	u16 now = io_in16(pm1_port());

	result("%s %s ends=%u pm1=%x", who, name, how, now);
	CHECK(now == BEFORE);
}

/* S3 as firmware that is asked by another route would know it: SLP_TYP first, then SLP_EN alone. */
TEST(sleep_l1)
{
	u16 pm1 = pm1_port();
	u32 i;

	NEED(wanted());
	set_waking_vector();
	for (i = 0; i < ARRAY_SIZE(forms); i++) {
		struct exec e;

		io_out16(pm1, BEFORE);
		exec_init(&e, addr_of(forms[i].code));
		e.regs.rax = forms[i].rax;
		e.regs.rdx = (u16)(pm1 + forms[i].delta);
		e.regs.rcx = 5;
		e.regs.rsi = memory_with(forms[i].rax);
		exec_run(&e);
		/* outside VMX operation, VMCALL is #UD */
		CHECK(e.out.vector == VEC_UD && e.out.frame.rip > e.rip);
		check("l1", forms[i].name, e.out.vector);
	}
	io_out16(pm1, S3 & ~SLP_EN);
	result("slp_typ alone pm1=%x", io_in16(pm1));
	io_out16(pm1, BEFORE);
}

TEST_VMX(sleep_l2)
{
	u16 pm1 = pm1_port();
	u32 i, bitmaps;

	NEED(wanted());
	set_waking_vector();
	for (i = 0; i < ARRAY_SIZE(forms); i++) {
		for (bitmaps = 0; bitmaps < 2; bitmaps++) {
			struct vm vm;

			io_out16(pm1, BEFORE);
			vm_create(&vm, VM_64, 0, forms[i].code);
			if (bitmaps)
				vm_use_io_bitmaps(&vm);
			vm.regs.rax = forms[i].rax;
			vm.regs.rdx = (u16)(pm1 + forms[i].delta);
			vm.regs.rcx = 5;
			vm.regs.rsi = memory_with(forms[i].rax);
			check(bitmaps ? "l2_bitmaps" : "l2_neither", forms[i].name, vm_run(&vm));
		}
	}
}

static volatile bool toggling;
static u8 *volatile toggled;

static void toggle(void *arg)
{
	u16 pm1 = pm1_port();

	(void)arg;
	while (toggling) {
		toggled[pm1 / 8] ^= (u8)(3 << pm1 % 8);
		cpu_pause();
	}
}

/* Another CPU sets and clears L1's bits for the port during L2's OUTs. */
TEST_VMX(sleep_toggled)
{
	enum { OUTS = 3000 };
	struct vm vm;
	u32 exits, reason;

	NEED(smp_start() > 1 && wanted());
	set_waking_vector();
	io_out16(pm1_port(), BEFORE);
	vm_create(&vm, VM_64, 0, s_loop);
	vm_use_io_bitmaps(&vm);
	toggled = ptr_of(vm.io_bitmap);
	toggling = true;
	smp_call(1, toggle, NULL);
	vm.regs.rax = S3;
	vm.regs.rcx = OUTS;
	vm.regs.rdx = pm1_port();
	for (exits = 0; (reason = vm_run(&vm)) == REASON_IO; exits++)
		vm_skip(&vm);
	toggling = false;
	CHECK(smp_wait(1, 5000000));
	info("exits=%u of %u", exits, OUTS);
	check("l2_toggled", "out16", reason);
}

/* The PIIX4's PM function: where its configuration has the registers, and what switches them on. */
enum { CONFIG = 0xcf8, CONFIG_DATA = 0xcfc, PIIX4 = 0x71138086, PM_BASE = 0x40, PM_ENABLE = 0x80 };

static u32 piix4_address(void)
{
	u32 function;

	for (function = 0; function < 256; function++) {
		io_out32(CONFIG, 0x80000000 | function << 8);
		if (io_in32(CONFIG_DATA) == PIIX4)
			return 0x80000000 | function << 8;
	}
	return 0;
}

static u32 config_read(u32 address)
{
	io_out32(CONFIG, address);
	return io_in32(CONFIG_DATA);
}

/* The registers are moved by PCI configuration, then asked for S3 at their new place. */
TEST(sleep_moved)
{
	u32 address = piix4_address(), base, enable;

	NEED(wanted() && address);
	base = config_read(address | PM_BASE);
	enable = config_read(address | PM_ENABLE);
	set_waking_vector();
	config_read(address | PM_BASE);
	io_out32(CONFIG_DATA, 0xb101);
	io_out16(CONFIG_DATA, 0xb101);
	io_out8(CONFIG_DATA + 1, 0xb1);
	io_out32(CONFIG_DATA - 1, 0xb10100);
	config_read(address | PM_ENABLE);
	io_out8(CONFIG_DATA, 1);
	io_out16(0xb104, S3);
	result("moved base=%x enable=%x", config_read(address | PM_BASE), config_read(address | PM_ENABLE));
	CHECK(config_read(address | PM_BASE) == base && config_read(address | PM_ENABLE) == enable);
	/* the rest of the function is L1's: the interrupt line */
	config_read(address | 0x3c);
	io_out8(CONFIG_DATA, 0x5a);
	result("interrupt line=%x", config_read(address | 0x3c) & 0xff);
}
