/* SPDX-License-Identifier: MIT */
/*
 * The EPT02s of this CPU: which one an L2 runs on, what becomes of its violations, and when they are emptied.
 * An EPT02 is made entry by entry on violations (ept02_fill.c). Which violations are L1's is decided by
 * walking EPT12 anew, so more permission in EPT12 needs no INVEPT. SDM: "EPT Translation Mechanism",
 * "EPT-Induced VM Exits".
 */
#include "vmx/nested/ept/ept02.h"

#include "kernel/cmdline.h"
#include "kernel/panic.h"
#include "mm/page_alloc.h"
#include "vmx/nested/ept/ept.h"
#include "vmx/hw/exits.h"
#include "vmx/l1/closed.h"
#include "vmx/l1/sleep_page.h"
#include "vmx/hw/tlb.h"
#include "mm/addr.h"
#include "vmx/guest/event.h"
#include "vmx/guest/outcome.h"
#include "vmx/guest/vcpu.h"
#include "vmx/nested/ept/ve.h"
#include "vmx/nested/vmcs12/caps12.h"
#include "vmx/nested/vmcs12/exit_record.h"
#include "vmx/nested/vmcs12/known02.h"
#include "vmx/nested/vmcs12/vmcs12.h"

#define SYNC_SHARE 2048 /* entries compared at once: about what ten violations cost */

void ept02_init(struct vcpu *vcpu)
{
	size_t pages = ALIGN_UP(sizeof(struct ept02_cache), PAGE_SIZE) / PAGE_SIZE;
	struct ept02_cache *cache = page_alloc_contig(pages);

	ept12_init();
	cache->counters = &vcpu->nested.counters;
	cache->translations = &vcpu->nested.translations;
	cache->sync_share = SYNC_SHARE;
	ept02_absent_init(cache);
	ept02_table_init(cache, options.ept02_budget);
	vcpu->nested.ept = cache;
}

static bool same_role(const struct ept12_role *a, const struct ept12_role *b)
{
	return a->eptp == b->eptp && a->user_exec == b->user_exec;
}

/* ---- entries ---- */

/*
 * After L0 has given L1 an EPT violation, L1 usually repairs EPT12 and enters L2 again. The missing entry is
 * made now, before L2 faults on it a second time. A processor may fill its TLB as early of its own accord.
 * Its neighbours that have been accessed are there, as a rule: with accessed flags no other one is made.
 */
static void retry(struct vcpu *vcpu, struct ept02_root *root)
{
	struct ept02_cache *cache = vcpu->nested.ept;
	struct ept12_walk *walk = &cache->walk;
	struct ept01_mapping under;

	if (ept12_peek_on(vcpu, &root->role, cache->retry_l2gpa, cache->retry_need, walk) &&
	    ept02_look_under(vcpu, walk->gpa, &under))
		ept02_fill(vcpu, root, cache->retry_l2gpa, walk, &under, ept12_role_has_ad(&root->role));
}

bool ept02_stands(struct vcpu *vcpu, struct nested_vmcs *slot)
{
	struct ept02_cache *cache = vcpu->nested.ept;
	const struct ept02_root *root = slot->ept02;
	struct ept12_role role;

	if (root != cache->active || cache->retry)
		return false;
	if (!v12_has_proc2(&slot->v12, PROC2_EPT))
		return !root;
	role = ept12_role_of(&slot->v12);
	return root && root->used && !root->stale && root->pointer == known02_eptp(slot) &&
	       same_role(&root->role, &role);
}

u64 ept02_pointer(struct vcpu *vcpu, struct nested_vmcs *slot)
{
	struct ept02_cache *cache = vcpu->nested.ept;
	struct ept02_root *root = slot->ept02;
	struct ept12_role role;

	if (!v12_has_proc2(&slot->v12, PROC2_EPT)) {
		slot->ept02 = NULL;
		cache->active = NULL;
		cache->retry = NULL;
		return vcpu->vm->ept01_pointer;
	}
	role = ept12_role_of(&slot->v12);
	/* slot->ept02 is a hint: that root may belong to another EPT12 by now. */
	if (!root || !root->used || !same_role(&root->role, &role)) {
		root = ept02_root_find(cache, &role);
		if (!root)
			root = ept02_root_make(cache, &role);
		slot->ept02 = root;
	}
	if (root->stale)
		ept02_sync_root(vcpu, root);
	root->last_used = ++cache->clock;
	cache->active = root;
	if (cache->retry == root)
		retry(vcpu, root);
	cache->retry = NULL;
	return root->pointer;
}

/* ---- violations ---- */

/* To the processor it was a violation, whatever it is to L1. */
static enum outcome reflect(struct vcpu *vcpu, const struct ept12_fault *fault)
{
	struct exit_record record = exit_record_by(vcpu, FACTS_EPT_VIOLATION);

	record.reason = fault->reason;
	record.qualification = fault->qualification;
	return outcome_reflect(vcpu, &record);
}

/*
 * Takes from the qualification what hardware says about the access itself. The permissions come from
 * EPT12.
 */
static u64 access_of(const struct ept12_role *role, u64 qualification)
{
	u64 bits = EPTV_READ | EPTV_WRITE | EPTV_FETCH | EPTV_LINEAR_VALID | EPTV_TRANSLATED |
		   EPTV_NMI_UNBLOCKING;

	if (caps12.ept_vpid & EPT_CAP_ADVANCED)
		bits |= EPTV_USER | EPTV_RW_PAGE | EPTV_NX_PAGE;
	return ept12_access(role, qualification & bits);
}

/* L2 without EPT12 runs on EPT01: MMIO on demand, or memory that is not there. */
static enum outcome violation01(struct vcpu *vcpu, gpa_t gpa, u64 qualification)
{
	u32 closed = closed_bits(gpa.v) & (u32)qualification;
	struct ept01_mapping under;

	event_restore_nmi_blocking(vcpu, qualification & EPTV_NMI_UNBLOCKING);
	if (unlikely(closed)) {
		if (closed_may_pass(vcpu, gpa, closed))
			ept02_closed_step01(vcpu, gpa);
		return OUTCOME_RESUME;
	}
	if ((qualification & EPTV_WRITE) && sleep_page_is(gpa.v))
		return sleep_page_store(vcpu, gpa) ? OUTCOME_SKIP : ept02_absent_step01(vcpu, gpa);
	if (!vm_ept01_lookup(gpa, &under))
		return ept02_absent_step01(vcpu, gpa);
	ept01_step_follow(vcpu);
	return OUTCOME_RESUME;
}

/* The page itself for one instruction, if that may pass. */
static COLD enum outcome violation_of_closed(struct vcpu *vcpu, u64 l2gpa, const struct ept12_walk *walk,
					     u32 closed)
{
	struct ept01_mapping under;

	if (closed_may_pass(vcpu, GPA(walk->gpa), closed) && ept02_look_under(vcpu, walk->gpa, &under)) {
		ept02_closed_map(vcpu, l2gpa, &under);
		ept02_fill(vcpu, vcpu->nested.current->ept02, l2gpa, walk, &under, false);
	}
	event_restore_nmi_blocking(vcpu, vcpu_reg(vcpu, REG_EXIT_QUALIFICATION) & EPTV_NMI_UNBLOCKING);
	return OUTCOME_RESUME;
}

enum outcome ept02_violation(struct vcpu *vcpu)
{
	struct nested_vmcs *slot = vcpu->nested.current;
	struct ept02_root *root = slot->ept02;
	u64 qualification = vcpu_reg_hot(vcpu, REG_EXIT_QUALIFICATION);
	u64 l2gpa = vcpu_reg_hot(vcpu, REG_GUEST_PHYSICAL_ADDRESS);
	struct ept01_mapping under;
	enum ept12_result result;
	struct ept12_walk *walk = &vcpu->nested.ept->walk;
	u64 access, need;

	/* L0 makes the entries of EPT02 and EPT01, so a misconfiguration is L0's mistake. */
	if ((vcpu->exit_reason & 0xffff) == EXIT_EPT_MISCONFIG)
		panic("EPT02 misconfigured at %llx", (unsigned long long)l2gpa);
	ASSERT(root == vcpu->nested.ept->active);
	if (!root)
		return violation01(vcpu, GPA(l2gpa), qualification);
	access = access_of(&root->role, qualification);
	need = ept12_need(&root->role, access);
	result = ept12_walk_again(vcpu, &root->role, l2gpa, need, walk);
	/* L2 repeats the access. Between the two, L1's interrupts get a chance. */
	if (unlikely(result == EPT12_RETRY)) {
		event_restore_nmi_blocking(vcpu, qualification & EPTV_NMI_UNBLOCKING);
		return OUTCOME_RESUME;
	}
	if (result != EPT12_OK) {
		struct ept12_fault fault = ept12_fault(&root->role, result, l2gpa, access, walk);

		if (result == EPT12_VIOLATION) {
			enum outcome outcome =
				nested_convert_violation(vcpu, walk->entry[walk->leaf], fault.qualification);

			if (outcome != OUTCOME_NONE)
				return outcome;
			vcpu->nested.ept->retry = root;
			vcpu->nested.translations++;
			vcpu->nested.ept->retry_l2gpa = l2gpa;
			vcpu->nested.ept->retry_need = need;
		}
		ept12_explain(vcpu, &root->role, result, l2gpa, access, walk);
		return reflect(vcpu, &fault);
	}
	if (unlikely(closed_bits(walk->gpa) & access))
		return violation_of_closed(vcpu, l2gpa, walk, closed_bits(walk->gpa) & (u32)access);
	if (unlikely((access & EPTV_WRITE) && sleep_page_is(walk->gpa))) {
		if (sleep_page_store(vcpu, GPA(walk->gpa)))
			return OUTCOME_SKIP;
		under = ept02_absent_map(vcpu, l2gpa, true);
	} else if (!ept02_look_under(vcpu, walk->gpa, &under))
		under = ept02_absent_map(vcpu, l2gpa, access & EPTV_WRITE);
	ept02_fill(vcpu, root, l2gpa, walk, &under, false);
	event_restore_nmi_blocking(vcpu, qualification & EPTV_NMI_UNBLOCKING);
	return OUTCOME_RESUME;
}

/* ---- invalidation ---- */

/*
 * SDM "INVEPT": single-context is by bits 51:12 of the EPT pointer. A root that is marked here is compared
 * with L1's tables when it is used again.
 */
void ept02_invept(struct vcpu *vcpu, u64 type, u64 eptp)
{
	struct ept02_cache *cache = vcpu->nested.ept;

	vcpu->nested.translations++;
	for (unsigned int i = 0; i < cache->root_limit; i++) {
		struct ept02_root *root = &cache->roots[i];

		if (type == INVEPT_ALL || !((root->role.eptp ^ eptp) & EPT_ADDRESS))
			root->stale = true;
	}
}

/* All but `kept`, which vmcs02 may be running on: that one is only emptied. */
static void drop(struct ept02_cache *cache, const struct ept02_root *kept)
{
	cache->under.size = 0;
	for (unsigned int i = 0; i < cache->root_limit; i++) {
		struct ept02_root *root = &cache->roots[i];

		if (!root->used)
			continue;
		if (root != kept) {
			ept02_root_free(cache, root);
			continue;
		}
		ept02_empty_table(cache, root->table);
		tlb_flush_ept(root->pointer);
	}
}

void ept02_drop_all(struct vcpu *vcpu)
{
	drop(vcpu->nested.ept, NULL);
}

void nested_ept01_changed(struct vcpu *vcpu)
{
	drop(vcpu->nested.ept, vcpu->guest->uses_ept02 ? vcpu->nested.ept->active : NULL);
}

void ept02_count(const struct vcpu *vcpu, struct nested_resources *out)
{
	const struct ept02_cache *cache = vcpu->nested.ept;

	for (unsigned int i = 0; i < cache->root_limit; i++)
		out->ept02_roots += cache->roots[i].used;
	out->ept02_tables = cache->count - cache->free_count;
	out->steps = cache->step_count;
}
