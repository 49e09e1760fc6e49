/* SPDX-License-Identifier: MIT */
/*
 * How VMX instructions begin and end: permission, operands, flags.
 */
#ifndef VMX_NESTED_INSN_INSN_H
#define VMX_NESTED_INSN_INSN_H

#include "kernel/x86.h"
#include "vmx/guest/vcpu.h"
#include "vmx/guest/vmx_operand.h"

/* #UD or #GP(0), whichever insn_permitted() found. */
enum outcome insn_refuse(struct vcpu *vcpu);
/* #UD (not in VMX operation) and #GP(0) (CPL > 0) for all instructions but VMXON; the #UD of the mode is the
 * processor's own, before the exit. OUTCOME_NONE: permitted. */
static inline enum outcome insn_permitted(struct vcpu *vcpu)
{
	return likely(vcpu->nested.vmxon && !(vcpu_reg_hot(vcpu, REG_SS_AR) & AR_DPL)) ? OUTCOME_NONE
										       : insn_refuse(vcpu);
}
/* SDM "Conventions": VMsucceed (`flags` 0), VMfailInvalid (CF), VMfailValid (ZF). */
static inline enum outcome insn_set_flags(struct vcpu *vcpu, u64 flags)
{
	vcpu_set_reg(vcpu, REG_RFLAGS, (vcpu_reg_hot(vcpu, REG_RFLAGS) & ~RFLAGS_ARITH) | flags);
	return OUTCOME_SKIP;
}
/*
 * The usual case: an instruction of L1's own, in VMX root operation in 64-bit mode (compatibility mode gets
 * no VMX instruction as far as an exit), and nobody has read or written a register but RIP since the exit.
 * What is looked at then is looked at once, and so past the register cache. Who finds that it is another case
 * after all has changed nothing.
 */
static inline bool insn_is_plain(const struct vcpu *vcpu)
{
	return likely(vcpu->nested.mode == NESTED_ROOT_64 &&
		      regcache_knows_only(&vcpu->vmcs->cache, BIT(REG_RIP)));
}
/* VMsucceed of a plain one. */
static inline enum outcome insn_succeed_plainly(struct vcpu *vcpu)
{
	u64 rflags = vcpu_reg_past(vcpu, REG_RFLAGS);

	vcpu->counters.registers.reads[REG_RFLAGS]++;
	if (rflags & RFLAGS_ARITH) {
		rflags &= ~RFLAGS_ARITH;
		vmcs_write_fast(VMCS_guest_rflags, rflags);
		vcpu->counters.registers.writes[REG_RFLAGS]++;
	}
	regcache_know(&vcpu->vmcs->cache, REG_RFLAGS, rflags);
	return OUTCOME_SKIP;
}
/* The address of the memory operand of a plain one at CPL 0. False: the long way. */
static inline bool insn_operand_plain(struct vcpu *vcpu, u64 *linear)
{
	return insn_is_plain(vcpu) && likely(!(vcpu_reg_past(vcpu, REG_SS_AR) & AR_DPL)) &&
	       likely(vmx_operand_plain(vcpu, linear));
}
enum outcome insn_finish_failed(struct vcpu *vcpu, enum outcome outcome);
static inline enum outcome insn_finish(struct vcpu *vcpu, enum outcome outcome)
{
	if (unlikely(outcome != OUTCOME_VMSUCCEED))
		return insn_finish_failed(vcpu, outcome);
	return vcpu->nested.mode == NESTED_ROOT_64 &&
			       likely(!regcache_has_any(&vcpu->vmcs->cache, BIT(REG_RFLAGS)))
		       ? insn_succeed_plainly(vcpu)
		       : insn_set_flags(vcpu, 0);
}
/* The memory operand of the instruction in hand.  OUTCOME_NONE: done; else nothing has changed. */
enum outcome insn_read_operand(struct vcpu *vcpu, void *to, size_t length);
enum outcome insn_write_operand(struct vcpu *vcpu, const void *from, size_t length);
/*
 * True if operands have 64 bits: the guest that runs now is in 64-bit mode. SDM: "the operand is always 32
 * bits outside 64-bit mode". Compatibility mode never gets here.
 */
static inline bool insn_is_wide(struct vcpu *vcpu)
{
	return likely(vcpu->nested.mode == NESTED_ROOT_64) || vcpu_is_long_mode(vcpu);
}
/* The register operand of bits 31:28, as wide as the mode has it. */
static inline u64 insn_register_operand(struct vcpu *vcpu)
{
	u64 value = vcpu_gpr(vcpu, (vcpu_reg_hot(vcpu, REG_EXIT_INSTRUCTION_INFO) >> 28) & 15);

	return likely(insn_is_wide(vcpu)) ? value : (u32)value;
}
/* A VMXON or VMCS region's address: 4 KiB aligned, within the physical-address width. */
bool insn_region_valid(u64 gpa);

/* VMCALL of L1 in VMX root operation: VMfail 1. For exit_vmcall(), while nested.vmxon. */
enum outcome nested_vmcall(struct vcpu *vcpu);

#endif
