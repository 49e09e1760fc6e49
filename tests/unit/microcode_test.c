/* SPDX-License-Identifier: MIT */
/*
 * Microcode updates: found in a module of their own or at the beginning of an initrd, chosen by processor and
 * revision, refused where a length or a sum is wrong, loaded once.
 */
#include "tests/unit/cmocka_all.h"

#include <stdio.h>

#include "boot/microcode_file.h"
#include "drivers/microcode.h"
#include "kernel/cmdline.h"
#include "kernel/msr.h"
#include "tests/fake/fake.h"

#define MODULE 0x2000000u
#define SIGNATURE 0x306a9u

static struct boot_info info;
static u8 file[0x4000] ALIGNED(16);
static u32 used;
static const struct microcode_cpu cpu = { SIGNATURE, 1 << 4, 0x10 };

static u32 *words(u32 at)
{
	return (u32 *)(void *)(file + at);
}

/* The sum over `size` bytes becomes 0. */
static void seal(u32 at, u32 size, u32 checksum)
{
	u32 total = 0;

	*words(checksum) = 0;
	for (u32 i = 0; i < size; i += 4)
		total += *words(at + i);
	*words(checksum) = -total;
}

/* An update of 1 KiB behind the others; the offset where it begins. */
static u32 add(u32 signature, u32 platforms, u32 revision)
{
	const u32 header[] = {
		1, revision, 0x01022026, signature, 0, 1, platforms, 1024 - 48, 1024, 0, 0, 0
	};
	u32 at = used;

	memcpy(file + at, header, sizeof(header));
	memset(file + at + 48, (int)revision, 1024 - 48);
	seal(at, 1024, at + 16);
	used += 1024;
	return at;
}

/* The same with a table of one more processor. */
static u32 add_with_table(u32 signature, u32 also, u32 platforms, u32 revision)
{
	u32 at = add(signature, 0x80, revision), table = at + 1024;

	memset(file + table, 0, 32);
	*words(table) = 1;
	*words(table + 20) = also;
	*words(table + 24) = platforms;
	seal(table, 32, table + 4);
	*words(at + 32) = 1024 + 32;
	seal(at, 1024 + 32, at + 16);
	used += 32;
	return at;
}

static const u8 *pick(void)
{
	u32 size = 0;
	const u8 *found = microcode_pick(file, used, &cpu, &size);

	assert_true(!found || (size >= 1024 && found + size <= file + used));
	return found;
}

static int setup(void **state UNUSED)
{
	fake_reset();
	cmdline_parse("");
	memset(file, 0, sizeof(file));
	used = 0;
	memset(&info, 0, sizeof(info));
	info.modules[0] = (struct boot_module){ 0x1000000, 0x1000, "" };
	info.module_count = 1;
	return 0;
}

static void the_newest_for_this_processor(void **state UNUSED)
{
	u32 at;

	assert_null(pick());
	add(SIGNATURE + 1, 0x10, 0x99);
	add(SIGNATURE, 0x20, 0x99);
	add(SIGNATURE, 0x10, 0x10);
	add(SIGNATURE, 0x10, 0x80000000); /* of firmware that is not released */
	assert_null(pick());
	add(SIGNATURE, 0x10, 0x11);
	at = add(SIGNATURE, 0x30, 0x13);
	add(SIGNATURE, 0x10, 0x12);
	assert_ptr_equal(pick(), file + at);
	at = add_with_table(SIGNATURE + 1, SIGNATURE, 0x10, 0x14);
	assert_ptr_equal(pick(), file + at);
	add_with_table(SIGNATURE + 1, SIGNATURE, 0x20, 0x15);
	add_with_table(SIGNATURE + 1, SIGNATURE + 2, 0x10, 0x15);
	assert_ptr_equal(pick(), file + at);
}

static void damaged_ones_are_not_taken(void **state UNUSED)
{
	static const struct {
		u32 word, value;
	} wrong[] = { { 0, 2 }, { 5, 2 }, { 7, 1024 }, { 7, 975 }, { 8, 2048 }, { 8, 40 }, { 8, 1023 } };
	u32 at;

	for (size_t i = 0; i < ARRAY_SIZE(wrong); i++) {
		setup(NULL);
		at = add(SIGNATURE, 0x10, 0x20);
		words(at)[wrong[i].word] = wrong[i].value;
		seal(at, 1024, at + 16);
		if (pick())
			fail_msg("word %u as %u", wrong[i].word, wrong[i].value);
	}
	setup(NULL);
	at = add(SIGNATURE, 0x10, 0x20);
	file[at + 500] ^= 1;
	assert_null(pick());
	/* a table that is longer than the update, and one with a wrong sum */
	for (u32 i = 0; i < 2; i++) {
		setup(NULL);
		at = add_with_table(SIGNATURE + 1, SIGNATURE, 0x10, 0x20);
		*words(at + 1024 + (i ? 4 : 0)) += 0x15555556;
		seal(at, 1024 + 32, at + 16);
		assert_null(pick());
	}
	/* one whose second entry lies behind the update, and would be this processor's */
	setup(NULL);
	at = add_with_table(SIGNATURE + 1, SIGNATURE + 2, 0x10, 0x20);
	*words(at + 1024) = 2;
	*words(at + 1024 + 32) = SIGNATURE;
	*words(at + 1024 + 36) = 0x10;
	seal(at + 1024, 44, at + 1024 + 4);
	seal(at, 1024 + 32, at + 16);
	assert_null(pick());
}

/* A file of a "newc" archive in the module's memory; the offset behind it. */
static u32 archive_add(u32 at, const char *name, const u8 *data, u32 size)
{
	char *to = (char *)fake_memory + MODULE + at;
	u32 name_size = (u32)strlen(name) + 1;

	memset(to, '0', 110);
	memcpy(to, "070701", 6);
	snprintf(to + 54, 9, "%08X", size);
	to[62] = '0';
	snprintf(to + 94, 9, "%08x", name_size);
	to[102] = '0';
	memcpy(to + 110, name, name_size);
	at = (u32)ALIGN_UP(at + 110 + name_size, 4);
	memcpy(fake_memory + MODULE + at, data, size);
	return (u32)ALIGN_UP(at + size, 4);
}

static const u8 *find(u64 *size)
{
	*size = 0;
	return microcode_file(&info, size);
}

static void it_is_found_where_distributions_put_it(void **state UNUSED)
{
	const u8 *found;
	u64 size;
	u32 end;

	add(SIGNATURE, 0x10, 0x20);
	end = archive_add(0, "kernel/x86/microcode", file, 0);
	end = archive_add(end, "kernel/x86/microcode/AuthenticAMD.bin", file, 5);
	end = archive_add(end, "kernel/x86/microcode/GenuineIntel.bin", file, used);
	info.modules[1] = (struct boot_module){ 0x1800000, 0x100, "" };
	info.modules[2] = (struct boot_module){ MODULE, end, "" };
	info.module_count = 3;
	found = find(&size);
	assert_non_null(found);
	assert_int_equal(size, used);
	assert_memory_equal(found, file, used);
	assert_int_equal(info.module_count, 3); /* the initrd is L1's */
	/* cut short anywhere, nothing is found, and nothing outside is read */
	for (u32 i = 0; i < end; i += 7) {
		info.modules[2].size = i;
		if (i < end - 3)
			assert_null(find(&size));
	}
	info.modules[2].size = end;
	memcpy(fake_memory + MODULE + 94, "ffffffff", 8);
	assert_null(find(&size));
	memcpy(fake_memory + MODULE + 94, "0000-001", 8);
	assert_null(find(&size));
}

static void a_module_of_its_own_is_not_l1s(void **state UNUSED)
{
	u64 size;

	add(SIGNATURE, 0x10, 0x20);
	memcpy(fake_memory + MODULE, file, used);
	info.modules[1] = (struct boot_module){ MODULE, used, "microcode" };
	info.modules[2] = (struct boot_module){ 0x1800000, 0x100, "the initrd" };
	info.module_count = 3;
	assert_ptr_equal(find(&size), fake_memory + MODULE);
	assert_int_equal(size, used);
	assert_int_equal(info.module_count, 2);
	assert_string_equal(info.modules[1].cmdline, "the initrd");
	assert_null(strstr(fake_log(), "no microcode"));
	/* an archive under that name, and one without the file */
	info.modules[2] = (struct boot_module){
		MODULE, archive_add(0, "kernel/x86/microcode/GenuineIntel.bin", file, used), "microcode"
	};
	info.module_count = 3;
	assert_non_null(find(&size));
	assert_int_equal(size, used);
	info.modules[2] = (struct boot_module){ MODULE, archive_add(0, "else", file, used), "microcode" };
	info.module_count = 3;
	assert_null(find(&size));
	assert_int_equal(info.module_count, 2);
	assert_non_null(strstr(fake_log(), "no microcode"));
}

static void it_is_loaded_where_it_fits(void **state UNUSED)
{
	struct microcode_cpu now;

	fake_msr_set(MSR_IA32_BIOS_SIGN_ID, 0);
	fake_msr_set(MSR_IA32_PLATFORM_ID, 4ull << 50);
	fake_msr_set(MSR_IA32_BIOS_UPDT_TRIG, 0);
	fake_cpuid_set(1, 0, SIGNATURE, 0, 0, 0);
	microcode_this_cpu(&now);
	assert_int_equal(now.signature, SIGNATURE);
	assert_int_equal(now.platform, 1 << 4);
	assert_true(microcode_load(NULL, 0, &now));
	add(SIGNATURE, 0x20, 0x20);
	assert_true(microcode_load(file, used, &now)); /* not this one's */
	assert_int_equal(fake_msr_get(MSR_IA32_BIOS_UPDT_TRIG), 0);
	used = 0;
	add(SIGNATURE, 0x10, 0x20);
	assert_false(microcode_load(file, used, &now)); /* the fake keeps its revision */
	assert_int_equal(fake_msr_get(MSR_IA32_BIOS_UPDT_TRIG), (u64)file + 48);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(the_newest_for_this_processor, setup),
		cmocka_unit_test_setup(damaged_ones_are_not_taken, setup),
		cmocka_unit_test_setup(it_is_found_where_distributions_put_it, setup),
		cmocka_unit_test_setup(a_module_of_its_own_is_not_l1s, setup),
		cmocka_unit_test_setup(it_is_loaded_where_it_fits, setup),
	};

	return cmocka_run_group_tests_name("microcode", tests, NULL, NULL);
}
