/* SPDX-License-Identifier: MIT */
/*
 * A model of the processor for EPT02: several CPUs, each with a TLB and paging-structure caches that keep
 * whatever they may, an L1 that edits EPT12, hostile entries included. A translation that L2 gets must be one
 * that EPT12 gave at some moment since the CPU's last INVEPT; a fault that L1 gets must be the one of EPT12
 * as it is now. A program that has it (the test ept02, the fuzzer ept02) has ept_model.c's stand-ins in place
 * of the rest of Socle, and chooses the steps.
 */
#ifndef TESTS_UNIT_EPT_MODEL_H
#define TESTS_UNIT_EPT_MODEL_H

#include "vmx/nested/ept/ept.h"

#define MODEL_CPUS 3
#define MODEL_ROLES 10
#define MODEL_TABLES 48
#define MODEL_TABLE_BASE 0x10000000ull

struct model_role {
	u64 eptp;
	bool user_exec;
};

extern u64 model_memory[MODEL_TABLES][EPT_ENTRIES]; /* L1's, with EPT12s */
extern struct vcpu model_vcpus[MODEL_CPUS];
extern struct model_role model_roles[MODEL_ROLES];
extern unsigned int model_cpu_count; /* that take part, MODEL_CPUS at most; set before model_build() */
extern unsigned int model_cpu;	     /* that acts now */
extern u64 model_now;		     /* steps so far */

/* A new world: its seed, EPT02's budget in tables, the share of it that an INVEPT compares at once. */
void model_build(u64 seed, u64 tables, u32 share);
void model_free(void);
/* L1 changes an entry of an EPT12. */
void model_edit(void);
/* One step of L1, L2 or L0; with `alone` the CPUs keep to one EPT12. */
void model_step(bool alone);
void model_run_input(const u8 *data, size_t size);
/* Each table of EPT02 is free or in one place. */
void model_check_cache(struct ept02_cache *cache);
/* What all worlds together have seen, on stdout. */
void model_print_counts(void);

#endif
