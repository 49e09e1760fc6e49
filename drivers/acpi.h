/* SPDX-License-Identifier: MIT */
/*
 * ACPI's tables, and the processors from its MADT.  Tables are untrusted:
 * every length is checked, and nothing outside RAM and firmware tables below
 * 4 GiB (or RAM above) is read.  ACPI specification: "Root System Description
 * Pointer", "Multiple APIC Description Table".
 */
#ifndef DRIVERS_ACPI_H
#define DRIVERS_ACPI_H

#include "kernel/types.h"

#define ACPI_CPU_MAX 512
#define ACPI_HEADER_SIZE 36u

struct acpi_cpus {
	u32 count;		   /* 0: no MADT, or none that makes sense; may be more than ACPI_CPU_MAX */
	u32 apic_id[ACPI_CPU_MAX]; /* enabled ones, each once, in the table's order */
	const char *trouble;	   /* what is wrong with the tables, for a line; NULL: nothing */
	u32 twice;		   /* enabled entries that name a processor again */
	u32 odd;		   /* entries of processors whose length is not the specification's */
	u32 unknown;		   /* entries of types that no specification known here has, */
	u8 unknown_type;	   /* and the first such type */
	bool mailbox;		   /* the firmware has a mailbox to start processors by */
};

/*
 * `rsdp` is the boot loader's copy of the RSDP (`rsdp_size` 20 or 36 bytes),
 * or NULL with 0: then it is looked for where a BIOS has it, if `bios`.
 * Boot only, with the direct map in place.
 */
void acpi_find_cpus(const u8 *rsdp, u32 rsdp_size, bool bios, struct acpi_cpus *out);
/* A warning for each thing in them that is odd. */
void acpi_report_cpus(const struct acpi_cpus *cpus);

/*
 * A warning for each thing in which the root tables contradict each other or themselves, for each table that
 * cannot be read, and for each wrong checksum; so many lines at most. Socle goes on with what it has. Boot
 * only, with all memory in the direct map.
 */
#define ACPI_REVIEW_LINES 16u
void acpi_review(const u8 *rsdp, u32 rsdp_size, bool bios);

/*
 * A whole table by its signature, the same way; NULL if there is none. `*length` is its length; its
 * contents are as untrusted as its checksum, which is not asked for.  Boot only.
 */
const u8 *acpi_find_table(const u8 *rsdp, u32 rsdp_size, bool bios, const char *signature, u32 *length);
/* The same for one of several: those of the XSDT first, then those of the RSDT, which may be the same again.
 */
const u8 *acpi_find_table_of(const u8 *rsdp, u32 rsdp_size, bool bios, const char *signature, u32 index,
			     u32 *length);
/* The table at this address, which another table names; `signature` may be NULL: any. */
const u8 *acpi_table_at(u64 pa, const char *signature, u32 *length);

/* Where the root tables are, by the RSDP. False: there is none. */
struct acpi_roots {
	u64 rsdt, xsdt;		 /* 0: none */
	const char *why_no_xsdt; /* though the RSDP is of a revision that has one; else NULL */
	bool copy_damaged;	 /* the loader's RSDP is none */
};
bool acpi_find_roots(const u8 *rsdp, u32 rsdp_size, bool bios, struct acpi_roots *out);

bool acpi_sum_is_zero(const u8 *p, u32 size);

/* Little-endian, at any address. */
u32 acpi_get32(const u8 *p);
u64 acpi_get64(const u8 *p);

#endif
