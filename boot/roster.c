/* SPDX-License-Identifier: MIT */
/*
 * See boot/roster.h. On the bare processor L1 could start any processor that answers an INIT and a SIPI.
 * Those that firmware keeps from operating systems stay kept; without a table nobody says which those are.
 */
#include "boot/roster.h"

#include "kernel/bits.h"
#include "kernel/log.h"

/* Counts on beyond the array, for the message. */
static void add(struct roster *out, u32 apic_id)
{
	for (u32 i = 0; i < MIN(out->count, (u32)PERCPU_MAX); i++)
		if (out->apic_id[i] == apic_id)
			return;
	if (out->count < PERCPU_MAX)
		out->apic_id[out->count] = apic_id;
	out->count++;
}

/* Which answered first is chance; which ones L1 gets must not be. */
static void sort(struct roster *out, u32 from)
{
	for (u32 i = from + 1; i < out->count; i++) {
		u32 apic_id = out->apic_id[i], at = i;

		for (; at > from && out->apic_id[at - 1] > apic_id; at--)
			out->apic_id[at] = out->apic_id[at - 1];
		out->apic_id[at] = apic_id;
	}
}

enum status roster_make(const struct acpi_cpus *named, const struct census *answered, u32 self, u32 limit,
			struct roster *out)
{
	bool names_self = !named->count;

	out->count = 0;
	add(out, self);
	for (u32 i = 0; i < MIN(named->count, (u32)ACPI_CPU_MAX); i++) {
		names_self |= named->apic_id[i] == self;
		add(out, named->apic_id[i]);
	}
	if (!names_self)
		log_warn("acpi: MADT: the processor that runs, with APIC ID %x, is not named", self);
	out->usable = out->count;
	for (u32 i = 0; i < MIN(answered->count, (u32)TRAMPOLINE_ID_MAX); i++)
		add(out, answered->apic_id[i]);
	if (named->count > ACPI_CPU_MAX)
		out->count = MAX(out->count, named->count);
	if (answered->count > TRAMPOLINE_ID_MAX)
		out->count = MAX(out->count, answered->count + 1);
	if (out->count > PERCPU_MAX)
		return status_with(STATUS_MANY_CPUS, "%u", out->count);
	sort(out, out->usable);
	if (!named->count)
		out->usable = out->count;
	if (limit > out->usable)
		return status_with(STATUS_TOO_MANY_CPUS, "%u asks for more than the %u that the machine has",
				   limit, out->usable);
	if (limit)
		out->usable = limit;
	return STATUS_OK;
}

static bool is_there(const struct roster *roster, u32 apic_id)
{
	for (u32 i = 0; i < roster->count; i++)
		if (roster->apic_id[i] == apic_id)
			return true;
	return false;
}

void roster_place(struct roster *roster, const struct srat *srat)
{
	u32 nowhere = 0, strangers = 0;

	for (u32 i = 0; i < roster->count; i++)
		roster->node[i] = SRAT_NO_NODE;
	for (u32 i = 0; i < roster->usable; i++) {
		roster->node[i] = srat_node_of(srat, roster->apic_id[i]);
		nowhere += roster->node[i] == SRAT_NO_NODE;
	}
	for (u32 i = 0; i < srat->cpu_count; i++)
		strangers += !is_there(roster, srat->cpus[i].apic_id);
	if (srat->node_count && nowhere)
		log_warn("acpi: SRAT: %u of L1's processors are in no domain", nowhere);
	if (strangers)
		log_warn("acpi: SRAT: %u processors in it are not there", strangers);
}
