/* SPDX-License-Identifier: MIT */
/*
 * The hardware's VPIDs of this CPU's vmcs12s.
 * SDM: "Virtual-Processor Identifiers (VPIDs)".
 */
#ifndef VMX_NESTED_EPT_VPID_H
#define VMX_NESTED_EPT_VPID_H

#include "vmx/guest/vcpu.h"

void vpid02_init(struct vcpu *vcpu); /* per CPU, at start */
/* Finds the hardware VPID for vmcs02, and flushes where the SDM says that an entry does. */
u16 vpid02_for_entry(struct vcpu *vcpu, struct nested_vmcs *slot);
/*
 * True if vmcs02 has its VPID already, that VPID was used last on this CPU, and nothing is to be flushed.
 */
bool vpid02_stands(struct vcpu *vcpu, struct nested_vmcs *slot);
void vpid02_invvpid(struct vcpu *vcpu, u64 type, u16 vpid12, u64 linear);
u64 vpid02_count(const struct vcpu *vcpu);

#endif
