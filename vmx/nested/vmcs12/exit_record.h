/* SPDX-License-Identifier: MIT */
/*
 * The exit in hand as L1 will read it in vmcs12.
 */
#ifndef VMX_NESTED_VMCS12_EXIT_RECORD_H
#define VMX_NESTED_VMCS12_EXIT_RECORD_H

#include "kernel/x86.h"
#include "vmx/guest/outcome.h"
#include "vmx/guest/vcpu.h"
#include "vmx/nested/vmcs12/vmcs12.h"

/* Makes the record of the exit in hand, all of it from vmcs02, which is current. */
struct exit_record exit_record_hardware(struct vcpu *vcpu);

/*
 * The same of an exit that defines the fields `facts` (FACT_*), which is a constant where the exit path knows
 * it. A field that the exit leaves undefined keeps the value that L1 saw there last.
 */
static ALWAYS_INLINE struct exit_record exit_record_by(struct vcpu *vcpu, u32 facts)
{
	const struct vmcs12 *v12 = &vcpu->nested.current->v12;
	struct exit_record record = {
		.reason = vcpu->exit_reason,
		.instruction_length = (u32)v12->exit_instruction_length,
		.instruction_info = (u32)v12->exit_instruction_info,
		.guest_physical = v12->guest_physical_address,
		.guest_linear = v12->guest_linear_address,
		.intr_error_code = (u32)v12->exit_intr_error_code,
		.from_hardware = true,
	};

	if (facts & FACT_QUAL)
		record.qualification = vcpu_reg_hot(vcpu, REG_EXIT_QUALIFICATION);
	if ((facts & FACT_STRING) && !(record.qualification & IO_QUALIFICATION_STRING))
		facts &= ~(u32)(FACT_INFO | FACT_LINEAR);
	if (facts & FACT_EVENT) {
		record.intr_info = (u32)vcpu_reg_hot(vcpu, REG_EXIT_INTR_INFO);
		if (record.intr_info & INTR_INFO_ERROR_CODE)
			record.intr_error_code = (u32)vcpu_reg_hot(vcpu, REG_EXIT_INTR_ERROR_CODE);
	}
	if (facts & FACT_LENGTH)
		record.instruction_length = (u32)vcpu_reg_hot(vcpu, REG_EXIT_INSTRUCTION_LENGTH);
	if (facts & FACT_INFO)
		record.instruction_info = (u32)vcpu_reg_hot(vcpu, REG_EXIT_INSTRUCTION_INFO);
	if (facts & FACT_LINEAR)
		record.guest_linear = vcpu_reg_hot(vcpu, REG_GUEST_LINEAR_ADDRESS);
	if (facts & FACT_PHYSICAL)
		record.guest_physical = vcpu_reg_hot(vcpu, REG_GUEST_PHYSICAL_ADDRESS);
	return record;
}

#endif
