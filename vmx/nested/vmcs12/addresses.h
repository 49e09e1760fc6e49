/* SPDX-License-Identifier: MIT */
/* The addresses that L1 writes into vmcs12, and the pages that hardware gets in their place. */
#ifndef VMX_NESTED_VMCS12_ADDRESSES_H
#define VMX_NESTED_VMCS12_ADDRESSES_H

#include "vmx/guest/vcpu.h"

void addresses_init(struct vcpu *vcpu); /* makes the stand-ins; once per CPU, at start */
/* Writes the addresses of the pages that hardware uses into vmcs02. Whenever L1's controls are merged. */
void addresses_merge(struct vcpu *vcpu, struct nested_vmcs *slot);
/*
 * Before each entry, if slot->stand_ins is not 0: fills the stand-ins with what L1 and L2 would read
 * there.
 */
void addresses_fill(struct vcpu *vcpu, struct nested_vmcs *slot);

#endif
