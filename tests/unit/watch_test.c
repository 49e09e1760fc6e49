/* SPDX-License-Identifier: MIT */
/*
 * Data and I/O breakpoints over accesses that L0 makes in a guest's name, against a plain reading of the
 * SDM's "Debug Registers": byte by byte, for all lengths, kinds and enable bits.
 */
#include "tests/unit/cmocka_all.h"

#include "kernel/hw/cpu.h"
#include "kernel/x86.h"
#include "tests/unit/machine.h"
#include "vmx/guest/watch.h"

#define AT 0x5000ull

static void set_breakpoint(unsigned int n, u64 address)
{
	switch (n) {
	case 0: write_dr0(address); break;
	case 1: write_dr1(address); break;
	case 2: write_dr2(address); break;
	default: write_dr3(address);
	}
}

static void begin(u64 dr7)
{
	EXIT_NOW(.reason = EXIT_CPUID);
	vcpu_set_reg(machine_vcpu, REG_DR7, DR7_RESET | dr7);
	vcpu_set_reg(machine_vcpu, REG_PENDING_DEBUG, 0);
}

static u64 pending(void)
{
	return vcpu_reg(machine_vcpu, REG_PENDING_DEBUG);
}

/* Does any byte of the access lie among those that the breakpoint watches? */
static bool meets(u64 breakpoint, u64 length, u64 va, u64 size)
{
	breakpoint &= ~(length - 1);
	for (u64 a = va; a != va + size; a++)
		if (a >= breakpoint && a < breakpoint + length)
			return true;
	return false;
}

/* Which of R/Wn are met by an access of memory. */
static bool kind_meets(unsigned int kind, bool write)
{
	return kind == 3 || (kind == 1 && write);
}

static void every_length_kind_and_place(void **state UNUSED)
{
	static const u64 lengths[] = { 1, 2, 8, 4 };

	for (unsigned int c = 0; c < 4 * 4 * 4 * 4; c++) {
		unsigned int n = c & 3, len = c >> 2 & 3, kind = c >> 4 & 3, on = c >> 6;

		for (unsigned int offset = 0; offset < 24; offset++) {
			for (unsigned int write = 0; write < 2; write++) {
				u64 size = (u64[]){ 8, 4, 16, 1 }[offset & 3];
				bool hit = on && kind_meets(kind, write) &&
					   meets(AT + 8 + n, lengths[len], AT + offset, size);

				begin((u64)on << 2 * n | (u64)kind << (16 + 4 * n) |
				      (u64)len << (18 + 4 * n));
				/* The others lie elsewhere. */
				for (unsigned int other = 0; other < 4; other++)
					set_breakpoint(other, other == n ? AT + 8 + n : 0x100000);
				watch_memory(machine_vcpu, AT + offset, size, write);
				if (pending() != (hit ? BIT(n) | PENDING_DEBUG_ENABLED_BP : 0))
					fail_msg("n %u len %u kind %u on %u offset %u write %u: %llx", n, len,
						 kind, on, offset, write, (unsigned long long)pending());
			}
		}
	}
}

/* What was pending stays; an enabled breakpoint brings along the bits of the others that are met. */
static void bits_come_together(void **state UNUSED)
{
	for (unsigned int n = 0; n < 4; n++)
		set_breakpoint(n, n == 2 ? AT + 64 : AT);
	begin(0xffff0000 | DR7_G0);
	vcpu_set_reg(machine_vcpu, REG_PENDING_DEBUG, PENDING_DEBUG_BS);
	watch_memory(machine_vcpu, AT, 4, false);
	assert_int_equal(pending(), PENDING_DEBUG_BS | PENDING_DEBUG_ENABLED_BP | BIT(0) | BIT(1) | BIT(3));
	begin(0xffff0000 | DR7_L0 << 4);
	watch_memory(machine_vcpu, AT, 4, false);
	assert_int_equal(pending(), 0);
}

/* Outside 64-bit mode an access that reaches 4 GiB goes on at 0, and one in 64-bit mode does not. */
static void around_the_end(void **state UNUSED)
{
	static const u64 places[] = { 0, 3, 0xffffffff, 0x100000000, 0x7fffffff };
	static const bool hits64[] = { false, false, true, true, false };
	static const bool hits32[] = { true, true, true, false, false };

	for (unsigned int wide = 0; wide < 2; wide++) {
		for (size_t i = 0; i < ARRAY_SIZE(places); i++) {
			set_breakpoint(0, places[i]);
			begin(3u << 16 | DR7_G0);
			vcpu_set_reg(machine_vcpu, REG_CS_AR, wide ? 0xa09b : 0xc09b);
			watch_memory(machine_vcpu, 0xfffffffc, 8, false);
			if ((pending() != 0) != (wide ? hits64[i] : hits32[i]))
				fail_msg("wide %u place %zu: %llx", wide, i, (unsigned long long)pending());
		}
	}
}

/* SDM "Debug Control Register": R/Wn 10B is I/O if CR4.DE is set. */
static void ports(void **state UNUSED)
{
	static const struct {
		u64 cr4, dr7;
		u16 port;
		size_t length;
		bool hit;
	} cases[] = {
		{ CR4_DE, 2u << 16 | DR7_G0, 0x3f8, 1, true },
		{ 0, 2u << 16 | DR7_G0, 0x3f8, 1, false },
		{ CR4_DE, 2u << 16, 0x3f8, 1, false },
		{ CR4_DE, 3u << 16 | DR7_G0, 0x3f8, 1, false },
		{ CR4_DE, 1u << 16 | DR7_G0, 0x3f8, 1, false },
		{ CR4_DE, 2u << 16 | DR7_L0, 0x3f7, 2, true },
		{ CR4_DE, 2u << 16 | DR7_L0, 0x3f7, 1, false },
		{ CR4_DE, 2u << 16 | 3u << 18 | DR7_L0, 0x3fb, 1, true },
		{ CR4_DE, 2u << 16 | 3u << 18 | DR7_L0, 0x3fc, 4, false },
	};

	set_breakpoint(0, 0x3f8);
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		begin(cases[i].dr7);
		vcpu_set_reg(machine_vcpu, REG_CR4,
			     (vcpu_reg(machine_vcpu, REG_CR4) & ~CR4_DE) | cases[i].cr4);
		watch_port(machine_vcpu, cases[i].port, cases[i].length);
		assert_int_equal(pending(), cases[i].hit ? BIT(0) | PENDING_DEBUG_ENABLED_BP : 0);
		watch_memory(machine_vcpu, 0x3f8, 1, true);
		assert_true((pending() != 0) ==
			    (cases[i].hit || (cases[i].dr7 & DR7_G0 && cases[i].dr7 >> 16 & 1)));
	}
}

/* The operand of a VMX instruction, at the entry behind it; one that faults leaves nothing. */
static void an_operand(void **state UNUSED)
{
	u64 value;

	l1_start_vmx();
	set_breakpoint(1, M_OPERAND + 4);
	machine_set_field(VMCS_guest_dr7, DR7_RESET | DR7_G0 << 2 | 3u << 20);
	assert_int_equal(l1_vmptrst(&value), 0);
	assert_int_equal(machine_field(VMCS_guest_pending_debug), BIT(1) | PENDING_DEBUG_ENABLED_BP);
	machine_set_field(VMCS_guest_pending_debug, 0);
	machine_set_field(VMCS_guest_ss_ar, machine_field(VMCS_guest_ss_ar) | AR_DPL);
	assert_int_equal(l1_vmptrst(&value), L1_FAULT(VEC_GP));
	assert_int_equal(machine_field(VMCS_guest_pending_debug), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		MACHINE_TEST(every_length_kind_and_place, ""),
		MACHINE_TEST(bits_come_together, ""),
		MACHINE_TEST(around_the_end, ""),
		MACHINE_TEST(ports, ""),
		MACHINE_TEST(an_operand, ""),
	};

	return cmocka_run_group_tests_name("watch", tests, NULL, NULL);
}
