/* SPDX-License-Identifier: MIT */
/*
 * VMREAD and VMWRITE, of L1 and, where L1 shadows VMCSs, of L2. Where a field's
 * newest value is, newest.c and vmcs12.c know.
 * SDM: "VMX Instruction Reference", "Field Encoding in VMCS".
 */
#include "kernel/panic.h"
#include "vmx/guest/guest_mem.h"
#include "mm/addr.h"
#include "vmx/guest/outcome.h"
#include "vmx/guest/vcpu.h"
#include "vmx/nested/explain/fail.h"
#include "vmx/guest/handlers.h"
#include "vmx/nested/insn/insn.h"
#include "vmx/nested/vmcs12/caps12.h"
#include "vmx/nested/vmcs12/newest.h"
#include "vmx/nested/vmcs12/shadow.h"
#include "vmx/nested/vmcs12/shadow_use.h"
#include "vmx/nested/vmcs12/slots.h"
#include "vmx/nested/vmcs12/vmcs12.h"

/* The VM-exit instruction information of VMREAD and VMWRITE. */
#define INFO_REGISTER BIT(10)
#define INFO_REG1(info) (((info) >> 3) & 15)

/* A field as an instruction names it. */
struct field {
	int row;
	bool high; /* bits 63:32 of a 64-bit field */
};

/* SDM: an encoding with a bit set beyond bit 14 corresponds to no field; only 64-bit fields have a high half.
 */
static bool find_field(struct vcpu *vcpu, struct field *field)
{
	u64 encoding = insn_register_operand(vcpu);

	vcpu_trace(vcpu, 0)->subject = encoding;
	if (encoding >> 15)
		return false;
	field->high = VMCS_FIELD_HIGH((u32)encoding);
	if (field->high && VMCS_FIELD_WIDTH((u32)encoding) != VMCS_WIDTH_64)
		return false;
	field->row = vmcs12_find((u32)encoding & ~1u);
	return field->row >= 0;
}

/*
 * The VMCS that VMREAD and VMWRITE access: L1's current one; or, if L1 shadows
 * VMCSs and lets L2 access this field, the one that vmcs12's link pointer
 * names.  That one is a shadow VMCS: active here, or in L1's memory only.
 */
struct target {
	struct nested_vmcs *slot; /* or NULL */
	u64 gpa;
};

/* False: VMfailInvalid. */
static inline bool find_target(struct vcpu *vcpu, struct target *target)
{
	*target = (struct target){ .slot = vcpu->nested.current, .gpa = NO_VMCS };
	if (likely(!vcpu->guest->accesses_shadow_vmcs))
		return target->slot;
	ASSERT(target->slot);
	target->gpa = target->slot->v12.vmcs_link_pointer;
	target->slot = slot_find(vcpu, target->gpa);
	return target->gpa != NO_VMCS;
}

static gpa_t row_gpa(const struct target *target, int row)
{
	return GPA(target->gpa + offsetof(struct vmcs12, vpid) + (u64)row * sizeof(u64));
}

static inline u64 read_row(struct vcpu *vcpu, const struct target *target, int row)
{
	u64 value;

	if (likely(target->slot)) {
		newest_fetch_row(vcpu, target->slot, row);
		return *vmcs12_slot(&target->slot->v12, (unsigned int)row);
	}
	guest_mem_read(vcpu, row_gpa(target, row), &value, sizeof(value));
	return vmcs12_mask_width(vmcs12_fields[row].encoding, value);
}

static void write_row(struct vcpu *vcpu, const struct target *target, int row, u64 value)
{
	const struct vmcs12_field *f = &vmcs12_fields[row];
	struct nested_vmcs *slot = target->slot;

	if (unlikely(!slot)) {
		guest_mem_write(vcpu, row_gpa(target, row), &value, sizeof(value));
		return;
	}
	*vmcs12_slot(&slot->v12, (unsigned int)row) = value;
	slot->dirty |= f->group;
	if (f->group & (GROUP_HST | GROUP_WORD))
		vcpu->nested.host_known = NULL;
	if (f->shadow != SHADOW_NO) {
		struct vmcs *back = vcpu->vmcs;

		shadow_written(slot, (unsigned int)row);
		shadow_push(vcpu, slot);
		vcpu_load_vmcs(vcpu, back);
	}
}

/* ---- the short way: a register operand, the row is where it should be ---- */

enum { WRITE_DOES_MORE = 2 };

/*
 * What may keep an access to a row from the short way, as bits of slot->elsewhere; a write besides: where
 * more follows from it than a mark in `dirty`, or less, for the row is read-only.
 */
static const u16 obstacles[VMCS12_FIELD_COUNT] = {
#define OBSTACLES(encoding, shadow, group)                                                                   \
	(((group) & (GROUP_SEG | GROUP_RARE) ? ELSEWHERE_IN_02 : 0) |                                        \
	 ((shadow) == SHADOW_RW ? ELSEWHERE_IN_SHADOW : 0) |                                                 \
	 ((shadow) != SHADOW_NO || ((group) & (GROUP_HST | GROUP_WORD)) ||                                   \
			  VMCS_FIELD_TYPE(encoding) == VMCS_TYPE_READ_ONLY                                   \
		  ? WRITE_DOES_MORE                                                                          \
		  : 0))
#define F(encoding, name, flow, shadow, group) OBSTACLES(encoding, SHADOW_##shadow, GROUP_##group),
#include "vmx/hw/vmcs_fields.def"
#undef F
};

/* The register that is read into or written from, and the row. False: the long way. */
static inline bool find_plainly(struct vcpu *vcpu, u32 more, unsigned int *row, unsigned int *gpr)
{
	const struct nested_vmcs *slot = vcpu->nested.current;
	u64 encoding;
	u32 info;

	if (!insn_is_plain(vcpu) || unlikely(!slot))
		return false;
	info = (u32)vcpu_reg_past(vcpu, REG_EXIT_INSTRUCTION_INFO);
	*gpr = INFO_REG1(info);
	if (unlikely(!(info & INFO_REGISTER) || *gpr == GPR_RSP || info >> 28 == GPR_RSP) ||
	    unlikely(vcpu_reg_past(vcpu, REG_SS_AR) & AR_DPL))
		return false;
	encoding = vcpu->gpr[info >> 28];
	if (unlikely(encoding & ~(u64)VMCS12_ENCODING_BITS))
		return false;
	vcpu_trace(vcpu, 0)->subject = encoding;
	*row = vmcs12_row_after[encoding / 2] - 1u;
	return likely(*row < VMCS12_FIELD_COUNT) && likely(!(obstacles[*row] & (slot->elsewhere | more)));
}

/* What both begin with: permission, the VMCS, the field. */
static enum outcome decode(struct vcpu *vcpu, struct target *target, struct field *field)
{
	enum outcome outcome = insn_permitted(vcpu);

	*field = (struct field){ .row = -1 };
	if (outcome != OUTCOME_NONE)
		return outcome;
	if (!find_target(vcpu, target))
		return insn_fail(vcpu, RULE_field_vmcs, 0);
	if (!find_field(vcpu, field))
		return insn_fail(vcpu, RULE_field_unknown, insn_register_operand(vcpu));
	return OUTCOME_NONE;
}

static NOINLINE enum outcome vmread(struct vcpu *vcpu)
{
	enum outcome outcome;
	struct target target;
	struct field field;
	bool wide;
	u32 info;
	u64 value;

	outcome = decode(vcpu, &target, &field);
	if (outcome != OUTCOME_NONE)
		return outcome;
	value = read_row(vcpu, &target, field.row) >> (field.high ? 32 : 0);
	wide = insn_is_wide(vcpu);
	if (!wide)
		value = (u32)value;
	info = (u32)vcpu_reg_hot(vcpu, REG_EXIT_INSTRUCTION_INFO);
	if (info & INFO_REGISTER)
		vcpu_set_gpr(vcpu, INFO_REG1(info), value);
	else
		outcome = insn_write_operand(vcpu, &value, wide ? 8 : 4);
	return likely(outcome == OUTCOME_NONE) ? OUTCOME_VMSUCCEED : outcome;
}

enum outcome exit_vmread(struct vcpu *vcpu)
{
	unsigned int row, gpr;

	if (likely(find_plainly(vcpu, 0, &row, &gpr))) {
		vcpu->gpr[gpr] = *vmcs12_slot(&vcpu->nested.current->v12, row);
		return insn_succeed_plainly(vcpu);
	}
	return insn_finish(vcpu, vmread(vcpu));
}

/* The value to write: 64 bits in 64-bit mode, else 32. */
static enum outcome source_operand(struct vcpu *vcpu, u64 *value)
{
	enum outcome outcome = OUTCOME_NONE;
	u32 info = (u32)vcpu_reg_hot(vcpu, REG_EXIT_INSTRUCTION_INFO);
	bool wide = insn_is_wide(vcpu);

	*value = 0;
	if (info & INFO_REGISTER)
		*value = vcpu_gpr(vcpu, INFO_REG1(info));
	else
		outcome = insn_read_operand(vcpu, value, wide ? 8 : 4);
	if (!wide)
		*value = (u32)*value;
	return outcome;
}

static bool is_writable(int row)
{
	return VMCS_FIELD_TYPE(vmcs12_fields[row].encoding) != VMCS_TYPE_READ_ONLY ||
	       (caps12.misc & VMX_MISC_VMWRITE_ANY);
}

static NOINLINE enum outcome vmwrite(struct vcpu *vcpu)
{
	enum outcome outcome;
	struct target target;
	struct field field;
	u64 value, old;

	outcome = decode(vcpu, &target, &field);
	if (outcome != OUTCOME_NONE)
		return outcome;
	if (!is_writable(field.row))
		return insn_fail(vcpu, RULE_field_read_only, insn_register_operand(vcpu));
	outcome = source_operand(vcpu, &value);
	if (outcome != OUTCOME_NONE)
		return outcome;
	old = read_row(vcpu, &target, field.row);
	value = field.high ? value << 32 | (u32)old
			   : vmcs12_mask_width(vmcs12_fields[field.row].encoding, value);
	if (value != old)
		write_row(vcpu, &target, field.row, value);
	if (vmcs12_fields[field.row].shadow == SHADOW_RW && target.slot == vcpu->nested.current)
		shadow_use_written(vcpu, (unsigned int)field.row);
	return OUTCOME_VMSUCCEED;
}

enum outcome exit_vmwrite(struct vcpu *vcpu)
{
	unsigned int row, gpr;

	if (likely(find_plainly(vcpu, WRITE_DOES_MORE, &row, &gpr))) {
		struct nested_vmcs *slot = vcpu->nested.current;
		u64 *old = vmcs12_slot(&slot->v12, row);
		u64 value = vcpu->gpr[gpr] & vmcs12_row_mask[row];

		if (*old != value) {
			*old = value;
			slot->dirty |= vmcs12_fields[row].group;
		}
		return insn_succeed_plainly(vcpu);
	}
	return insn_finish(vcpu, vmwrite(vcpu));
}
