/* SPDX-License-Identifier: MIT */
/*
 * Firmware whose tables contradict each other, come twice, are damaged or unknown: Socle goes on with what
 * it has, and a line says so. Nothing is said of tables that are right.
 */
#include "tests/unit/cmocka_all.h"

#include "drivers/acpi.h"
#include "drivers/acpi_sleep.h"
#include "drivers/dmar.h"
#include "kernel/cmdline.h"
#include "mm/memmap.h"
#include "tests/fake/fake.h"
#include "tests/unit/bytes.h"

#define RSDP 0xe0000u
#define RSDT 0x80000u
#define XSDT 0x81000u
#define MADT 0x82000u
#define FADT 0x83000u
#define DSDT 0x84000u
#define SSDT 0x85000u
#define OTHER 0x86000u

static void set_sum(u64 pa, u32 size, u32 at)
{
	u8 sum = 0;

	*mem(pa + at) = 0;
	for (u32 i = 0; i < size; i++)
		sum = (u8)(sum + *mem(pa + i));
	*mem(pa + at) = (u8)-sum;
}

static void finish(u64 pa, const char *signature, u32 length)
{
	memcpy(mem(pa), signature, 4);
	put(pa + 4, length, 4);
	set_sum(pa, length, 9);
}

static void put_roots(const u64 *narrow, u32 narrow_count, const u64 *wide, u32 wide_count)
{
	memset(mem(RSDT), 0, 0x2000);
	for (u32 i = 0; i < narrow_count; i++)
		put(RSDT + 36 + 4 * i, narrow[i], 4);
	for (u32 i = 0; i < wide_count; i++)
		put(XSDT + 36 + 8 * i, wide[i], 8);
	finish(RSDT, "RSDT", 36 + 4 * narrow_count);
	finish(XSDT, "XSDT", 36 + 8 * wide_count);
}
#define LIST(...) (const u64[]){ __VA_ARGS__ }, ARRAY_SIZE(((const u64[]){ __VA_ARGS__ }))

static void set_rsdp_sums(void)
{
	set_sum(RSDP, 20, 8);
	set_sum(RSDP, 36, 32);
}

static void add_cpu(u32 index, u8 apic_id)
{
	memcpy(mem(MADT + 44 + 8 * index), "\0\10\0\0\1\0\0\0", 8);
	*mem(MADT + 44 + 8 * index + 3) = apic_id;
}

static int setup(void **state UNUSED)
{
	fake_reset();
	cmdline_parse("");
	memset(mem(RSDP), 0, 64);
	memset(mem(RSDT), 0, 0x8000);
	memcpy(mem(RSDP), "RSD PTR ", 8);
	*mem(RSDP + 15) = 2;
	put(RSDP + 16, RSDT, 4);
	put(RSDP + 20, 36, 4);
	put(RSDP + 24, XSDT, 8);
	set_rsdp_sums();
	add_cpu(0, 0);
	add_cpu(1, 1);
	finish(MADT, "APIC", 44 + 16);
	put(FADT + 40, DSDT, 4);
	put(FADT + 140, DSDT, 8);
	finish(FADT, "FACP", 244);
	finish(DSDT, "DSDT", 36);
	finish(SSDT, "SSDT", 36);
	finish(OTHER, "SSDT", 40);
	put_roots(LIST(MADT, FADT, SSDT, OTHER), LIST(MADT, FADT, SSDT, OTHER));
	return 0;
}

static const char *review(void)
{
	u64 begin = strlen(fake_log());

	acpi_review(mem(RSDP), 36, false);
	return fake_log() + begin;
}

static u32 count_lines(const char *text)
{
	u32 count = 0;

	for (; *text; text++)
		count += *text == '\n';
	return count;
}

static void assert_one_line(const char *expected)
{
	const char *said = review();

	if (count_lines(said) != 1 || !strstr(said, expected))
		fail_msg("'%s', not '%s'", said, expected);
}

static void assert_quiet(void)
{
	assert_string_equal(review(), "");
}

static void good_tables_are_no_news(void **state UNUSED)
{
	assert_quiet();
	/* ACPI 5 and later: no RSDT at all; a machine of ACPI 1.0; tables above 4 GiB, which an RSDT cannot
	 * name */
	put(RSDP + 16, 0, 4);
	set_rsdp_sums();
	assert_quiet();
	setup(NULL);
	*mem(RSDP + 15) = 0;
	set_rsdp_sums();
	assert_quiet();
	setup(NULL);
	put_roots(LIST(MADT, FADT, SSDT, OTHER), LIST(MADT, FADT, SSDT, OTHER, SIZE_4G + 0x1000));
	memmap_init();
	memmap_add(SIZE_4G, SIZE_2M, MEMMAP_ACPI);
	finish(SIZE_4G + 0x1000, "DMAR", 48);
	assert_quiet();
}

static void the_pointer(void **state UNUSED)
{
	struct acpi_cpus cpus;

	*mem(RSDP + 33) = 1; /* of the extended sum */
	assert_one_line("the XSDT is not used: the pointer (RSDP) has a wrong checksum");
	acpi_find_cpus(mem(RSDP), 36, false, &cpus);
	assert_int_equal(cpus.count, 2);
	setup(NULL);
	put(RSDP + 24, 0, 8);
	set_rsdp_sums();
	assert_one_line("the XSDT is not used: the pointer (RSDP) has no address");
	setup(NULL);
	put(RSDP + 24, OTHER, 8);
	set_rsdp_sums();
	assert_one_line("there is no XSDT at 86000");
	setup(NULL);
	put(RSDP + 16, OTHER, 4);
	set_rsdp_sums();
	assert_one_line("there is no RSDT at 86000");
	setup(NULL);
	*mem(RSDP) = 'X';
	assert_one_line("the boot loader's pointer to the tables (RSDP) is damaged");
	setup(NULL);
	acpi_review(mem(RSDP), 20, false);
	assert_non_null(strstr(fake_log(), "the boot loader gave the pointer (RSDP) of ACPI 1.0 alone"));
}

static void an_xsdt_that_contradicts_the_rsdt(void **state UNUSED)
{
	put_roots(LIST(MADT, FADT, SSDT, OTHER), LIST(MADT, FADT, SSDT));
	assert_one_line("the RSDT names the SSDT at 86000, which the XSDT does not");
	put_roots(LIST(MADT, FADT), LIST(MADT, FADT, SSDT, OTHER));
	assert_one_line("the XSDT names 2 tables that the RSDT does not, the first at 85000");
	memcpy(mem(0x87000), mem(FADT), 244);
	put_roots(LIST(MADT, 0x87000, SSDT, OTHER), LIST(MADT, FADT, SSDT, OTHER));
	assert_one_line("the FACP is at 87000 by the RSDT and at 83000 by the XSDT, which counts");
	put_roots(LIST(MADT, FADT, SSDT, OTHER), LIST(FADT, SSDT, OTHER));
	assert_one_line("the RSDT names the APIC at 82000, which the XSDT does not");
}

static void tables_that_come_twice(void **state UNUSED)
{
	struct acpi_cpus cpus;

	put_roots(LIST(MADT, FADT, SSDT, OTHER), LIST(MADT, FADT, SSDT, SSDT, OTHER));
	assert_one_line("the XSDT names the SSDT at 85000 twice");
	memcpy(mem(0x87000), mem(FADT), 244);
	put_roots(LIST(MADT, FADT, SSDT, OTHER, 0x87000), LIST(MADT, FADT, SSDT, OTHER, 0x87000));
	assert_one_line("the XSDT names a second FACP at 87000; the one at 83000 is used");
	memset(mem(0x87000), 0, 256);
	finish(0x87000, "APIC", 44);
	put_roots(LIST(MADT, FADT, SSDT, OTHER, 0x87000), LIST(MADT, FADT, SSDT, OTHER, 0x87000));
	assert_one_line("the XSDT names a second APIC at 87000; the one at 82000 is used");
	acpi_find_cpus(mem(RSDP), 36, false, &cpus);
	assert_int_equal(cpus.count, 2);
	*mem(RSDP + 15) = 0; /* by an RSDT alone */
	set_rsdp_sums();
	assert_one_line("the RSDT names a second APIC at 87000; the one at 82000 is used");
}

static void tables_that_are_damaged(void **state UNUSED)
{
	*mem(MADT + 9) ^= 1;
	assert_one_line("the APIC at 82000 has a wrong checksum, and counts all the same");
	setup(NULL);
	*mem(XSDT + 9) ^= 1;
	assert_one_line("XSDT at 81000 has a wrong checksum");
	setup(NULL);
	*mem(DSDT + 9) ^= 1;
	assert_one_line("DSDT at 84000 has a wrong checksum");
	setup(NULL);
	put_roots(LIST(MADT, FADT, SSDT, OTHER), LIST(MADT, FADT, SSDT, OTHER, 0, 0x8f00000000));
	assert_int_equal(count_lines(review()), 2);
	assert_non_null(strstr(fake_log(), "the XSDT's entry 4 leads to 0, where no table can be read"));
	assert_non_null(strstr(fake_log(), "the XSDT's entry 5 leads to 8f00000000, where"));
	setup(NULL);
	finish(OTHER, "A\nB\x1b", 36);
	assert_one_line("the XSDT's entry 3 leads to 86000, where no table can be read");
	setup(NULL);
	finish(FADT, "FACP", 100);
	assert_one_line("the FADT has 100 bytes, too few, and is not used");
}

static void dsdts_that_are_not_one(void **state UNUSED)
{
	memcpy(mem(0x87000), mem(DSDT), 36);
	put(FADT + 140, 0x87000, 8);
	finish(FADT, "FACP", 244);
	assert_one_line("the FADT names a DSDT at 84000 and one at 87000: both are looked at");
	put(FADT + 40, 0, 4);
	finish(FADT, "FACP", 244);
	assert_quiet();
	put(FADT + 140, OTHER, 8);
	finish(FADT, "FACP", 244);
	assert_one_line("the FADT names a DSDT at 86000, where none can be read");
}

/* However bad it is, the screen holds it. */
static void not_for_ever(void **state UNUSED)
{
	const char *said;

	put(XSDT + 4, 36 + 8 * 1000, 4);
	memset(mem(XSDT + 36), 0xff, 8 * 1000);
	said = review();
	assert_int_equal(count_lines(said), ACPI_REVIEW_LINES + 1);
	assert_non_null(strstr(said, "has 1000 entries; only 512 are compared"));
	assert_non_null(strstr(said, "there is more of this kind"));
}

static const char *report(void)
{
	u64 begin = strlen(fake_log());
	struct acpi_cpus cpus;

	acpi_find_cpus(mem(RSDP), 36, false, &cpus);
	acpi_report_cpus(&cpus);
	assert_true(cpus.count <= 2);
	return fake_log() + begin;
}

static void assert_report(const char *expected)
{
	const char *said = report();

	if (count_lines(said) != (*expected ? 1 : 0) || !strstr(said, expected))
		fail_msg("'%s', not '%s'", said, expected);
}

static void entries_of_the_madt(void **state UNUSED)
{
	assert_report("");
	add_cpu(2, 1);
	finish(MADT, "APIC", 44 + 24);
	assert_report("MADT: 1 entries name a processor that another one has named");
	/* longer than the specification's, and shorter */
	memset(mem(MADT + 44 + 16), 0, 32);
	memcpy(mem(MADT + 44 + 16), "\0\14\0\1\0\0\0\0\0\0\0\0", 12);
	finish(MADT, "APIC", 44 + 16 + 12);
	assert_report("MADT: 1 entries of processors have a wrong length");
	memcpy(mem(MADT + 44 + 16), "\11\14\0\0\5\0\0\0\1\0\0\0", 12);
	finish(MADT, "APIC", 44 + 16 + 12);
	assert_report("MADT: 1 entries of processors have a wrong length");
	memcpy(mem(MADT + 44 + 16), "\x33\4\0\0\x34\4\0\0", 8);
	finish(MADT, "APIC", 44 + 16 + 8);
	assert_report("MADT: 2 entries are of unknown types (the first of 33H)");
	memcpy(mem(MADT + 44 + 16), "\x80\4\0\0\x1\4\0\0", 8); /* the maker's own; an I/O APIC */
	finish(MADT, "APIC", 44 + 16 + 8);
	assert_report("");
	memcpy(mem(MADT + 44 + 16), "\x10\4\0\0\x1\4\0\0", 8);
	finish(MADT, "APIC", 44 + 16 + 8);
	assert_report("the firmware has a mailbox");
	finish(MADT, "APIC", 44 + 17);
	assert_report("damaged behind those that are taken");
	finish(MADT, "APIC", 44);
	assert_report("names none");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(good_tables_are_no_news, setup),
		cmocka_unit_test_setup(the_pointer, setup),
		cmocka_unit_test_setup(an_xsdt_that_contradicts_the_rsdt, setup),
		cmocka_unit_test_setup(tables_that_come_twice, setup),
		cmocka_unit_test_setup(tables_that_are_damaged, setup),
		cmocka_unit_test_setup(dsdts_that_are_not_one, setup),
		cmocka_unit_test_setup(not_for_ever, setup),
		cmocka_unit_test_setup(entries_of_the_madt, setup),
	};

	return cmocka_run_group_tests_name("acpi", tests, NULL, NULL);
}
