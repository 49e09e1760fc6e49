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
 * The usual case of a memory operand: 64-bit addresses, no FS or GS. For an instruction of a guest in 64-bit
 * mode of which nobody has looked at a register but RIP. False: another case; nothing has changed.
 */
static inline bool vmx_operand_plain(struct vcpu *vcpu, u64 *linear)
{
	u32 info = (u32)vcpu_reg_past(vcpu, REG_EXIT_INSTRUCTION_INFO);
	u64 address = vcpu_reg_past(vcpu, REG_EXIT_QUALIFICATION);
	u32 base = info >> 23 & 15;

	/* Bits 9:7: 2; bit 10: memory; bits 17:15: not 4 or 5; bit 22: no index. */
	if (unlikely((info & (7u << 7 | BIT(10) | BIT(17) | BIT(22))) != (2u << 7 | BIT(22))))
		return false;
	if (!(info & BIT(27)))
		address += likely(base != GPR_RSP) ? vcpu->gpr[base] : vcpu_reg_past(vcpu, REG_RSP);
	*linear = address;
	return true;
}

/*
 * The linear address of `length` bytes at `offset` of a segment, with the segment's checks.  Outcomes as
 * above.
 */
enum outcome vmx_operand_linear(struct vcpu *vcpu, enum seg seg, u64 offset, size_t length, bool write,
				u64 *linear);

#endif
