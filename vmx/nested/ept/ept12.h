/* SPDX-License-Identifier: MIT */
/*
 * L1's EPT for the other rooms: the walk as a memory access makes it. Its inside is ept.h's.
 */
#ifndef VMX_NESTED_EPT_EPT12_H
#define VMX_NESTED_EPT_EPT12_H

#include "mm/addr.h"
#include "vmx/guest/vcpu.h"

/* guest_translate() of an L2: through EPT12, or as it is without EPT12. */
enum outcome nested_translate(struct vcpu *vcpu, l2gpa_t l2gpa, u64 access, gpa_t *gpa);

/* Where L2's physical address leads for who only looks, whatever L1's tables allow there and whatever flags
 * they lack: nothing changes. False: nowhere. */
bool nested_look(struct vcpu *vcpu, l2gpa_t l2gpa, gpa_t *gpa);

/* explain=: the access of L2's that is held (vmx/nested/explain/held.h) is told, unless L1 has mended it, or
 * an L2 has run since. While L1 runs. */
void ept12_explain_left(struct vcpu *vcpu);

#endif
