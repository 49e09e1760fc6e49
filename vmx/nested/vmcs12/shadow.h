/* SPDX-License-Identifier: MIT */
/*
 * VMCS shadowing by the processor: which fields L1 reads and writes without an exit, and how v12 follows.
 * SDM: "VMCS Shadowing".
 */
#ifndef VMX_NESTED_VMCS12_SHADOW_H
#define VMX_NESTED_VMCS12_SHADOW_H

#include "vmx/guest/vcpu.h"

void shadow_init(void); /* the VMREAD and VMWRITE bitmaps of vmcs01, from the table */
void shadow_init_slot(struct vcpu *vcpu, struct nested_vmcs *slot); /* leaves another VMCS current */
void shadow_enable(struct vcpu *vcpu); /* VMXON and its end: the control bit (vmcs01 is loaded) */
void shadow_disable(struct vcpu *vcpu);
void shadow_link(
	struct vcpu *vcpu,
	struct nested_vmcs *slot); /* becomes current (NULL: none): link pointer (vmcs01 is loaded) */
/* Before v12 is looked at: what L1 wrote in the shadow VMCS, all of it; marks `changed` and `dirty`. */
void shadow_pull(struct vcpu *vcpu, struct nested_vmcs *slot);
/* The same of what an entry looks at. Leaves the shadow VMCS current, or vmcs01. */
void shadow_pull_for_entry(struct vcpu *vcpu, struct nested_vmcs *slot);
/* Before L1 runs: `to_push` of v12 into the shadow VMCS. Leaves that current, or what was. */
void shadow_push(struct vcpu *vcpu, struct nested_vmcs *slot);
/* Is the row in the shadow VMCS, and can L1 not have written it there unseen? */
bool shadow_must_hold(const struct nested_vmcs *slot, unsigned int row);
/* L1's VMWRITE of a row came to L0. */
void shadow_written(struct nested_vmcs *slot, unsigned int row);

#endif
