/* SPDX-License-Identifier: MIT */
/*
 * L1's GDTR, IDTR, LDTR and TR behind an exit of L2's, which are seldom other ones than behind the last:
 * host_tables.c.
 */
#ifndef VMX_NESTED_EXIT_HOST_TABLES_H
#define VMX_NESTED_EXIT_HOST_TABLES_H

#include "vmx/guest/vcpu.h"
#include "vmx/nested/vmcs12/debug.h"

void host_tables_write(struct vcpu *vcpu, const struct nested_vmcs *slot, bool known);

/* They are in vmcs01, which is current, as `slot` has them. */
static inline void host_tables_load(struct vcpu *vcpu, const struct nested_vmcs *slot)
{
	bool known = regcache_has_tables(&vcpu->vmcs01.cache, slot->host_tables);

	if (DEBUG_COMPARES || unlikely(!known))
		host_tables_write(vcpu, slot, known);
}

#endif
