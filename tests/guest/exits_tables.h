/* SPDX-License-Identifier: MIT */
/*
 * L1's own descriptor tables between exits of its L2's, for the guest test "exits": two sets of them, and
 * what says which are there. All use `vm_a`, whose host has set A, and which L1 lets run for long at first.
 */
#ifndef TESTS_GUEST_EXITS_TABLES_H
#define TESTS_GUEST_EXITS_TABLES_H

#include "tests/guest/exits.h"

enum {
	CALM = 12, /* exits between changes */
	SEL_LDT = SEL_FREE,
	SEL_TSS2 = SEL_FREE + 16,
};

struct host {
	u64 gdt, idt, tss, tr;
};

struct seen {
	struct table_register gdt, idt;
	u16 ldt, tr;
};

extern struct vm vm_a;
extern struct host host_a, host_b;

void tables_prepare(void);
void tables_clean_up(void);
void tables_add_descriptors(u64 *gdt, u64 tss); /* an LDT of 37H bytes and a second TSS in this GDT */
void run_rounds(struct vm *vm, u32 rounds);
void let_user_run(const u8 *code);
/* By instructions that no control makes exit, and by those that may. */
bool tables_unseen_are(const struct host *host);
struct seen tables_look(void);
bool tables_seen_are(const struct host *host);

#endif
