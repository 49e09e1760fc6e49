/* SPDX-License-Identifier: MIT */
/*
 * Where the newest value of a field of an active vmcs12 is, and how to get at it. docs/design.md, "Where a
 * field's newest value is", has the whole table; for one that L1 may read or write it is
 *
 *   the shadow VMCS   shadow_active, and the row is RW: L1 may have written it there without an exit
 *   vmcs02            rare_in_02, and the row is SEG or RARE: the last exit of L2's has left it there
 *   slot->v12         else
 *
 * For a slot whose L2 does not run. While it runs, its guest state is vcpu_reg()'s and vmcs02's, and v12 has
 * what L1 left there.
 */
#ifndef VMX_NESTED_VMCS12_NEWEST_H
#define VMX_NESTED_VMCS12_NEWEST_H

#include "vmx/guest/vcpu.h"
#include "vmx/nested/vmcs12/shadow.h"
#include "vmx/nested/vmcs12/vmcs12.h"

/* Afterwards v12 has the row's newest value. May load other VMCSs, and goes back to the current one. */
static inline void newest_fetch_row(struct vcpu *vcpu, struct nested_vmcs *slot, int row)
{
	const struct vmcs12_field *f = &vmcs12_fields[row];

	if (unlikely(slot->rare_in_02) && (f->group & (GROUP_SEG | GROUP_RARE)))
		nested_sync_rare(vcpu, slot);
	if (unlikely(slot->shadow_active) && f->shadow == SHADOW_RW)
		shadow_pull(vcpu, slot);
}

/* The same for all rows. */
static inline void newest_fetch(struct vcpu *vcpu, struct nested_vmcs *slot)
{
	shadow_pull(vcpu, slot);
	nested_sync_rare(vcpu, slot);
}

#endif
