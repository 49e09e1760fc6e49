/* SPDX-License-Identifier: MIT */
/*
 * `check`: the report as a whole and its lines, what of CPUID and of the VMX controls is named as hidden, and
 * ACPI's DMAR table, whole and damaged.
 */
#include "tests/unit/cmocka_all.h"

#include "drivers/dmar.h"
#include "drivers/smbios.h"
#include "kernel/cpuid.h"
#include "kernel/report.h"
#include "tests/unit/machine.h"
#include "vmx/hw/caps.h"
#include "vmx/l1/hidden.h"
#include "vmx/rehearsal.h"

#define RSDT 0x80000u
#define DMAR 0x81000u

static int setup(void **state UNUSED)
{
	fake_reset();
	return 0;
}

static void lines_are_as_wide_as_a_screen(void **state UNUSED)
{
	static const char wanted[] = "has: aaaaaaaaaaaaaaaaaaaa, bbbbbbbbbbbbbbbbbbbb, cccccccccccccccccc,\n"
				     "    dddddddddddddddddddd 7\n"
				     "lacks: none\n";

	report_begin("has: ");
	report_item("aaaaaaaaaaaaaaaaaaaa");
	report_item("bbbbbbbbbbbbbbbbbbbb");
	report_item("cccccccccccccccccc");
	report_item("dddddddddddddddddddd %u", 7);
	report_end();
	report_begin("lacks: ");
	report_end();
	assert_string_equal(fake_log(), wanted);
}

static bool says(const char *text)
{
	return strstr(fake_log(), text) != NULL;
}

static void before_start(void)
{
	struct cpuid_regs one = cpuid(1, 0);

	fake_cpuid_set(0, 0, 0x28, 0, 0, 0);
	fake_cpuid_set(1, 0, one.eax, one.ebx, one.ecx | (u32)(CPUID_1_ECX_SMX | CPUID_1_ECX_OSXSAVE),
		       one.edx);
	fake_cpuid_set(7, 0, 1, (u32)CPUID_7_EBX_SMEP, (u32)(CPUID_7_ECX_OSPKE | CPUID_7_ECX_CET_SS), 0);
	/* LASS, and a bit that nobody knows */
	fake_cpuid_set(7, 1, BIT(6) | BIT(29), 0, 0, 0);
}

static void what_l1_does_not_see(void **state UNUSED)
{
	machine_before_start = before_start;
	machine_init("");
	hidden_report(machine_vcpu);
	assert_true(says("hidden (Socle does not switch its state): CET shadow stacks, LASS\n"));
	assert_true(says("not for guests): SMX (TXT), silicon debug\n"));
	assert_true(says("hidden (unknown to Socle, in CPUID): 7.1 EAX 20000000,"));
	assert_true(says("leaves 25-28\n"));
	/* shown, or a control register's */
	assert_false(says("SMEP"));
	assert_false(says("1.0 ECX"));
	assert_false(says("7.0 ECX"));
}

static void controls_that_l1_does_not_see(void **state UNUSED)
{
	struct vmx_caps l1s;

	machine_before_start = NULL;
	machine_init("");
	l1s = vmx_caps;
	caps_report_hidden(&l1s);
	assert_true(says("VT-x hidden from L1: none\n"));
	l1s.pin.allowed1 &= ~(u32)PIN_VIRTUAL_NMIS;
	caps_report_hidden(&l1s);
	assert_true(says("VT-x hidden from L1: virtual NMIs\n"));
}

/* ---- DMAR ---- */

static u32 used;

static void put(u32 at, const void *data, u32 size)
{
	memcpy(fake_memory + DMAR + at, data, size);
}

static void begin_table(void)
{
	u8 *rsdp = fake_memory + 0xe0000, sum = 0;
	u32 root[2] = { 40, DMAR };

	memset(rsdp, 0, 64);
	memcpy(rsdp, "RSD PTR ", 8);
	memcpy(rsdp + 16, &(u32){ RSDT }, 4);
	for (int i = 0; i < 20; i++)
		sum = (u8)(sum + rsdp[i]);
	rsdp[8] = (u8)-sum;
	memcpy(fake_memory + RSDT, "RSDT", 4);
	memcpy(fake_memory + RSDT + 4, &root[0], 4);
	memcpy(fake_memory + RSDT + 36, &root[1], 4);
	memset(fake_memory + DMAR, 0, PAGE_SIZE);
	put(0, "DMAR", 4);
	put(36, "\x26\x05", 2);
	used = 48;
}

static void add(u16 type, u16 size, u64 first, u64 second)
{
	u8 structure[24] = { 0 };

	memcpy(structure, &type, 2);
	memcpy(structure + 2, &size, 2);
	memcpy(structure + 8, &first, 8);
	memcpy(structure + 16, &second, 8);
	put(used, structure, size < 24 ? size : 24);
	used += size;
}

static struct dmar read_table(void)
{
	static struct dmar dmar;

	put(4, &used, 4);
	dmar_read(NULL, 0, true, &dmar);
	return dmar;
}

static void units_and_regions(void **state UNUSED)
{
	struct dmar dmar;

	begin_table();
	add(0, 24, 0xfed90000, 0);
	add(0, 16, 0xfed91000, 0);
	add(1, 32, 0x7a000000, 0x7a01ffff);
	add(2, 8, 0, 0);
	add(0, 16, 0xfed90000, 0);
	dmar = read_table();
	assert_true(dmar.found && !dmar.damaged);
	assert_int_equal(dmar.flags, DMAR_INTERRUPT_REMAPPING | DMAR_PLATFORM_OPT_IN);
	assert_int_equal(dmar.unit_count, 2);
	assert_int_equal(dmar.units[1], 0xfed91000);
	assert_int_equal(dmar.region_count, 1);
	assert_int_equal(dmar.regions[0].limit, 0x7a01ffff);
	assert_int_equal(dmar.table, DMAR);
	assert_int_equal(dmar.unknown, 0);
	add(6, 8, 0, 0);
	add(7, 8, 0, 0);
	dmar = read_table();
	assert_true(!dmar.damaged);
	assert_int_equal(dmar.unknown, 1);
}

static void damaged_tables(void **state UNUSED)
{
	static const struct {
		u16 type, size;
		u64 first, second;
	} wrong[] = {
		{ 0, 8, 0xfed90000, 0 },   /* too short for what it is */
		{ 0, 16, 0, 0 },	   /* no address */
		{ 0, 16, 0xfed90800, 0 },  /* none of a page */
		{ 1, 20, 0x1000, 0x1fff }, /* too short */
		{ 1, 24, 0x2000, 0x1fff }, /* ends before it begins */
	};
	struct dmar dmar;

	for (size_t i = 0; i < ARRAY_SIZE(wrong); i++) {
		begin_table();
		add(wrong[i].type, wrong[i].size, wrong[i].first, wrong[i].second);
		add(0, 16, 0xfed92000, 0);
		dmar = read_table();
		assert_true(dmar.damaged);
		assert_int_equal(dmar.unit_count, 1);
	}
	/* a length that leads nowhere, and one beyond the end */
	begin_table();
	add(0, 16, 0xfed90000, 0);
	put(used, "\2\0\3\0", 4);
	used += 4;
	assert_true(read_table().damaged);
	begin_table();
	put(used, "\2\0\x20\0", 4);
	used += 16;
	assert_true(read_table().damaged);
	begin_table();
	for (u32 i = 0; i <= DMAR_UNIT_MAX; i++)
		add(0, 16, 0xfed00000 + (u64)i * PAGE_SIZE, 0);
	dmar = read_table();
	assert_true(dmar.damaged);
	assert_int_equal(dmar.unit_count, DMAR_UNIT_MAX);
}

/* ---- SMBIOS ---- */

#define STRUCTURES 0x90000u
#define SYSTEM_TABLE 0x91000u

/* Firmware and machine as a laptop has them, with a structure that nobody asks for between. */
static const char structures[] = "\x00\x12\0\0\1\2\0\0\3\0\0\0\0\0\0\0\0\0"
				 "LENOVO\0R1FET53W (1.27 )\00004/28/2022\0\0"
				 "\x20\x04\1\0\0\0"
				 "\x01\x08\2\0\1\2\0\0"
				 "LENOVO\000"
				 "20\x7fTH\0\0"
				 "\x7f\4\xff\xff\0";

static void put_structures(const char *entry, u32 length_at, u32 address_at)
{
	memset(fake_memory + 0xf0000, 0, 0x10000);
	memcpy(fake_memory + STRUCTURES, structures, sizeof(structures));
	memcpy(fake_memory + 0xf1230, entry, strlen(entry));
	memcpy(fake_memory + 0xf1230 + length_at, &(u16){ sizeof(structures) }, 2);
	memcpy(fake_memory + 0xf1230 + address_at, &(u32){ STRUCTURES }, 4);
}

static void names_of_the_machine(void **state UNUSED)
{
	struct smbios names;

	put_structures("_SM_", 22, 24);
	smbios_read(0, &names);
	assert_string_equal(names.maker, "LENOVO");
	assert_string_equal(names.product, "20?TH");
	assert_string_equal(names.firmware, "R1FET53W (1.27 )");
	assert_string_equal(names.date, "04/28/2022");
	/* under EFI the same by the system table alone */
	memcpy(fake_memory + SYSTEM_TABLE + 104, &(u64){ 1 }, 8);
	memcpy(fake_memory + SYSTEM_TABLE + 112, &(u64){ SYSTEM_TABLE + 0x100 }, 8);
	memcpy(fake_memory + SYSTEM_TABLE + 0x100,
	       "\x44\x15\xfd\xf2\x94\x97\x2c\x4a\x99\x2e\xe5\xbb\xcf\x20\xe3\x94", 16);
	memcpy(fake_memory + SYSTEM_TABLE + 0x110, &(u64){ 0xf1230 }, 8);
	put_structures("_SM3_", 12, 16);
	smbios_read(SYSTEM_TABLE, &names);
	assert_string_equal(names.firmware, "R1FET53W (1.27 )");
}

/* Cut anywhere, or with lengths that lead nowhere: names may be missing, nothing else happens. */
static void damaged_names(void **state UNUSED)
{
	struct smbios names;

	for (u32 length = 0; length < sizeof(structures); length++) {
		put_structures("_SM_", 22, 24);
		memcpy(fake_memory + 0xf1230 + 22, &length, 2);
		smbios_read(0, &names);
		assert_true(strlen(names.product) <= 5);
	}
	put_structures("_SM_", 22, 24);
	fake_memory[STRUCTURES + 1] = 0;
	smbios_read(0, &names);
	assert_string_equal(names.maker, "");
	memcpy(fake_memory + SYSTEM_TABLE + 104, &(u64){ ~0ull }, 8);
	memcpy(fake_memory + SYSTEM_TABLE + 112, &(u64){ 0xfffffff0 }, 8);
	smbios_read(SYSTEM_TABLE, &names);
	assert_string_equal(names.maker, "");
	smbios_read(0x100000000, &names);
	assert_string_equal(names.maker, "");
}

/* ---- the report as a whole ---- */

enum { UNIT_ON = 0xfed90000, UNIT_OFF = 0xfed91000 };

static void put_brand(void)
{
	static const char brand[48] = "Intel(R) Pentium(R) of a test";
	u32 r[12];

	memcpy(r, brand, sizeof(r));
	fake_cpuid_set(0x80000000, 0, 0x80000008, 0, 0, 0);
	for (u32 i = 0; i < 3; i++)
		fake_cpuid_set(0x80000002 + i, 0, r[4 * i], r[4 * i + 1], r[4 * i + 2], r[4 * i + 3]);
}

static void a_processor(void)
{
	struct cpuid_regs one = cpuid(1, 0);

	put_brand();
	fake_cpuid_set(1, 0, 0x000906a3, one.ebx, one.ecx, one.edx);
}

/* Family 15 has its number in two parts. */
static void an_old_processor_without_a_name(void)
{
	struct cpuid_regs one = cpuid(1, 0);

	fake_cpuid_set(0x80000000, 0, 0x80000001, 0, 0, 0);
	fake_cpuid_set(1, 0, 0x00100f45, one.ebx, one.ecx, one.edx);
}

static void put_units(void)
{
	begin_table();
	add(0, 16, UNIT_ON, 0);
	add(0, 16, UNIT_OFF, 0);
	add(0, 16, 0x100000000, 0);
	add(1, 32, 0x7a000000, 0x7a01ffff);
	put(4, &used, 4);
	l1_write32(UNIT_ON, 0x10);
	l1_write64(UNIT_ON + 8, 0x1234);
	l1_write64(UNIT_ON + 16, 0x5678);
	l1_write32(UNIT_ON + 0x1c, BIT(31) | BIT(25));
	l1_write32(UNIT_OFF, ~0u);
}

static struct boot_info *boot_of(bool efi, u8 screen)
{
	static struct boot_info info;

	info = (struct boot_info){ .cmdline = "check", .loader_name = "GRUB 2.06", .efi = efi };
	info.framebuffer = (struct boot_framebuffer){ .type = screen, .width = 1024, .height = 768 };
	info.ranges[0] = (struct memmap_range){ .base = 0, .size = 0xa0000, .type = MEMMAP_USABLE };
	info.ranges[1] = (struct memmap_range){ .base = 0xa0000, .size = 0x60000, .type = MEMMAP_RESERVED };
	info.ranges[2] =
		(struct memmap_range){ .base = 0x80000000, .size = 0x100000000, .type = MEMMAP_USABLE };
	/* a loader's mistake: it counts for nothing */
	info.ranges[3] =
		(struct memmap_range){ .base = ~0xfffull, .size = 0x10001000, .type = MEMMAP_USABLE };
	info.range_count = 4;
	return &info;
}

static void a_start_without_l1(void **state UNUSED)
{
	put_structures("_SM_", 22, 24);
	put_units();
	rehearsal_begin(boot_of(false, BOOT_FRAMEBUFFER_TEXT));
	assert_true(says("check: a start without L1; this may be pasted into a report\n"));
	assert_true(says("processor: Intel(R) Pentium(R) of a test\n"));
	assert_true(says("family 6, model 9a, stepping 3, microcode "));
	assert_true(says("machine: LENOVO 20?TH, firmware R1FET53W (1.27 ) 04/28/2022\n"));
	assert_true(says("firmware: BIOS, started by GRUB 2.06\n"));
	assert_true(says("screen: text 1024x768\n"));
	assert_true(says("memory: 4096 MiB in 4 ranges, 2048 MiB of it below 4 GiB, up to 180000000\n"));
	assert_true(says("VT-d: 3 units, 1 regions of the firmware's, flags "));
	assert_true(says("  unit at fed90000: version 10, capabilities 1234 5678, translation is on, "
			 "interrupt remapping is on\n"));
	assert_true(says("  unit at fed91000: does not answer\n"));
	assert_true(says("  unit at 100000000: not looked at\n"));
	assert_false(says("VT-x hidden from L1: "));
	rehearsal_end();
	assert_true(says("VT-x hidden from L1: "));
	rehearsal_verdict(true);
	assert_true(says("check: Socle can run on this machine\n"));
}

static void a_start_that_knows_little(void **state UNUSED)
{
	fake_memory[0xe0000] = 0;
	memset(fake_memory + 0xf0000, 0, 0x10000);
	rehearsal_begin(boot_of(true, BOOT_FRAMEBUFFER_NONE));
	assert_true(says("processor: without a name\n"));
	assert_true(says("family 10, model 4, stepping 5, microcode "));
	assert_true(says("machine: without a name, firmware "));
	assert_true(says("firmware: UEFI, started by GRUB 2.06\n"));
	assert_true(says("screen: none\n"));
	assert_true(says("VT-d: none (no DMAR table)\n"));
	rehearsal_verdict(false);
	assert_true(says("check: Socle cannot run on this machine\n"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(lines_are_as_wide_as_a_screen, setup),
		cmocka_unit_test_setup(what_l1_does_not_see, setup),
		cmocka_unit_test_setup(controls_that_l1_does_not_see, setup),
		cmocka_unit_test_setup(units_and_regions, setup),
		cmocka_unit_test_setup(damaged_tables, setup),
		cmocka_unit_test_setup(names_of_the_machine, setup),
		cmocka_unit_test_setup(damaged_names, setup),
		MACHINE_TEST_BEFORE(a_start_without_l1, "", a_processor),
		MACHINE_TEST_BEFORE(a_start_that_knows_little, "", an_old_processor_without_a_name),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
