/* SPDX-License-Identifier: MIT */
/*
 * VM-entry MSR load, VM-exit MSR store and load lists.
 * SDM: "Loading MSRs", "Saving MSRs".
 */
#ifndef VMX_NESTED_ENTRY_MSR_AREA_H
#define VMX_NESTED_ENTRY_MSR_AREA_H

#include "vmx/guest/vcpu.h"

enum msr_list { LIST_ENTRY_LOAD, LIST_EXIT_STORE, LIST_EXIT_LOAD };

/* Returns 0, or the index (from 1) of the entry that failed. */
u32 msr_area_run(struct vcpu *vcpu, enum msr_list list, u64 gpa, u32 count);
/* vmcs02 is current and about to be entered: has the processor take the time of L2's exits, if L1's MSR-store
 * list asks for it.  msr_area_init_slot(): it is made anew. */
void msr_area_merge(struct vcpu *vcpu, struct nested_vmcs *slot);
void msr_area_init_slot(struct nested_vmcs *slot);

#endif
