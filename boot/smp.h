/* SPDX-License-Identifier: MIT */
/*
 * The other processors: started one after the other by INIT and SIPI through
 * a page below 1 MiB that is given back.  SDM: "Multiple-Processor (MP) Initialization".
 */
#ifndef BOOT_SMP_H
#define BOOT_SMP_H

#include "drivers/acpi.h"
#include "kernel/percpu.h"
#include "kernel/status.h"

/* Whether Socle can take all CPUs into VMX operation, and `limit` (0: none) of them are there. */
enum status smp_check(const struct acpi_cpus *found, u32 limit);

/* Makes the records of all CPUs, this one first; `limit` (0: none) parks the rest. smp_check() has passed. */
void smp_create_cpus(const struct acpi_cpus *found, u32 limit);

/* Descriptor tables, stacks, IDT of the CPU that calls; its record exists. */
void smp_setup_this(struct percpu *cpu);

/*
 * Starts each AP; it runs `main` on its own stack and reports with
 * smp_report().  The first status that is not OK comes back.
 */
enum status smp_start(void (*main)(struct percpu *cpu));

/* AP: what became of its start. */
void smp_report(struct percpu *cpu, enum status status);

/* All CPUs that L1 has wait here for each other. */
void smp_barrier(void);

/* Top of the guarded stack of a CPU. */
u64 smp_stack_top(const struct percpu *cpu);

#endif
