/* SPDX-License-Identifier: MIT */
/*
 * Entry point, structures, and their strings.  See drivers/smbios.h.
 */
#include "drivers/smbios.h"

#include "kernel/bits.h"
#include "kernel/hw/phys.h"
#include "kernel/string.h"

#define BIOS_AREA 0xf0000u
#define BIOS_AREA_END 0x100000u
#define EFI_TABLE_COUNT 104
#define EFI_TABLES 112
#define EFI_TABLE_SIZE 24u
#define EFI_TABLES_MAX 256u
#define ENTRY_SIZE 32u
#define STRUCTURES_MAX 0x10000u
#define TYPE_FIRMWARE 0
#define TYPE_SYSTEM 1
#define TYPE_END 127

static const u8 guid_smbios[16] = { 0x31, 0x2d, 0x9d, 0xeb, 0x88, 0x2d, 0xd3, 0x11,
				    0x9a, 0x16, 0x00, 0x90, 0x27, 0x3f, 0xc1, 0x4d };
static const u8 guid_smbios3[16] = { 0x44, 0x15, 0xfd, 0xf2, 0x94, 0x97, 0x2c, 0x4a,
				     0x99, 0x2e, 0xe5, 0xbb, 0xcf, 0x20, 0xe3, 0x94 };

struct structures {
	const u8 *at, *end;
};

static const u8 *readable(u64 pa, u64 size)
{
	return pa && pa < SIZE_4G && size <= SIZE_4G - pa ? phys_to_ptr(HPA(pa)) : NULL;
}

static u64 number(const u8 *p, u32 size)
{
	u64 value = 0;

	memcpy(&value, p, size);
	return value;
}

/* "_SM3_": 64-bit address at 16, greatest size at 12. "_SM_": length at 22, address at 24. */
static bool take_entry(const u8 *p, struct structures *out)
{
	u64 base, size;

	if (p && !memcmp(p, "_SM3_", 5)) {
		base = number(p + 16, 8);
		size = number(p + 12, 4);
	} else if (p && !memcmp(p, "_SM_", 4)) {
		base = number(p + 24, 4);
		size = number(p + 22, 2);
	} else {
		return false;
	}
	size = MIN(size, (u64)STRUCTURES_MAX);
	out->at = readable(base, size);
	out->end = out->at + size;
	return out->at;
}

static bool find_by_efi(u64 system_table, struct structures *out)
{
	const u8 *table = readable(system_table, EFI_TABLES + 8), *entries;
	u64 count = table ? MIN(number(table + EFI_TABLE_COUNT, 8), (u64)EFI_TABLES_MAX) : 0;

	entries = table ? readable(number(table + EFI_TABLES, 8), count * EFI_TABLE_SIZE) : NULL;
	for (u64 i = 0; entries && i < count; i++, entries += EFI_TABLE_SIZE)
		if ((!memcmp(entries, guid_smbios, 16) || !memcmp(entries, guid_smbios3, 16)) &&
		    take_entry(readable(number(entries + 16, 8), ENTRY_SIZE), out))
			return true;
	return false;
}

static bool find_by_search(struct structures *out)
{
	for (u32 at = BIOS_AREA; at + ENTRY_SIZE <= BIOS_AREA_END; at += 16)
		if (take_entry(phys_to_ptr(HPA(at)), out))
			return true;
	return false;
}

/* String `index` (from 1) of the strings at `p`, without what a line of a log cannot have. */
static void take_string(const u8 *p, const u8 *end, u8 index, char *out)
{
	u32 length = 0;

	for (; index > 1 && p < end && *p; index--)
		p += strnlen((const char *)p, (size_t)(end - p)) + 1;
	for (; index && p < end && *p && length < SMBIOS_STRING - 1; p++)
		out[length++] = *p >= ' ' && *p <= '~' ? (char)*p : '?';
	out[length] = '\0';
}

static void take_structure(const u8 *p, const u8 *strings, const u8 *end, struct smbios *out)
{
	if (p[0] == TYPE_FIRMWARE && p[1] > 8) {
		take_string(strings, end, p[5], out->firmware);
		take_string(strings, end, p[8], out->date);
	} else if (p[0] == TYPE_SYSTEM && p[1] > 5) {
		take_string(strings, end, p[4], out->maker);
		take_string(strings, end, p[5], out->product);
	}
}

void smbios_read(u64 efi_system_table, struct smbios *out)
{
	struct structures s;

	memset(out, 0, sizeof(*out));
	if (efi_system_table ? !find_by_efi(efi_system_table, &s) : !find_by_search(&s))
		return;
	while (s.end - s.at > 4 && s.at[1] >= 4 && s.at[1] <= s.end - s.at && s.at[0] != TYPE_END) {
		const u8 *strings = s.at + s.at[1], *next = strings;

		take_structure(s.at, strings, s.end, out);
		/* behind the strings there are two zeros */
		while (s.end - next >= 2 && (next[0] || next[1]))
			next++;
		if (s.end - next < 2)
			return;
		s.at = next + 2;
	}
}
