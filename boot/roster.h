/* SPDX-License-Identifier: MIT */
/*
 * Who is who among the processors: which ones L1 gets, and which ones are only held (parked), by what ACPI
 * names, what answered, what the user wants.
 */
#ifndef BOOT_ROSTER_H
#define BOOT_ROSTER_H

#include "boot/census.h"
#include "drivers/srat.h"
#include "kernel/percpu.h"
#include "kernel/status.h"

struct roster {
	u32 count;		 /* all that Socle takes into VMX operation, this CPU among them */
	u32 usable;		 /* the first ones, which L1 gets; the rest is parked */
	u32 apic_id[PERCPU_MAX]; /* this CPU's first, each once */
	u32 node[PERCPU_MAX]; /* of each; SRAT_NO_NODE: not known, or parked, with little memory anywhere */
};

/*
 * `self` is the APIC ID of this CPU, `limit` the value of cpus= (0: none). What a table names is L1's, what
 * answered besides is parked; where no table names any, all that answered is L1's.
 */
enum status roster_make(const struct acpi_cpus *named, const struct census *answered, u32 self, u32 limit,
			struct roster *out);

/* Whose processor is on which NUMA node; a line for each thing in which the tables do not agree. */
void roster_place(struct roster *roster, const struct srat *srat);

#endif
