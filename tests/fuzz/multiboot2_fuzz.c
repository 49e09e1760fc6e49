/* SPDX-License-Identifier: MIT */
/*
 * The boot loader's tags, arbitrary: what lies behind them is poisoned.
 */
#include <sanitizer/asan_interface.h>
#include <stdlib.h>
#include <string.h>

#include "boot/boot_info.h"
#include "tests/fake/fake.h"

int LLVMFuzzerTestOneInput(const u8 *data, size_t size);

#define INFO 0x10000u

int LLVMFuzzerTestOneInput(const u8 *data, size_t size)
{
	static struct boot_info info;
	u32 total;

	if (!fake_memory)
		fake_reset();
	if (size < 8 || size > 0x10000)
		return 0;
	/* A total size beyond what there is cannot be told from a true one: cut it. */
	memcpy(&total, data, sizeof(total));
	if (total > size)
		total = (u32)size;
	memcpy(fake_memory + INFO, data, size);
	memcpy(fake_memory + INFO, &total, sizeof(total));
	__asan_poison_memory_region(fake_memory + INFO + MAX(total, 8u), 0x20000);
	if (multiboot2_parse(0x36d76289, INFO, &info) == STATUS_OK) {
		if (info.module_count > BOOT_MODULE_MAX || !info.range_count ||
		    info.range_count > BOOT_RANGE_MAX)
			abort();
		for (u32 i = 0; i < info.module_count; i++)
			if (strlen(info.modules[i].cmdline) >= BOOT_STRING_SPACE)
				abort();
	}
	__asan_unpoison_memory_region(fake_memory + INFO, 0x40000);
	return 0;
}
