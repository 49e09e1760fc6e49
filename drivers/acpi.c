/* SPDX-License-Identifier: MIT */
/*
 * RSDP, RSDT or XSDT: a table by its name.  See drivers/acpi.h.
 */
#include "drivers/acpi.h"

#include "kernel/bits.h"
#include "kernel/hw/phys.h"
#include "kernel/string.h"
#include "mm/addr.h"
#include "mm/memmap.h"

#define RSDP_V1_SIZE 20u
#define RSDP_V2_SIZE 36u
#define TABLE_MAX (1u << 20) /* no MADT or XSDT is larger */

struct acpi_header {
	char signature[4];
	u32 length;
	u8 revision, checksum;
	char oem[6], oem_table[8];
	u32 oem_revision, creator, creator_revision;
} PACKED;
static_assert(sizeof(struct acpi_header) == ACPI_HEADER_SIZE, "ACPI: DESCRIPTION_HEADER");

u32 acpi_get32(const u8 *p)
{
	u32 v;

	memcpy(&v, p, sizeof(v));
	return v;
}

u64 acpi_get64(const u8 *p)
{
	u64 v;

	memcpy(&v, p, sizeof(v));
	return v;
}

bool acpi_sum_is_zero(const u8 *p, u32 size)
{
	u8 sum = 0;

	while (size--)
		sum += *p++;
	return !sum;
}

/* The direct map covers what is below 4 GiB, and RAM above. */
static const u8 *readable(u64 pa, u64 size)
{
	if (!pa || pa + size < pa)
		return NULL;
	if (pa + size > SIZE_4G && !memmap_is_ram(pa, size))
		return NULL;
	return phys_to_ptr(HPA(pa));
}

/*
 * Its checksum is not asked for: operating systems go on with a table whose checksum is wrong, and would
 * start CPUs that Socle knows nothing of.
 */
const u8 *acpi_table_at(u64 pa, const char *signature, u32 *length)
{
	const u8 *p = readable(pa, sizeof(struct acpi_header));
	struct acpi_header h;

	if (!p)
		return NULL;
	memcpy(&h, p, sizeof(h));
	if ((signature && memcmp(h.signature, signature, sizeof(h.signature))) || h.length < sizeof(h) ||
	    h.length > TABLE_MAX)
		return NULL;
	if (!readable(pa, h.length))
		return NULL;
	*length = h.length;
	return p;
}

static bool rsdp_valid(const u8 *p)
{
	return !memcmp(p, "RSD PTR ", 8) && acpi_sum_is_zero(p, RSDP_V1_SIZE);
}

/* ACPI "Finding the RSDP on IA-PC Systems": the first KiB of the EBDA, then E0000-FFFFF, on 16-byte
 * boundaries. */
static const u8 *rsdp_search(u64 base, u64 size)
{
	const u8 *p = readable(base, size);

	for (u64 at = 0; p && at + RSDP_V2_SIZE <= size; at += 16)
		if (rsdp_valid(p + at))
			return p + at;
	return NULL;
}

static const u8 *rsdp_find(void)
{
	const u8 *bda = readable(0x40e, 2);
	u64 ebda = (u64)(bda[0] | bda[1] << 8) << 4;
	const u8 *found = NULL;

	if (ebda >= 0x400 && ebda < 0xa0000)
		found = rsdp_search(ebda, 1024);
	return found ? found : rsdp_search(0xe0000, 0x20000);
}

/*
 * The table `signature` among those that `root` (RSDT: 4-byte entries, XSDT: 8-byte ones) lists, behind
 * *before others of that name, of which *before is less by those that are there.
 */
static const u8 *table_in(u64 root, u32 width, const char *signature, u32 *before, u32 *length)
{
	u32 root_length;
	const u8 *p = acpi_table_at(root, width == 8 ? "XSDT" : "RSDT", &root_length);

	for (u32 at = sizeof(struct acpi_header); p && at + width <= root_length; at += width) {
		const u8 *table = acpi_table_at(width == 8 ? acpi_get64(p + at) : acpi_get32(p + at),
						signature, length);

		if (table && !(*before)--)
			return table;
	}
	return NULL;
}

const u8 *acpi_find_table(const u8 *rsdp, u32 rsdp_size, bool bios, const char *signature, u32 *length)
{
	return acpi_find_table_of(rsdp, rsdp_size, bios, signature, 0, length);
}

bool acpi_find_roots(const u8 *rsdp, u32 rsdp_size, bool bios, struct acpi_roots *out)
{
	*out = (struct acpi_roots){ 0 };
	if (rsdp_size < RSDP_V1_SIZE || !rsdp_valid(rsdp)) {
		out->copy_damaged = rsdp_size;
		rsdp = bios ? rsdp_find() : NULL;
		rsdp_size = RSDP_V2_SIZE;
	}
	if (!rsdp)
		return false;
	out->rsdt = acpi_get32(rsdp + 16);
	/* Revision 2 has the XSDT's address, under a checksum of its own. */
	if (rsdp[15] < 2)
		return true;
	if (rsdp_size < RSDP_V2_SIZE)
		out->why_no_xsdt = "the boot loader gave the pointer (RSDP) of ACPI 1.0 alone";
	else if (!acpi_sum_is_zero(rsdp, RSDP_V2_SIZE))
		out->why_no_xsdt = "the pointer (RSDP) has a wrong checksum";
	else if (!acpi_get64(rsdp + 24))
		out->why_no_xsdt = "the pointer (RSDP) has no address of it";
	else
		out->xsdt = acpi_get64(rsdp + 24);
	return true;
}

const u8 *acpi_find_table_of(const u8 *rsdp, u32 rsdp_size, bool bios, const char *signature, u32 index,
			     u32 *length)
{
	const u8 *table = NULL;
	struct acpi_roots roots;

	*length = 0;
	if (!acpi_find_roots(rsdp, rsdp_size, bios, &roots))
		return NULL;
	if (roots.xsdt)
		table = table_in(roots.xsdt, 8, signature, &index, length);
	return table ? table : table_in(roots.rsdt, 4, signature, &index, length);
}
