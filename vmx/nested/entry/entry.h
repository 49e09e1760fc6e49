/* SPDX-License-Identifier: MIT */
/*
 * VM entry of L1's.
 * SDM: "VM Entries".
 */
#ifndef VMX_NESTED_ENTRY_ENTRY_H
#define VMX_NESTED_ENTRY_ENTRY_H

#include "vmx/guest/vcpu.h"
#include "vmx/nested/entry/check.h"
#include "vmx/nested/vmcs12/vmcs12.h"

/* VMLAUNCH or VMRESUME of L1, whose permission has been checked. OUTCOME_RESUME: L2 is what runs next. */
enum outcome nested_enter(struct vcpu *vcpu, bool launch);
/* An INIT that was held while L1 was in VMX root operation ends L2. */
enum outcome nested_take_init(struct vcpu *vcpu);
/* SDM: without EPT, an entry to PAE paging loads the PDPTEs from memory. */
static inline bool entry_loads_pdptes(const struct vmcs12 *v12)
{
	return unlikely(!v12_has_proc2(v12, PROC2_EPT)) && v12_pae_paging(v12);
}
/* What the checks of this vmcs12 are made against. Any VMCS is current, and stays so. */
struct check_env entry_env(struct vcpu *vcpu, const struct nested_vmcs *slot);
/* From L1 to L2: vmcs02 becomes current, and L2 what runs next. */
void entry_switch(struct vcpu *vcpu, struct nested_vmcs *slot, bool launch);

#endif
