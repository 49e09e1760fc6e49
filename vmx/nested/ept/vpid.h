/* SPDX-License-Identifier: MIT */
/*
 * The hardware's VPIDs of this CPU's vmcs12s.
 * SDM: "Virtual-Processor Identifiers (VPIDs)".
 */
#ifndef VMX_NESTED_EPT_VPID_H
#define VMX_NESTED_EPT_VPID_H

#include "vmx/guest/vcpu.h"

void vpid02_init(struct vcpu *vcpu); /* per CPU, at start */
/* Hardware VPID for vmcs02; flushes where the SDM says that an entry does. */
u16 vpid02_for_entry(struct vcpu *vcpu, struct nested_vmcs *slot);
/* vmcs02 has the VPID already, it was the last one used here, and nothing is to be flushed. */
bool vpid02_stands(struct vcpu *vcpu, struct nested_vmcs *slot);
void vpid02_invvpid(struct vcpu *vcpu, u64 type, u16 vpid12, u64 linear);
u64 vpid02_count(const struct vcpu *vcpu);

#endif
