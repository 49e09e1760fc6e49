/* SPDX-License-Identifier: MIT */
/*
 * vmcs02 = what L1 asked in vmcs12, plus what L0 needs, minus what L0
 * forbids.  Each control word is one expression; a field is written when L1
 * wrote it since the last entry.  The checks (check_*.c) have passed and
 * vmcs02 is current.  L2's registers are merge_state.c's, the bitmaps' pages bitmaps.c's, other pages that L1
 * names addresses.c's, EPT pointer and VPID ept*.c's and vpid.c's.  SDM: "VM Entries", "VM-Execution Control
 * Fields".
 */
#include "vmx/nested/entry/merge.h"

#include "kernel/cmdline.h"
#include "kernel/x86.h"
#include "mm/page_alloc.h"
#include "vmx/guest/vcpu.h"
#include "vmx/hw/caps.h"
#include "vmx/nested/entry/bitmaps.h"
#include "vmx/nested/entry/io_bitmaps.h"
#include "vmx/nested/entry/msr_area.h"
#include "vmx/nested/entry/timer.h"
#include "vmx/nested/entry/tpr.h"
#include "vmx/nested/ept/ept02.h"
#include "vmx/nested/ept/vpid.h"
#include "vmx/nested/vmcs12/addresses.h"
#include "vmx/nested/vmcs12/known02.h"
#include "vmx/nested/vmcs12/vmcs12.h"
#include "vmx/hw/tlb.h"
#include "vmx/l1/exit_cr.h"

/* Of the table of controls: what L1 sets for itself, and what L0 adds whatever L1 asks. */
#define L1_SETS(word) CONTROLS_WITH(word, L0_ANY, L1_PASSED)
#define L0_ADDS(word) CONTROLS_WITH(word, L0_BOTH, L1_ANY)

/*
 * What L0 always sets in vmcs02 must not be L1's to clear. What L1 is not offered never passes: the table's
 * columns say so.
 */
#define KEEPS_L1S_SETTING(word)                                                                              \
	_Static_assert(!CONTROLS_WITH(word, L0_BOTH, L1_PASSED),                                             \
		       "a control that L0 always sets in vmcs02 is MERGED: L1's own setting is code's")
KEEPS_L1S_SETTING(WORD_PIN);
KEEPS_L1S_SETTING(WORD_PROC);
KEEPS_L1S_SETTING(WORD_PROC2);
KEEPS_L1S_SETTING(WORD_EXIT);
KEEPS_L1S_SETTING(WORD_ENTRY);

/* A control word of vmcs02: L1's own bits, L0's, and `more` that L0 wants at times. */
#define MERGED(word, l1, more) (((u32)(l1)&L1_SETS(word)) | L0_ADDS(word) | (u32)(more))

static void write_row(struct vcpu *vcpu, unsigned int row, u64 value)
{
	if (vmcs12_row_reg[row])
		vcpu_set_reg(vcpu, (enum reg)(vmcs12_row_reg[row] - 1), value);
	else
		vmcs_write(vmcs12_fields[row].encoding, value);
}

/* Rows that reach vmcs02 as they stand: COPY and IN of the dirty groups. */
static void copy_groups(struct vcpu *vcpu, struct nested_vmcs *slot, u32 groups)
{
	unsigned int count;
	const u8 *rows = vmcs12_entry_rows(&count);

	for (unsigned int i = 0; i < count; i++)
		if (vmcs12_fields[rows[i]].group & groups)
			write_row(vcpu, rows[i], *vmcs12_slot(&slot->v12, rows[i]));
}

/*
 * #PF interception as one value.  A triple is a set of error codes; one that
 * wants none yields to the other; two that differ become "all", and software
 * decides by L1's triple who gets the exit.
 */
static bool pf_intercept_is_empty(struct pf_intercept p)
{
	return p.eb ? p.match & ~p.mask : !p.mask && !p.match;
}

struct pf_intercept merge_pf(struct pf_intercept l0, struct pf_intercept l1)
{
	if (pf_intercept_is_empty(l0))
		return l1;
	if (pf_intercept_is_empty(l1))
		return l0;
	if (l0.eb == l1.eb && l0.mask == l1.mask && l0.match == l1.match)
		return l1;
	return (struct pf_intercept){ .eb = true };
}

/* SDM: "a page fault causes a VM exit if the bit equals ((PFEC & MASK) == MATCH)". */
bool pf_intercept_wants(struct pf_intercept p, u32 pfec)
{
	return ((pfec & p.mask) == p.match) == p.eb;
}

void merge_exception_bitmap(struct vcpu *vcpu, struct nested_vmcs *slot)
{
	struct vmcs12 *v12 = &slot->v12;
	struct pf_intercept l0 = vcpu->wish.pf;
	struct pf_intercept l1 = { v12->exception_bitmap & BIT(VEC_PF), (u32)v12->pf_mask,
				   (u32)v12->pf_match };
	struct pf_intercept merged = merge_pf(l0, l1);
	u32 others = ((u32)v12->exception_bitmap & ~(u32)BIT(VEC_PF)) | vcpu->wish.exceptions;

	vmcs_write(VMCS_exception_bitmap, others | (merged.eb ? BIT(VEC_PF) : 0));
	vmcs_write(VMCS_pf_mask, merged.mask);
	vmcs_write(VMCS_pf_match, merged.match);
}

void nested_update_intercepts(struct vcpu *vcpu)
{
	for (unsigned int i = 0; i < NESTED_VMCS_COUNT; i++)
		vcpu->nested.slots[i].dirty |= GROUP_CTL | GROUP_CUT;
}

/* Bits of CR0 and CR4 that L0 masks in L2: all with intercept=cr, else those of features that L1 is not
 * given. */
static u64 cr0_mask_l0(struct vcpu *vcpu)
{
	return vcpu_intercepts_cr(vcpu) ? ~0ull : 0;
}

static u64 cr4_mask_l0(struct vcpu *vcpu)
{
	return vcpu_intercepts_cr(vcpu) ? ~0ull : vmx_caps.cr4_fixed1 & ~cr_l1_cr4_allowed();
}

static u32 proc_controls(struct vcpu *vcpu, const struct nested_vmcs *slot)
{
	const struct vmcs12 *v12 = &slot->v12;
	u32 l0 = io_bitmaps_control(v12);

	if (vcpu_intercepts_cr(vcpu))
		l0 |= PROC_CR3_LOAD_EXITING | PROC_CR3_STORE_EXITING;
	if (tpr_is_l0s(slot))
		l0 |= PROC_CR8_LOAD_EXITING;
	return caps_control(vmx_caps.proc, MERGED(WORD_PROC, v12->proc_controls, l0));
}

void merge_proc_controls(struct vcpu *vcpu, struct nested_vmcs *slot)
{
	vmcs_write(VMCS_proc_controls, proc_controls(vcpu, slot));
	known02_merged_proc(slot);
}

static NOINLINE void merge_controls(struct vcpu *vcpu, struct nested_vmcs *slot)
{
	struct vmcs12 *v12 = &slot->v12;
	u32 timer = vcpu->wish.timer_ticks ? PIN_PREEMPTION_TIMER : 0;
	u32 save_timer = timer || v12_has_pin(v12, PIN_PREEMPTION_TIMER) ? EXIT_SAVE_PREEMPTION_TIMER : 0;
	u32 vpid = tlb_uses_vpid() ? PROC2_VPID : 0;

	vmcs_write(VMCS_pin_controls, caps_control(vmx_caps.pin, MERGED(WORD_PIN, v12->pin_controls, timer)));
	vmcs_write(VMCS_proc2_controls,
		   caps_control(vmx_caps.proc2, MERGED(WORD_PROC2, v12_proc2(v12), vpid)));
	vmcs_write(VMCS_exit_controls,
		   caps_control(vmx_caps.exit, MERGED(WORD_EXIT, v12->exit_controls, save_timer)));
	copy_groups(vcpu, slot, GROUP_CTL);
	addresses_merge(vcpu, slot);
	io_bitmaps_write(vcpu, slot);
	vmcs_write(VMCS_msr_bitmap, page_phys(slot->msr_bitmap02).v);
	if (v12_has_proc2(v12, PROC2_TSC_SCALING))
		vmcs_write(VMCS_tsc_multiplier, v12->tsc_multiplier);
	if (v12_has_proc2(v12, PROC2_XSAVES))
		vmcs_write(VMCS_xss_exit_bitmap, v12->xss_exit_bitmap);
	/* Every function that L1 enables is emulated: none in hardware. */
	if (v12_has_proc2(v12, PROC2_VMFUNC))
		vmcs_write(VMCS_vm_function_controls, 0);
}

/* SDM: "Guest/Host Masks and Read Shadows for CR0 and CR4".  merge_registers() has said what CR0 will be. */
static void merge_cr_shadows(struct nested_vmcs *slot)
{
	const struct vmcs12 *v12 = &slot->v12;
	u64 mask0 = v12->cr0_guest_host_mask, mask4 = v12->cr4_guest_host_mask;
	u64 cr0 = (cr_loaded_cr0(v12->guest_cr0) & ~mask0) | (v12->cr0_read_shadow & mask0);
	u64 cr4 = (v12->guest_cr4 & ~mask4) | (v12->cr4_read_shadow & mask4);

	known02_set_cr0_shadow(slot, cr0);
	known02_set_cr4_shadow(slot, cr4);
}

/* A bit that L0 masks for itself reads as L2 wrote it: merge_cr_shadows(). */
static NOINLINE void merge_intercepts(struct vcpu *vcpu, struct nested_vmcs *slot)
{
	struct vmcs12 *v12 = &slot->v12;

	merge_exception_bitmap(vcpu, slot);
	vmcs_write(VMCS_cr0_guest_host_mask, v12->cr0_guest_host_mask | cr0_mask_l0(vcpu));
	vmcs_write(VMCS_cr4_guest_host_mask, v12->cr4_guest_host_mask | cr4_mask_l0(vcpu));
}

/*
 * Groups of one field or a few, on which no check depends. The TSC offset counts only with its control, which
 * is of the group CTL.
 */
void merge_single_groups(struct vcpu *vcpu, struct nested_vmcs *slot, u32 dirty)
{
	if (dirty & GROUP_CUT) {
		merge_intercepts(vcpu, slot);
		/* The read shadows hold bits that the old masks did not hide. */
		if (slot->entered)
			merge_cr_shadows(slot);
	}
	if (dirty & GROUP_EOI)
		copy_groups(vcpu, slot, GROUP_EOI);
	if ((dirty & (GROUP_TSC | GROUP_CTL)) && v12_has_proc(&slot->v12, PROC_TSC_OFFSETTING))
		vmcs_write(VMCS_tsc_offset, slot->v12.tsc_offset);
}

/*
 * SDM "Blocking of NMIs": with "NMI exiting" and without "virtual NMIs" such blocking "remains in effect as
 * long as the logical processor is in VMX non-root operation", whatever IRET does. An injected NMI begins
 * such blocking too.
 */
static bool blocks_nmis(const struct vmcs12 *v12)
{
	bool injects = (v12->entry_intr_info & (INTR_INFO_VALID | INTR_INFO_TYPE)) ==
		       (INTR_INFO_VALID | INTR_TYPE_NMI << INTR_INFO_TYPE_SHIFT);

	return v12_has_pin(v12, PIN_NMI_EXITING) && !v12_has_pin(v12, PIN_VIRTUAL_NMIS) &&
	       (injects || (v12->guest_interruptibility & INTERRUPTIBILITY_NMI));
}

/* Fields that an entry consumes anew each time. */
static void merge_each_entry(struct vcpu *vcpu, struct nested_vmcs *slot)
{
	const struct vmcs12 *v12 = &slot->v12;
	u64 entry = caps_control(vmx_caps.entry, MERGED(WORD_ENTRY, v12->entry_controls, 0));

	known02_set_entry_controls(slot, entry);
	/* In a new vmcs02 in any case: nobody has written the field yet. */
	if (!slot->entered || v12_has_proc(v12, PROC_TPR_SHADOW))
		known02_set_tpr_threshold(slot, v12->tpr_threshold);
	if (v12_has_proc2(v12, PROC2_VIRTUAL_INTERRUPT))
		vmcs_write(VMCS_guest_intr_status, v12->guest_intr_status);
	if (unlikely(vcpu->wish.timer_ticks))
		timer_merge(vcpu, slot);
	else if (v12_has_pin(v12, PIN_PREEMPTION_TIMER))
		vmcs_write(VMCS_preemption_timer_value, v12->preemption_timer_value);
	if (unlikely(v12->exit_msr_store_count || slot->stores_time))
		msr_area_merge(vcpu, slot);
	slot->nmi_blocked = blocks_nmis(v12);
	if (v12->entry_intr_info & INTR_INFO_VALID)
		merge_injection(vcpu, v12);
}

/* What never changes in a vmcs02: L0's host state, and the lists and links that L0 does not use. */
static void merge_constant(struct vcpu *vcpu, struct nested_vmcs *slot)
{
	vcpu_write_host_state(vcpu);
	/* The last vmcs12 of this slot has opened them; this one would read them at each entry. */
	bitmaps_close(slot);
	io_bitmaps_close(slot);
	vmcs_write(VMCS_vmcs_link_pointer, ~0ull);
	msr_area_init_slot(slot);
	vmcs_write(VMCS_exit_msr_load_count, 0);
	vmcs_write(VMCS_entry_msr_load_count, 0);
	vmcs_write(VMCS_entry_intr_info, 0);
}

void merge_vmcs02(struct vcpu *vcpu, struct nested_vmcs *slot, const struct l1_state *l1)
{
	u32 dirty = slot->entered ? slot->dirty : GROUP_ALL;

	if (!slot->entered)
		merge_constant(vcpu, slot);
	if (dirty & GROUP_CTL)
		merge_controls(vcpu, slot);
	if (!slot->entered || (dirty & GROUP_CTL) || known02_changed_proc(slot))
		merge_proc_controls(vcpu, slot);
	if (unlikely(dirty & (GROUPS_SINGLE | GROUP_CTL)))
		merge_single_groups(vcpu, slot, dirty);
	if (dirty & (GROUP_SEG | GROUP_RARE))
		copy_groups(vcpu, slot, GROUP_SEG | GROUP_RARE);
	merge_registers(vcpu, slot, l1);
	merge_pdptes(vcpu, slot);
	merge_cr_shadows(slot);
	merge_each_entry(vcpu, slot);
	bitmaps_merge(vcpu, slot);
	tpr_prepare(slot);
	io_bitmaps_merge(vcpu, slot);
	if (unlikely(slot->stand_ins))
		addresses_fill(vcpu, slot);
	merge_translation(vcpu, slot);
	slot->entered = true;
	slot->changed = 0;
}

static NOINLINE void translate_anew(struct vcpu *vcpu, struct nested_vmcs *slot)
{
	u64 eptp = ept02_pointer(vcpu, slot);
	u16 vpid = vpid02_for_entry(vcpu, slot);

	known02_set_eptp(slot, eptp);
	/* 0: VPIDs are not used. */
	if (vpid)
		known02_set_vpid(slot, vpid);
	/* The EPT02 that ran last, and the order of VPIDs by use, are other ones. */
	vcpu->nested.translations++;
	slot->translation = 0;
}

void merge_translation(struct vcpu *vcpu, struct nested_vmcs *slot)
{
	if (unlikely(!slot->entered || !ept02_stands(vcpu, slot) || !vpid02_stands(vcpu, slot)))
		translate_anew(vcpu, slot);
	else
		slot->translation = vcpu->nested.translations;
}
