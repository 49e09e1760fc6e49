/* SPDX-License-Identifier: MIT */
/*
 * How a machine is reset: by the register that ACPI names where it names a port, then by the ways that boards
 * have without it; and what leads there.
 */
#include "tests/unit/cmocka_all.h"

#include "drivers/reset.h"
#include "kernel/cmdline.h"
#include "kernel/msr.h"
#include "tests/unit/machine.h"

#define RSDP 0x1000u
#define RSDT 0x2000u
#define FADT 0x3000u

static void put(u64 pa, u64 value, size_t bytes)
{
	memcpy(fake_memory + pa, &value, bytes);
}

static void add_sum(u64 pa, u32 size, u32 at)
{
	u8 sum = 0;

	for (u32 i = 0; i < size; i++)
		sum = (u8)(sum + fake_memory[pa + i]);
	fake_memory[pa + at] = (u8)(fake_memory[pa + at] - sum);
}

/* A FADT whose reset register has this address space and address. */
static void make_tables(u32 length, u32 flags, u8 space, u64 address)
{
	memset(fake_memory + RSDP, 0, 0x3000);
	memcpy(fake_memory + RSDP, "RSD PTR ", 8);
	put(RSDP + 16, RSDT, 4);
	add_sum(RSDP, 20, 8);
	memcpy(fake_memory + RSDT, "RSDT", 4);
	put(RSDT + 4, 40, 4);
	put(RSDT + 36, FADT, 4);
	memcpy(fake_memory + FADT, "FACP", 4);
	put(FADT + 4, length, 4);
	put(FADT + 112, flags, 4);
	put(FADT + 116, space, 1);
	put(FADT + 120, address, 8);
	put(FADT + 128, 0x5a, 1);
	reset_find(fake_memory + RSDP, 20, false);
}

static void assert_resets_by(u16 port, u8 value)
{
	const size_t at = port != 0;
	bool ended;

	fake_out_count = 0;
	ended = fake_panics(reset_machine());
	assert_true(ended);
	if (port) {
		assert_int_equal(fake_outs[0].port, port);
		assert_int_equal(fake_outs[0].value, value);
	}
	assert_int_equal(fake_out_count, at + 3);
	assert_int_equal(fake_outs[at].port, 0xcf9);
	assert_int_equal(fake_outs[at].value & 4, 0);
	assert_int_equal(fake_outs[at + 1].port, 0xcf9);
	assert_int_equal(fake_outs[at + 1].value, 6);
	assert_int_equal(fake_outs[at + 2].port, 0x64);
	assert_int_equal(fake_outs[at + 2].value, 0xfe);
}

static void acpis_register_comes_first(void **state UNUSED)
{
	make_tables(244, BIT(10), 1, 0x604);
	assert_resets_by(0x604, 0x5a);
	make_tables(244, 0, 1, 0x604); /* "RESET_REG_SUP" */
	assert_resets_by(0, 0);
	make_tables(244, BIT(10), 0, 0x604); /* memory */
	assert_resets_by(0, 0);
	make_tables(244, BIT(10), 1, 0x10604);
	assert_resets_by(0, 0);
	make_tables(128, BIT(10), 1, 0x604); /* a table that ends before the value */
	assert_resets_by(0, 0);
	reset_find(NULL, 0, false);
	assert_resets_by(0, 0);
}

static void an_init_of_the_first_cpu(void **state UNUSED)
{
	fake_msr_set(MSR_IA32_APIC_BASE, 0xfee00000 | APIC_BASE_BSP | APIC_BASE_ENABLE);
	fake_out_count = 0;
	EXIT_NOW(.reason = EXIT_INIT);
	assert_int_equal(fake_out_count, 0);
	assert_int_equal(machine_field(VMCS_guest_rip), 0xfff0);
	options.init_resets = true;
	assert_true(fake_panics(EXIT_NOW(.reason = EXIT_INIT)));
	assert_int_equal(fake_outs[1].port, 0xcf9);
	/* an AP waits for its SIPI, and in VMX operation it is L1's exit or waits */
	fake_msr_set(MSR_IA32_APIC_BASE, 0xfee00000 | APIC_BASE_ENABLE);
	fake_out_count = 0;
	EXIT_NOW(.reason = EXIT_INIT);
	assert_int_equal(fake_out_count, 0);
}

static void both_options_have_two_words(void **state UNUSED)
{
	assert_int_equal(cmdline_parse(""), STATUS_OK);
	assert_true(options.stop_resets && !options.init_resets);
	assert_int_equal(cmdline_parse("on-stop=halt bsp-init=reset"), STATUS_OK);
	assert_true(!options.stop_resets && options.init_resets);
	assert_int_equal(cmdline_parse("on-stop=reset bsp-init=vector"), STATUS_OK);
	assert_true(options.stop_resets && !options.init_resets);
	assert_int_equal(options.stop_seconds, 10);
	assert_int_equal(cmdline_parse("on-stop=reset,0"), STATUS_OK);
	assert_true(options.stop_resets && !options.stop_seconds);
	assert_int_equal(cmdline_parse("on-stop=reset,3600"), STATUS_OK);
	assert_int_equal(options.stop_seconds, 3600);
	assert_int_equal(cmdline_parse("on-stop=reset,3601"), STATUS_OPTION_VALUE);
	assert_int_equal(cmdline_parse("on-stop=reset,"), STATUS_OPTION_VALUE);
	assert_int_equal(cmdline_parse("on-stop=halt,1"), STATUS_OPTION_VALUE);
	assert_int_equal(cmdline_parse("on-stop=off"), STATUS_OPTION_VALUE);
	assert_int_equal(cmdline_parse("bsp-init=halt"), STATUS_OPTION_VALUE);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		MACHINE_TEST(acpis_register_comes_first, ""),
		MACHINE_TEST(an_init_of_the_first_cpu, ""),
		MACHINE_TEST(both_options_have_two_words, ""),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
