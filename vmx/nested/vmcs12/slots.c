/* SPDX-License-Identifier: MIT */
/*
 * The slots of one vCPU: one active vmcs12 each, with everything that L0 made
 * for it, and which one is current.  The instructions that use them are insn*.c.
 * SDM: "Virtual-Machine Control Structures", "Software Use of the VMCS".
 */
#include "vmx/nested/vmcs12/slots.h"

#include "kernel/panic.h"
#include "vmx/guest/guest_mem.h"
#include "mm/addr.h"
#include "vmx/guest/vcpu.h"
#include "vmx/nested/vmcs12/newest.h"
#include "vmx/nested/vmcs12/shadow.h"
#include "vmx/nested/vmcs12/vmcs12.h"

void slot_reset(struct nested_vmcs *slot)
{
	slot->gpa = NO_VMCS;
	slot->dirty = GROUP_ALL;
	slot->rare_in_02 = false;
	slot->shadow_active = false;
	slot->entered = slot->same_in_02 = slot->fast = false;
	slot->changed = slot->to_push = 0;
	slot->ept02 = NULL;
}

static unsigned int slot_bucket(u64 gpa)
{
	return (unsigned int)(gpa / PAGE_SIZE) % NESTED_BUCKET_COUNT;
}

struct nested_vmcs *slot_find(struct vcpu *vcpu, u64 gpa)
{
	struct nested *nested = &vcpu->nested;
	unsigned int bucket = slot_bucket(gpa);
	struct nested_vmcs *hint = &nested->slots[nested->bucket_hint[bucket]];

	if (!nested->bucket_count[bucket])
		return NULL;
	if (likely(hint->gpa == gpa))
		return hint;
	for (unsigned int i = 0; i < NESTED_VMCS_COUNT; i++)
		if (nested->slots[i].gpa == gpa) {
			nested->bucket_hint[bucket] = (u8)i;
			return &nested->slots[i];
		}
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
	vcpu->nested.bucket_count[slot_bucket(gpa)]++;
	vcpu->nested.bucket_hint[slot_bucket(gpa)] = (u8)(oldest - slots);
	return oldest;
}

/*
 * L1 writes the revision and the abort indicator: VMPTRLD reads the first anew, and an abort writes the
 * second to memory at once. So neither is written back.
 */
void slot_write_back(struct vcpu *vcpu, struct nested_vmcs *slot)
{
	size_t first = offsetof(struct vmcs12, launched);

	newest_fetch(vcpu, slot);
	guest_mem_write(vcpu, GPA(slot->gpa + first), (u8 *)&slot->v12 + first, sizeof(slot->v12) - first);
}

void slot_release(struct vcpu *vcpu, struct nested_vmcs *slot)
{
	ASSERT(slot != vcpu->nested.current);
	slot_write_back(vcpu, slot);
	vcpu->nested.bucket_count[slot_bucket(slot->gpa)]--;
	if (vcpu->nested.host_known == slot)
		vcpu->nested.host_known = NULL;
	slot_reset(slot);
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
