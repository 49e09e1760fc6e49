/* SPDX-License-Identifier: MIT */
/*
 * Rows of the shadow VMCS by use: those that L1 writes are open, so that it writes them without an exit and
 * each entry fetches them; the others are closed, and a VMWRITE of one exits.
 * SDM: "VMCS Shadowing Bitmap Addresses".
 */
#ifndef VMX_NESTED_VMCS12_SHADOW_USE_H
#define VMX_NESTED_VMCS12_SHADOW_USE_H

#include "vmx/guest/vcpu.h"

#define SHADOW_USE_PERIOD 256u /* entries from one count to the next */

/* Bit n of a bitmap is for the encoding n, 1: an exit.  The high half of a 64-bit field has its own. */
void shadow_set_exit(u8 *bitmap, u32 encoding, bool exits);
/* At VMXON. `places`: the rows that are shadowed. */
void shadow_use_begin(struct vcpu *vcpu, u64 places);
/* L1 has written an RW row by a VMWRITE that exited. */
void shadow_use_written(struct vcpu *vcpu, unsigned int row);
/* Closes what L1 has not changed in this period: shadow_use_count(). */
void shadow_use_close_idle(struct vcpu *vcpu);

/* At each entry, of which slot->changed has the rows that L1 has written. */
static inline void shadow_use_count(struct vcpu *vcpu, const struct nested_vmcs *slot)
{
	vcpu->nested.use.seen |= slot->changed;
	if (unlikely(!--vcpu->nested.use.left))
		shadow_use_close_idle(vcpu);
}

#endif
