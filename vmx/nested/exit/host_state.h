/* SPDX-License-Identifier: MIT */
/*
 * L1's state behind an exit, or behind an entry that failed.
 * SDM: "Loading Host State", "VMX Aborts".
 */
#ifndef VMX_NESTED_EXIT_HOST_STATE_H
#define VMX_NESTED_EXIT_HOST_STATE_H

#include "kernel/x86.h"
#include "vmx/guest/vcpu.h"
#include "vmx/nested/vmcs12/debug.h"

/*
 * State that a VM exit leaves unchanged. L1 goes on with L2's values, or with its own if the entry failed
 * before L2's were loaded.
 */
struct inherited {
	u64 efer; /* without "load IA32_EFER": all but LMA and LME */
	u64 pat;  /* without "load IA32_PAT" */
	bool nmi_blocked;
};

/* vmcs02 is current: what L1 takes over from L2. */
static inline struct inherited inherited_from_l2(const struct vcpu *vcpu, u64 efer, bool nmi_blocked)
{
	debug_known(VMCS_guest_pat, vcpu_pat(vcpu));
	return (struct inherited){ .efer = efer, .pat = vcpu_pat(vcpu), .nmi_blocked = nmi_blocked };
}

/* The second half of an exit, and of a failed entry: L1's state.  vmcs01 is current, L1 is what runs. */
enum outcome nested_load_host_state(struct vcpu *vcpu, struct nested_vmcs *slot,
				    const struct inherited *inherited);
enum outcome nested_vmx_abort(struct vcpu *vcpu, struct nested_vmcs *slot, enum vmx_abort code);

#endif
