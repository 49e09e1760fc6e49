/* SPDX-License-Identifier: MIT */
/*
 * The page below 1 MiB in which other processors start (trampoline.S): L0's from the first SIPI until no
 * processor can be in it any more, then L1's again as it was. Who is started, and when, is census.c's and
 * smp.c's. SDM: "Multiple-Processor (MP) Initialization".
 */
#ifndef BOOT_TRAMPOLINE_H
#define BOOT_TRAMPOLINE_H

#define TRAMPOLINE_ID_MAX 512

#ifndef __ASSEMBLER__
#include "kernel/types.h"

#define TRAMPOLINE_NOBODY 0xffffffffu

/* In the page itself; trampoline.S knows the layout. */
struct trampoline {
	u64 stack, function, argument, cr3; /* BSP, while `wanted` is nobody */
	u32 wanted;			    /* BSP: the APIC ID that goes on; all others count themselves */
	u32 count; /* any CPU, atomic: those that did, may be more than TRAMPOLINE_ID_MAX */
	u32 apic_id[TRAMPOLINE_ID_MAX]; /* any CPU, each its own entry */
};

/*
 * Boot only, BSP, after window_relocate(). Chooses the page and fills it; the processors that start go by the
 * page tables that this CPU is on. Once it is done, the same page is handed out. NULL: there is no page.
 */
struct trampoline *trampoline_take(void);

/* Number of the page, as a SIPI has it, after trampoline_take(). */
u8 trampoline_page(void);

/* What was in the page before is there again. */
void trampoline_give_back(void);
#endif

#endif
