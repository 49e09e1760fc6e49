/* SPDX-License-Identifier: MIT */
/*
 * L1 as the guest that runs now: nobody owns bits of its control registers, its
 * addresses are the machine's, and in VMX operation bits of CR0 are fixed.
 * SDM: "Restrictions on VMX Operation", appendix "VMX-Fixed Bits in CR0".
 */
#include "vmx/l1/guest1.h"

#include "vmx/hw/caps.h"
#include "vmx/l1/exit_cr.h"

static u64 owns_nothing(struct vcpu *vcpu UNUSED)
{
	return 0;
}

static u64 cr0_fixed(struct vcpu *vcpu)
{
	return vcpu->nested.vmxon ? vmx_caps.cr0_fixed0 : 0;
}

const struct guest l1_guest = {
	.level = 1,
	.cr0 = cr_l1_cr0,
	.cr4 = cr_l1_cr4,
	.set_cr0 = cr_set_l1_cr0,
	.set_cr4 = cr_set_l1_cr4,
	.cr0_owned = owns_nothing,
	.cr4_owned = owns_nothing,
	.cr0_fixed = cr0_fixed,
};
