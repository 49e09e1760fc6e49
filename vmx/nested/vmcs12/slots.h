/* SPDX-License-Identifier: MIT */
/*
 * The slots: one for each vmcs12 that is active on this CPU.  vmcs01 is loaded.
 */
#ifndef VMX_NESTED_VMCS12_SLOTS_H
#define VMX_NESTED_VMCS12_SLOTS_H

#include "kernel/x86.h"
#include "vmx/guest/vcpu.h"

/* Makes the slot free: everything in it but the pages and VMCSs that nested_init() made. */
void slot_reset(struct nested_vmcs *slot);
struct nested_vmcs *slot_find(struct vcpu *vcpu, u64 gpa); /* NULL: not active here */
struct nested_vmcs *slot_take(struct vcpu *vcpu,
			      u64 gpa); /* Gives `gpa` a slot that is free, or the least recently used one,
					   which is written back before. Its v12 is undefined. */
void slot_write_back(struct vcpu *vcpu,
		     struct nested_vmcs *slot); /* writes the cached state to L1's page; the slot stays */
void slot_release(struct vcpu *vcpu,
		  struct nested_vmcs *slot); /* writes it back and frees it; not for the current one */
void slot_make_current(struct vcpu *vcpu,
		       struct nested_vmcs *slot); /* vmcs01 is loaded; NULL: L1 has no current VMCS */

#endif
