/* SPDX-License-Identifier: MIT */
/*
 * Where ACPI's root tables contradict each other or themselves.  An operating system reads one of them and
 * may read the other, so that L1 may take another table than Socle has.  See drivers/acpi.h.  ACPI
 * specification: "Root System Description Pointer", "System Description Table Header", "Fixed ACPI
 * Description Table".
 */
#include "drivers/acpi.h"
#include "drivers/acpi_blocks.h"
#include "kernel/bits.h"
#include "kernel/log.h"
#include "kernel/string.h"

#define ENTRIES_MAX 512u /* of a root table that are compared with each other */
#define FADT_DSDT 40
#define FADT_X_DSDT 140
#define FADT_SIZE_WITH_X_DSDT 148u

struct root {
	const char *name;
	const u8 *table; /* NULL: none */
	u32 width, count;
};

static u32 said; /* lines so far */

/* False: so many lines are enough. */
static bool may_say(void)
{
	if (said++ == ACPI_REVIEW_LINES)
		log_warn("acpi: there is more of this kind, which is not told");
	return said <= ACPI_REVIEW_LINES;
}
#define SAY(...)                                                                                             \
	do {                                                                                                 \
		if (may_say())                                                                               \
			log_warn("acpi: " __VA_ARGS__);                                                      \
	} while (0)

static u64 entry(const struct root *root, u32 i)
{
	const u8 *p = root->table + ACPI_HEADER_SIZE + i * root->width;

	return root->width == 8 ? acpi_get64(p) : acpi_get32(p);
}

/* Any table whose name can stand in a line. */
static const u8 *table_at(u64 at, u32 *length)
{
	const u8 *table = acpi_table_at(at, NULL, length);

	for (u32 i = 0; table && i < 4; i++)
		if (table[i] < ' ' || table[i] > '~')
			return NULL;
	return table;
}

static void check_sum(u64 at, const u8 *table, u32 length)
{
	if (!acpi_sum_is_zero(table, length))
		SAY("the %.4s at %llx has a wrong checksum, and counts all the same", (const char *)table,
		    (unsigned long long)at);
}

static struct root root_at(u64 at, const char *name, u32 width)
{
	struct root root = { name, NULL, width, 0 };
	u32 length;

	if (!at)
		return root;
	root.table = acpi_table_at(at, name, &length);
	if (!root.table) {
		SAY("there is no %s at %llx", name, (unsigned long long)at);
		return root;
	}
	check_sum(at, root.table, length);
	root.count = (length - ACPI_HEADER_SIZE) / width;
	if (root.count > ENTRIES_MAX)
		SAY("the %s has %u entries; only %u are compared", name, root.count, ENTRIES_MAX);
	root.count = MIN(root.count, ENTRIES_MAX);
	return root;
}

static bool lists(const struct root *root, u64 address, u32 count)
{
	for (u32 i = 0; i < count; i++)
		if (entry(root, i) == address)
			return true;
	return false;
}

/* Those of which there can be several, by the specification. */
static bool may_be_many(const u8 *table)
{
	return !memcmp(table, "SSDT", 4) || !memcmp(table, "OEM", 3) || !memcmp(table, "UEFI", 4) ||
	       !memcmp(table, "PSDT", 4);
}

/* The first table of that name. 0: none. */
static u64 first_of(const struct root *root, const u8 *signature)
{
	u32 length;

	for (u32 i = 0; i < root->count; i++)
		if (acpi_table_at(entry(root, i), (const char *)signature, &length))
			return entry(root, i);
	return 0;
}

static void review_entry(const struct root *root, u32 i)
{
	u64 at = entry(root, i), first;
	u32 length;
	const u8 *table = table_at(at, &length);

	if (!table) {
		SAY("the %s's entry %u leads to %llx, where no table can be read", root->name, i,
		    (unsigned long long)at);
		return;
	}
	if (lists(root, at, i)) {
		SAY("the %s names the %.4s at %llx twice", root->name, (const char *)table,
		    (unsigned long long)at);
		return;
	}
	check_sum(at, table, length);
	first = first_of(root, table);
	if (first != at && !may_be_many(table))
		SAY("the %s names a second %.4s at %llx; the one at %llx is used", root->name,
		    (const char *)table, (unsigned long long)at, (unsigned long long)first);
}

/* The same table at another place, or one that an L1 which reads the RSDT would not find. */
static void compare_entry(const struct root *xsdt, u64 at)
{
	u32 length;
	const u8 *table = table_at(at, &length);
	u64 other = table ? first_of(xsdt, table) : 0;

	if (!table || lists(xsdt, at, xsdt->count))
		return;
	if (other && !may_be_many(table))
		SAY("the %.4s is at %llx by the RSDT and at %llx by the XSDT, which counts",
		    (const char *)table, (unsigned long long)at, (unsigned long long)other);
	else
		SAY("the RSDT names the %.4s at %llx, which the XSDT does not", (const char *)table,
		    (unsigned long long)at);
}

static void compare(const struct root *rsdt, const struct root *xsdt)
{
	u32 missing = 0;
	u64 which = 0;

	for (u32 i = 0; i < rsdt->count; i++)
		compare_entry(xsdt, entry(rsdt, i));
	for (u32 i = 0; rsdt->count && i < xsdt->count; i++) {
		u64 at = entry(xsdt, i);
		u32 length;
		const u8 *table = table_at(at, &length);

		/* of another place: told above */
		if (!table || at >= SIZE_4G || lists(rsdt, at, rsdt->count) ||
		    (first_of(rsdt, table) && !may_be_many(table)))
			continue;
		which = missing++ ? which : at;
	}
	if (missing)
		SAY("the XSDT names %u tables that the RSDT does not, the first at %llx", missing,
		    (unsigned long long)which);
}

/* The tables that the FADT leads to stand in no root table. */
static void review_fadt(const u8 *rsdp, u32 rsdp_size, bool bios)
{
	u32 length;
	const u8 *fadt = acpi_find_table(rsdp, rsdp_size, bios, "FACP", &length);
	u64 narrow, wide = 0;

	if (!fadt)
		return;
	if (length < ACPI_FADT_SIZE_LEAST) {
		SAY("the FADT has %u bytes, too few, and is not used", length);
		return;
	}
	narrow = acpi_get32(fadt + FADT_DSDT);
	if (length >= FADT_SIZE_WITH_X_DSDT)
		wide = acpi_get64(fadt + FADT_X_DSDT);
	if (narrow && wide && narrow != wide)
		SAY("the FADT names a DSDT at %llx and one at %llx: both are looked at",
		    (unsigned long long)narrow, (unsigned long long)wide);
	for (u32 i = 0; i < 2; i++) {
		u64 at = i ? wide : narrow;
		const u8 *dsdt = at ? acpi_table_at(at, "DSDT", &length) : NULL;

		if (at && !dsdt)
			SAY("the FADT names a DSDT at %llx, where none can be read", (unsigned long long)at);
		if (dsdt && (!i || wide != narrow))
			check_sum(at, dsdt, length);
	}
}

void acpi_review(const u8 *rsdp, u32 rsdp_size, bool bios)
{
	struct acpi_roots roots;
	struct root rsdt, xsdt;
	bool there;

	said = 0;
	there = acpi_find_roots(rsdp, rsdp_size, bios, &roots);
	if (roots.copy_damaged)
		SAY("the boot loader's pointer to the tables (RSDP) is damaged");
	if (!there)
		return;
	if (roots.why_no_xsdt)
		SAY("the XSDT is not used: %s", roots.why_no_xsdt);
	xsdt = root_at(roots.xsdt, "XSDT", 8);
	rsdt = root_at(roots.rsdt, "RSDT", 4);
	for (u32 i = 0; i < xsdt.count; i++)
		review_entry(&xsdt, i);
	for (u32 i = 0; i < rsdt.count; i++)
		if (!xsdt.table || !lists(&xsdt, entry(&rsdt, i), xsdt.count))
			review_entry(&rsdt, i);
	if (rsdt.table && xsdt.table)
		compare(&rsdt, &xsdt);
	review_fadt(rsdp, rsdp_size, bios);
}
