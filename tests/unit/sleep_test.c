/* SPDX-License-Identifier: MIT */
/*
 * What ACPI's tables say about sleep: registers, values of SLP_TYP, and _S3_ that gets another name, in
 * tables made here. A table that is damaged, or not surely understood, changes nothing.
 */
#include <stdlib.h>

#include "tests/unit/cmocka_all.h"

#include "drivers/acpi.h"
#include "drivers/acpi_sleep.h"
#include "drivers/aml.h"
#include "kernel/cmdline.h"
#include "mm/memmap.h"
#include "tests/fake/fake.h"
#include "tests/unit/bytes.h"

#define RSDP 0xe0000u
#define RSDT 0x80000u
#define FADT 0x81000u
#define FACS 0x82000u
#define DSDT 0x83000u
#define DSDT2 0x88000u
#define SSDT 0x8c000u
#define FADT_SIZE 276u
#define HEADER 36u

static u8 sum_of(u64 pa)
{
	u32 size;
	u8 sum = 0;

	memcpy(&size, mem(pa + 4), sizeof(size));
	for (u32 i = 0; i < size; i++)
		sum = (u8)(sum + *mem(pa + i));
	return sum;
}

/* A table with a right checksum. */
static void put_table(u64 pa, const char *signature, const void *body, size_t length)
{
	memset(mem(pa), 0, HEADER + length);
	memcpy(mem(pa), signature, 4);
	put32(pa + 4, (u32)(HEADER + length));
	if (body)
		memcpy(mem(pa + HEADER), body, length);
	*mem(pa + 9) = (u8)-sum_of(pa);
}

static void put_fadt(void)
{
	put_table(FADT, "FACP", NULL, FADT_SIZE - HEADER);
	put32(FADT + 36, FACS);
	put32(FADT + 40, DSDT);
	put32(FADT + 48, 0xb2);
	*mem(FADT + 54) = 0xf1;
	put32(FADT + 64, 0xb004);
	put32(FADT + 68, 0xb104);
	*mem(FADT + 89) = 2;
}

static void put_gas(u64 pa, u8 space, u8 bits, u64 address)
{
	*mem(pa) = space;
	*mem(pa + 1) = bits;
	put64(pa + 4, address);
}

/*
 * AML as text: braces are packages, their PkgLength stands where the first one does. (They would be And and
 * Or, which no test needs.)
 */
static size_t assemble(u8 *out, const char *text, size_t length)
{
	size_t open[8], depth = 0, size = 0;

	for (size_t i = 0; i < length; i++) {
		if (text[i] == '}') {
			assert_true(depth && size - open[depth - 1] < 64);
			depth--;
			out[open[depth]] = (u8)(size - open[depth]);
			continue;
		}
		if (text[i] == '{')
			open[depth++] = size;
		out[size++] = (u8)text[i];
	}
	assert_int_equal(depth, 0);
	return size;
}

static void put_block(u64 pa, const char *signature, const char *text, size_t length)
{
	u8 aml[512];

	put_table(pa, signature, aml, assemble(aml, text, length));
}

/* Name (_S3_, Package () { 1, 2, 0, 0 }), as the tables of PCs have it. */
#define S(n, a, b) "\x08_S" n "_\x12{\x04\x0a" a "\x0a" b "\0\0}"
#define STATES S("0", "\5", "\5") S("1", "\1", "\2") S("3", "\3", "\4") S("4", "\6", "\7") S("5", "\7", "\0")

static int setup(void **state UNUSED)
{
	fake_reset();
	cmdline_parse("");
	memset(mem(RSDP), 0, 0x1000);
	memset(mem(RSDT), 0, 0x20000);
	memcpy(mem(RSDP), "RSD PTR ", 8);
	put32(RSDP + 16, RSDT);
	for (u32 i = 0; i < 20; i++)
		*mem(RSDP + 8) = (u8)(*mem(RSDP + 8) - (i == 8 ? 0 : *mem(RSDP + i)));
	put_table(RSDT, "RSDT", NULL, 8);
	put32(RSDT + 36, FADT);
	put32(RSDT + 40, SSDT);
	put_fadt();
	memcpy(mem(FACS), "FACS\x40\0\0", 8);
	*mem(FACS + 16) = 3;
	put_block(DSDT, "DSDT", STATES, sizeof(STATES) - 1);
	return 0;
}

static struct acpi_sleep find(void)
{
	struct acpi_sleep sleep;

	acpi_find_sleep(NULL, 0, true, &sleep);
	return sleep;
}

#define DSDT_IS(text) put_block(DSDT, "DSDT", text, sizeof(text) - 1)
#define SSDT_IS(text) put_block(SSDT, "SSDT", text, sizeof(text) - 1)

/* ---- registers ---- */

static void the_fadt_names_the_registers(void **state UNUSED)
{
	struct acpi_sleep sleep = find();

	assert_int_equal(sleep.pm1a.space, SLEEP_IO);
	assert_int_equal(sleep.pm1a.address, 0xb004);
	assert_int_equal(sleep.pm1a.width, 2);
	assert_int_equal(sleep.pm1b.address, 0xb104);
	assert_int_equal(sleep.pm1a_old.space, SLEEP_ABSENT);
	assert_int_equal(sleep.control.space, SLEEP_ABSENT);
	assert_int_equal(sleep.smi_port, 0xb2);
	assert_int_equal(sleep.s4bios_request, 0xf1);
}

/* The 64-bit field counts; where the 32-bit one names another place, that place is watched as well. */
static void both_fields_of_a_register_are_taken(void **state UNUSED)
{
	struct acpi_sleep sleep;

	put_gas(FADT + 172, 1, 16, 0xb004);
	put_gas(FADT + 184, 1, 32, 0x1804);
	sleep = find();
	assert_int_equal(sleep.pm1a.address, 0xb004);
	assert_int_equal(sleep.pm1a_old.space, SLEEP_ABSENT);
	assert_int_equal(sleep.pm1b.address, 0x1804);
	assert_int_equal(sleep.pm1b.width, 4);
	assert_int_equal(sleep.pm1b_old.space, SLEEP_IO);
	assert_int_equal(sleep.pm1b_old.address, 0xb104);
	put_gas(FADT + 172, 0, 16, 0xfed80004);
	put32(FADT + 68, 0);
	sleep = find();
	assert_int_equal(sleep.pm1a.space, SLEEP_MEMORY);
	assert_int_equal(sleep.pm1a.address, 0xfed80004);
	assert_int_equal(sleep.pm1a_old.address, 0xb004);
	assert_int_equal(sleep.pm1b.address, 0x1804);
	assert_int_equal(sleep.pm1b_old.space, SLEEP_ABSENT);
}

static void the_control_register_of_reduced_hardware(void **state UNUSED)
{
	struct acpi_sleep sleep;

	put_gas(FADT + 244, 0, 8, 0xfed40010);
	sleep = find();
	assert_int_equal(sleep.control.space, SLEEP_MEMORY);
	assert_int_equal(sleep.control.address, 0xfed40010);
	assert_int_equal(sleep.control.width, 1);
	/* an address space that is neither: a warning */
	put_gas(FADT + 244, 10, 8, 0x10);
	sleep = find();
	assert_int_equal(sleep.control.space, SLEEP_ABSENT);
	assert_non_null(strstr(fake_log(), "is not watched"));
}

/* Each contradiction leaves a line. */
static void what_is_no_register_is_told(void **state UNUSED)
{
	memmap_init();
	memmap_add(SIZE_1M, 64 * SIZE_1M, MEMMAP_USABLE);
	put_gas(FADT + 172, 0, 16, SIZE_1M + 4);
	assert_int_equal(find().pm1a.space, SLEEP_IO);
	assert_non_null(strstr(fake_log(), "a sleep register at 100004 of address space 0 is not watched"));
	memmap_add_window(0x2000000, SIZE_2M);
	put_gas(FADT + 172, 0, 16, 0x2000000 - 1);
	put32(FADT + 64, 0x10000);
	assert_int_equal(find().pm1a.space, SLEEP_ABSENT);
	assert_non_null(strstr(fake_log(), "1ffffff of address space 0 is not watched"));
	assert_non_null(strstr(fake_log(), "a sleep register at 10000, which is no port, is not watched"));
	assert_non_null(strstr(fake_log(), "the FADT names no sleep register that can be watched"));
	put_gas(FADT + 172, 1, 16, 0x1804);
	put32(FADT + 64, 0xb004);
	find();
	assert_non_null(strstr(fake_log(), "a sleep register at b004 and at 1804: both are watched"));
}

static void a_damaged_fadt_is_none(void **state UNUSED)
{
	struct acpi_sleep sleep;

	/* as long as that of ACPI 1.0: what lies behind it is not read */
	put_gas(FADT + 172, 1, 16, 0x1804);
	put_gas(FADT + 244, 0, 8, 0xfed40010);
	put32(FADT + 4, 116);
	sleep = find();
	assert_int_equal(sleep.pm1a.address, 0xb004);
	assert_int_equal(sleep.control.space, SLEEP_ABSENT);
	for (u32 length = 0; length < 116; length++) {
		put32(FADT + 4, length);
		sleep = find();
		assert_int_equal(sleep.pm1a.space, SLEEP_ABSENT);
		assert_int_equal(sleep.smi_port, 0);
	}
	put_fadt();
	put32(FADT + 64, 0x10000);
	assert_int_equal(find().pm1a.space, SLEEP_ABSENT);
}

/* ---- the values of SLP_TYP ---- */

static void the_tables_name_the_values(void **state UNUSED)
{
	struct acpi_sleep sleep = find();

	assert_int_equal(sleep.pm1a_allowed, BIT(1) | BIT(6) | BIT(7));
	assert_int_equal(sleep.pm1b_allowed, BIT(2) | BIT(7) | BIT(0));
}

static void every_form_of_a_constant(void **state UNUSED)
{
	/* zero and one; a word; a double word; a quad word; of one element both */
	static const struct {
		const char *text;
		size_t length;
		u8 a, b;
	} forms[] = {
#define FORM(text, a, b) { text, sizeof(text) - 1, a, b }
		FORM("\x08_S5_\x12{\x04\0\1\0\0}", BIT(0), BIT(1)),
		FORM("\x08\\_S5_\x12{\x02\x0b\5\0\x0b\6\0}", BIT(5), BIT(6)),
		FORM("\x08_S5_\x12{\x02\x0c\3\0\0\0\x0a\4}", BIT(3), BIT(4)),
		FORM("\x08_S5_\x12{\x02\x0e\2\0\0\0\0\0\0\0\x0a\4}", BIT(2), BIT(4)),
		FORM("\x08_S5_\x12{\x01\x0b\5\6}", BIT(5), BIT(6)),
		FORM("\x08_S5_\x13{\x0a\x02\x0a\5\1}", BIT(5), BIT(1)),
		FORM("\x08_S5_\x12\x47\0\x04\x0a\7\x0a\7", BIT(7), BIT(7)),
		/* no constants, too large, cut off */
		FORM("\x08_S5_\x12{\x02TYPA}", 0, 0),
		FORM("\x08_S5_\x12{\x02\x0a\5TYPB}", BIT(5), 0),
		FORM("\x08_S5_\x12{\x02\x0a\x08\x0a\x48}", 0, 0),
		FORM("\x08_S5_\x12{\x02\x0a\5\x0a}", BIT(5), 0),
		FORM("\x08_S5_\x12", 0, 0),
		FORM("\x08_S5_", 0, 0),
		FORM("\x08_S5_\x12\x01\x02\x0a\5\x0a\5", 0, 0),
		FORM("\x08_S5_\x14{\x02\x0a\5\x0a\5}", 0, 0),
		FORM("\x08_S6_\x12{\x02\x0a\5\x0a\5}", 0, 0),
		FORM("\x06_S5_\x12{\x02\x0a\5\x0a\5}", 0, 0),
	};

	for (size_t i = 0; i < ARRAY_SIZE(forms); i++) {
		struct aml_sleep_types types = { .packages = 0 };
		/* the sanitizer watches the end */
		u8 aml[64], *exact = malloc(assemble(aml, forms[i].text, forms[i].length));
		size_t length = assemble(exact, forms[i].text, forms[i].length);

		print_message("form %zu\n", i);
		aml_add_sleep_types(exact, (u32)length, &types);
		free(exact);
		assert_int_equal(types.a[5], forms[i].a);
		assert_int_equal(types.b[5], forms[i].b);
		assert_int_equal(types.a[3], 0);
	}
}

/* S3 must never pass: what is also S3's, or S2's, is not allowed. */
static void a_value_of_s3_is_never_allowed(void **state UNUSED)
{
	DSDT_IS(S("3", "\5", "\5") S("4", "\5", "\6") S("5", "\7", "\5"));
	assert_int_equal(find().pm1a_allowed, BIT(7));
	assert_int_equal(find().pm1b_allowed, BIT(6));
	assert_non_null(strstr(fake_log(), "refused for both"));
	DSDT_IS(S("2", "\7", "\7") S("5", "\7", "\6"));
	assert_int_equal(find().pm1a_allowed, 0);
	/* in another table; and in a branch that may not be taken */
	DSDT_IS(S("5", "\7", "\7") S("1", "\1", "\1"));
	SSDT_IS("\xa0{\0" S("3", "\7", "\7") "}");
	assert_int_equal(find().pm1a_allowed, BIT(1));
}

static void without_tables_nothing_is_allowed(void **state UNUSED)
{
	DSDT_IS("\x08_S3_\x12{\x04\1\1\0\0}");
	assert_int_equal(find().pm1a_allowed, 0);
	assert_non_null(strstr(fake_log(), "cannot switch the machine off"));
	put32(FADT + 40, 0);
	assert_int_equal(find().pm1a_allowed, 0);
	put32(FADT + 40, 0xfffffff0);
	assert_int_equal(find().pm1a_allowed, 0);
}

/* ---- _S3_ ---- */

static bool has(u64 pa, const char *text)
{
	u32 size;

	memcpy(&size, mem(pa + 4), sizeof(size));
	for (u32 i = 0; i + strlen(text) <= size; i++)
		if (!memcmp(mem(pa + i), text, strlen(text)))
			return true;
	return false;
}

static void hide(void)
{
	acpi_hide_sleep(NULL, 0, true);
}

static void s3_gets_another_name(void **state UNUSED)
{
	hide();
	assert_false(has(DSDT, "_S3_"));
	assert_true(has(DSDT, "\x08ZS3_\x12"));
	assert_true(has(DSDT, "\x08_S5_\x12"));
	assert_int_equal(sum_of(DSDT), 0);
	assert_non_null(strstr(fake_log(), "S3 is not offered to L1"));
	assert_int_equal(*mem(FACS + 16), 2);
}

/* Definitions by Name and by Method, references in methods, in other tables, in long names; a checksum that
 * was wrong stays as wrong. */
static void so_does_each_reference(void **state UNUSED)
{
	DSDT_IS("\x08\\_S3_\x12{\x04\1\1\0\0}"
		"\x14{TEST\0\x70\\_S3_\x60\xa4\x83\x88\\_S3_\0\0}"
		"\x5b\x82{\\.DEV0_S3_\x14{_S3_\0\x5b\x12\\/\3_SB_DEV0_S3_\0}}");
	SSDT_IS("\x15\\_S3_\x08\0\xa0{\x5b\x12\\_S3_\0\xa4\\_S3_}");
	*mem(SSDT + 9) += 1;
	hide();
	assert_false(has(DSDT, "_S3_"));
	assert_false(has(SSDT, "_S3_"));
	assert_true(has(DSDT, "DEV0ZS3_"));
	assert_int_equal(sum_of(DSDT), 0);
	assert_int_not_equal(sum_of(SSDT), 0);
	*mem(SSDT + 9) -= 1;
	assert_int_equal(sum_of(SSDT), 0);
}

/* A string, a buffer, and what cannot be read: neither this table nor the others are changed. */
static void unsure_is_unchanged(void **state UNUSED)
{
	static const struct {
		const char *text;
		size_t length;
	} unsure[] = {
#define UNSURE(text) { text, sizeof(text) - 1 }
		UNSURE("\x08STR_\x0d_S3_\0"),
		UNSURE("\x08"
		       "BUF_\x11{\x0a\x06_S3_\0\0}"),
		UNSURE("\x08NUM_\x0c_S3_"),
		UNSURE("\x08NUM_\x0e\0\0_S3_\0\0"),
		/* an operator that there is not; a package longer than what it is in */
		UNSURE("\x07\x08_S3_\0"),
		UNSURE("\xd0_S3_"),
		UNSURE("\x5b\x82\x20"
		       "DEV0\x08_S3_\0"),
		/* a comparison of a Match where there is none; a name of a wrong character */
		UNSURE("\x70\2\x60\\_S3_"),
		UNSURE("\x70_S3_ABc_"),
		/* in data behind a region's space, in a processor's block */
		UNSURE("\x5b\x83{PRO0\1_S3_\6}"),
		/* the bank's value is a term that takes terms */
		UNSURE("\x5b\x87{REG0BNK0\x72\1\1\0\1_S3_\x08}"),
	};

	for (size_t i = 0; i < ARRAY_SIZE(unsure); i++) {
		u8 before[0x800];

		DSDT_IS(STATES);
		put_block(SSDT, "SSDT", unsure[i].text, unsure[i].length);
		memcpy(before, mem(SSDT), sizeof(before));
		hide();
		assert_memory_equal(before, mem(SSDT), sizeof(before));
		assert_true(has(DSDT, "\x08_S3_"));
		assert_non_null(strstr(fake_log(), "stays as it is"));
	}
}

/* What is not terms is passed over by its own rules, and what follows is read rightly. */
static void every_form_is_passed(void **state UNUSED)
{
	static const struct {
		const char *text;
		size_t length;
	} forms[] = {
#define SURE(text) { text "\x70_S3_\x60", sizeof(text) + 5 }
		SURE("\x08STR_\x0dtext\0"),
		SURE("\x08"
		     "BUF_\x11{\x0a\4\xd0\xd1\xd2\xd3}"),
		SURE("\x08PKG_\x12{\3\1\x0d"
		     "a\0ABCD}"),
		SURE("\x5b\1MTX0\7\x5b\2EVT0"),
		SURE("\x5b\x23MTX0\xff\xff\x5b\x27MTX0"),
		SURE("\x5b\x23\x60\xd0\xd1"),
		SURE("\x5b\x80REG0\1\x0b\0\x18\x0a\x10"),
		SURE("\x5b\x81{REG0\1"
		     "FLD0\x08\0\x48\x10\1\xd0\xd1\3\xd0\xd1\xd2"
		     "FLD1\x01}"),
		SURE("\x5b\x81{REG0\1\2\\CONN"
		     "FLD0\x08\2\x11{\x0a\2\xd0\xd1}}"),
		SURE("\x5b\x86{IDX0DAT0\1"
		     "FLD0\x08}"),
		SURE("\x5b\x87{REG0BNK0\x0a\xd0\1"
		     "FLD0\x08}"),
		SURE("\x5b\x83{PRO0\1\xd0\xd1\xd2\xd3\6}"),
		SURE("\x5b\x84{PWR0\xd0\xd1\xd2}"),
		SURE("\x5b\x32\xd0\xd1\xd2\xd3\xd4\x60"),
		SURE("\x89\x60\2\x0a\1\5\1\0"),
		SURE("\xa0{\x92\x93\x60\0\xa4^^ABC"
		     "D}"),
		SURE("\xa2{\xff\xa5}\xa1{\xcc\xa3}"),
	};

	for (size_t i = 0; i < ARRAY_SIZE(forms); i++) {
		u8 aml[64];
		u32 size = (u32)assemble(aml, forms[i].text, forms[i].length), at[4], count;

		print_message("form %zu\n", i);
		assert_true(aml_find_name(aml, size, "_S3_", at, 4, &count));
		assert_int_equal(count, 1);
		assert_int_equal(at[0], size - 5);
		/* cut anywhere, it is read without a step beyond */
		for (u32 length = 0; length < size; length++) {
			u8 *exact = malloc(length);

			memcpy(exact, aml, length);
			aml_find_name(exact, length, "_S3_", at, 4, &count);
			free(exact);
		}
	}
}

/* Packages nested deeper than Socle follows are unsure; so is a name more often than there is room. */
static void bounds_hold(void **state UNUSED)
{
	u8 text[512];
	u32 at[4], count;

	for (u32 i = 0; i < 200; i++) {
		text[2 * i] = 0xa0;
		text[2 * i + 1] = (u8)(i < 137 ? 0x3f : 200 * 2 - 2 * i + 6);
	}
	memcpy(text + 400, "\x70_S3_", 5);
	aml_find_name(text, 405, "_S3_", at, 4, &count);
	for (u32 i = 0; i < 5; i++)
		memcpy(text + 4 * i, "_S3_", 4);
	assert_true(aml_find_name(text, 16, "_S3_", at, 4, &count));
	assert_false(aml_find_name(text, 20, "_S3_", at, 4, &count));
}

/* A name that is free in all tables. */
static void the_new_name_is_free(void **state UNUSED)
{
	DSDT_IS(STATES "\x08ZS3_\0");
	SSDT_IS("\x08YS3_\0");
	hide();
	assert_true(has(DSDT, "\x08XS3_\x12"));
	assert_true(has(DSDT, "\x08ZS3_"));
}

/* The 64-bit fields may name another DSDT and FACS. */
static void both_dsdts_are_taken(void **state UNUSED)
{
	put64(FADT + 140, DSDT2);
	put_block(DSDT2, "DSDT", S("3", "\6", "\6"), sizeof(S("3", "\6", "\6")) - 1);
	assert_int_equal(find().pm1a_allowed, BIT(1) | BIT(7));
	hide();
	assert_false(has(DSDT, "_S3_"));
	assert_false(has(DSDT2, "_S3_"));
}

int main(void)
{
#define T(test) cmocka_unit_test_setup(test, setup)
	const struct CMUnitTest tests[] = {
		T(the_fadt_names_the_registers),
		T(both_fields_of_a_register_are_taken),
		T(the_control_register_of_reduced_hardware),
		T(what_is_no_register_is_told),
		T(a_damaged_fadt_is_none),
		T(the_tables_name_the_values),
		T(every_form_of_a_constant),
		T(a_value_of_s3_is_never_allowed),
		T(without_tables_nothing_is_allowed),
		T(s3_gets_another_name),
		T(so_does_each_reference),
		T(unsure_is_unchanged),
		T(every_form_is_passed),
		T(bounds_hold),
		T(the_new_name_is_free),
		T(both_dsdts_are_taken),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
