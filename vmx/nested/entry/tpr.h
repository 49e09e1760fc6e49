/* SPDX-License-Identifier: MIT */
/*
 * L2's task-priority register, where L0 looks after it.
 */
#ifndef VMX_NESTED_ENTRY_TPR_H
#define VMX_NESTED_ENTRY_TPR_H

#include "kernel/x86.h"
#include "vmx/guest/vcpu.h"

/* L2's writes to its TPR are L0's to make. */
static inline bool tpr_is_l0s(const struct nested_vmcs *slot)
{
	return slot->tpr_relaxed || (slot->stand_ins & BIT(STAND_IN_APIC));
}
/* The MSR bitmap has been merged: the TPR's MSR joins it if it is L0's. */
void tpr_prepare(struct nested_vmcs *slot);
/* The processor refused vmcs02. True: it may have been L1's threshold, which L0 looks after from now on. */
bool tpr_relax(struct vcpu *vcpu);
/* L2 ends: the processor's part again. */
void tpr_restore(struct nested_vmcs *slot);
/* An exit of L2's that L1 does not want, while tpr_is_l0s(). OUTCOME_NONE: it was no write to the TPR. */
enum outcome tpr_emulate(struct vcpu *vcpu);
/* True if an exit follows directly upon the entry, because the virtual TPR is below its threshold. */
bool nested_exits_by_tpr(struct vcpu *vcpu, const struct vmcs12 *v12);

#endif
