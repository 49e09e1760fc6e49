/* SPDX-License-Identifier: MIT */
/*
 * RSDP, RSDT or XSDT, MADT: a table by its name, and the processors.  See
 * drivers/acpi.h.
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

#define MADT_ENTRIES 44
#define MADT_LOCAL_APIC 0
#define MADT_LOCAL_X2APIC 9
#define MADT_ENABLED 1u
#define XAPIC_ID_ALL 0xffu
#define X2APIC_ID_ALL 0xffffffffu

struct acpi_header {
	char signature[4];
	u32 length;
	u8 revision, checksum;
	char oem[6], oem_table[8];
	u32 oem_revision, creator, creator_revision;
} PACKED;
static_assert(sizeof(struct acpi_header) == 36, "ACPI: DESCRIPTION_HEADER");

static u32 get32(const u8 *p)
{
	u32 v;

	memcpy(&v, p, sizeof(v));
	return v;
}

static u64 get64(const u8 *p)
{
	u64 v;

	memcpy(&v, p, sizeof(v));
	return v;
}

static bool sum_is_zero(const u8 *p, u32 size)
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
 * A whole table with the right signature, or NULL. Its checksum is not asked for: operating systems go on
 * with a table whose checksum is wrong, and would start CPUs that Socle knows nothing of.
 */
static const u8 *table_get(u64 pa, const char *signature, u32 *length)
{
	const u8 *p = readable(pa, sizeof(struct acpi_header));
	struct acpi_header h;

	if (!p)
		return NULL;
	memcpy(&h, p, sizeof(h));
	if (memcmp(h.signature, signature, sizeof(h.signature)) || h.length < sizeof(h) ||
	    h.length > TABLE_MAX)
		return NULL;
	if (!readable(pa, h.length))
		return NULL;
	*length = h.length;
	return p;
}

static bool rsdp_valid(const u8 *p)
{
	return !memcmp(p, "RSD PTR ", 8) && sum_is_zero(p, RSDP_V1_SIZE);
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
	const u8 *p = table_get(root, width == 8 ? "XSDT" : "RSDT", &root_length);

	for (u32 at = sizeof(struct acpi_header); p && at + width <= root_length; at += width) {
		const u8 *table = table_get(width == 8 ? get64(p + at) : get32(p + at), signature, length);

		if (table && !(*before)--)
			return table;
	}
	return NULL;
}

const u8 *acpi_table_at(u64 pa, const char *signature, u32 *length)
{
	return table_get(pa, signature, length);
}

const u8 *acpi_find_table(const u8 *rsdp, u32 rsdp_size, bool bios, const char *signature, u32 *length)
{
	return acpi_find_table_of(rsdp, rsdp_size, bios, signature, 0, length);
}

const u8 *acpi_find_table_of(const u8 *rsdp, u32 rsdp_size, bool bios, const char *signature, u32 index,
			     u32 *length)
{
	const u8 *table = NULL;

	*length = 0;
	if (rsdp_size < RSDP_V1_SIZE || !rsdp_valid(rsdp)) {
		rsdp = bios ? rsdp_find() : NULL;
		rsdp_size = RSDP_V2_SIZE;
	}
	if (!rsdp)
		return NULL;
	/* Revision 2 has the XSDT's address, under a checksum of its own. */
	if (rsdp[15] >= 2 && rsdp_size >= RSDP_V2_SIZE && sum_is_zero(rsdp, RSDP_V2_SIZE))
		table = table_in(get64(rsdp + 24), 8, signature, &index, length);
	return table ? table : table_in(get32(rsdp + 16), 4, signature, &index, length);
}

static void cpu_add(struct acpi_cpus *out, u32 apic_id)
{
	for (u32 i = 0; i < MIN(out->count, (u32)ACPI_CPU_MAX); i++)
		if (out->apic_id[i] == apic_id)
			return;
	if (out->count < ACPI_CPU_MAX)
		out->apic_id[out->count] = apic_id;
	out->count++;
}

static void entry_read(const u8 *e, u32 size, struct acpi_cpus *out)
{
	if (e[0] == MADT_LOCAL_APIC && size >= 8 && (get32(e + 4) & MADT_ENABLED) && e[3] != XAPIC_ID_ALL)
		cpu_add(out, e[3]);
	if (e[0] == MADT_LOCAL_X2APIC && size >= 16 && (get32(e + 8) & MADT_ENABLED) &&
	    get32(e + 4) != X2APIC_ID_ALL)
		cpu_add(out, get32(e + 4));
}

void acpi_find_cpus(const u8 *rsdp, u32 rsdp_size, bool bios, struct acpi_cpus *out)
{
	u32 length;
	const u8 *madt = acpi_find_table(rsdp, rsdp_size, bios, "APIC", &length);

	out->count = 0;
	out->trouble = NULL;
	if (!madt)
		out->trouble = rsdp_size || bios ? "no table of the processors (MADT) that can be read"
						 : "the boot loader gave no pointer to the tables (RSDP)";
	for (u32 at = MADT_ENTRIES; madt && at + 2 <= length;) {
		u32 size = madt[at + 1];

		if (size < 2 || size > length - at) {
			out->trouble =
				"the table of the processors (MADT) is damaged behind those that are taken";
			return;
		}
		entry_read(madt + at, size, out);
		at += size;
	}
}
