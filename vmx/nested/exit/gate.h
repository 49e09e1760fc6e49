/* SPDX-License-Identifier: MIT */
/*
 * An entry of the IDT of the guest that runs now, and what an exception would meet on the way through it.
 */
#ifndef VMX_NESTED_EXIT_GATE_H
#define VMX_NESTED_EXIT_GATE_H

#include "vmx/guest/vcpu.h"
#include "vmx/nested/explain/words.h"

struct gate {
	u64 at;		  /* linear */
	bool found, real; /* found: the members below have been read; real: of real mode, in which a gate only
			     says where it leads */
	u16 selector;
	u8 type; /* with S as bit 4 */
	u8 dpl, ist;
	bool present;
	u64 offset;
};

/* NULL: nothing stands in the way of a delivery, else what does: "is not present", with the gate as "it".
 * What can be looked at only with much more (an inner stack of a 32-bit TSS, a task) counts as right. */
const char *gate_read(struct vcpu *vcpu, u8 vector, struct gate *gate);

/* "at ADDRESS: what it has". */
void gate_add(struct text *text, const struct gate *gate);

#endif
