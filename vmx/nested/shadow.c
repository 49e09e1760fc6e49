/* SPDX-License-Identifier: MIT */
/*
 * VMCS shadowing by the processor: which fields L1 reads and writes without
 * an exit, and their way between vmcs12 and the shadow VMCS of its slot.
 * With has_shadow_vmcs false every function here does nothing, and all of
 * L1's VMREADs and VMWRITEs come to insn_vmcs.c.
 * SDM: "VMCS Shadowing", "Virtual-Machine Control Structure Shadowing".
 *
 * slot->shadowed[] is what the shadow VMCS holds as far as L0 knows: L1 may
 * have changed the RW rows since, until shadow_pull() looks.
 */
#include "kernel/bits.h"
#include "kernel/string.h"
#include "mm/page_alloc.h"
#include "vmx/nested/internal.h"

#define MISC_VMWRITE_ANY BIT(29)

/* Constant after shadow_init().  A row's place here is its place in slot->shadowed[]. */
static struct shadow_row {
	u16 encoding;
	u8 row;
	u8 group;
} rows[VMCS12_SHADOWED_COUNT];
static unsigned int row_count;
static unsigned int rw_count; /* the RW rows come first */
static u8 *vmread_bitmap;
static u8 *vmwrite_bitmap;

static void add_rows(enum vmcs12_shadow kind)
{
	for (unsigned int row = 0; row < VMCS12_FIELD_COUNT; row++) {
		const struct vmcs12_field *f = &vmcs12_fields[row];

		if (f->shadow == kind && vmcs12_find(f->encoding) >= 0)
			rows[row_count++] = (struct shadow_row){ f->encoding, (u8)row, f->group };
	}
}

/* Bit n is for the encoding n, 1: an exit.  The high half of a 64-bit field has its own. */
static void permit(u8 *bitmap, u32 encoding)
{
	bitmap[encoding / 8] &= (u8)~BIT(encoding % 8);
	if (VMCS_FIELD_WIDTH(encoding) == VMCS_WIDTH_64)
		bitmap[encoding / 8] &= (u8)~BIT(encoding % 8 + 1);
}

void shadow_init(void)
{
	if (!vmx_caps.has_shadow_vmcs)
		return;
	vmread_bitmap = page_alloc();
	vmwrite_bitmap = page_alloc();
	memset(vmread_bitmap, 0xff, PAGE_SIZE);
	memset(vmwrite_bitmap, 0xff, PAGE_SIZE);
	row_count = 0;
	add_rows(SHADOW_RW);
	rw_count = row_count;
	/* L0 can only fill in exit information where VMWRITE may write any field. */
	if (vmx_caps.misc & MISC_VMWRITE_ANY)
		add_rows(SHADOW_RO);
	for (unsigned int i = 0; i < row_count; i++) {
		permit(vmread_bitmap, rows[i].encoding);
		if (i < rw_count)
			permit(vmwrite_bitmap, rows[i].encoding);
	}
}

void shadow_init_slot(struct vcpu *vcpu, struct nested_vmcs *slot)
{
	u32 *region;

	if (!vmx_caps.has_shadow_vmcs)
		return;
	region = page_alloc();
	vmcs_init(&slot->shadow, region, &vcpu->reg_counters);
	region[0] |= (u32)VMCS_SHADOW_INDICATOR;
	vcpu_load_vmcs(vcpu, &slot->shadow);
	for (unsigned int i = 0; i < row_count; i++) {
		vmcs_write(rows[i].encoding, 0);
		slot->shadowed[i] = 0;
	}
}

/* vmcs01 is current in what follows: until L1 has a current VMCS, its VMREADs find none in hardware too. */
void shadow_enable(struct vcpu *vcpu UNUSED)
{
	if (!vmx_caps.has_shadow_vmcs)
		return;
	vmcs_write(VMCS_vmread_bitmap, page_phys(vmread_bitmap).v);
	vmcs_write(VMCS_vmwrite_bitmap, page_phys(vmwrite_bitmap).v);
	vmcs_write(VMCS_vmcs_link_pointer, NO_VMCS);
	vmcs_write(VMCS_proc2_controls, vmcs_read(VMCS_proc2_controls) | PROC2_VMCS_SHADOWING);
}

void shadow_disable(struct vcpu *vcpu UNUSED)
{
	if (!vmx_caps.has_shadow_vmcs)
		return;
	vmcs_write(VMCS_vmcs_link_pointer, NO_VMCS);
	vmcs_write(VMCS_proc2_controls, vmcs_read(VMCS_proc2_controls) & ~PROC2_VMCS_SHADOWING);
}

void shadow_link(struct vcpu *vcpu, struct nested_vmcs *slot)
{
	if (!vmx_caps.has_shadow_vmcs)
		return;
	if (!slot) {
		vmcs_write(VMCS_vmcs_link_pointer, NO_VMCS);
		return;
	}
	if (!slot->shadow_active) {
		slot->shadow_active = true;
		shadow_push(vcpu, slot);
	}
	vmcs_write(VMCS_vmcs_link_pointer, slot->shadow.region.v);
}

void shadow_pull(struct vcpu *vcpu, struct nested_vmcs *slot)
{
	struct vmcs *back = vcpu->vmcs;
	u32 dirty = slot->dirty;

	if (!slot->shadow_active)
		return;
	vcpu_load_vmcs(vcpu, &slot->shadow);
	for (unsigned int i = 0; i < rw_count; i++) {
		u64 value = vmcs_read_fast(rows[i].encoding);

		if (likely(value == slot->shadowed[i]))
			continue;
		slot->shadowed[i] = value;
		*vmcs12_slot(&slot->v12, rows[i].row) = value;
		dirty |= rows[i].group;
	}
	slot->dirty = dirty;
	vcpu_load_vmcs(vcpu, back);
}

void shadow_push(struct vcpu *vcpu, struct nested_vmcs *slot)
{
	struct vmcs *back = vcpu->vmcs;

	if (!slot->shadow_active)
		return;
	for (unsigned int i = 0; i < row_count; i++) {
		u64 value = *vmcs12_slot(&slot->v12, rows[i].row);

		if (likely(value == slot->shadowed[i]))
			continue;
		slot->shadowed[i] = value;
		vcpu_load_vmcs(vcpu, &slot->shadow);
		vmcs_write_fast(rows[i].encoding, value);
	}
	vcpu_load_vmcs(vcpu, back);
}
