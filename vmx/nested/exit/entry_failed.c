/* SPDX-License-Identifier: MIT */
/*
 * VM entries of L1's that fail behind the checks of controls and host: by L2's state, by an MSR of the list,
 * or by the processor itself, whose word it is then. SDM: "VM-Entry Failures During or After Loading Guest
 * State".
 */
#include "kernel/panic.h"
#include "kernel/x86.h"
#include "vmx/guest/outcome.h"
#include "vmx/guest/vcpu.h"
#include "vmx/nested/entry/tpr.h"
#include "vmx/nested/exit/host_state.h"
#include "vmx/nested/exit/leave.h"
#include "vmx/nested/exit/reflect.h"
#include "vmx/nested/explain/explain.h"
#include "vmx/nested/explain/fail.h"
#include "vmx/nested/vmcs12/vmcs12.h"

/* vmcs01 is current: no state of L2's has been loaded, L1 keeps its own. */
static struct inherited inherit_from_l1(struct vcpu *vcpu)
{
	return (struct inherited){
		.efer = vcpu_reg_hot(vcpu, REG_EFER),
		.pat = vcpu_pat(vcpu),
	};
}

/*
 * "Only the exit reason and the exit qualification are recorded; the valid bit
 * of the VM-entry interruption information is not cleared, no guest state and
 * no MSR is saved, NMI blocking is what it was before the entry."  A failure
 * in the MSR list comes when L2's state has been loaded already.
 */
COLD enum outcome nested_entry_failure(struct vcpu *vcpu, u32 reason, u64 qualification)
{
	struct nested_vmcs *slot = vcpu->nested.current;
	bool loaded = (reason & 0xffff) == EXIT_ENTRY_FAIL_MSR;
	struct inherited inherited;

	slot->v12.exit_reason = reason | EXIT_REASON_ENTRY_FAILURE;
	slot->v12.exit_qualification = qualification;
	slot->to_push |= PLACE(exit_reason) | PLACE(exit_qualification);
	if (loaded)
		inherited = inherited_from_l2(vcpu, vcpu_reg(vcpu, REG_EFER), false);
	nested_cancel_entry(vcpu);
	if (!loaded)
		inherited = inherit_from_l1(vcpu);
	inherited.nmi_blocked = vcpu_reg(vcpu, REG_INTERRUPTIBILITY) & INTERRUPTIBILITY_NMI;
	return nested_load_host_state(vcpu, slot, &inherited);
}

/* vmcs02 is made anew, and everything is checked again, when L1 tries once more. */
static void note_hardware_failure(struct vcpu *vcpu)
{
	vcpu->nested.current->entered = false;
	vcpu->nested.counters.entry_failures++;
}

COLD enum outcome nested_hardware_failure(struct vcpu *vcpu, u32 reason, u64 qualification)
{
	note_hardware_failure(vcpu);
	explain_late(vcpu, vcpu->nested.current, RULE_late_guest, reason, qualification);
	return nested_entry_failure(vcpu, reason, qualification);
}

COLD enum outcome nested_hardware_vmfail(struct vcpu *vcpu, u32 error)
{
	/* L0's own part of vmcs02 is never at fault. */
	ASSERT(error == VMXERR_ENTRY_CONTROLS);
	if (tpr_relax(vcpu))
		return OUTCOME_RESUME;
	note_hardware_failure(vcpu);
	explain_late(vcpu, vcpu->nested.current, RULE_late_controls, 0, error);
	nested_cancel_entry(vcpu);
	return insn_fail(vcpu, RULE_late_controls, 0);
}
