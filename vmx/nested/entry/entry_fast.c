/* SPDX-License-Identifier: MIT */
/*
 * The short way from L1's VMRESUME to L2. Most entries differ from the last exit in RIP, RSP, an event to
 * inject or the interrupt window only: vmcs02 holds all else already, and was checked when it came there or
 * was saved by the processor. Contract: what this file skips is exactly what entry.c and merge.c would not
 * change; a build with DEBUG=1 makes all checks, lets merge.c write everything behind it, and compares
 * (vmx/nested/debug.c). SDM: "VM Entries".
 */
#include "vmx/nested/entry/entry_fast.h"

#include "kernel/x86.h"
#include "vmx/l1/exit_cr.h"
#include "vmx/guest/vcpu.h"
#include "vmx/nested/entry/bitmaps.h"
#include "vmx/nested/entry/check.h"
#include "vmx/nested/entry/entry.h"
#include "vmx/nested/entry/io_bitmaps.h"
#include "vmx/nested/entry/merge.h"
#include "vmx/nested/vmcs12/caps12.h"
#include "vmx/nested/vmcs12/debug.h"
#include "vmx/nested/vmcs12/known02.h"
#include "vmx/nested/vmcs12/vmcs12.h"

/* Rows that this file writes to vmcs02, or that only L0 looks at. */
#define FAST_PLACES                                                                                          \
	(PLACE(guest_rip) | PLACE(guest_rsp) | PLACE(guest_rflags) | PLACE(guest_interruptibility) |         \
	 PLACE(guest_cr3) | PLACE(entry_intr_info) | PLACE(entry_exception_error_code) |                     \
	 PLACE(entry_instruction_length) | PLACE(host_rsp) | PLACE(proc_controls) |                          \
	 PLACE(preemption_timer_value) | PLACE(guest_intr_status) | PLACE(guest_pml_index) |                 \
	 PLACE(tsc_offset))

/* Of these, rows on which no rule depends but that of RIP. */
#define UNCHECKED_PLACES                                                                                     \
	(PLACE(guest_rip) | PLACE(guest_rsp) | PLACE(host_rsp) | PLACE(proc_controls) |                      \
	 PLACE(preemption_timer_value) | PLACE(guest_intr_status) | PLACE(guest_pml_index) |                 \
	 PLACE(tsc_offset))

/* Of these, rows whose rules event_valid() knows. */
#define EVENT_PLACES (PLACE(guest_rflags) | PLACE(guest_interruptibility) | PLACE(entry_intr_info))

/* Of these, what nearly every entry changes. */
#define USUAL_PLACES (PLACE(guest_rip) | PLACE(guest_rsp) | PLACE(host_rsp) | PLACE(preemption_timer_value))

void entry_fast_prepare(struct vcpu *vcpu, struct nested_vmcs *slot)
{
	const struct vmcs12 *v12 = &slot->v12;
	bool lists = v12->entry_msr_load_count || v12->exit_msr_store_count || slot->stores_time;
	bool perf = v12_has_entry(v12, ENTRY_LOAD_PERF_GLOBAL) || v12_has_exit(v12, EXIT_LOAD_PERF_GLOBAL);
	bool holds_nmis = v12_has_pin(v12, PIN_NMI_EXITING) && !v12_has_pin(v12, PIN_VIRTUAL_NMIS);

	slot->fast = !vcpu_intercepts_cr(vcpu) && !lists && !perf && !holds_nmis &&
		     v12->vmcs_link_pointer == ~0ull && !slot->stand_ins && !slot->tpr_relaxed &&
		     !vcpu->wish.flush_l1d && !vcpu->wish.timer_ticks;
}

/* SDM "Checks on Guest RIP, RFLAGS, and SSP", of RIP. */
static inline bool rip_valid(const struct vmcs12 *v12)
{
	i64 above = (i64)v12->guest_rip >> caps12.linear_bits;

	if (likely(!(v12->guest_rip >> 32)))
		return true;
	if (!v12_has_entry(v12, ENTRY_IA32E_GUEST) || !(v12->guest_cs_ar & AR_L))
		return false;
	return above == 0 || above == -1;
}

/*
 * No event, or an external interrupt, and neither blocking nor another activity state: then nothing but this
 * is asked of RFLAGS, the interruptibility and the event. False: the checks themselves must say. SDM "Checks
 * on VM-Entry Control Fields", "Checks on Guest RIP, RFLAGS, and SSP", "Checks on Guest Non-Register State".
 */
static inline bool event_valid(const struct vmcs12 *v12)
{
	u64 event = v12->entry_intr_info;
	bool interrupt = (event & ~(u64)INTR_INFO_VECTOR) ==
			 (INTR_INFO_VALID | (u64)INTR_TYPE_EXTERNAL << INTR_INFO_TYPE_SHIFT);
	u64 ones = interrupt ? RFLAGS_FIXED1 | RFLAGS_IF : RFLAGS_FIXED1;

	return (interrupt || !(event & INTR_INFO_VALID)) && (v12->guest_rflags & ones) == ones &&
	       !(v12->guest_rflags & (RFLAGS_RESERVED0 | RFLAGS_VM)) &&
	       !(v12->guest_interruptibility & ~(u64)INTERRUPTIBILITY_NMI) &&
	       v12->guest_activity_state == ACTIVITY_ACTIVE;
}

static NOINLINE bool hot_state_valid(struct vcpu *vcpu, const struct nested_vmcs *slot)
{
	struct check_env env = entry_env(vcpu, slot);
	struct check_failure ignored;

	return check_event_injection(&slot->v12, &env, &ignored) &&
	       check_guest_hot(&slot->v12, &env, &ignored);
}

static inline bool is_valid(struct vcpu *vcpu, const struct nested_vmcs *slot)
{
	const struct vmcs12 *v12 = &slot->v12;

	if (unlikely(slot->changed & ~UNCHECKED_PLACES) &&
	    ((slot->changed & ~(UNCHECKED_PLACES | EVENT_PLACES)) || !event_valid(v12)))
		return hot_state_valid(vcpu, slot);
	/* The processor's comparison with memory that L1 and L2 write. */
	if (unlikely(v12_has_proc(v12, PROC_TPR_SHADOW) && v12->tpr_threshold))
		return hot_state_valid(vcpu, slot);
	return likely(rip_valid(v12));
}

/* CR0.CD and NW are the register's own: the entry leaves them as L1 has them now. */
static inline bool cache_bits_stand(const struct vmcs12 *v12)
{
	return !((cr_cache_bits() ^ v12->guest_cr0) & (CR0_CD | CR0_NW));
}

/*
 * What `fast` cannot say, for it changes with no VMWRITE of L1's: L2 may have brought itself to PAE paging
 * since, whose PDPTEs each entry reads from memory.
 */
static inline bool changed_little(const struct nested_vmcs *slot)
{
	const struct vmcs12 *v12 = &slot->v12;
	u64 changed = slot->changed;
	u32 proc = known02_changed_proc(slot) & ~(u32)PROC_INTERRUPT_WINDOW;
	bool nmi = (v12->entry_intr_info & (INTR_INFO_VALID | INTR_INFO_TYPE)) ==
		   (INTR_INFO_VALID | INTR_TYPE_NMI << INTR_INFO_TYPE_SHIFT);

	if (!slot->fast || !slot->same_in_02 || entry_loads_pdptes(v12) ||
	    (slot->dirty & ~(u32)(GROUP_HOT | GROUPS_SINGLE)) || (v12->guest_rflags & RFLAGS_VM))
		return false;
	return likely(!(changed & ~USUAL_PLACES)) || (!(changed & ~FAST_PLACES) && !proc && !nmi);
}

static inline void write_state(const struct nested_vmcs *slot)
{
	const struct vmcs12 *v12 = &slot->v12;
	u64 changed = slot->changed;

#define PUT(field)                                                                                           \
	do {                                                                                                 \
		if (changed & PLACE(field))                                                                  \
			vmcs_write_fast(VMCS_##field, v12->field);                                           \
	} while (0)
	PUT(guest_rip);
	PUT(guest_rsp);
	if (v12_has_pin(v12, PIN_PREEMPTION_TIMER))
		vmcs_write_fast(VMCS_preemption_timer_value, v12->preemption_timer_value);
	if (likely(!(changed & ~USUAL_PLACES)))
		return;
	PUT(guest_rflags);
	PUT(guest_interruptibility);
	PUT(guest_cr3);
#undef PUT
	if ((changed & PLACE(guest_intr_status)) && v12_has_proc2(v12, PROC2_VIRTUAL_INTERRUPT))
		vmcs_write_fast(VMCS_guest_intr_status, v12->guest_intr_status);
}

/* merge_by_control() of an entry that goes the short way: where L1 saves what it loads, vmcs02 has it. */
static inline void write_by_control(struct vcpu *vcpu, const struct nested_vmcs *slot,
				    const struct l1_state *l1)
{
	const struct vmcs12 *v12 = &slot->v12;
	bool load_debug = v12_has_entry(v12, ENTRY_LOAD_DEBUG), load_pat = v12_has_entry(v12, ENTRY_LOAD_PAT);
	u64 efer = merge_guest_efer(v12, l1);

	if (unlikely(!known02_has_efer(slot, efer)))
		vmcs_write_fast(VMCS_guest_efer, efer);
	if (!load_debug || !v12_has_exit(v12, EXIT_SAVE_DEBUG)) {
		vmcs_write_fast(VMCS_guest_dr7, load_debug ? merge_loaded_dr7(v12->guest_dr7) : l1->dr7);
		vcpu_set_debugctl(vcpu, merge_guest_debugctl(v12, l1));
	}
	if (!load_pat || !v12_has_exit(v12, EXIT_SAVE_PAT))
		vcpu_set_pat(vcpu, load_pat ? v12->guest_pat : l1->pat);
}

bool entry_fast(struct vcpu *vcpu, struct nested_vmcs *slot, const struct l1_state *l1)
{
	struct vmcs12 *v12 = &slot->v12;

	if (unlikely(!changed_little(slot) || !cache_bits_stand(v12) || vcpu->nested.init_pending ||
		     !is_valid(vcpu, slot)))
		return false;
	debug_checked(vcpu, slot);
	entry_switch(vcpu, slot, false);
	/* What it knows is of the last exit. */
	regcache_reset(&slot->vmcs02.cache);
	write_state(slot);
	write_by_control(vcpu, slot, l1);
	if (unlikely((slot->changed & ~USUAL_PLACES) | (slot->dirty & GROUPS_SINGLE))) {
		if (known02_changed_proc(slot))
			merge_proc_controls(vcpu, slot);
		if (slot->dirty & GROUPS_SINGLE)
			merge_single_groups(vcpu, slot, slot->dirty);
		if (v12->entry_intr_info & INTR_INFO_VALID)
			merge_injection(vcpu, v12);
	}
	bitmaps_merge(vcpu, slot);
	io_bitmaps_merge(vcpu, slot);
	if (unlikely(slot->translation != vcpu->nested.translations))
		merge_translation(vcpu, slot);
	debug_translation(vcpu, slot);
	slot->dirty = 0;
	slot->changed = 0;
	slot->same_in_02 = false;
	debug_entry(vcpu, slot, l1);
	return true;
}
