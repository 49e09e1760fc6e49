/* SPDX-License-Identifier: MIT */
/*
 * EPT02 for the other rooms: the EPT with which L0 runs an L2 that has one of L1's.
 * Its inside is ept.h's.
 */
#ifndef VMX_NESTED_EPT_EPT02_H
#define VMX_NESTED_EPT_EPT02_H

#include "vmx/guest/vcpu.h"

void ept02_init(struct vcpu *vcpu); /* per CPU: the budget's pages, at start */
/* EPT pointer for vmcs02 of `slot` (L1's EPTP, checked): finds or makes its EPT02 root; EPT01's pointer
 * without EPT12. */
u64 ept02_pointer(struct vcpu *vcpu, struct nested_vmcs *slot);
/* vmcs02 has the pointer already, and nothing is to be done for its EPT02 before the entry. */
bool ept02_stands(struct vcpu *vcpu, struct nested_vmcs *slot);
enum outcome ept02_violation(
	struct vcpu *vcpu); /* EPT violation or misconfiguration exit of L2: fills or reflects */
/* Each exit of L2 but EPT violations: ends the stepping over absent memory. True: the exit is that step's,
 * nobody wants it. */
bool ept02_absent_finish(struct vcpu *vcpu);
void ept02_invept(struct vcpu *vcpu, u64 type, u64 eptp);
/* Empties all; while no L2 runs, the roots go too. */
void ept02_drop_all(struct vcpu *vcpu);
/* This EPT pointer is of an EPT02 that is kept now: its tables are tables. For the monitor. */
bool ept02_is_in_use(struct vcpu *vcpu, u64 eptp);
void ept02_count(const struct vcpu *vcpu, struct nested_resources *out);
/* EPT01 changed: this CPU's EPT02s are dropped. */
void nested_ept01_changed(struct vcpu *vcpu);

#endif
