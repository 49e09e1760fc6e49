/* SPDX-License-Identifier: MIT */
/*
 * VMX instructions of L1: who may execute them, how they end, their operands;
 * and those that concern VMX operation itself: VMXON, VMXOFF, VMCALL, VMFUNC.
 * Each instruction is a function from the vCPU to an outcome, in the SDM's
 * order; one function turns VMsucceed and VMfail into flags.
 * SDM: "VMX Instruction Reference".
 */
#include "vmx/nested/insn/insn.h"

#include "kernel/panic.h"
#include "kernel/msr.h"
#include "kernel/x86.h"
#include "vmx/guest/guest_mem.h"
#include "vmx/nested/explain/explain.h"
#include "mm/addr.h"
#include "vmx/guest/outcome.h"
#include "vmx/guest/vcpu.h"
#include "vmx/nested/entry/entry.h"
#include "vmx/nested/ept/ept02.h"
#include "vmx/nested/ept/ept12.h"
#include "vmx/nested/ept/vpid.h"
#include "vmx/nested/explain/fail.h"
#include "vmx/nested/explain/held.h"
#include "vmx/guest/handlers.h"
#include "vmx/nested/vmcs12/caps12.h"
#include "vmx/nested/vmcs12/shadow.h"
#include "vmx/nested/vmcs12/slots.h"
#include "vmx/nested/vmcs12/vmcs12.h"
#include "vmx/guest/vmx_operand.h"
#include "vmx/l1/exit_cr.h"
#include "vmx/l1/l1.h"

/* SDM: "(RFLAGS.VM = 1) or (IA32_EFER.LMA = 1 and CS.L = 0) THEN #UD". */
static bool mode_permits(struct vcpu *vcpu)
{
	return !vcpu_is_v86(vcpu) && (!vcpu_is_long_mode(vcpu) || vcpu_is_64bit(vcpu));
}

/*
 * The #UD of real, virtual-8086 and compatibility mode comes before "in VMX
 * non-root operation THEN VMexit": the processor has looked.
 */
enum outcome insn_refuse(struct vcpu *vcpu)
{
	return insn_fail(vcpu, vcpu->nested.vmxon ? RULE_privilege : RULE_outside_vmx, 0);
}

enum outcome insn_finish_failed(struct vcpu *vcpu, enum outcome outcome)
{
	if (outcome == OUTCOME_FAULT || outcome == OUTCOME_VMFAIL_INVALID || outcome == OUTCOME_VMFAIL_VALID)
		explain_refusal(vcpu);
	switch (outcome) {
	case OUTCOME_VMFAIL_INVALID: return insn_set_flags(vcpu, RFLAGS_CF);
	case OUTCOME_VMFAIL_VALID: return insn_set_flags(vcpu, RFLAGS_ZF);
	default: return outcome;
	}
}

/* ---- operands ---- */

/* Notes a fault of the operand for explain=. */
static enum outcome accessed(struct vcpu *vcpu, enum outcome outcome)
{
	if (unlikely(outcome == OUTCOME_FAULT))
		explain_note(vcpu, RULE_operand, vcpu->outcome.fault.linear);
	return outcome;
}

enum outcome insn_read_operand(struct vcpu *vcpu, void *to, size_t length)
{
	struct vmx_operand operand;
	enum outcome outcome = vmx_operand_decode(vcpu, length, false, &operand);

	if (likely(outcome == OUTCOME_NONE))
		outcome = guest_linear_read(vcpu, GVA(operand.linear), to, length);
	return accessed(vcpu, outcome);
}

enum outcome insn_write_operand(struct vcpu *vcpu, const void *from, size_t length)
{
	struct vmx_operand operand;
	enum outcome outcome = vmx_operand_decode(vcpu, length, true, &operand);

	if (likely(outcome == OUTCOME_NONE))
		outcome = guest_linear_write(vcpu, GVA(operand.linear), from, length);
	return accessed(vcpu, outcome);
}

bool insn_region_valid(u64 gpa)
{
	return IS_ALIGNED(gpa, PAGE_SIZE) && !(gpa >> caps12.physical_bits);
}

/* ---- VMXON, VMXOFF ---- */

static bool fixed_bits_hold(u64 value, u64 fixed0, u64 fixed1)
{
	return (value & fixed0) == fixed0 && !(value & ~fixed1);
}

/* Who may execute VMXON, and in which mode: the rule that is broken, or RULE_COUNT. */
static enum rule vmxon_refused(struct vcpu *vcpu)
{
	if (!vcpu_is_protected(vcpu))
		return RULE_vmxon_protected;
	if (!(cr_l1_cr4(vcpu) & CR4_VMXE))
		return RULE_vmxon_vmxe;
	if (!mode_permits(vcpu))
		return RULE_wrong_mode;
	if (vcpu_cpl(vcpu))
		return RULE_privilege;
	return vcpu->nested.vmxon ? RULE_vmxon_root : RULE_COUNT;
}

/*
 * SDM VMXON: "(the values of CR0 and CR4 are not supported in VMX operation)
 * or (lock bit clear) or (outside SMX operation and bit 2 clear) THEN #GP(0)".
 * L1 cannot be in A20M mode: L0 is in VMX operation, which disables it; nor in SMX operation: it has no
 * GETSEC.
 */
static enum outcome vmxon_allowed(struct vcpu *vcpu)
{
	const u64 needed = FEATURE_CONTROL_LOCKED | FEATURE_CONTROL_VMX;

	if (!fixed_bits_hold(cr_l1_cr0(vcpu), caps12.cr0_fixed0, caps12.cr0_fixed1))
		return insn_fail(vcpu, RULE_vmxon_cr0, cr_l1_cr0(vcpu));
	if (!fixed_bits_hold(cr_l1_cr4(vcpu), caps12.cr4_fixed0, caps12.cr4_fixed1))
		return insn_fail(vcpu, RULE_vmxon_cr4, cr_l1_cr4(vcpu));
	if ((vcpu->l1.feature_control & needed) != needed)
		return insn_fail(vcpu, RULE_vmxon_locked, vcpu->l1.feature_control);
	return OUTCOME_NONE;
}

static enum outcome vmxon(struct vcpu *vcpu)
{
	enum rule rule = vmxon_refused(vcpu);
	struct nested *nested = &vcpu->nested;
	enum outcome outcome;
	u32 revision;
	u64 gpa;

	if (rule != RULE_COUNT)
		return insn_fail(vcpu, rule, 0);
	outcome = vmxon_allowed(vcpu);
	if (outcome == OUTCOME_NONE)
		outcome = insn_read_operand(vcpu, &gpa, sizeof(gpa));
	if (outcome != OUTCOME_NONE)
		return outcome;
	if (!insn_region_valid(gpa))
		return insn_fail(vcpu, RULE_vmxon_address, gpa);
	guest_mem_read(vcpu, GPA(gpa), &revision, sizeof(revision));
	if (revision != VMCS12_REVISION)
		return insn_fail(vcpu, RULE_vmxon_revision, revision);
	nested->vmxon = true;
	nested->l1_long_mode = vcpu_is_long_mode(vcpu);
	nested->vmxon_pointer = gpa;
	cr_update_masks(vcpu);
	shadow_enable(vcpu);
	held_watch(vcpu, true);
	return OUTCOME_VMSUCCEED;
}

enum outcome exit_vmxon(struct vcpu *vcpu)
{
	return insn_finish(vcpu, vmxon(vcpu));
}

/* Ends VMX operation: no VMCS stays active, and no EPT02 or VPID is kept. */
static void leave_vmx(struct vcpu *vcpu)
{
	struct nested *nested = &vcpu->nested;

	if (!nested->vmxon)
		return;
	/* VMXOFF by L2 exits to L1, so that L2 never runs here. */
	ASSERT(vcpu->vmcs == &vcpu->vmcs01);
	ept12_explain_left(vcpu);
	held_watch(vcpu, false);
	slot_make_current(vcpu, NULL);
	for (unsigned int i = 0; i < NESTED_VMCS_COUNT; i++)
		if (nested->slots[i].gpa != NO_VMCS)
			slot_release(vcpu, &nested->slots[i]);
	shadow_disable(vcpu);
	ept02_drop_all(vcpu);
	vpid02_invvpid(vcpu, INVVPID_ALL, 0, 0);
	nested->vmxon = false;
	nested->vmxon_pointer = NO_VMCS;
	cr_update_masks(vcpu);
}

static enum outcome vmxoff(struct vcpu *vcpu)
{
	enum outcome outcome = insn_permitted(vcpu);

	if (outcome != OUTCOME_NONE)
		return outcome;
	leave_vmx(vcpu);
	/* SDM: "unblock INIT signals": one that was held comes now, after the instruction, and leaves nothing
	 * of it. */
	if (vcpu->nested.init_pending) {
		vcpu->nested.init_pending = false;
		l1_take_init(vcpu);
		return OUTCOME_RESUME;
	}
	return OUTCOME_VMSUCCEED;
}

enum outcome exit_vmxoff(struct vcpu *vcpu)
{
	return insn_finish(vcpu, vmxoff(vcpu));
}

/* ---- VMLAUNCH, VMRESUME: entry.c ---- */

static inline enum outcome enter(struct vcpu *vcpu, bool launch)
{
	enum outcome outcome = OUTCOME_NONE;

	if (unlikely(!insn_is_plain(vcpu) || (vcpu_reg_past(vcpu, REG_SS_AR) & AR_DPL)))
		outcome = insn_permitted(vcpu);
	if (likely(outcome == OUTCOME_NONE))
		outcome = nested_enter(vcpu, launch);
	return likely(outcome == OUTCOME_RESUME) ? outcome : insn_finish(vcpu, outcome);
}

enum outcome exit_vmlaunch(struct vcpu *vcpu)
{
	return enter(vcpu, true);
}

enum outcome exit_vmresume(struct vcpu *vcpu)
{
	return enter(vcpu, false);
}

/* ---- VMCALL, VMFUNC ---- */

/* There is no dual-monitor treatment of SMIs: SDM "VMfail (VMCALL executed in VMX root operation)". */
enum outcome nested_vmcall(struct vcpu *vcpu)
{
	enum outcome outcome;

	/* VMCALL alone exits before the processor looks at the mode. */
	if (!mode_permits(vcpu))
		return insn_finish(vcpu, insn_fail(vcpu, RULE_wrong_mode, 0));
	outcome = insn_permitted(vcpu);
	return insn_finish(vcpu, outcome == OUTCOME_NONE ? insn_fail(vcpu, RULE_vmcall_root, 0) : outcome);
}

/* A function of L2's that L1 has enabled; L1 itself is in VMX root operation or outside, where VMFUNC is #UD.
 */
enum outcome exit_vmfunc(struct vcpu *vcpu)
{
	if (!vcpu->guest->vmfunc)
		return insn_finish(vcpu, insn_fail(vcpu, RULE_vmfunc_root, 0));
	return vcpu->guest->vmfunc(vcpu);
}
