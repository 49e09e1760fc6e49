/* SPDX-License-Identifier: MIT */
/*
 * The guest's own data and I/O breakpoints, for accesses that L0 makes in its
 * name.  SDM: "Debug Registers", "Pending Debug Exceptions".
 */
#ifndef VMX_WATCH_H
#define VMX_WATCH_H

#include "vmx/guest/vcpu.h"

#define DR7_ENABLES 0xffu /* L0, G0, ... L3, G3 */

void watch_memory_enabled(struct vcpu *vcpu, u64 va, size_t length, bool write);
void watch_port_enabled(struct vcpu *vcpu, u16 port, size_t length);

static inline bool watch_is_on(struct vcpu *vcpu)
{
	return unlikely(vcpu_reg_hot(vcpu, REG_DR7) & DR7_ENABLES);
}

/*
 * L0 has read or written `length` bytes at linear address `va` for the guest that runs now (L1 or L2), as
 * part of an instruction that will end without a fault: breakpoints that it meets become pending debug
 * exceptions, delivered at the boundary behind the instruction.
 */
static inline void watch_memory(struct vcpu *vcpu, u64 va, size_t length, bool write)
{
	if (watch_is_on(vcpu))
		watch_memory_enabled(vcpu, va, length, write);
}

/* The same for `length` bytes of I/O ports. */
static inline void watch_port(struct vcpu *vcpu, u16 port, size_t length)
{
	if (watch_is_on(vcpu))
		watch_port_enabled(vcpu, port, length);
}

#endif
