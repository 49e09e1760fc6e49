/* SPDX-License-Identifier: MIT */
/*
 * ACPI's tables, arbitrary: an FADT, a DSDT and an SSDT out of the input. What lies behind a table is
 * poisoned; a name is found only where its bytes are, and what was renamed is gone wherever it was.
 */
#include <sanitizer/asan_interface.h>
#include <stdlib.h>
#include <string.h>

#include "drivers/acpi_sleep.h"
#include "drivers/aml.h"
#include "tests/fake/fake.h"

int LLVMFuzzerTestOneInput(const u8 *data, size_t size);

#define RSDP 0xe0000u
#define RSDT 0x80000u
#define FADT 0x81000u
#define DSDT 0x90000u
#define HEADER 36u
#define PLACES 16

static void put32(u64 pa, u32 value)
{
	memcpy(fake_memory + pa, &value, sizeof(value));
}

static void put_table(u64 pa, const char *signature, const u8 *body, size_t length)
{
	memset(fake_memory + pa, 0, HEADER);
	memcpy(fake_memory + pa, signature, 4);
	put32(pa + 4, (u32)(HEADER + length));
	memcpy(fake_memory + pa + HEADER, body, length);
}

static void put_tables(const u8 *data, size_t size, size_t fadt_size)
{
	static const u8 none[256];

	memset(fake_memory + RSDP, 0, 0x1000);
	memcpy(fake_memory + RSDP, "RSD PTR ", 8);
	put32(RSDP + 16, RSDT);
	for (u32 i = 0; i < 20; i++)
		fake_memory[RSDP + 8] = (u8)(fake_memory[RSDP + 8] - (i == 8 ? 0 : fake_memory[RSDP + i]));
	put_table(RSDT, "RSDT", none, 4);
	put32(RSDT + HEADER, FADT);
	put_table(FADT, "FACP", none, sizeof(none));
	memcpy(fake_memory + FADT + 44, data, fadt_size);
	put32(FADT + 40, DSDT);
	put_table(DSDT, "DSDT", data + fadt_size, size - fadt_size);
}

static void check_names(const u8 *aml, size_t size)
{
	u32 at[PLACES], count;

	if (!aml_find_name(aml, (u32)size, "_S3_", at, PLACES, &count))
		return;
	for (u32 i = 0; i < count; i++)
		if (at[i] + 4 > size || memcmp(aml + at[i], "_S3_", 4) || (i && at[i] <= at[i - 1]))
			abort();
}

int LLVMFuzzerTestOneInput(const u8 *data, size_t size)
{
	size_t fadt_size = MIN(size / 4, (size_t)180);
	struct acpi_sleep sleep;
	u8 *end;

	if (!fake_memory)
		fake_reset();
	if (size > 0x8000)
		return 0;
	check_names(data, size);
	put_tables(data, size, fadt_size);
	end = fake_memory + DSDT + HEADER + size - fadt_size;
	__asan_poison_memory_region(end, 0x1000);
	acpi_find_sleep(NULL, 0, true, &sleep);
	acpi_hide_sleep(NULL, 0, true);
	__asan_unpoison_memory_region(end, 0x1000);
	if (sleep.pm1a.space == SLEEP_ABSENT && (sleep.pm1a.address || sleep.pm1a_old.address))
		abort();
	return 0;
}
