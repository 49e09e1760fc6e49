/* SPDX-License-Identifier: MIT */
/*
 * Operands of VMX instructions from the VM-exit instruction information:
 * register numbers, effective and linear addresses, segmentation and
 * canonicality checks.  SDM: "Information for VM Exits Due to Instruction Execution".
 */
#ifndef VMX_VMX_OPERAND_H
#define VMX_VMX_OPERAND_H

#include "vmx/guest/guest_mem.h"

struct vmx_operand {
	bool is_register; /* VMREAD and VMWRITE only */
	u64 linear;	  /* memory operand: checked linear address */
};

/*
 * Decodes; `length` is that of the memory operand and `write` its direction.  OUTCOME_NONE: done; else its
 * #GP or #SS.
 */
enum outcome vmx_operand_decode(struct vcpu *vcpu, size_t length, bool write, struct vmx_operand *out);

/*
 * The linear address of `length` bytes at `offset` of a segment, with the segment's checks.  Outcomes as
 * above.
 */
enum outcome vmx_operand_linear(struct vcpu *vcpu, enum seg seg, u64 offset, size_t length, bool write,
				u64 *linear);

#endif
