/* SPDX-License-Identifier: MIT */
/*
 * An exit of L2's as L1 will read it: which of its fields the exit defines,
 * and the exit information of vmcs12.
 * SDM: "Basic VM-Exit Information", "Information for VM Exits Due to Instruction Execution".
 */
#include "vmx/hw/exits.h"
#include "vmx/nested/internal.h"

/* Takes what the exit in hand defines; a field that it leaves undefined keeps what L1 saw there last. */
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

/* SDM: "Recording VM-Exit Information and Updating VM-Entry Control Fields".  Guest state has been saved. */
void exit_record_save(struct vcpu *vcpu, struct nested_vmcs *slot, const struct exit_record *record)
{
	struct vmcs12 *v12 = &slot->v12;
	u64 vectoring;

#define TELL(field, value)                                                                                   \
	do {                                                                                                 \
		if (v12->field != (value)) {                                                                 \
			v12->field = (value);                                                                \
			slot->to_push |= PLACE(field);                                                       \
		}                                                                                            \
	} while (0)
	TELL(exit_reason, record->reason);
	TELL(exit_qualification, record->qualification);
	TELL(exit_intr_info, record->intr_info);
	TELL(exit_intr_error_code, record->intr_error_code);
	TELL(exit_instruction_length, record->instruction_length);
	TELL(exit_instruction_info, record->instruction_info);
	TELL(guest_physical_address, record->guest_physical);
	TELL(guest_linear_address, record->guest_linear);
	TELL(entry_intr_info, v12->entry_intr_info & ~INTR_INFO_VALID);
	if (!record->from_hardware) {
		nested_event_to_vectoring(vcpu, v12);
		slot->to_push |= PLACE(idt_vectoring_info) | PLACE(idt_vectoring_error_code) |
				 PLACE(exit_instruction_length) | PLACE(guest_interruptibility);
		return;
	}
	/* An event that L0 had queued again after this exit is the one that the exit itself describes. */
	vcpu->pending_valid = false;
	vectoring = vcpu_reg_hot(vcpu, REG_IDT_VECTORING_INFO);
	TELL(idt_vectoring_info, vectoring);
	if (unlikely((vectoring & INTR_INFO_VALID) && (vectoring & INTR_INFO_ERROR_CODE)))
		TELL(idt_vectoring_error_code, vcpu_reg_hot(vcpu, REG_IDT_VECTORING_ERROR_CODE));
#undef TELL
}
