/* SPDX-License-Identifier: MIT */
/*
 * The constructors of outcomes.  Who carries them out: vmx/run.c.
 * SDM: "Event Injection", "Basic VM-Exit Information".
 */
#include "vmx/guest/outcome.h"

#include "kernel/x86.h"
#include "vmx/guest/vcpu.h"

enum outcome outcome_exception(struct vcpu *vcpu, u8 vector, bool has_error_code, u32 error_code)
{
	vcpu->outcome.fault = (struct outcome_fault){
		.vector = vector,
		.has_error_code = has_error_code,
		.error_code = error_code,
	};
	return OUTCOME_FAULT;
}

enum outcome outcome_ud(struct vcpu *vcpu)
{
	return outcome_exception(vcpu, VEC_UD, false, 0);
}

enum outcome outcome_gp(struct vcpu *vcpu, u32 error_code)
{
	return outcome_exception(vcpu, VEC_GP, true, error_code);
}

enum outcome outcome_pf(struct vcpu *vcpu, u64 linear, u32 error_code)
{
	outcome_exception(vcpu, VEC_PF, true, error_code);
	vcpu->outcome.fault.linear = linear;
	return OUTCOME_FAULT;
}

enum outcome outcome_reflect(struct vcpu *vcpu, const struct exit_record *record)
{
	vcpu->outcome.record = *record;
	return OUTCOME_REFLECT;
}

enum outcome outcome_entry_failure(struct vcpu *vcpu, u32 reason, u64 qualification)
{
	vcpu->outcome.record = (struct exit_record){ .reason = reason, .qualification = qualification };
	return OUTCOME_ENTRY_FAILURE;
}
