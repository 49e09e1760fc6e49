/* SPDX-License-Identifier: MIT */
/*
 * How a machine is reset: by the register that ACPI names, in each address space that it can be in, then by
 * the ways that boards have without it; and what leads there.
 */
#include "tests/unit/cmocka_all.h"

#include "drivers/reset.h"
#include "kernel/cmdline.h"
#include "kernel/msr.h"
#include "kernel/x86.h"
#include "mm/host_map.h"
#include "mm/memmap.h"
#include "mm/ptab.h"
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
	make_tables(128, BIT(10), 1, 0x604); /* a table that ends before the value */
	assert_resets_by(0, 0);
	reset_find(NULL, 0, false);
	assert_resets_by(0, 0);
}

#define MMIO 0xfed40008ull /* in no range of the machine's memory map */

static void the_register_is_in_memory(void **state UNUSED)
{
	static const struct host_image nothing;
	struct ptab host = { .format = &ptab_host, .root = HPA(host_map_build(&nothing, 0)) };
	const u64 high = SIZE_4G + SIZE_1G + 3;
	unsigned int level;
	u64 leaf;

	make_tables(244, BIT(10), 0, MMIO);
	fake_memory[MMIO] = 0;
	fake_memory[MMIO + 1] = 0x11;
	assert_resets_by(0, 0);
	assert_int_equal(fake_memory[MMIO], 0x5a);
	assert_int_equal(fake_memory[MMIO + 1], 0x11);
	/* above 4 GiB nothing but RAM is mapped yet */
	assert_false(ptab_lookup(&host, DIRECT_MAP_BASE + high, &leaf, &level));
	make_tables(244, BIT(10), 0, high);
	assert_true(ptab_lookup(&host, DIRECT_MAP_BASE + high, &leaf, &level));
	assert_true(leaf & PTE_PCD);
	assert_resets_by(0, 0);
	assert_int_equal(fake_memory[high], 0x5a);
}

/* Device 31, function 5, register AEH. */
static void the_register_is_in_configuration_space(void **state UNUSED)
{
	make_tables(244, BIT(10), 2, 31ull << 32 | 5u << 16 | 0xae);
	fake_out_count = 0;
	assert_true(fake_panics(reset_machine()));
	assert_int_equal(fake_outs[0].port, 0xcf8);
	assert_int_equal(fake_outs[0].size, 4);
	assert_int_equal(fake_outs[0].value, 0x8000fdac);
	assert_int_equal(fake_outs[1].port, 0xcfe);
	assert_int_equal(fake_outs[1].size, 1);
	assert_int_equal(fake_outs[1].value, 0x5a);
	assert_int_equal(fake_outs[2].port, 0xcf9); /* and the others behind it */
}

/* What can be no register is told, and passed by. */
static void registers_that_are_none(void **state UNUSED)
{
	static const struct {
		u8 space;
		u64 address;
	} wrong[] = {
		{ 1, 0x10604 }, { 1, 0 },	    { 0, 0 },	     { 0, SIZE_2M }, { 0, BIT(46) },
		{ 0, ~0ull },	{ 2, 32ull << 32 }, { 2, 8u << 16 }, { 2, 0x100 },   { 2, BIT(48) | 0x44 },
		{ 3, 0x604 },	{ 0x7f, 0x604 },
	};

	size_t begin;

	for (size_t i = 0; i < ARRAY_SIZE(wrong); i++) {
		size_t before = strlen(fake_log());

		make_tables(244, BIT(10), wrong[i].space, wrong[i].address);
		assert_non_null(strstr(fake_log() + before, "is not used"));
		assert_resets_by(0, 0);
	}
	/* a window of Socle's; and no word where the firmware says that there is none */
	make_tables(244, BIT(10), 0, memmap_window(0)->base + 8);
	assert_resets_by(0, 0);
	assert_int_equal(fake_memory[memmap_window(0)->base + 8], 0);
	begin = strlen(fake_log());
	make_tables(244, 0, 3, 0x604);
	assert_string_equal(fake_log() + begin, "");
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
		MACHINE_TEST(the_register_is_in_memory, ""),
		MACHINE_TEST(the_register_is_in_configuration_space, ""),
		MACHINE_TEST(registers_that_are_none, ""),
		MACHINE_TEST(an_init_of_the_first_cpu, ""),
		MACHINE_TEST(both_options_have_two_words, ""),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
