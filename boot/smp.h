/* SPDX-License-Identifier: MIT */
/*
 * The other processors: started one after the other by INIT and SIPI through the trampoline's page, which is
 * given back. Who they are, boot/roster.h says.  SDM: "Multiple-Processor (MP) Initialization".
 */
#ifndef BOOT_SMP_H
#define BOOT_SMP_H

#include "boot/roster.h"
#include "kernel/percpu.h"
#include "kernel/status.h"

/* Makes the records of all CPUs, this one first. */
void smp_create_cpus(const struct roster *roster);

/* Descriptor tables, stacks, IDT of the CPU that calls; its record exists. */
void smp_setup_this(struct percpu *cpu);

/*
 * Starts each AP; it runs `main` on its own stack and reports with smp_report().  The first status that is
 * not OK comes back; with unheld-cpus=allow, a CPU that does not come into VMX operation is left out with a
 * warning instead.  `counted`: how many had answered the census, for nobody must come after it.
 */
enum status smp_start(u32 counted, void (*main)(struct percpu *cpu));

/* AP: what became of its start. */
void smp_report(struct percpu *cpu, enum status status);

/*
 * One after the other: an AP of L1's that has reported waits for its turn, and ends it; the BSP has all take
 * theirs.
 */
void smp_await_turn(const struct percpu *cpu);
void smp_end_turn(void);
void smp_take_turns(void);

/* All CPUs that L1 has, and that are held, wait here for each other. */
void smp_barrier(void);

/* Top of the guarded stack of a CPU. */
u64 smp_stack_top(const struct percpu *cpu);

#endif
