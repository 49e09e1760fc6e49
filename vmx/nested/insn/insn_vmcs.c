/* SPDX-License-Identifier: MIT */
/*
 * VMX instructions of L1 that name a VMCS: VMCLEAR, VMPTRLD, VMPTRST. The
 * slots are slots.c's, the instructions that name a field insn_field.c's.
 * SDM: "VMX Instruction Reference".
 */
#include "kernel/x86.h"
#include "vmx/guest/guest_mem.h"
#include "mm/addr.h"
#include "vmx/guest/outcome.h"
#include "vmx/guest/vcpu.h"
#include "vmx/nested/explain/fail.h"
#include "vmx/guest/handlers.h"
#include "vmx/nested/insn/insn.h"
#include "vmx/nested/vmcs12/caps12.h"
#include "vmx/nested/vmcs12/slots.h"
#include "vmx/nested/vmcs12/vmcs12.h"

static NOINLINE enum outcome region_operand_slowly(struct vcpu *vcpu, u64 *gpa)
{
	enum outcome outcome = insn_permitted(vcpu);

	return outcome == OUTCOME_NONE ? insn_read_operand(vcpu, gpa, sizeof(*gpa)) : outcome;
}

/* The region that VMCLEAR or VMPTRLD names: an address that fits, and not the VMXON region's. */
static enum outcome region_operand(struct vcpu *vcpu, u64 *gpa, enum rule address, enum rule vmxon)
{
	enum outcome outcome = OUTCOME_NONE;

	if (unlikely(!insn_read_plainly(vcpu, gpa, 1)))
		outcome = region_operand_slowly(vcpu, gpa);
	if (unlikely(outcome != OUTCOME_NONE))
		return outcome;
	if (!insn_region_valid(*gpa))
		return insn_fail(vcpu, address, *gpa);
	return *gpa == vcpu->nested.vmxon_pointer ? insn_fail(vcpu, vmxon, *gpa) : OUTCOME_NONE;
}

static enum outcome vmclear(struct vcpu *vcpu)
{
	struct nested *nested = &vcpu->nested;
	struct nested_vmcs *slot;
	enum outcome outcome;
	const u32 clear = 0;
	u64 gpa;

	outcome = region_operand(vcpu, &gpa, RULE_vmclear_address, RULE_vmclear_vmxon);
	if (outcome != OUTCOME_NONE)
		return outcome;
	slot = slot_find(vcpu, gpa);
	if (!slot) {
		guest_mem_write(vcpu, GPA(gpa + offsetof(struct vmcs12, launched)), &clear, sizeof(clear));
		return OUTCOME_VMSUCCEED;
	}
	if (slot == nested->current)
		slot_make_current(vcpu, NULL);
	slot->v12.launched = 0;
	slot_release(vcpu, slot);
	return OUTCOME_VMSUCCEED;
}

enum outcome exit_vmclear(struct vcpu *vcpu)
{
	return insn_finish(vcpu, vmclear(vcpu));
}

/* SDM: "rev[31] = 1 AND processor does not support 1-setting of VMCS shadowing" fails as well. */
static bool revision_supported(u32 revision)
{
	if (caps12.proc2.allowed1 & PROC2_VMCS_SHADOWING)
		revision &= ~(u32)VMCS_SHADOW_INDICATOR;
	return revision == VMCS12_REVISION;
}

static enum outcome vmptrld(struct vcpu *vcpu)
{
	struct nested_vmcs *slot;
	enum outcome outcome;
	u32 revision;
	u64 gpa;

	outcome = region_operand(vcpu, &gpa, RULE_vmptrld_address, RULE_vmptrld_vmxon);
	if (outcome != OUTCOME_NONE)
		return outcome;
	revision = guest_mem_word(vcpu, GPA(gpa));
	if (!revision_supported(revision))
		return insn_fail(vcpu, RULE_vmptrld_revision, revision);
	slot = slot_find(vcpu, gpa);
	if (!slot) {
		slot = slot_take(vcpu, gpa);
		guest_mem_read(vcpu, GPA(gpa), &slot->v12, sizeof(slot->v12));
		vmcs12_normalize(&slot->v12);
	}
	/* The revision that was checked is kept, for L1 may have written another one since. */
	slot->v12.revision = revision;
	slot_make_current(vcpu, slot);
	return OUTCOME_VMSUCCEED;
}

enum outcome exit_vmptrld(struct vcpu *vcpu)
{
	return insn_finish(vcpu, vmptrld(vcpu));
}

static enum outcome vmptrst(struct vcpu *vcpu)
{
	enum outcome outcome;
	u64 gpa;

	outcome = insn_permitted(vcpu);
	if (outcome != OUTCOME_NONE)
		return outcome;
	gpa = vcpu->nested.current ? vcpu->nested.current->gpa : NO_VMCS;
	outcome = insn_write_operand(vcpu, &gpa, sizeof(gpa));
	return outcome == OUTCOME_NONE ? OUTCOME_VMSUCCEED : outcome;
}

enum outcome exit_vmptrst(struct vcpu *vcpu)
{
	return insn_finish(vcpu, vmptrst(vcpu));
}
