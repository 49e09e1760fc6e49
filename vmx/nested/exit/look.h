/* SPDX-License-Identifier: MIT */
/*
 * Memory of the guest that runs now, as it stands, to be shown and not to be used: nothing is set on the way
 * there, no accessed flag either, nobody gets an exit for it, and only RAM is read, for a device's
 * registers may change by it. The guest may write it meanwhile: what counts is the copy.
 */
#ifndef VMX_NESTED_EXIT_LOOK_H
#define VMX_NESTED_EXIT_LOOK_H

#include "vmx/guest/vcpu.h"

/* By the guest's physical address, within a page. False: no RAM, or not mapped by EPT12. */
bool look_physical(struct vcpu *vcpu, u64 address, void *to, size_t length);

/*
 * By linear address, as a supervisor would access it (WALK_* of mm/guest_walk.h). `to` NULL: only whether the
 * page tables allow that. False: they do not, or not all of it is RAM.
 */
bool look_linear(struct vcpu *vcpu, u64 address, u32 access, void *to, size_t length);

#endif
