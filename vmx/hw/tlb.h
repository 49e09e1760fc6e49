/* SPDX-License-Identifier: MIT */
/*
 * Invalidation of cached translations on this CPU: which instruction does it
 * on this processor. SDM: "Caching Translation Information".
 */
#ifndef VMX_TLB_H
#define VMX_TLB_H

#include "kernel/types.h"

/* Is a VPID used at all?  Constant after caps_init(). */
bool tlb_uses_vpid(void);

/* All translations derived from EPT pointer `eptp` (guest-physical and combined). */
void tlb_flush_ept(u64 eptp);
void tlb_flush_ept_all(void);

/* Linear and combined translations tagged with `vpid`; one linear address of it. No-ops without VPIDs. */
void tlb_flush_vpid(u16 vpid);
void tlb_flush_vpid_keep_globals(u16 vpid);
void tlb_flush_vpid_address(u16 vpid, u64 linear);

/*
 * What MOV to CR3 or a paging-mode change flushes: everything of the VPID of the current VMCS, which is that
 * of the guest that runs now.
 */
void tlb_flush_guest(void);

#endif
