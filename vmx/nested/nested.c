/* SPDX-License-Identifier: MIT */
/*
 * The nested state of one vCPU: its slots (one active vmcs12 each, with
 * everything that L0 made for it), which one is current, and the end of VMX
 * operation.  The instructions that use them are insn*.c.
 * SDM: "Virtual-Machine Control Structures", "Software Use of the VMCS".
 */
#include "vmx/nested/nested.h"

#include "kernel/panic.h"
#include "mm/page_alloc.h"
#include "vmx/guest/guest_mem.h"
#include "vmx/nested/explain/explain.h"
#include "vmx/nested/internal.h"
#include "vmx/l1/exit_cr.h"

static void reset_slot(struct nested_vmcs *slot)
{
	slot->gpa = NO_VMCS;
	slot->dirty = GROUP_ALL;
	slot->rare_in_02 = false;
	slot->shadow_active = false;
	slot->entered = slot->same_in_02 = slot->fast = false;
	slot->changed = slot->to_push = 0;
	slot->ept02 = NULL;
}

static void init_slot(struct vcpu *vcpu, struct nested_vmcs *slot)
{
	slot->page02 = page_alloc();
	bitmaps_init_slot(slot);
	io_bitmaps_init_slot(slot);
	vmcs_init(&slot->vmcs02, slot->page02, &vcpu->reg_counters);
	shadow_init_slot(vcpu, slot);
	reset_slot(slot);
}

/* Which bits of access rights this processor's VMCS keeps.  Leaves the slot's vmcs02 current. */
static void probe_access_rights(struct vcpu *vcpu, struct nested_vmcs *slot)
{
	vcpu_load_vmcs(vcpu, &slot->vmcs02);
	vcpu_set_reg(vcpu, REG_ES_AR, 0xffffffff);
	regcache_flush(&slot->vmcs02.cache);
	regcache_reset(&slot->vmcs02.cache);
	vmcs12_set_access_rights_mask((u32)vcpu_reg(vcpu, REG_ES_AR));
}

void nested_init(struct vcpu *vcpu)
{
	struct nested *nested = &vcpu->nested;
	struct vmcs *back = vcpu->vmcs;
	size_t pages = ALIGN_UP(NESTED_VMCS_COUNT * sizeof(struct nested_vmcs), PAGE_SIZE) / PAGE_SIZE;

	nested->vmxon_pointer = NO_VMCS;
	explain_init(vcpu);
	nested->slots = page_alloc_contig(pages);
	for (unsigned int i = 0; i < NESTED_VMCS_COUNT; i++)
		init_slot(vcpu, &nested->slots[i]);
	probe_access_rights(vcpu, &nested->slots[0]);
	if (back)
		vcpu_load_vmcs(vcpu, back);
	addresses_init(vcpu);
	ept02_init(vcpu);
	vpid02_init(vcpu);
}

struct nested_vmcs *slot_find(struct vcpu *vcpu, u64 gpa)
{
	struct nested_vmcs *slots = vcpu->nested.slots;

	for (unsigned int i = 0; i < NESTED_VMCS_COUNT; i++)
		if (slots[i].gpa == gpa)
			return &slots[i];
	return NULL;
}

struct nested_vmcs *slot_take(struct vcpu *vcpu, u64 gpa)
{
	struct nested_vmcs *slots = vcpu->nested.slots, *oldest = NULL;

	for (unsigned int i = 0; i < NESTED_VMCS_COUNT; i++) {
		if (slots[i].gpa == NO_VMCS) {
			oldest = &slots[i];
			break;
		}
		if (&slots[i] != vcpu->nested.current && (!oldest || slots[i].last_used < oldest->last_used))
			oldest = &slots[i];
	}
	if (oldest->gpa != NO_VMCS) {
		vcpu->nested.counters.slot_evictions++;
		slot_release(vcpu, oldest);
	}
	oldest->gpa = gpa;
	return oldest;
}

/* Revision and abort indicator are L1's to write: the first is read anew by VMPTRLD, the second reaches
 * memory at once. */
void slot_write_back(struct vcpu *vcpu, struct nested_vmcs *slot)
{
	size_t first = offsetof(struct vmcs12, launched);

	shadow_pull(vcpu, slot);
	nested_sync_rare(vcpu, slot);
	guest_mem_write(vcpu, GPA(slot->gpa + first), (u8 *)&slot->v12 + first, sizeof(slot->v12) - first);
}

void slot_release(struct vcpu *vcpu, struct nested_vmcs *slot)
{
	ASSERT(slot != vcpu->nested.current);
	slot_write_back(vcpu, slot);
	reset_slot(slot);
}

void slot_make_current(struct vcpu *vcpu, struct nested_vmcs *slot)
{
	struct nested *nested = &vcpu->nested;

	if (nested->current == slot)
		return;
	nested->current = slot;
	if (slot)
		slot->last_used = ++nested->clock;
	shadow_link(vcpu, slot);
}

struct nested_resources nested_resources(struct vcpu *vcpu)
{
	struct nested_resources out = { .vpids = vpid02_count(vcpu) };

	for (unsigned int i = 0; i < NESTED_VMCS_COUNT; i++)
		out.active_vmcs += vcpu->nested.slots[i].gpa != NO_VMCS;
	ept02_count(vcpu, &out);
	return out;
}

void nested_leave_vmx(struct vcpu *vcpu)
{
	struct nested *nested = &vcpu->nested;

	if (!nested->vmxon)
		return;
	/* L2's own VMXOFF is L1's exit. */
	ASSERT(!nested->in_l2 && vcpu->vmcs == &vcpu->vmcs01);
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
