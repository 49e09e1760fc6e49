/* SPDX-License-Identifier: MIT */
/*
 * Where PM1a_CNT is, by ACPI's tables as the firmware has left them below 1 MiB. For "ports" and "storm".
 */
#include "tests/guest/ports.h"

void *acpi_table(const char *signature)
{
	u64 at;
	u32 *rsdt, i;

	for (at = 0xe0000; at < 0x100000; at += 16)
		if (!memcmp(ptr_of(at), "RSD PTR ", 8))
			break;
	if (at == 0x100000)
		return NULL;
	rsdt = ptr_of(*(u32 *)ptr_of(at + 16));
	for (i = 9; i < rsdt[1] / 4; i++)
		if (!memcmp(ptr_of(rsdt[i]), signature, 4))
			return ptr_of(rsdt[i]);
	return NULL;
}

u16 pm1_port(void)
{
	const u8 *fadt = acpi_table("FACP");

	return fadt ? *(const u16 *)(fadt + 64) : 0;
}
