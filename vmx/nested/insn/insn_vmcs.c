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

/* The operand of a plain VMCLEAR or VMPTRLD. */
static inline struct plain_word plain_region_operand(struct vcpu *vcpu)
{
	u64 linear;

	return insn_operand_plain(vcpu, &linear) ? guest_read_word_plainly(vcpu, linear)
						 : (struct plain_word){ 0, false };
}

/* The region that VMCLEAR or VMPTRLD names must have an address that fits, and not be the VMXON region. */
static enum outcome check_region(struct vcpu *vcpu, u64 gpa, enum rule address, enum rule vmxon)
{
	if (!insn_region_valid(gpa))
		return insn_fail(vcpu, address, gpa);
	return gpa == vcpu->nested.vmxon_pointer ? insn_fail(vcpu, vmxon, gpa) : OUTCOME_NONE;
}

static enum outcome vmclear(struct vcpu *vcpu, u64 gpa)
{
	struct nested_vmcs *slot = slot_find(vcpu, gpa);
	const u32 clear = 0;

	if (!slot) {
		guest_mem_write(vcpu, GPA(gpa + offsetof(struct vmcs12, launched)), &clear, sizeof(clear));
		return OUTCOME_VMSUCCEED;
	}
	if (slot == vcpu->nested.current)
		slot_make_current(vcpu, NULL);
	slot->v12.launched = 0;
	slot_release(vcpu, slot);
	return OUTCOME_VMSUCCEED;
}

/* Both: the operand if it was not plain, its checks, what is done with the region, the flags. */
static ALWAYS_INLINE enum outcome with_region(struct vcpu *vcpu, struct plain_word plain,
					      enum outcome (*act)(struct vcpu *vcpu, u64 gpa),
					      enum rule address, enum rule vmxon)
{
	enum outcome outcome = OUTCOME_NONE;
	u64 gpa = plain.value;

	if (unlikely(!plain.read))
		outcome = region_operand_slowly(vcpu, &gpa);
	if (likely(outcome == OUTCOME_NONE))
		outcome = check_region(vcpu, gpa, address, vmxon);
	if (likely(outcome == OUTCOME_NONE))
		outcome = act(vcpu, gpa);
	return insn_finish(vcpu, outcome);
}

enum outcome exit_vmclear(struct vcpu *vcpu)
{
	return with_region(vcpu, plain_region_operand(vcpu), vmclear, RULE_vmclear_address,
			   RULE_vmclear_vmxon);
}

/* SDM: "rev[31] = 1 AND processor does not support 1-setting of VMCS shadowing" fails as well. */
static bool revision_supported(u32 revision)
{
	return likely(revision == VMCS12_REVISION) ||
	       (revision == (VMCS12_REVISION | (u32)VMCS_SHADOW_INDICATOR) &&
		(caps12.proc2.allowed1 & PROC2_VMCS_SHADOWING));
}

static enum outcome vmptrld(struct vcpu *vcpu, u64 gpa)
{
	struct nested_vmcs *slot;
	u32 revision = guest_mem_word(vcpu, GPA(gpa));

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

static NOINLINE enum outcome vmptrld_other(struct vcpu *vcpu, struct plain_word plain)
{
	return with_region(vcpu, plain, vmptrld, RULE_vmptrld_address, RULE_vmptrld_vmxon);
}

/*
 * The VMCS that is current already, and whose region still says that it is one: its address has passed the
 * checks, and nothing changes but the flags.
 */
static inline bool is_current_again(const struct vcpu *vcpu, u64 gpa)
{
	const struct nested_vmcs *slot = vcpu->nested.current;
	const void *region;

	return slot && slot->gpa == gpa && guest_mem_usual_place(vcpu, GPA(gpa), &region) &&
	       READ_ONCE(*(const u32 *)region) == VMCS12_REVISION && slot->v12.revision == VMCS12_REVISION;
}

enum outcome exit_vmptrld(struct vcpu *vcpu)
{
	struct plain_word gpa = plain_region_operand(vcpu);

	if (likely(gpa.read) && likely(is_current_again(vcpu, gpa.value)))
		return insn_succeed_plainly(vcpu);
	return vmptrld_other(vcpu, gpa);
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
