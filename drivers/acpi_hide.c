/* SPDX-License-Identifier: MIT */
/*
 * What Socle refuses is not offered: _S3_ has another name for L1, and the firmware no S4BIOS.  All or
 * nothing: a reference in one table to a name that has gone from another would be an error to L1.  See
 * drivers/acpi_sleep.h.  ACPI specification: "Firmware ACPI Control Structure (FACS)".
 */
#include "drivers/acpi_blocks.h"
#include "drivers/acpi_sleep.h"
#include "drivers/aml.h"
#include "kernel/bits.h"
#include "kernel/log.h"
#include "kernel/string.h"

#define NAME "_S3_"
#define CHECKSUM 9
#define PLACES_MAX 64 /* in one table; a real one has two or three */

#define FACS_FLAGS 16
#define FACS_S4BIOS BIT(0)

/* Offsets are into the table behind its header. */
struct places {
	u32 at[PLACES_MAX];
	u32 count;
};

static bool find_places(const struct acpi_block *block, const char *name, struct places *places)
{
	return aml_find_name(block->table + ACPI_HEADER_SIZE, block->length - ACPI_HEADER_SIZE, name,
			     places->at, PLACES_MAX, &places->count);
}

static bool is_anywhere(const struct acpi_blocks *found, const char *bytes)
{
	for (u32 i = 0; i < found->count; i++)
		for (u32 at = 0; at + AML_SEGMENT_SIZE <= found->blocks[i].length; at++)
			if (!memcmp(found->blocks[i].table + at, bytes, AML_SEGMENT_SIZE))
				return true;
	return false;
}

/* A name that no table has: "XS3_" and the like; only the first character is another. 0: there is none. */
static char free_letter(const struct acpi_blocks *found)
{
	char name[] = NAME;

	for (name[0] = 'Z'; name[0] >= 'A'; name[0]--)
		if (!is_anywhere(found, name))
			return name[0];
	return 0;
}

static u8 read_back(const u8 *p)
{
	return *(const volatile u8 *)p;
}

/* A table that is ROM drops the write. */
static bool put(u8 *p, u8 value)
{
	*(volatile u8 *)p = value;
	return read_back(p) == value;
}

static bool is_writable(const struct acpi_block *block, const struct places *places)
{
	u8 *first = block->table + ACPI_HEADER_SIZE + places->at[0];
	u8 was = read_back(first);
	bool takes = put(first, (u8)~was);

	return put(first, was) && takes;
}

/* The name's first character, at each place; a checksum that was right stays right. */
static bool rename_places(const struct acpi_block *block, const struct places *places, char letter)
{
	bool done = true;
	u8 sum = block->table[CHECKSUM];

	for (u32 i = 0; i < places->count; i++) {
		u8 *p = block->table + ACPI_HEADER_SIZE + places->at[i];

		sum = (u8)(sum + *p - (u8)letter);
		done &= put(p, (u8)letter);
	}
	return put(block->table + CHECKSUM, sum) && done;
}

/* How many tables have the name; 0 with *why if one of them cannot be changed. */
static u32 count_tables(const struct acpi_blocks *found, const char **why)
{
	struct places places;
	u32 count = 0;

	*why = NULL;
	for (u32 i = 0; i < found->count; i++) {
		if (!find_places(&found->blocks[i], NAME, &places))
			*why = "a table has it where it may be no name";
		else if (places.count && !is_writable(&found->blocks[i], &places))
			*why = "a table does not take the change";
		count += places.count != 0;
	}
	if (found->overflow)
		*why = "there are too many tables";
	return *why ? 0 : count;
}

static void hide_s3(const u8 *rsdp, u32 rsdp_size, bool bios)
{
	static struct acpi_blocks found;
	struct places places;
	const char *why;
	char letter;
	u32 count;

	acpi_find_blocks(rsdp, rsdp_size, bios, &found);
	letter = free_letter(&found);
	count = count_tables(&found, &why);
	if (why || (count && !letter)) {
		log_warn("acpi: " NAME " stays as it is (%s): L1 is offered S3, which is refused",
			 why ? why : "no name is free");
		return;
	}
	for (u32 i = 0; i < found.count; i++) {
		if (!find_places(&found.blocks[i], NAME, &places) || !places.count)
			continue;
		if (!rename_places(&found.blocks[i], &places, letter))
			log_warn("acpi: a table did not take the change of " NAME);
	}
	if (count)
		log_info("acpi: S3 is not offered to L1 (" NAME " is %cS3_ in %u table%s)", letter, count,
			 count == 1 ? "" : "s");
}

/* "S4BIOS_F: indicates whether the platform supports S4BIOS_REQ" */
static void hide_s4bios(u8 *facs)
{
	if (facs && (facs[FACS_FLAGS] & FACS_S4BIOS) &&
	    !put(facs + FACS_FLAGS, facs[FACS_FLAGS] & (u8)~FACS_S4BIOS))
		log_warn("acpi: FACS does not take the change: L1 is offered S4BIOS, which is refused");
}

void acpi_hide_sleep(const u8 *rsdp, u32 rsdp_size, bool bios)
{
	u32 length;
	const u8 *fadt = acpi_find_fadt(rsdp, rsdp_size, bios, &length);

	if (!fadt)
		return;
	hide_s4bios(acpi_find_facs(fadt, length, false));
	hide_s4bios(acpi_find_facs(fadt, length, true));
	hide_s3(rsdp, rsdp_size, bios);
}
