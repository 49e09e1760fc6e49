/* SPDX-License-Identifier: MIT */
/*
 * The processors, from the MADT.  See drivers/acpi.h.  ACPI specification: "Multiple APIC Description Table".
 */
#include "drivers/acpi.h"
#include "kernel/bits.h"
#include "kernel/log.h"

#define ENTRIES 44
#define LOCAL_APIC 0
#define LOCAL_APIC_SIZE 8u
#define LOCAL_X2APIC 9
#define LOCAL_X2APIC_SIZE 16u
#define WAKEUP 0x10
#define TYPE_LAST 0x1b /* of ACPI 6.6 */
#define TYPE_OEM 0x80  /* from here on each maker's own */
#define ENABLED 1u
#define XAPIC_ID_ALL 0xffu
#define X2APIC_ID_ALL 0xffffffffu

static void cpu_add(struct acpi_cpus *out, u32 apic_id)
{
	for (u32 i = 0; i < MIN(out->count, (u32)ACPI_CPU_MAX); i++)
		if (out->apic_id[i] == apic_id) {
			out->twice++;
			return;
		}
	if (out->count < ACPI_CPU_MAX)
		out->apic_id[out->count] = apic_id;
	out->count++;
}

/* A processor's entry that is longer than it should be is read as far as it is known. */
static bool fits(u32 size, u32 wanted, struct acpi_cpus *out)
{
	out->odd += size != wanted;
	return size >= wanted;
}

static void entry_read(const u8 *e, u32 size, struct acpi_cpus *out)
{
	switch (e[0]) {
	case LOCAL_APIC:
		if (fits(size, LOCAL_APIC_SIZE, out) && (acpi_get32(e + 4) & ENABLED) && e[3] != XAPIC_ID_ALL)
			cpu_add(out, e[3]);
		break;
	case LOCAL_X2APIC:
		if (fits(size, LOCAL_X2APIC_SIZE, out) && (acpi_get32(e + 8) & ENABLED) &&
		    acpi_get32(e + 4) != X2APIC_ID_ALL)
			cpu_add(out, acpi_get32(e + 4));
		break;
	case WAKEUP: out->mailbox = true; break;
	case TYPE_LAST + 1 ... TYPE_OEM - 1:
		if (!out->unknown++)
			out->unknown_type = e[0];
		break;
	}
}

void acpi_find_cpus(const u8 *rsdp, u32 rsdp_size, bool bios, struct acpi_cpus *out)
{
	u32 length;
	const u8 *madt = acpi_find_table(rsdp, rsdp_size, bios, "APIC", &length);

	out->count = out->twice = out->odd = out->unknown = 0;
	out->mailbox = false;
	out->trouble = NULL;
	if (!madt)
		out->trouble = rsdp_size || bios ? "no table of the processors (MADT) that can be read"
						 : "the boot loader gave no pointer to the tables (RSDP)";
	for (u32 at = ENTRIES; madt && at < length;) {
		u32 size = length - at > 1 ? madt[at + 1] : 0;

		if (size < 2 || size > length - at) {
			out->trouble =
				"the table of the processors (MADT) is damaged behind those that are taken";
			return;
		}
		entry_read(madt + at, size, out);
		at += size;
	}
	if (madt && !out->count)
		out->trouble = "the table of the processors (MADT) names none";
}

void acpi_report_cpus(const struct acpi_cpus *cpus)
{
	if (cpus->trouble)
		log_warn("acpi: %s", cpus->trouble);
	if (cpus->odd)
		log_warn("acpi: MADT: %u entries of processors have a wrong length; too short ones are not "
			 "taken",
			 cpus->odd);
	if (cpus->twice)
		log_warn("acpi: MADT: %u entries name a processor that another one has named", cpus->twice);
	if (cpus->unknown)
		log_warn("acpi: MADT: %u entries are of unknown types (the first of %xH)", cpus->unknown,
			 cpus->unknown_type);
	if (cpus->mailbox)
		log_warn(
			"acpi: MADT: the firmware has a mailbox to start processors by; Socle starts them by "
			"INIT and SIPI");
}
