/* SPDX-License-Identifier: MIT */
/*
 * vmcs02 = what L1 asked in vmcs12, plus what L0 needs, minus what L0
 * forbids.  Each control word is one expression; a field is written when L1
 * wrote it since the last entry.  The checks (check_*.c) have passed and
 * vmcs02 is current.  The bitmaps' pages are bitmaps.c's, other pages that L1
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

/* L0 must be able to leave its own mark on what L1 is offered, and nothing that L1 is not offered passes. */
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
	u32 others = (u32)v12->exception_bitmap & ~(u32)BIT(VEC_PF);

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

/* Groups without checks, a field or a few each. The TSC offset counts only with its control, which CTL has.
 */
void merge_single_groups(struct vcpu *vcpu, struct nested_vmcs *slot, u32 dirty)
{
	if (dirty & GROUP_CUT) {
		merge_intercepts(vcpu, slot);
		/* Bits that the masks did not hide until now. */
		if (slot->entered)
			merge_cr_shadows(slot);
	}
	if (dirty & GROUP_EOI)
		copy_groups(vcpu, slot, GROUP_EOI);
	if ((dirty & (GROUP_TSC | GROUP_CTL)) && v12_has_proc(&slot->v12, PROC_TSC_OFFSETTING))
		vmcs_write(VMCS_tsc_offset, slot->v12.tsc_offset);
}

/*
 * SDM "Loading Guest Control Registers, Debug Registers, and MSRs": without
 * "load IA32_EFER", LMA is the "IA-32e mode guest" control's, and LME too if
 * CR0.PG is being loaded with 1.
 */
static u64 guest_efer(const struct vmcs12 *v12, const struct l1_state *l1)
{
	u64 efer = l1->efer & ~EFER_LMA;

	if (v12_has_entry(v12, ENTRY_LOAD_EFER))
		return v12->guest_efer;
	if (v12_has_entry(v12, ENTRY_IA32E_GUEST))
		efer |= EFER_LMA;
	if (v12->guest_cr0 & CR0_PG)
		efer = (efer & ~EFER_LME) | (efer & EFER_LMA ? EFER_LME : 0);
	return efer;
}

/*
 * Without "load debug controls" L2 goes on with L1's IA32_DEBUGCTL. But where the entry checks BS of the
 * pending debug exceptions, it looks at the field's BTF: vmcs02, in which the field is loaded, must agree.
 */
static u64 guest_debugctl(const struct vmcs12 *v12, const struct l1_state *l1)
{
	bool shadow = v12->guest_interruptibility & (INTERRUPTIBILITY_STI | INTERRUPTIBILITY_MOV_SS);

	if (v12_has_entry(v12, ENTRY_LOAD_DEBUG))
		return v12->guest_debugctl;
	if (likely(!(v12->guest_rflags & RFLAGS_TF)) ||
	    (!shadow && v12->guest_activity_state != ACTIVITY_HLT))
		return l1->debugctl;
	return (l1->debugctl & ~DEBUGCTL_BTF) | (v12->guest_debugctl & DEBUGCTL_BTF);
}

/* SDM, the same chapter: "bit 12 and bits 15:14 are always 0 and bit 10 is always 1". */
static u64 loaded_dr7(u64 field)
{
	return (field & ~DR7_RESERVED0) | DR7_FIXED1;
}

/*
 * What the entry controls load or leave alone. Where L1 has the control that saves it as well, vmcs02 still
 * holds what v12 says.
 */
void merge_by_control(struct vcpu *vcpu, struct nested_vmcs *slot, const struct l1_state *l1)
{
	const struct vmcs12 *v12 = &slot->v12;
	bool known = slot->same_in_02 && !(slot->dirty & (GROUP_RARE | GROUP_WORD));
	u64 efer = guest_efer(v12, l1);

	if (!known02_has_efer(slot, efer))
		vcpu_set_reg(vcpu, REG_EFER, efer);
	if (!known || !v12_has_entry(v12, ENTRY_LOAD_DEBUG) || !v12_has_exit(v12, EXIT_SAVE_DEBUG)) {
		vcpu_set_reg(vcpu, REG_DR7,
			     v12_has_entry(v12, ENTRY_LOAD_DEBUG) ? loaded_dr7(v12->guest_dr7) : l1->dr7);
		vcpu_set_debugctl(vcpu, guest_debugctl(v12, l1));
	}
	if (!known || !v12_has_entry(v12, ENTRY_LOAD_PAT) || !v12_has_exit(v12, EXIT_SAVE_PAT))
		vcpu_set_pat(vcpu, v12_has_entry(v12, ENTRY_LOAD_PAT) ? v12->guest_pat : l1->pat);
}

/*
 * What the registers hold behind the entry, not what the fields say: where L2 ends before the processor has
 * loaded them (a held NMI or INIT, a machine check, a failed list), this is what L1 finds saved.
 */
static void merge_registers(struct vcpu *vcpu, struct nested_vmcs *slot, const struct l1_state *l1)
{
	const struct vmcs12 *v12 = &slot->v12;

	u64 known = slot->same_in_02 ? ~slot->changed : 0;
	u64 cr0 = cr_loaded_cr0(v12->guest_cr0);

#define SET(field, reg)                                                                                      \
	do {                                                                                                 \
		if (!(known & PLACE(field)))                                                                 \
			vcpu_set_reg(vcpu, REG_##reg, v12->field);                                           \
	} while (0)
	SET(guest_rip, RIP);
	SET(guest_rsp, RSP);
	SET(guest_rflags, RFLAGS);
	if (!(known & PLACE(guest_cr0)) || cr0 != v12->guest_cr0)
		vcpu_set_reg(vcpu, REG_CR0, cr0);
	SET(guest_cr3, CR3);
	SET(guest_cr4, CR4);
	SET(guest_cs_ar, CS_AR);
	SET(guest_ss_ar, SS_AR);
	SET(guest_interruptibility, INTERRUPTIBILITY);
	SET(guest_activity_state, ACTIVITY);
#undef SET
	if (!known || (slot->dirty & GROUP_COOL))
		vcpu_set_reg(vcpu, REG_PENDING_DEBUG, v12->guest_pending_debug);
	merge_by_control(vcpu, slot, l1);
}

/*
 * SDM "Loading Page-Directory-Pointer-Table Entries": from the fields with
 * EPT; otherwise from memory, by entry.c.  Only when they mean something.
 */
static void merge_pdptes(struct vcpu *vcpu, struct nested_vmcs *slot)
{
	const struct vmcs12 *v12 = &slot->v12;

	if (!v12_has_proc2(v12, PROC2_EPT) || !v12_pae_paging(v12) ||
	    (slot->same_in_02 && !(slot->dirty & (GROUP_COOL | GROUP_MODE | GROUP_WORD))))
		return;
	vcpu_set_reg(vcpu, REG_PDPTE0, v12->guest_pdpte0);
	vcpu_set_reg(vcpu, REG_PDPTE1, v12->guest_pdpte1);
	vcpu_set_reg(vcpu, REG_PDPTE2, v12->guest_pdpte2);
	vcpu_set_reg(vcpu, REG_PDPTE3, v12->guest_pdpte3);
}

/*
 * SDM "Blocking of NMIs": with "NMI exiting" and without "virtual NMIs" such blocking "remains in effect as
 * long as the logical processor is in VMX non-root operation", whatever IRET does; that by an injected NMI
 * too.
 */
static bool blocks_nmis(const struct vmcs12 *v12)
{
	bool injects = (v12->entry_intr_info & (INTR_INFO_VALID | INTR_INFO_TYPE)) ==
		       (INTR_INFO_VALID | INTR_TYPE_NMI << INTR_INFO_TYPE_SHIFT);

	return v12_has_pin(v12, PIN_NMI_EXITING) && !v12_has_pin(v12, PIN_VIRTUAL_NMIS) &&
	       (injects || (v12->guest_interruptibility & INTERRUPTIBILITY_NMI));
}

void merge_injection(struct vcpu *vcpu, const struct vmcs12 *v12)
{
	vcpu->pending = (struct event){
		.vector = v12->entry_intr_info & INTR_INFO_VECTOR,
		.type = (v12->entry_intr_info & INTR_INFO_TYPE) >> INTR_INFO_TYPE_SHIFT,
		.has_error_code = v12->entry_intr_info & INTR_INFO_ERROR_CODE,
		.error_code = (u32)v12->entry_exception_error_code,
		.instruction_length = (u32)v12->entry_instruction_length,
	};
	vcpu->pending_valid = true;
	/*
	 * L1 without virtual NMIs may inject an NMI while NMIs are blocked.  vmcs02 always has them,
	 * and may not; the injection sets the blocking again.
	 */
	if (vcpu->pending.type == INTR_TYPE_NMI)
		vcpu_set_reg(vcpu, REG_INTERRUPTIBILITY,
			     vcpu_reg(vcpu, REG_INTERRUPTIBILITY) & ~(u64)INTERRUPTIBILITY_NMI);
}

/* Fields that an entry consumes anew each time. */
static void merge_each_entry(struct vcpu *vcpu, struct nested_vmcs *slot)
{
	const struct vmcs12 *v12 = &slot->v12;
	u64 entry = caps_control(vmx_caps.entry, MERGED(WORD_ENTRY, v12->entry_controls, 0));

	known02_set_entry_controls(slot, entry);
	/* Once in any case: what the field holds before is nobody's. */
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

void merge_translation(struct vcpu *vcpu, struct nested_vmcs *slot)
{
	u64 eptp;
	u16 vpid;

	if (likely(slot->entered) && ept02_stands(vcpu, slot) && vpid02_stands(vcpu, slot))
		return;
	eptp = ept02_pointer(vcpu, slot);
	vpid = vpid02_for_entry(vcpu, slot);
	known02_set_eptp(slot, eptp);
	if (tlb_uses_vpid())
		known02_set_vpid(slot, vpid);
}
