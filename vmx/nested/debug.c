/* SPDX-License-Identifier: MIT */
/*
 * A build with DEBUG=1 checks each shortcut of the exit path where it is taken: what was not written to
 * vmcs02, to the shadow VMCS or to vmcs01 is read and compared, and a difference stops the machine. L1 and L2
 * see the same as without, only later.
 */
#include "vmx/guest/vcpu.h"
#include "vmx/nested/entry/check.h"
#include "vmx/nested/entry/entry.h"
#include "vmx/nested/entry/merge.h"
#include "vmx/nested/vmcs12/debug.h"
#include "vmx/nested/vmcs12/known02.h"
#include "vmx/nested/vmcs12/shadow.h"
#include "vmx/nested/vmcs12/vmcs12.h"

#ifdef DEBUG_SHORTCUTS

#include "kernel/panic.h"
#include "kernel/percpu.h"
#include "kernel/string.h"
#include "vmx/nested/entry/host_prepare.h"
#include "vmx/nested/ept/ept.h"
#include "vmx/nested/ept/ept02.h"
#include "vmx/nested/ept/vpid.h"

/*
 * Of a read shadow only the bits count that the mask hides. Of an LDTR that cannot be used an exit saves what
 * it likes, but for the selector and that bit: SDM "Saving Segment Registers and Descriptor-Table Registers".
 */
static u64 bits_that_count(enum vmcs_field field)
{
	bool no_ldt = vmcs_read(VMCS_guest_ldtr_ar) & AR_UNUSABLE;

	if (field == VMCS_guest_ldtr_ar && no_ldt)
		return AR_UNUSABLE;
	if ((field == VMCS_guest_ldtr_base || field == VMCS_guest_ldtr_limit) && no_ldt)
		return 0;
	if (field == VMCS_cr0_read_shadow)
		return vmcs_read(VMCS_cr0_guest_host_mask);
	if (field == VMCS_cr4_read_shadow)
		return vmcs_read(VMCS_cr4_guest_host_mask);
	return ~0ull;
}

void vmcs_compare(enum vmcs_field field, u64 value)
{
	u64 found = vmcs_read(field);

	if ((found ^ vmcs12_mask_width(field, value)) & bits_that_count(field)) {
		percpu_this()->vmcs_comparing = false;
		panic("shortcut: %s is %llx, not %llx", vmcs_field_name(field), (unsigned long long)found,
		      (unsigned long long)value);
	}
}

void debug_begin_compare(bool known)
{
	percpu_this()->vmcs_comparing = known;
}

void debug_end_compare(void)
{
	percpu_this()->vmcs_comparing = false;
}

void debug_known(enum vmcs_field field, u64 value)
{
	vmcs_compare(field, value);
}

/* vmcs02 has been made ready by little; everything that merge.c would write must be there. */
void debug_entry(struct vcpu *vcpu, struct nested_vmcs *slot, const struct l1_state *l1)
{
	u64 translations = vcpu->nested.translations;
	struct event pending = vcpu->pending;
	struct nested_vmcs saved;

	regcache_flush(&slot->vmcs02.cache);
	regcache_reset(&slot->vmcs02.cache);
	saved = *slot;
	slot->same_in_02 = false;
	slot->changed = 0;
	/* Fields that L1 has not asked for since the last exit are in vmcs02 alone. */
	slot->dirty = slot->rare_in_02 ? GROUP_ALL & ~(u32)(GROUP_SEG | GROUP_RARE) : GROUP_ALL;
	known02_forget(slot);
	slot->vmcs02.pat = slot->vmcs02.debugctl = ~0ull;
	percpu_this()->vmcs_comparing = true;
	merge_vmcs02(vcpu, slot, l1);
	regcache_flush(&slot->vmcs02.cache);
	percpu_this()->vmcs_comparing = false;
	*slot = saved;
	vcpu->nested.translations = translations;
	vcpu->pending = pending;
}

void debug_checked(struct vcpu *vcpu, struct nested_vmcs *slot)
{
	struct nested_vmcs saved = *slot;
	struct check_env env = entry_env(vcpu, slot);
	struct check_failure failure = { 0 };
	bool passed;

	nested_sync_rare(vcpu, slot);
	passed = check_controls(&slot->v12, &env, &failure) && check_host(&slot->v12, &env, &failure) &&
		 check_guest(&slot->v12, &env, &failure);
	*slot = saved;
	/* The virtual TPR is memory that another CPU may have written meanwhile. */
	if (!passed && failure.rule != RULE_tpr_threshold_vtpr)
		panic("shortcut: an entry that breaks rule %u", failure.rule);
}

void debug_translation(struct vcpu *vcpu, struct nested_vmcs *slot)
{
	if (slot->translation == vcpu->nested.translations)
		ASSERT(ept02_stands(vcpu, slot) && vpid02_stands(vcpu, slot));
}

void debug_host_mode(u64 efer)
{
	ASSERT(!(vmcs_read(VMCS_entry_controls) & ENTRY_IA32E_GUEST) == !(efer & EFER_LMA));
}

void debug_host_ready(const struct nested_vmcs *slot)
{
	struct nested_vmcs now = *slot;

	host_state_prepare(&now);
	ASSERT(!memcmp(&now.host, &slot->host, sizeof(now.host)) && slot->host_tables);
}

void debug_path(struct vcpu *vcpu, const struct ept12_role *role, u64 l2gpa, const struct ept12_walk *walk)
{
	u64 table = role->eptp & EPT_ADDRESS;

	for (unsigned int level = ept12_role_levels(role); level >= walk->leaf; level--) {
		const u64 *page = ept12_page(vcpu, table);

		ASSERT(walk->where[level] == (page ? &page[ept_index(l2gpa, level)] : NULL));
		table = walk->entry[level] & EPT_ADDRESS;
	}
}

/* L1 is about to run: the shadow VMCS holds what v12 does, but for what L1 wrote there and nobody looked at.
 */
void debug_pushed(struct vcpu *vcpu, struct nested_vmcs *slot)
{
	if (!slot->shadow_active)
		return;
	ASSERT(!slot->to_push);
	debug_fetched(vcpu, slot);
}

void debug_fetched(struct vcpu *vcpu, struct nested_vmcs *slot)
{
	struct vmcs *back = vcpu->vmcs;

	vcpu_load_vmcs(vcpu, &slot->shadow);
	for (unsigned int row = 0; row < VMCS12_FIELD_COUNT; row++)
		if (shadow_must_hold(vcpu, slot, row))
			vmcs_compare(vmcs12_fields[row].encoding, *vmcs12_slot(&slot->v12, row));
	vcpu_load_vmcs(vcpu, back);
}

#endif
