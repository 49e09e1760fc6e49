/* SPDX-License-Identifier: MIT */
/*
 * VMX instructions that break a rule: which one is noted, and they end as the
 * table of rules says.
 * SDM: "Conventions" of the VMX instructions.
 */
#include "vmx/nested/explain/fail.h"

#include "vmx/nested/explain/explain.h"

static COLD enum outcome vmfail(struct vcpu *vcpu, u32 error)
{
	struct nested_vmcs *current = vcpu->nested.current;

	if (!current)
		return OUTCOME_VMFAIL_INVALID;
	current->v12.vm_instruction_error = error;
	return OUTCOME_VMFAIL_VALID;
}

COLD enum outcome insn_fail(struct vcpu *vcpu, enum rule rule, u64 value)
{
	u32 refused = rule_rows[rule].outcome;

	explain_note(vcpu, rule, value);
	switch (refused) {
	case REFUSED_INVALID: return OUTCOME_VMFAIL_INVALID;
	case REFUSED_UD: return outcome_ud(vcpu);
	case REFUSED_GP: return outcome_gp(vcpu, 0);
	default: return vmfail(vcpu, refused);
	}
}

COLD enum outcome insn_fail_entry(struct vcpu *vcpu)
{
	unsigned int stage = section_rows[rule_rows[vcpu->nested.failure.rule].section].stage;

	return vmfail(vcpu, stage == STAGE_HOST ? VMXERR_ENTRY_HOST_STATE : VMXERR_ENTRY_CONTROLS);
}
