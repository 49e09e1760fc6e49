/* SPDX-License-Identifier: MIT */
/*
 * The slots: one for each vmcs12 that is active on this CPU.  vmcs01 is loaded.
 */
#ifndef VMX_NESTED_VMCS12_SLOTS_H
#define VMX_NESTED_VMCS12_SLOTS_H

#include "kernel/x86.h"
#include "vmx/guest/vcpu.h"

/* All of a slot but what its start made: free. */
void slot_reset(struct nested_vmcs *slot);
struct nested_vmcs *slot_find(struct vcpu *vcpu, u64 gpa); /* NULL: not active here */
struct nested_vmcs *slot_take(
	struct vcpu *vcpu,
	u64 gpa); /* a free or the least recently used one (written back); v12 is undefined */
void slot_write_back(struct vcpu *vcpu,
		     struct nested_vmcs *slot); /* cached state to L1's page; the slot stays */
void slot_release(struct vcpu *vcpu,
		  struct nested_vmcs *slot); /* written back and free; not the current one */
void slot_make_current(struct vcpu *vcpu, struct nested_vmcs *slot); /* NULL: none.  vmcs01 is loaded */

#endif
