/* SPDX-License-Identifier: MIT */
/*
 * INVEPT and INVVPID of L1: type and descriptor; what is invalidated is
 * ept02*.c's and vpid.c's.
 * SDM: "INVEPT", "INVVPID".
 */
#include "kernel/x86.h"
#include "vmx/guest/guest_mem.h"
#include "vmx/guest/outcome.h"
#include "vmx/guest/vcpu.h"
#include "vmx/nested/ept/ept02.h"
#include "vmx/nested/ept/eptp.h"
#include "vmx/nested/ept/vpid.h"
#include "vmx/nested/explain/fail.h"
#include "vmx/guest/handlers.h"
#include "vmx/nested/insn/insn.h"
#include "vmx/nested/vmcs12/caps12.h"

static bool invept_type_supported(u64 type)
{
	return (type == INVEPT_SINGLE || type == INVEPT_ALL) && (caps12.ept_vpid & EPT_CAP_INVEPT_TYPE(type));
}

static enum outcome invept(struct vcpu *vcpu)
{
	u64 descriptor[2]; /* EPTP, reserved */
	enum outcome outcome;
	u64 type, linear;
	bool plain;

	if (!(caps12.ept_vpid & EPT_CAP_INVEPT))
		return insn_fail(vcpu, RULE_no_instruction, 0);
	plain = insn_operand_plain(vcpu, &linear) && guest_read_pair_plainly(vcpu, linear, descriptor);
	outcome = plain ? OUTCOME_NONE : insn_permitted(vcpu);
	if (outcome != OUTCOME_NONE)
		return outcome;
	type = insn_register_operand(vcpu);
	if (!invept_type_supported(type))
		return insn_fail(vcpu, RULE_invept_type, type);
	outcome = plain ? OUTCOME_NONE : insn_read_operand(vcpu, descriptor, sizeof(descriptor));
	if (outcome != OUTCOME_NONE)
		return outcome;
	/* SDM: "IF VM entry with the enable EPT control set to 1 would fail due to the EPTP value THEN
	 * VMfail". */
	if (type == INVEPT_SINGLE && !eptp12_valid(descriptor[0], &caps12))
		return insn_fail(vcpu, RULE_invept_eptp, descriptor[0]);
	ept02_invept(vcpu, type, descriptor[0]);
	return OUTCOME_VMSUCCEED;
}

enum outcome exit_invept(struct vcpu *vcpu)
{
	return insn_finish(vcpu, invept(vcpu));
}

static bool invvpid_type_supported(u64 type)
{
	return type <= INVVPID_RETAIN_GLOBALS && (caps12.ept_vpid & VPID_CAP_INVVPID_TYPE(type));
}

static enum outcome invvpid(struct vcpu *vcpu)
{
	struct {
		u64 vpid, linear;
	} descriptor;
	enum outcome outcome;
	u64 type;

	if (!(caps12.ept_vpid & VPID_CAP_INVVPID))
		return insn_fail(vcpu, RULE_no_instruction, 0);
	outcome = insn_permitted(vcpu);
	if (outcome != OUTCOME_NONE)
		return outcome;
	type = insn_register_operand(vcpu);
	if (!invvpid_type_supported(type))
		return insn_fail(vcpu, RULE_invvpid_type, type);
	outcome = insn_read_operand(vcpu, &descriptor, sizeof(descriptor));
	if (outcome != OUTCOME_NONE)
		return outcome;
	/* SDM: "IF INVVPID_DESC[63:16] != 0 THEN VMfail"; VPID 0 is only ignored by all-context. */
	if (descriptor.vpid >> 16 || (type != INVVPID_ALL && descriptor.vpid == 0))
		return insn_fail(vcpu, RULE_invvpid_vpid, descriptor.vpid);
	if (type == INVVPID_ADDRESS && !is_canonical(descriptor.linear, caps12.linear_bits))
		return insn_fail(vcpu, RULE_invvpid_linear, descriptor.linear);
	vpid02_invvpid(vcpu, type, (u16)descriptor.vpid, descriptor.linear);
	return OUTCOME_VMSUCCEED;
}

enum outcome exit_invvpid(struct vcpu *vcpu)
{
	return insn_finish(vcpu, invvpid(vcpu));
}
