/* SPDX-License-Identifier: MIT */
/*
 * The I/O bitmaps of vmcs02.
 */
#ifndef VMX_NESTED_ENTRY_IO_BITMAPS_H
#define VMX_NESTED_ENTRY_IO_BITMAPS_H

#include "kernel/x86.h"
#include "vmx/guest/vcpu.h"

void io_bitmaps_init_slot(struct nested_vmcs *slot); /* at start, after ports_init() */
/* What L0 adds to the primary controls that L1 asked. */
u32 io_bitmaps_control(const struct vmcs12 *v12);
/* The two addresses in vmcs02 (loaded): when L1's controls or addresses have changed. */
void io_bitmaps_write(struct vcpu *vcpu, struct nested_vmcs *slot);
/* At each entry, for L1 may have written its pages since the last one. */
void io_bitmaps_read_again(struct vcpu *vcpu, struct nested_vmcs *slot);
static inline void io_bitmaps_merge(struct vcpu *vcpu, struct nested_vmcs *slot)
{
	if (unlikely(slot->io_opened_count))
		io_bitmaps_read_again(vcpu, slot);
}
/* Closes all words. Accesses open them again, with L0's bits as they are then. */
void io_bitmaps_close(struct nested_vmcs *slot);
/*
 * Ports of an access of L2's that L1 does not want, and for which vmcs02 has an exit only because nobody has
 * looked at L1's bitmap there yet.  True: that is done now, L2 makes the access itself.
 */
bool io_bitmaps_open(struct vcpu *vcpu, u16 port, unsigned int size);
/* An I/O exit of L2's is in hand: the processor has looked at nothing but pages of L1's own. */
bool io_bitmaps_are_l1s(struct vcpu *vcpu);

#endif
