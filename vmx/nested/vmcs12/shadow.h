/* SPDX-License-Identifier: MIT */
/*
 * VMCS shadowing by the processor: which fields L1 reads and writes without an exit, and how v12 follows.
 * SDM: "VMCS Shadowing".
 */
#ifndef VMX_NESTED_VMCS12_SHADOW_H
#define VMX_NESTED_VMCS12_SHADOW_H

#include "vmx/guest/vcpu.h"

void shadow_init(void); /* makes the VMREAD bitmap of vmcs01 from the table */
void shadow_init_cpu(struct vcpu *vcpu);
void shadow_init_slot(struct vcpu *vcpu,
		      struct nested_vmcs *slot); /* makes the shadow VMCS, and leaves it current */
void shadow_enable(
	struct vcpu *vcpu); /* at VMXON and at its end: sets the control bit of vmcs01, which is loaded */
void shadow_disable(struct vcpu *vcpu);
void shadow_link(struct vcpu *vcpu,
		 struct nested_vmcs *slot); /* `slot` becomes L1's current VMCS (NULL: none): sets the link
					       pointer of vmcs01, which is loaded */
/*
 * Fetches all that L1 wrote in the shadow VMCS into v12, and marks it in `changed` and `dirty`. Before
 * anybody looks at v12.
 */
void shadow_pull(struct vcpu *vcpu, struct nested_vmcs *slot);
/* The same for the fields that an entry looks at. Leaves the shadow VMCS current, or vmcs01. */
void shadow_pull_for_entry(struct vcpu *vcpu, struct nested_vmcs *slot);
/*
 * Writes the fields of `to_push` from v12 into the shadow VMCS. Before L1 runs. Leaves the shadow VMCS
 * current if there was anything to write.
 */
void shadow_push(struct vcpu *vcpu, struct nested_vmcs *slot);
/*
 * True if the shadow VMCS must have the row as v12 has it: the row is shadowed, and L1 cannot have written
 * it there unseen.
 */
bool shadow_must_hold(const struct vcpu *vcpu, const struct nested_vmcs *slot, unsigned int row);
/* Notes that L1 has written a shadowed row by a VMWRITE that exited. */
void shadow_written(struct nested_vmcs *slot, unsigned int row);

#endif
