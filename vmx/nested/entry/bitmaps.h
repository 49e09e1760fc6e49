/* SPDX-License-Identifier: MIT */
/*
 * The MSR bitmap of vmcs02.
 */
#ifndef VMX_NESTED_ENTRY_BITMAPS_H
#define VMX_NESTED_ENTRY_BITMAPS_H

#include "kernel/x86.h"
#include "vmx/guest/vcpu.h"

void bitmaps_init_slot(struct nested_vmcs *slot); /* at start */
/* At each entry, for L1 may have written its page since the last one. */
void bitmaps_read_again(struct vcpu *vcpu, struct nested_vmcs *slot);
static inline void bitmaps_merge(struct vcpu *vcpu, struct nested_vmcs *slot)
{
	if (unlikely(slot->msr_opened_count))
		bitmaps_read_again(vcpu, slot);
}
/* Closes all words. Accesses open them again, with L0's bits as they are then. */
void bitmaps_close(struct nested_vmcs *slot);
/*
 * L2's RDMSR or WRMSR is in hand, and L1 does not want it. True: L0 does not either, nobody had looked at
 * L1's bitmap there yet; L2 executes the instruction again.
 */
bool bitmaps_open_msr(struct vcpu *vcpu);

#endif
