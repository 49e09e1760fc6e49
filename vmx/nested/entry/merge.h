/* SPDX-License-Identifier: MIT */
/*
 * Makes vmcs02 out of vmcs12 and of what L0 needs. vmcs02 is current in all of these but
 * nested_update_intercepts().
 */
#ifndef VMX_NESTED_ENTRY_MERGE_H
#define VMX_NESTED_ENTRY_MERGE_H

#include "vmx/guest/vcpu.h"

/* L1's own registers that L2 starts with where vmcs12's entry controls do not load them. */
struct l1_state {
	u64 efer, dr7, debugctl, pat;
};
void merge_vmcs02(struct vcpu *vcpu, struct nested_vmcs *slot,
		  const struct l1_state *l1); /* all of it; writes only what changed */
/*
 * Looks at all on which EPT pointer and VPID depend. If they stand in vmcs02, an entry that L1 has changed no
 * controls for need not look again (slot->translation) before one of these: an entry that made them anew, of
 * whichever slot; INVEPT; INVVPID of all; an EPT violation that L1 may repair; the end of an EPT02.
 */
void merge_translation(struct vcpu *vcpu,
		       struct nested_vmcs *slot); /* EPT pointer and VPID; also after an INVEPT or reclaim
						     while L2 is entered */
void merge_exception_bitmap(struct vcpu *vcpu, struct nested_vmcs *slot);
/* Parts of merge_vmcs02(), for an entry that changes little (entry_fast.c). */
void merge_proc_controls(struct vcpu *vcpu, struct nested_vmcs *slot);
void merge_single_groups(struct vcpu *vcpu, struct nested_vmcs *slot, u32 dirty);
/* merge_state.c: of merge_vmcs02() and, the last four, of entry_fast.c. */
void merge_registers(struct vcpu *vcpu, struct nested_vmcs *slot, const struct l1_state *l1);
void merge_pdptes(struct vcpu *vcpu, struct nested_vmcs *slot);
u64 merge_guest_efer(const struct vmcs12 *v12, const struct l1_state *l1);
u64 merge_guest_debugctl(const struct vmcs12 *v12, const struct l1_state *l1);
u64 merge_loaded_dr7(u64 field);
void merge_injection(struct vcpu *vcpu, const struct vmcs12 *v12);

/* #PF interception as one value: exit iff ((PFEC & mask) == match) == eb. */
struct pf_intercept merge_pf(struct pf_intercept l0, struct pf_intercept l1);
bool pf_intercept_wants(struct pf_intercept p, u32 pfec);

/*
 * After L0's wishes changed (intercept=): each slot merges its controls anew at its next entry. Of an L2 that
 * runs, struct guest's write_exceptions() writes the exception bitmap at once.
 */
void nested_update_intercepts(struct vcpu *vcpu);

#endif
