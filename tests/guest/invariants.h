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

/*
 * invariants_walk.c: page walks of L2 that L1 makes, as an instruction emulator has to, from the state in the
 * VMCS.
 */
struct paging {
	u64 cr0, cr3, cr4, efer, pdpte[4];
};

enum { WALK_WRITE = 2, WALK_FETCH = 16 }; /* as in a page fault's error code */
#define WALK_OK 0xffffffffu

void paging_of_l2(struct paging *p);				      /* of the VMCS that is current */
u32 l2_walk(const struct paging *p, u64 linear, u32 access, u64 *pa); /* WALK_OK, or the error code */
u64 exit_operand(const struct vm *vm, u32 reason); /* the linear address of an exit's memory operand */
u32 *identity32(void);				   /* 32-bit tables of 4 KiB pages, 32 MiB, supervisor only */
u64 *identity_wide(void);			   /* a page directory in the other format for the same */
u64 *pte_wide(u64 *directory, u64 linear);

/* invariants_window.c: pages of L2 at WINDOW whose entries differ in what the paging role decides. */
#define WINDOW 0xc0000000u
enum { READ_ONLY, USER, NO_EXECUTE, LARGE, WINDOW_PAGES }; /* what differs between the pages at WINDOW */
enum { AT_DATA = 0x100, AT_CODE = 0x200, AT_TSS = 0x300 };

/* Two sets of pages; the PDPTE that L2 changes before it writes the bit leads from A to B. */
struct world {
	u8 *code;
	u32 scratch, *pages[3]; /* behind pdpte_a, pdpte_b, and the 4 MiB page */
	u64 cr3_32, cr3_pae, cr3_64, *pdpt, pdpte_a, pdpte_b;
};

void window_make(struct world *w);
u32 window_mark(u64 pa); /* that of the page at `pa`, at its data or its code */

/* invariants.c: what can come between a load of PDPTEs and the next instruction, made pending in L2's state.
 */
enum intervener { NOTHING, MTF, TRAP_FLAG, STI_WINDOW, NMI_WINDOW, INTERRUPT, NMI, INTERVENERS };
extern const char *const intervener_names[INTERVENERS];
bool intervener_set(struct vm *vm, enum intervener what); /* false: the processor cannot */
void intervener_clear(enum intervener what);

/* invariants_pf.c: page faults that exit, by bit 14 of the exception bitmap, mask and match. */
struct triple {
	u32 eb, mask, match;
};

/* Socle's debug call: L0's own wish for page faults, from now on, or by turns with the present one. */
void l0_wish(const struct triple *t, bool by_turns);

#endif
