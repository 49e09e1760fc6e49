/* SPDX-License-Identifier: MIT */
/*
 * The addresses in vmcs12, and what hardware is given in their place.
 */
#ifndef VMX_NESTED_VMCS12_ADDRESSES_H
#define VMX_NESTED_VMCS12_ADDRESSES_H

#include "vmx/guest/vcpu.h"

void addresses_init(struct vcpu *vcpu); /* per CPU, at start: the stand-ins */
/* The pages that hardware uses, when L1's controls are merged. */
void addresses_merge(struct vcpu *vcpu, struct nested_vmcs *slot);
/* Each entry with `stand_ins`: they show again what L1 and L2 read there. */
void addresses_fill(struct vcpu *vcpu, struct nested_vmcs *slot);

#endif
