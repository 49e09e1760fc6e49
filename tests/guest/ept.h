/* SPDX-License-Identifier: MIT */
/*
 * What the parts of the guest test "ept" share: an L2 whose accesses to one page, or to one page table, go
 * where a part wants them.
 */
#ifndef TESTS_GUEST_EPT_H
#define TESTS_GUEST_EPT_H

#include "tests/guest/lib/test.h"
#include "tests/guest/lib/vmx.h"

#define HIGH 0x8000000000ul	   /* behind the first PML4 entry */
#define TARGET_OFFSET 0x40201000ul /* entry 1 of each table */
#define VMCALL_NOP 0x90c1010fu
enum kind { READ, WRITE, FETCH, RMW, WALK, WALK_UPDATE, KINDS };
extern const char *const kind_names[];
extern const u8 ept_read[], ept_write[], ept_fetch[], ept_rmw[];

/* One L2 with a page at TEST_VA whose guest-physical address is `target`, or whose page table is there. */
struct target {
	struct vm vm;
	u64 target, page, table; /* guest-physical address; the pages in L1's memory */
	u64 large; /* 2 MiB of L1's for large pages, the page and the table within it at their offset */
	u64 eptp;
};

u32 physical_bits(void);
void create_target(struct target *t, bool ad);
/* The page lies within 2 MiB and 1 GiB of L1's memory at the offset that a large page of `level` gives it. */
void create_large(struct target *t, bool ad, u32 level);
/* TEST_VA leads to the target, or is translated by a table there. */
void aim(struct target *t, enum kind kind);
void map_target(struct target *t, u32 level, u64 flags, bool large);
void map_target_with(struct target *t, u32 level, u64 flags, bool large, u64 others);
/* INVEPT and one access. */
u32 attempt(struct target *t, enum kind kind);
void print_outcome(const struct target *t, u32 reason);

#endif
