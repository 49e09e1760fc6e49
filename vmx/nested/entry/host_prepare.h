/* SPDX-License-Identifier: MIT */
/*
 * L1's host state made ready for the exits to come.
 */
#ifndef VMX_NESTED_ENTRY_HOST_PREPARE_H
#define VMX_NESTED_ENTRY_HOST_PREPARE_H

struct nested_vmcs;
struct vcpu;

/* Fills slot->host. Whenever host state or control words were checked anew. */
void host_state_prepare(struct nested_vmcs *slot);
/* Fills slot->host_tables: equal numbers are equal tables. Likewise. */
void host_tables_name(struct vcpu *vcpu, struct nested_vmcs *slot);

#endif
