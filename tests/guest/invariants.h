/* SPDX-License-Identifier: MIT */
/*
 * What the parts of the guest test "invariants" share: page tables of a PAE guest that are 32-bit tables too.
 */
#ifndef TESTS_GUEST_INVARIANTS_H
#define TESTS_GUEST_INVARIANTS_H

#include "tests/guest/lib/test.h"
#include "tests/guest/lib/vmx.h"

enum { IRQ = 0x61, MARK_A = 0xaaaa1111, MARK_B = 0xbbbb2222 };

/*
 * Page tables of a PAE guest whose fourth PDPTE leads to mark A or mark B at C0000000. The first 32 MiB are
 * at their own addresses and at ALIAS; at ALIAS the same page is a 32-bit page directory too, so that code
 * there may switch CR4.PAE with paging on. (Not below 32 MiB: the processor would set the accessed bit,
 * reserved in a PDPTE.)
 */
#define ALIAS 0x40000000ul

struct pae_tables {
	u64 *pdpt, *pd, *pd_a, *pd_b;
};

void pae_make(struct pae_tables *t);
void pae_guest(struct vm *vm, const struct pae_tables *t, u64 flags, const void *code);
void pae_use_alias(struct vm *vm);

/* invariants_hlt.c: NMIs are blocked for L1 as after an exit by one, and another waits for the next entry. */
void nmi_block_and_hold(void);
void nmi_unblock(void);

#endif
