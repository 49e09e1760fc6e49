/* SPDX-License-Identifier: MIT */
/*
 * An exit of L2's as L1 will read it: which of its fields the exit defines,
 * and the exit information of vmcs12.
 * SDM: "Basic VM-Exit Information", "Information for VM Exits Due to Instruction Execution".
 */
#include "vmx/nested/vmcs12/exit_record.h"

#include "vmx/hw/exits.h"
#include "vmx/guest/outcome.h"
#include "vmx/guest/vcpu.h"
#include "vmx/nested/vmcs12/vmcs12.h"

/*
 * Takes the fields that the exit in hand defines. A field that it leaves undefined keeps the value that L1
 * saw there last.
 */
struct exit_record exit_record_hardware(struct vcpu *vcpu)
{
	const struct vmcs12 *v12 = &vcpu->nested.current->v12;
	u32 reason = vcpu->exit_reason & 0xffff;
	u32 facts = exit_facts(reason);
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
