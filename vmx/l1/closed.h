/* SPDX-License-Identifier: MIT */
/*
 * Pages of L1's memory that L0 keeps closed to a kind of access, so that it sees each such access, by L1 or
 * by an L2: breakpoints and watchpoints of vmx/monitor. EPT01 lacks the permission there, and so does every
 * EPT02, which is composed with it. Who may pass is stepped over the page as it is by the monitor trap flag,
 * in tables of that CPU's own: no other CPU ever finds it open.
 * SDM: "EPT Violations", "Monitor Trap Flag".
 */
#ifndef VMX_CLOSED_H
#define VMX_CLOSED_H

#include "mm/addr.h"

struct vcpu;

#define CLOSED_MAX 16u

/* Any CPU, atomic: written while the machine stands still. */
extern u32 closed_count;
u32 closed_bits_of(u64 gpa);

/* The permissions (EPT_RWX) that the page around `gpa` is closed to. */
static inline u32 closed_bits(u64 gpa)
{
	return unlikely(READ_ONCE(closed_count)) ? closed_bits_of(gpa) : 0;
}

/* Page `row` of the list, open ones among them; false past the last. */
bool closed_page(u32 row, u64 *page);

/* The list alone: passthru_close() changes EPT01 with it. False: there are too many such pages. */
bool closed_note(u64 page, u32 bits);

/*
 * BSP, once: who is asked when the guest that runs now (L1 or L2) would touch such a page. True: the access
 * is to be made, by one step; false: the guest stays in front of it.
 */
typedef bool (*closed_asked)(struct vcpu *vcpu, gpa_t gpa, u32 access);
void closed_ask(closed_asked function);

/* Of an exit in hand, for a page with closed_bits() & access. */
bool closed_may_pass(struct vcpu *vcpu, gpa_t gpa, u32 access);

#endif
