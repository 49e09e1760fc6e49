/* SPDX-License-Identifier: MIT */
/*
 * EPT01 as one CPU alone has it, while it steps over memory that is not there.
 */
#ifndef VMX_EPT01_STEP_H
#define VMX_EPT01_STEP_H

#include "kernel/types.h"
#include "mm/addr.h"

struct vcpu;

#define EPT01_STEP_PAGES 16
#define EPT01_STEP_TABLES 24 /* below the root: for all of 4 GiB, or for eight places far apart */

/* All members: this CPU only. */
struct ept01_step {
	u64 *root;     /* constant after init; the other tables follow it */
	u32 tables;    /* of these: in use */
	u32 count;     /* 0: vmcs01, or vmcs02 of an L2 without EPT, runs on the common EPT01 */
	hpa_t scratch; /* what stands in for them */
	u64 pages[EPT01_STEP_PAGES];
};

void ept01_step_init(struct ept01_step *step);

/*
 * From the next entry on the guest of the current VMCS (L1, or an L2 without EPT) finds `scratch` at this
 * page too, or the page itself if it is a closed one, and this CPU alone does. False: no table can have this
 * address.
 */
bool ept01_step_add(struct vcpu *vcpu, gpa_t page, hpa_t scratch);

/* EPT01 has changed: what this CPU steps with follows, if it steps. */
void ept01_step_follow(struct vcpu *vcpu);

/* Back on the common EPT01, if it stepped. The VMCS of ept01_step_add() is the current one. */
void ept01_step_end(struct vcpu *vcpu);

#endif
