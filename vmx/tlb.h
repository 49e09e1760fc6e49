/* SPDX-License-Identifier: MIT */
/*
 * The translations that this CPU's processor has cached: INVEPT and INVVPID
 * with the widest type that the processor has where it lacks the exact one.
 * Who must flush what, and when, is the caller's.
 * SDM: "Caching Translation Information".
 */
#ifndef VMX_TLB_H
#define VMX_TLB_H

#include "kernel/types.h"

/* Guest-physical and combined mappings of one EPT pointer (its bits 51:12), of all. */
void tlb_flush_ept(u64 eptp);
void tlb_flush_ept_all(void);

/* Linear and combined mappings of one VPID (not 0): all, all but global ones, those of one address; of all VPIDs but 0. */
void tlb_flush_vpid(u16 vpid);
void tlb_flush_vpid_keep_globals(u16 vpid);
void tlb_flush_vpid_address(u16 vpid, u64 linear);
void tlb_flush_vpid_all(void);

#endif
