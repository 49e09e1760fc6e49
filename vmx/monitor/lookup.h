/* SPDX-License-Identifier: MIT */
/*
 * Memory of either level by its linear addresses, whichever of the two runs: for breakpoints and the
 * debugger. Nothing is set on the way, no accessed flag and no counter; only RAM is found.
 */
#ifndef VMX_MONITOR_LOOKUP_H
#define VMX_MONITOR_LOOKUP_H

#include "mm/addr.h"
#include "vmx/guest/vcpu.h"

/* This CPU has a guest of that level: 1, or 2 if L2 runs or L1 has entered its current VMCS. */
bool lookup_has_level(struct vcpu *vcpu, unsigned int level);

/*
 * A linear address of that level, as L1's physical one. Of a level that does not run: by vmcs12, host state
 * or guest state. False: not mapped, or a table that is not in L1's RAM. This CPU's; another VMCS may be
 * loaded meanwhile.
 */
bool lookup_linear(struct vcpu *vcpu, unsigned int level, u64 linear, gpa_t *gpa);

/* Up to `length` bytes there, read or (`from` not NULL) written in place: how many. */
size_t lookup_copy(struct vcpu *vcpu, unsigned int level, u64 linear, void *to, const void *from,
		   size_t length);

/* How many bytes the instruction that has exited accesses at most; of an event's delivery a word of the
 * stack. */
u32 lookup_operand_size(struct vcpu *vcpu);

#endif
