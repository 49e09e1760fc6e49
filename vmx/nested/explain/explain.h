/* SPDX-License-Identifier: MIT */
/*
 * explain=: says why a VM entry, a VMX instruction or an access of L2's was refused, in a paragraph on the
 * console. All of this runs on the CPU that it is about, after a refusal is certain and before the guest's
 * registers change for it; it changes nothing that a guest can see, and nobody waits for it.
 */
#ifndef VMX_NESTED_EXPLAIN_H
#define VMX_NESTED_EXPLAIN_H

#include "vmx/guest/vcpu.h"
#include "vmx/nested/explain/rules.h"
#include "vmx/nested/explain/words.h"

/* Once per CPU, before its vCPU runs. */
void explain_init(struct vcpu *vcpu);

/* False: nothing will be said about this rule (any more). For a path that is not rare. */
static inline bool explain_is_open(const struct vcpu *vcpu, enum rule rule)
{
	return !(vcpu->nested.explain.told[rule / 64] & BIT(rule % 64));
}

/* Remembers the rule that is being broken, and what it is about: an address, an encoding, a value. For
 * explain_refusal(). */
void explain_note(struct vcpu *vcpu, enum rule rule, u64 value);

/* A VMX instruction ends as nested.failure.rule says. */
void explain_refusal(struct vcpu *vcpu);

/* VMLAUNCH or VMRESUME fails by nested.failure; `slot` is the current VMCS. */
void explain_entry(struct vcpu *vcpu, const struct nested_vmcs *slot);

/* An entry of the VM-entry MSR-load list fails the entry; nested.failure says which, as msr_area.c has left
 * it. */
void explain_list(struct vcpu *vcpu, const struct nested_vmcs *slot);

/* The processor itself found what Socle's checks had let through. `reason` 0: `qualification` is a
 * VM-instruction error. */
void explain_late(struct vcpu *vcpu, const struct nested_vmcs *slot, enum rule rule, u32 reason,
		  u64 qualification);

/* L1's processor shuts down by a VMX abort; nested.failure is the entry of a list where it is that. */
void explain_abort(struct vcpu *vcpu, const struct nested_vmcs *slot, enum rule rule);

/* When an EPT violation or misconfiguration is told: at once, at its HELD_TIMES-th time in a row, or after
 * the exit. */
enum explain_when { EXPLAIN_NOW, EXPLAIN_AGAIN, EXPLAIN_LEFT };

/* An EPT violation or misconfiguration that L1 gets, or has got: L1's entries from level `top` down to
 * `last`, of which the last decides. */
struct explain_walk {
	const struct explain_held *held; /* the access */
	u64 linear;
	const u64 *entries; /* by level */
	unsigned int top, last;
	enum explain_when when;
};
void explain_ept(struct vcpu *vcpu, enum rule rule, const struct explain_walk *walk);

/* L2 has shut down, and L1 is told. `describe` adds what L2 has left. */
void explain_l2_triple(struct vcpu *vcpu, void (*describe)(struct vcpu *vcpu, struct text *text));

/* A paragraph is not longer: that of a triple fault has some 2,000 characters. On the stack. */
#define EXPLAIN_TEXT_MAX 2600

#endif
