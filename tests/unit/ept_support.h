/* SPDX-License-Identifier: MIT */
/*
 * What the tests of an L2 on an EPT12 share: where its tables lie, an L2 that runs on them, what it touches,
 * and what the tables that it really runs on say.
 */
#ifndef TESTS_UNIT_EPT_SUPPORT_H
#define TESTS_UNIT_EPT_SUPPORT_H

#include "tests/unit/l2_support.h"

#define P_PML4 P_EPT
#define P_PDPT (P_EPT + 0x1000)
#define P_PD (P_EPT + 0x2000)
#define P_PT (P_EPT + 0x3000)
#define BASE 0x40000000ull /* of the 2 MiB that P_PT maps */
#define FRAMES (M_SPARE + 0x400000)
#define WB (MEMTYPE_WB << EPT_MEMTYPE_SHIFT)
#define TRANSLATED (EPTV_LINEAR_VALID | EPTV_TRANSLATED)

/* Before the machine starts: its processor tells user mode from supervisor mode in EPT. */
void processor_with_mode_based_execute(void);

/* A valid VMCS and its tables: 1 GiB as it is, and P_PT, which is left alone; these bits in links and leaf.
 */
void ept_make(u64 links, u64 leaf);
/* P_PT: the pages from `frames` on, with these bits. */
void ept_fill_table(u64 table, u64 frames, u64 bits);
/* L2 runs on them: with these bits of the EPT pointer and these secondary controls besides. */
void ept_run(u64 flags, u64 proc2);
void ept_resume(void);
/* L2 touches what EPT02 does not have, and goes on. */
void ept_touch(u64 gpa, u64 access);

/* What a walk of the tables that L2 runs on finds; it ends at an entry without permissions. */
struct ept02_found {
	u64 permissions;    /* the AND of all entries; 0: one is missing */
	u64 flags;	    /* the AND of their accessed flags */
	u64 entry;	    /* the last one */
	unsigned int level; /* of it, 1 to 4 */
};
struct ept02_found ept02_look(u64 gpa);
/* The leaf, or 0: as the processor would walk it. */
u64 ept02_leaf(u64 gpa);
/* What L2 may do there without asking: the AND of the entries, 0 if one is missing. */
u64 ept02_allowed(u64 gpa);

#endif
