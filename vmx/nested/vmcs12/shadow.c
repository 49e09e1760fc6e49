/* SPDX-License-Identifier: MIT */
/*
 * VMCS shadowing by the processor: which fields L1 reads and writes without
 * an exit, and their way between vmcs12 and the shadow VMCS of its slot.
 * Without shadowing, or with shadow-vmcs=off, every function here does nothing,
 * and all of L1's VMREADs and VMWRITEs come to insn_vmcs.c.
 * SDM: "VMCS Shadowing", "Virtual-Machine Control Structure Shadowing".
 *
 * slot->shadowed[] is what the shadow VMCS holds as far as L0 knows: L1 may
 * have changed the RW rows since, until shadow_pull() looks.
 */
#include "kernel/bits.h"
#include "kernel/string.h"
#include "mm/page_alloc.h"
#include "vmx/nested/internal.h"

/* A shadowed field's place in slot->shadowed[]. */
enum shadow_place {
#define PLACE_NO(name)
#define PLACE_RO(name) S_##name,
#define PLACE_RW(name) S_##name,
#define F(encoding, name, flow, shadow, group) PLACE_##shadow(name)
#include "vmx/hw/vmcs_fields.def"
#undef F
};

/* Constant after shadow_init(). */
/*
 * VMCS shadowing is in use: the processor has it, it is not switched off, and every field that the table
 * marks RW or RO exists, except perhaps the three below.
 */
static bool usable;
static bool has_pml;  /* guest_pml_index */
static bool has_vint; /* guest_intr_status */
static bool has_time; /* preemption_timer_value */
/* The RO rows are shadowed: L0 can only fill in exit information where VMWRITE may write any field. */
static bool has_info;
static u8 *vmread_bitmap;
static u8 *vmwrite_bitmap;

/* Is the field shadowed on this processor?  Folds, or nearly, for a constant row. */
static inline bool is_shadowed(enum vmcs12_shadow kind, unsigned int row)
{
	switch (row) {
	case V12_guest_pml_index: return has_pml;
	case V12_guest_intr_status: return has_vint;
	case V12_preemption_timer_value: return has_time;
	default: break;
	}
	return kind == SHADOW_RW || (kind == SHADOW_RO && has_info);
}

/* Bit n is for the encoding n, 1: an exit.  The high half of a 64-bit field has its own. */
static void permit(u8 *bitmap, u32 encoding)
{
	bitmap[encoding / 8] &= (u8)~BIT(encoding % 8);
	if (VMCS_FIELD_WIDTH(encoding) == VMCS_WIDTH_64)
		bitmap[encoding / 8] &= (u8)~BIT(encoding % 8 + 1);
}

static bool all_fields_exist(void)
{
	for (unsigned int row = 0; row < VMCS12_FIELD_COUNT; row++) {
		const struct vmcs12_field *f = &vmcs12_fields[row];

		if (is_shadowed((enum vmcs12_shadow)f->shadow, row) && vmcs12_find(f->encoding) < 0)
			return false;
	}
	return true;
}

void shadow_init(void)
{
	has_pml = vmcs12_find(VMCS_guest_pml_index) >= 0;
	has_vint = vmcs12_find(VMCS_guest_intr_status) >= 0;
	has_time = vmcs12_find(VMCS_preemption_timer_value) >= 0;
	has_info = vmx_caps.misc & VMX_MISC_VMWRITE_ANY;
	usable = vmx_caps.has_shadow_vmcs && all_fields_exist();
	if (!usable)
		return;
	vmread_bitmap = page_alloc();
	vmwrite_bitmap = page_alloc();
	memset(vmread_bitmap, 0xff, PAGE_SIZE);
	memset(vmwrite_bitmap, 0xff, PAGE_SIZE);
	for (unsigned int row = 0; row < VMCS12_FIELD_COUNT; row++) {
		const struct vmcs12_field *f = &vmcs12_fields[row];

		if (!is_shadowed((enum vmcs12_shadow)f->shadow, row))
			continue;
		permit(vmread_bitmap, f->encoding);
		if (f->shadow == SHADOW_RW)
			permit(vmwrite_bitmap, f->encoding);
	}
}

void shadow_init_slot(struct vcpu *vcpu, struct nested_vmcs *slot)
{
	u32 *region;

	if (!usable)
		return;
	region = page_alloc();
	vmcs_init(&slot->shadow, region, &vcpu->reg_counters);
	region[0] |= (u32)VMCS_SHADOW_INDICATOR;
	vcpu_load_vmcs(vcpu, &slot->shadow);
	for (unsigned int row = 0; row < VMCS12_FIELD_COUNT; row++) {
		if (is_shadowed((enum vmcs12_shadow)vmcs12_fields[row].shadow, row))
			vmcs_write(vmcs12_fields[row].encoding, 0);
	}
	memset(slot->shadowed, 0, sizeof(slot->shadowed));
}

/* vmcs01 is current in what follows: until L1 has a current VMCS, its VMREADs find none in hardware too. */
void shadow_enable(struct vcpu *vcpu UNUSED)
{
	if (!usable)
		return;
	vmcs_write(VMCS_vmread_bitmap, page_phys(vmread_bitmap).v);
	vmcs_write(VMCS_vmwrite_bitmap, page_phys(vmwrite_bitmap).v);
	vmcs_write(VMCS_vmcs_link_pointer, NO_VMCS);
	vmcs_write(VMCS_proc2_controls, vmcs_read(VMCS_proc2_controls) | PROC2_VMCS_SHADOWING);
}

void shadow_disable(struct vcpu *vcpu UNUSED)
{
	if (!usable)
		return;
	vmcs_write(VMCS_vmcs_link_pointer, NO_VMCS);
	vmcs_write(VMCS_proc2_controls, vmcs_read(VMCS_proc2_controls) & ~PROC2_VMCS_SHADOWING);
}

void shadow_link(struct vcpu *vcpu, struct nested_vmcs *slot)
{
	if (!usable)
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

/* What follows is straight-line code of the table: it runs at each exit of L2's to L1 and at each entry. */

static inline void pull(enum vmcs_field field, u64 *shadowed, u64 *v12, u32 group, u32 *dirty)
{
	u64 value = vmcs_read_fast(field);

	if (likely(value == *shadowed))
		return;
	*shadowed = value;
	*v12 = value;
	*dirty |= group;
}

void shadow_pull(struct vcpu *vcpu, struct nested_vmcs *slot)
{
	struct vmcs *back = vcpu->vmcs;
	u32 dirty = slot->dirty;

	if (!slot->shadow_active)
		return;
	vcpu_load_vmcs(vcpu, &slot->shadow);
#define PULL_NO(name, group)
#define PULL_RO(name, group)
#define PULL_RW(name, group)                                                                                 \
	if (is_shadowed(SHADOW_RW, V12_##name))                                                              \
		pull(VMCS_##name, &slot->shadowed[S_##name], &slot->v12.name, group, &dirty);
#define F(encoding, name, flow, shadow, group) PULL_##shadow(name, GROUP_##group)
#include "vmx/hw/vmcs_fields.def"
#undef F
	slot->dirty = dirty;
	vcpu_load_vmcs(vcpu, back);
}

static inline void push(struct vcpu *vcpu, struct nested_vmcs *slot, enum vmcs_field field, u64 *shadowed,
			u64 value)
{
	if (likely(value == *shadowed))
		return;
	*shadowed = value;
	vcpu_load_vmcs(vcpu, &slot->shadow);
	vmcs_write_fast(field, value);
}

void shadow_push(struct vcpu *vcpu, struct nested_vmcs *slot)
{
	struct vmcs *back = vcpu->vmcs;

	if (!slot->shadow_active)
		return;
#define F(encoding, name, flow, shadow, group) PUSH_##shadow(name)
#define PUSH(name) push(vcpu, slot, VMCS_##name, &slot->shadowed[S_##name], slot->v12.name);
#define PUSH_NO(name)
#define PUSH_RO(name)
#define PUSH_RW(name)                                                                                        \
	if (is_shadowed(SHADOW_RW, V12_##name))                                                              \
	PUSH(name)
#include "vmx/hw/vmcs_fields.def"
#undef PUSH_RO
#undef PUSH_RW
#define PUSH_RO(name) PUSH(name)
#define PUSH_RW(name)
	if (has_info) {
#include "vmx/hw/vmcs_fields.def"
	}
#undef F
	vcpu_load_vmcs(vcpu, back);
}
