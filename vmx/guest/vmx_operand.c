/* SPDX-License-Identifier: MIT */
/*
 * The memory or register operand of a VMX instruction of L1's, from the exit's
 * instruction information, with the segment's checks. The page walk is guest_linear.c's.
 * SDM: "Information for VM Exits Due to Instruction Execution"; volume 3 "Segment-Level Protection".
 */
#include "vmx/guest/vmx_operand.h"

#include "kernel/x86.h"

#define INFO_SCALE(i) ((i)&3)
#define INFO_ADDRESS_SIZE(i) (((i) >> 7) & 7)
#define INFO_IS_REGISTER(i) (((i) >> 10) & 1)
#define INFO_SEGMENT(i) (((i) >> 15) & 7)
#define INFO_INDEX(i) (((i) >> 18) & 0xf)
#define INFO_NO_INDEX(i) (((i) >> 22) & 1)
#define INFO_BASE(i) (((i) >> 23) & 0xf)
#define INFO_NO_BASE(i) (((i) >> 27) & 1)

static enum outcome segment_fault(struct vcpu *vcpu, enum seg seg)
{
	return outcome_exception(vcpu, seg == SEG_SS ? VEC_SS : VEC_GP, true, 0);
}

static u64 effective_address(struct vcpu *vcpu, u32 info)
{
	static const u64 masks[] = { 0xffff, 0xffffffff, ~0ull };
	u64 address = vcpu_reg_hot(vcpu, REG_EXIT_QUALIFICATION);

	if (!INFO_NO_BASE(info))
		address += vcpu_gpr(vcpu, INFO_BASE(info));
	if (!INFO_NO_INDEX(info))
		address += vcpu_gpr(vcpu, INFO_INDEX(info)) << INFO_SCALE(info);
	return address & masks[MIN(INFO_ADDRESS_SIZE(info), 2u)];
}

/* SDM volume 3, "Limit Checking", "Type Checking", in protected mode outside 64-bit mode. */
static bool segment_allows(u32 ar, u32 limit, u64 offset, size_t length, bool write)
{
	u64 last = offset + length - 1;

	if (ar & AR_UNUSABLE)
		return false;
	if (ar & SEG_AR_CODE ? write || !(ar & SEG_AR_WRITABLE) : write && !(ar & SEG_AR_WRITABLE))
		return false;
	if (!(ar & SEG_AR_CODE) && (ar & SEG_AR_EXPAND_DOWN))
		return offset > limit && last <= (ar & AR_DB ? 0xffffffffull : 0xffffull);
	return last <= limit;
}

enum outcome vmx_operand_linear(struct vcpu *vcpu, enum seg seg, u64 offset, size_t length, bool write,
				u64 *linear)
{
	if (vcpu_is_64bit(vcpu)) {
		unsigned int bits = vcpu_reg_hot(vcpu, REG_CR4) & CR4_LA57 ? 57 : 48;

		*linear =
			seg == SEG_FS || seg == SEG_GS ? offset + vcpu_reg(vcpu, REG_SEG_BASE(seg)) : offset;
		if (!is_canonical(*linear, bits) || !is_canonical(*linear + length - 1, bits))
			return segment_fault(vcpu, seg);
		return OUTCOME_NONE;
	}
	if (!segment_allows((u32)vcpu_reg(vcpu, REG_SEG_AR(seg)), (u32)vcpu_reg(vcpu, REG_SEG_LIMIT(seg)),
			    offset, length, write))
		return segment_fault(vcpu, seg);
	*linear = (u32)(offset + vcpu_reg(vcpu, REG_SEG_BASE(seg)));
	return OUTCOME_NONE;
}

enum outcome vmx_operand_decode(struct vcpu *vcpu, size_t length, bool write, struct vmx_operand *out)
{
	u32 info = (u32)vcpu_reg_hot(vcpu, REG_EXIT_INSTRUCTION_INFO);

	out->is_register = INFO_IS_REGISTER(info);
	out->linear = 0;
	if (out->is_register)
		return OUTCOME_NONE;
	return vmx_operand_linear(vcpu, (enum seg)INFO_SEGMENT(info), effective_address(vcpu, info), length,
				  write, &out->linear);
}
