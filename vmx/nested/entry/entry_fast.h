/* SPDX-License-Identifier: MIT */
/*
 * The short way of a VM entry that changes little.
 */
#ifndef VMX_NESTED_ENTRY_ENTRY_FAST_H
#define VMX_NESTED_ENTRY_ENTRY_FAST_H

#include "vmx/nested/entry/check.h"
#include "vmx/nested/entry/merge.h"

/* After an entry the long way: whether the next ones may go the short way. */
void entry_fast_prepare(struct vcpu *vcpu, struct nested_vmcs *slot);
/* The short way, if L1 has changed little. False: nothing has been done. The shadow VMCS is current, or
 * vmcs01. */
bool entry_fast(struct vcpu *vcpu, struct nested_vmcs *slot, const struct l1_state *l1);

#endif
