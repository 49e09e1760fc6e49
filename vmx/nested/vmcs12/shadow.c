/* SPDX-License-Identifier: MIT */
/*
 * VMCS shadowing by the processor: which fields L1 reads and writes without
 * an exit, and their way between vmcs12 and the shadow VMCS of its slot.
 * Without shadowing, or with shadow-vmcs=off, every function here does nothing,
 * and all of L1's VMREADs and VMWRITEs come to insn_field.c.
 * SDM: "VMCS Shadowing", "Virtual-Machine Control Structure Shadowing".
 *
 * Whoever writes a shadowed row of v12 while its slot may be active says so in
 * slot->to_push; the shadow VMCS has it before L1 runs again.  What L1 writes
 * there (RW rows) is fetched by shadow_pull(); an entry fetches what it will
 * look at, the rest stays until somebody asks.
 */
#include "vmx/nested/vmcs12/shadow.h"

#include "kernel/bits.h"
#include "kernel/string.h"
#include "mm/page_alloc.h"
#include "vmx/guest/vcpu.h"
#include "vmx/hw/caps.h"
#include "vmx/nested/vmcs12/debug.h"
#include "vmx/nested/vmcs12/shadow_use.h"
#include "vmx/nested/vmcs12/vmcs12.h"

/*
 * All of these are constant after shadow_init(). usable: VMCS shadowing is in use: the processor has it, it
 * is not switched off, and every field that the table marks RW or RO exists, except perhaps the three below.
 */
static bool usable;
static bool has_pml;  /* guest_pml_index */
static bool has_vint; /* guest_intr_status */
static bool has_time; /* preemption_timer_value */
/* The RO rows are shadowed: L0 can only fill in exit information where VMWRITE may write any field. */
static bool has_info;
static u64 places; /* the rows that are shadowed here: PLACE()s */
static u8 *vmread_bitmap;

static bool is_shadowed(unsigned int row)
{
	const struct vmcs12_field *f = &vmcs12_fields[row];

	switch (row) {
	case V12_guest_pml_index: return has_pml;
	case V12_guest_intr_status: return has_vint;
	case V12_preemption_timer_value: return has_time;
	default: break;
	}
	if (VMCS_FIELD_TYPE(f->encoding) == VMCS_TYPE_READ_ONLY && !has_info)
		return false;
	return f->shadow != SHADOW_NO;
}

static bool all_fields_exist(void)
{
	for (unsigned int row = 0; row < VMCS12_FIELD_COUNT; row++) {
		const struct vmcs12_field *f = &vmcs12_fields[row];

		if (is_shadowed(row) && vmcs12_find(f->encoding) < 0)
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
	places = 0;
	if (!usable)
		return;
	for (unsigned int place = 0; place < VMCS12_SHADOWED_COUNT; place++)
		if (is_shadowed(vmcs12_place_row[place]))
			places |= BIT(place);
	vmread_bitmap = page_alloc();
	memset(vmread_bitmap, 0xff, PAGE_SIZE);
	for (unsigned int row = 0; row < VMCS12_FIELD_COUNT; row++)
		if (is_shadowed(row))
			shadow_set_exit(vmread_bitmap, vmcs12_fields[row].encoding, false);
}

void shadow_init_cpu(struct vcpu *vcpu)
{
	if (usable)
		vcpu->nested.use.vmwrite_bitmap = page_alloc();
}

void shadow_init_slot(struct vcpu *vcpu, struct nested_vmcs *slot)
{
	u32 *region;

	if (!usable)
		return;
	region = page_alloc();
	vmcs_init(&slot->shadow, region, &vcpu->counters.registers);
	region[0] |= (u32)VMCS_SHADOW_INDICATOR;
	vcpu_load_vmcs(vcpu, &slot->shadow);
	for (unsigned int row = 0; row < VMCS12_FIELD_COUNT; row++) {
		if (is_shadowed(row))
			vmcs_write(vmcs12_fields[row].encoding, 0);
	}
}

/*
 * vmcs01 is current in the functions that follow. Until L1 has a current VMCS the link pointer names none,
 * so that L1's VMREADs fail in hardware as they should.
 */
void shadow_enable(struct vcpu *vcpu)
{
	if (!usable)
		return;
	shadow_use_begin(vcpu, places);
	vmcs_write(VMCS_vmread_bitmap, page_phys(vmread_bitmap).v);
	vmcs_write(VMCS_vmwrite_bitmap, page_phys(vcpu->nested.use.vmwrite_bitmap).v);
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
		slot->to_push = PLACES_ALL;
		shadow_push(vcpu, slot);
		vcpu_load_vmcs(vcpu, &vcpu->vmcs01);
	}
	vmcs_write(VMCS_vmcs_link_pointer, slot->shadow.region.v);
}

/*
 * What follows is straight-line code of the table: it runs at each exit of L2's to L1 and at each entry. Both
 * directions leave the shadow VMCS current: who goes on loads the one that it needs.
 */

static inline void pull(struct nested_vmcs *slot, enum vmcs_field field, u64 *v12, u64 place, u32 group)
{
	u64 value = vmcs_read_fast(field);

	if (likely(value == *v12))
		return;
	*v12 = value;
	slot->changed |= place;
	slot->dirty |= group;
}

#define PULL_NO(name, group)
#define PULL_RO(name, group)
#define PULL_RW(name, group)                                                                                 \
	if (LOOKS(name))                                                                                     \
		pull(slot, VMCS_##name, &slot->v12.name, PLACE(name), group);
#define F(encoding, name, flow, shadow, group) PULL_##shadow(name, GROUP_##group)

void shadow_pull(struct vcpu *vcpu, struct nested_vmcs *slot)
{
	struct vmcs *back = vcpu->vmcs;

	if (!slot->shadow_active)
		return;
	vcpu_load_vmcs(vcpu, &slot->shadow);
#define LOOKS(name) (places & PLACE(name))
#include "vmx/hw/vmcs_fields.def"
#undef LOOKS
	vcpu_load_vmcs(vcpu, back);
}

/*
 * True if an entry may look at the row, which is one of `places`: so its field exists. The rows come in the
 * order of the table, in which the event and the primary controls stand before the rows that depend on them.
 */
static inline bool entry_looks(const struct vmcs12 *v12, enum vmcs12_place place)
{
	switch (place) {
	case S_guest_pml_index: return v12->proc2_controls & PROC2_PML;
	case S_guest_intr_status: return v12->proc2_controls & PROC2_VIRTUAL_INTERRUPT;
	case S_preemption_timer_value: return v12_has_pin(v12, PIN_PREEMPTION_TIMER);
	case S_tpr_threshold: return v12_has_proc(v12, PROC_TPR_SHADOW);
	case S_entry_exception_error_code:
	case S_entry_instruction_length: return unlikely(v12->entry_intr_info & INTR_INFO_VALID);
	default: return true;
	}
}

/*
 * Of the open rows: what nearly every L1 writes; no row depends on another of these. They are fetched whether
 * the entry looks at them or not.
 */
#define OFTEN_PLACES                                                                                         \
	(PLACE(guest_rip) | PLACE(guest_rsp) | PLACE(guest_rflags) | PLACE(host_rsp) |                       \
	 PLACE(guest_interruptibility) | PLACE(entry_intr_info) | PLACE(proc_controls) |                     \
	 PLACE(tpr_threshold) | PLACE(preemption_timer_value))

static inline void pull_often(struct nested_vmcs *slot, u64 open)
{
#define LOOKS(name) (OFTEN_PLACES & open & PLACE(name))
#include "vmx/hw/vmcs_fields.def"
#undef LOOKS
}

static NOINLINE void pull_open(struct nested_vmcs *slot, u64 open)
{
#define LOOKS(name) ((open & PLACE(name)) && entry_looks(&slot->v12, S_##name))
#include "vmx/hw/vmcs_fields.def"
#undef LOOKS
}

void shadow_pull_for_entry(struct vcpu *vcpu, struct nested_vmcs *slot)
{
	u64 open = vcpu->nested.use.open;

	if (!slot->shadow_active)
		return;
	if (unlikely(!slot->entered | slot->fetch_all)) {
		shadow_pull(vcpu, slot);
		slot->fetch_all = false;
	} else {
		vcpu_switch_vmcs(vcpu, &slot->shadow);
		if (likely(!(open & ~OFTEN_PLACES)))
			pull_often(slot, open);
		else
			pull_open(slot, open);
	}
	shadow_use_count(vcpu, slot);
	debug_fetched(vcpu, slot);
}
#undef F

/* Of each place: its field, and where v12 has it. */
static const struct {
	u16 field, offset;
} push[VMCS12_SHADOWED_COUNT] = {
#define PUSH_NO(name)
#define PUSH_RO(name) { VMCS_##name, offsetof(struct vmcs12, name) },
#define PUSH_RW(name) PUSH_RO(name)
#define F(encoding, name, flow, shadow, group) PUSH_##shadow(name)
#include "vmx/hw/vmcs_fields.def"
#undef F
};

void shadow_push(struct vcpu *vcpu, struct nested_vmcs *slot)
{
	u64 mask = slot->to_push & places;

	slot->to_push = 0;
	if (!mask || !slot->shadow_active)
		return;
	vcpu_switch_vmcs(vcpu, &slot->shadow);
	for (; mask; mask &= mask - 1) {
		unsigned int place = (unsigned int)__builtin_ctzll(mask);

		vmcs_write_fast(push[place].field,
				*(const u64 *)(const void *)((const u8 *)&slot->v12 + push[place].offset));
	}
}

bool shadow_must_hold(const struct vcpu *vcpu, const struct nested_vmcs *slot, unsigned int row)
{
	for (unsigned int place = 0; place < VMCS12_SHADOWED_COUNT; place++) {
		if (vmcs12_place_row[place] != row || !(places & BIT(place)))
			continue;
		if (vmcs12_fields[row].shadow == SHADOW_RO)
			return true;
		/* What the last entry looked at it has fetched, whatever has been closed since. */
		return entry_looks(&slot->v12, (enum vmcs12_place)place) ||
		       (!slot->fetch_all && !(vcpu->nested.use.open & BIT(place)));
	}
	return false;
}

void shadow_written(struct nested_vmcs *slot, unsigned int row)
{
	for (unsigned int place = 0; place < VMCS12_SHADOWED_COUNT; place++)
		if (vmcs12_place_row[place] == row)
			slot->to_push |= BIT(place);
	slot->changed |= slot->to_push;
}
