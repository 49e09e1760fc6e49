/* SPDX-License-Identifier: MIT */
/*
 * The nested state of one vCPU, made once, and how much of it is in use.
 * SDM: "Virtual-Machine Control Structures", "Software Use of the VMCS".
 */
#include "vmx/nested/nested.h"
#include "vmx/guest/vcpu.h"
#include "vmx/nested/entry/bitmaps.h"
#include "vmx/nested/entry/io_bitmaps.h"
#include "vmx/nested/ept/ept02.h"
#include "vmx/nested/ept/vpid.h"
#include "vmx/nested/vmcs12/addresses.h"
#include "vmx/nested/vmcs12/shadow.h"
#include "vmx/nested/vmcs12/slots.h"
#include "vmx/nested/vmcs12/vmcs12.h"

#include "kernel/panic.h"
#include "mm/page_alloc.h"
#include "vmx/guest/guest_mem.h"
#include "vmx/nested/explain/explain.h"
#include "vmx/l1/exit_cr.h"

static void init_slot(struct vcpu *vcpu, struct nested_vmcs *slot)
{
	slot->page02 = page_alloc();
	bitmaps_init_slot(slot);
	io_bitmaps_init_slot(slot);
	vmcs_init(&slot->vmcs02, slot->page02, &vcpu->counters.registers);
	slot->vmcs02.flushes = vcpu->wish.flush_buffers;
	shadow_init_slot(vcpu, slot);
	slot_reset(slot);
}

/* Finds which bits of access rights this processor's VMCS keeps. Leaves the slot's vmcs02 current. */
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
	shadow_init_cpu(vcpu);
	for (unsigned int i = 0; i < NESTED_VMCS_COUNT; i++)
		init_slot(vcpu, &nested->slots[i]);
	probe_access_rights(vcpu, &nested->slots[0]);
	if (back)
		vcpu_load_vmcs(vcpu, back);
	addresses_init(vcpu);
	ept02_init(vcpu);
	vpid02_init(vcpu);
}

struct nested_resources nested_resources(struct vcpu *vcpu)
{
	struct nested_resources out = { .vpids = vpid02_count(vcpu) };

	for (unsigned int i = 0; i < NESTED_VMCS_COUNT; i++)
		out.active_vmcs += vcpu->nested.slots[i].gpa != NO_VMCS;
	ept02_count(vcpu, &out);
	return out;
}

void nested_close_bitmaps(struct vcpu *vcpu)
{
	for (unsigned int i = 0; i < NESTED_VMCS_COUNT; i++) {
		bitmaps_close(&vcpu->nested.slots[i]);
		io_bitmaps_close(&vcpu->nested.slots[i]);
		vcpu->nested.slots[i].dirty |= GROUP_CTL;
	}
}
