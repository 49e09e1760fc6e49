/* SPDX-License-Identifier: MIT */
/*
 * A walk of EPT12 that ended in a fault: what L1 is told of it, and what a person is; and the accesses that
 * L0 itself makes for an L2, whose faults are L2's exits. SDM: "EPT-Induced VM Exits", "Exit Qualification
 * for EPT Violations".
 */
#include "kernel/x86.h"
#include "mm/addr.h"
#include "vmx/guest/outcome.h"
#include "vmx/guest/vcpu.h"
#include "vmx/nested/ept/ept.h"
#include "vmx/nested/ept/ept12.h"
#include "vmx/nested/explain/explain.h"
#include "vmx/nested/explain/held.h"
#include "vmx/nested/vmcs12/exit_record.h"
#include "vmx/nested/vmcs12/vmcs12.h"

/* SDM "Exit Qualification for EPT Violations": bits 5:3 and 6 are the AND of L1's entries, 0 if one is not
 * present. */
static u64 qualification(const struct ept12_role *role, u64 access, const struct ept12_walk *walk)
{
	u64 user = role->user_exec && (walk->permissions & EPT_USER_EXEC) ? EPTV_PERM_USER_EXEC : 0;

	return access | (walk->permissions & EPT_RWX) << EPTV_PERM_SHIFT | user;
}

/* Which rule the last entry of the walk breaks. */
static COLD enum rule broken_rule(const struct ept12_role *role, enum ept12_result result, u64 l2gpa,
				  const struct ept12_walk *walk)
{
	u64 entry = walk->entry[walk->leaf];
	bool leaf = ept_is_leaf(entry, walk->leaf) && walk->leaf <= 3;

	if (!ept12_is_covered(role, l2gpa))
		return RULE_ept_beyond;
	if (result == EPT12_VIOLATION)
		return ept12_is_present(role, entry) ? RULE_ept_denied : RULE_ept_absent;
	if (entry & ept12_rules.reserved[walk->leaf][leaf])
		return RULE_ept_reserved;
	if ((entry & (EPT_READ | EPT_WRITE)) == EPT_WRITE)
		return RULE_ept_write_only;
	return entry & EPT_READ ? RULE_ept_type : RULE_ept_execute_only;
}

static COLD void tell(struct vcpu *vcpu, enum rule rule, const struct ept12_role *role,
		      const struct ept12_walk *walk, u64 linear, enum explain_when when)
{
	explain_ept(vcpu, rule,
		    &(const struct explain_walk){ .held = &vcpu->nested.explain.held,
						  .linear = linear,
						  .entries = walk->entry,
						  .top = ept12_role_levels(role),
						  .last = walk->leaf,
						  .when = when });
}

void ept12_explain(struct vcpu *vcpu, const struct ept12_role *role, enum ept12_result result, u64 l2gpa,
		   u64 access, const struct ept12_walk *walk)
{
	enum rule rule;

	if (result == EPT12_LOG_FULL)
		return;
	/* The usual one is seen at once. */
	if (likely(result == EPT12_VIOLATION && ept12_is_covered(role, l2gpa) &&
		   !ept12_is_present(role, walk->entry[walk->leaf])))
		rule = RULE_ept_absent;
	else
		rule = broken_rule(role, result, l2gpa, walk);
	if (explain_is_open(vcpu, rule) &&
	    unlikely(!held_take(vcpu, result == EPT12_MISCONFIG, role->eptp, l2gpa, access)))
		tell(vcpu, rule, role, walk, vcpu_reg(vcpu, REG_GUEST_LINEAR_ADDRESS),
		     vcpu->nested.explain.held.times < HELD_TIMES ? EXPLAIN_NOW : EXPLAIN_AGAIN);
}

/* Which rule L1's tables break for the access that is held, as they are now; RULE_COUNT: L1 has mended it. */
static COLD enum rule still_broken(struct vcpu *vcpu, const struct explain_held *held,
				   const struct ept12_role *role, struct ept12_walk *walk)
{
	/* Who only looks does not ask for accessed and dirty flags. */
	struct ept12_role looked = { .eptp = role->eptp & ~EPTP_AD, .user_exec = role->user_exec };
	bool misconfigured;
	u64 last;

	*walk = (struct ept12_walk){ .leaf = ept12_role_levels(role) };
	if (ept12_peek_on(vcpu, &looked, held->l2gpa, ept12_need(role, held->access), walk))
		return RULE_COUNT;
	last = walk->entry[walk->leaf];
	misconfigured = ept12_is_present(role, last) && !ept12_entry_valid(role, last, walk->leaf);
	/* Tables that would lead to the other exit now are others than those that L1 was told of. */
	if (misconfigured != held->misconfigured)
		return RULE_COUNT;
	return broken_rule(role, misconfigured ? EPT12_MISCONFIG : EPT12_VIOLATION, held->l2gpa, walk);
}

COLD void ept12_explain_left(struct vcpu *vcpu)
{
	struct explain_held *held = &vcpu->nested.explain.held;
	const struct nested_vmcs *slot = vcpu->nested.current;
	struct ept12_role role;
	struct ept12_walk walk;
	enum rule rule;

	if (!held_is_left(vcpu))
		return;
	/* L1 may have written any other EPT pointer to vmcs12 since. */
	role = ept12_role_of(&slot->v12);
	role.eptp = held->eptp;
	rule = still_broken(vcpu, held, &role, &walk);
	if (rule != RULE_COUNT && explain_is_open(vcpu, rule))
		tell(vcpu, rule, &role, &walk, slot->v12.guest_linear_address, EXPLAIN_LEFT);
	/* What could not be said now is said the next time. */
	if (rule == RULE_COUNT || !explain_is_open(vcpu, rule))
		held->reflections = 0;
}

struct ept12_fault ept12_fault(const struct ept12_role *role, enum ept12_result result, u64 l2gpa, u64 access,
			       const struct ept12_walk *walk)
{
	struct ept12_fault fault = { .reason = EXIT_EPT_MISCONFIG, .l2gpa = l2gpa };

	if (result == EPT12_VIOLATION) {
		fault.reason = EXIT_EPT_VIOLATION;
		fault.qualification = qualification(role, access, walk);
	} else if (result == EPT12_LOG_FULL) {
		fault.reason = EXIT_PML_FULL;
		fault.qualification = access & EPTV_NMI_UNBLOCKING;
	}
	return fault;
}

/* The violation or misconfiguration that L0 met while it emulated an instruction of L2's. */
static enum outcome reflect_fault(struct vcpu *vcpu, const struct ept12_fault *fault)
{
	struct exit_record record = exit_record_hardware(vcpu);

	record.reason = fault->reason;
	record.qualification = fault->qualification;
	record.intr_info = 0;
	record.guest_physical = fault->l2gpa;
	record.guest_linear = 0;
	return outcome_reflect(vcpu, &record);
}

enum outcome nested_translate(struct vcpu *vcpu, l2gpa_t l2gpa, u64 access, gpa_t *gpa)
{
	const struct vmcs12 *v12 = &vcpu->nested.current->v12;
	struct ept12_fault fault;
	enum ept12_result result;
	struct ept12_role role;
	struct ept12_walk walk;

	if (!v12_has_proc2(v12, PROC2_EPT)) {
		*gpa = GPA(l2gpa.v);
		return OUTCOME_NONE;
	}
	role = ept12_role_of(v12);
	access = ept12_access(&role, access);
	result = ept12_walk(vcpu, &role, l2gpa.v, ept12_need(&role, access), &walk);
	if (result == EPT12_OK || result == EPT12_RETRY) {
		*gpa = GPA(walk.gpa);
		return OUTCOME_NONE;
	}
	fault = ept12_fault(&role, result, l2gpa.v, access, &walk);
	ept12_explain(vcpu, &role, result, l2gpa.v, access, &walk);
	return reflect_fault(vcpu, &fault);
}
