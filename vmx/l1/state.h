/* SPDX-License-Identifier: MIT */
/*
 * What a vCPU knows of the machine that L1 owns where no VMCS says it. The files of vmx/l1 that are named
 * here look after their own part.
 */
#ifndef VMX_L1_STATE_H
#define VMX_L1_STATE_H

#include "kernel/types.h"
#include "vmx/l1/absent.h"
#include "vmx/l1/ept01_step.h"
#include "vmx/l1/mtrr.h"

/* All members: this CPU only. */
struct l1 {
	u64 feature_control;	      /* as L1 reads and writes IA32_FEATURE_CONTROL: exit_msr.c */
	u64 cr0_shadow, cr4_shadow;   /* what the read shadows of vmcs01 hold: CR0 and CR4 as L1 wrote them:
					 exit_cr.c */
	struct mtrr mtrr;	      /* L1's MTRRs */
	u64 ram_base, ram_size;	      /* a range of L1's RAM, where guest_mem.c looks first */
	u64 ram_pages;		      /* of it: offsets from which a whole page is in it, or 0 */
	const u8 *ram_at;	      /* where L0 has it */
	struct absent absent;	      /* an access to absent memory is being stepped over */
	struct ept01_step ept01_step; /* EPT01 for that, of L1's accesses and of an L2's without EPT */
};

#endif
