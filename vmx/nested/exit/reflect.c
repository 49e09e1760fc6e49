/* SPDX-License-Identifier: MIT */
/*
 * L2 ends and L1 goes on: guest state from vmcs02 to vmcs12, the MSR-store list, then L1's host state
 * (host_state.c); and the same for a VM entry that failed after its host state was checked. Segments and
 * other rare guest state stay in vmcs02 until L1 asks (nested_sync_rare()). SDM: "VM Exits", "VM-Entry
 * Failures During or After Loading Guest State".
 */
#include "vmx/nested/exit/reflect.h"

#include "kernel/msr.h"
#include "kernel/panic.h"
#include "kernel/x86.h"
#include "vmx/nested/explain/explain.h"
#include "vmx/guest/outcome.h"
#include "vmx/guest/vcpu.h"
#include "vmx/hw/caps.h"
#include "vmx/hw/exits.h"
#include "vmx/nested/entry/msr_area.h"
#include "vmx/nested/entry/timer.h"
#include "vmx/nested/entry/tpr.h"
#include "vmx/nested/exit/event.h"
#include "vmx/nested/exit/host_state.h"
#include "vmx/nested/exit/leave.h"
#include "vmx/nested/explain/fail.h"
#include "vmx/nested/vmcs12/caps12.h"
#include "vmx/nested/vmcs12/debug.h"
#include "vmx/nested/vmcs12/known02.h"
#include "vmx/nested/vmcs12/vmcs12.h"
#include "vmx/l1/exit_msr.h"

/* ---- guest state ---- */

/* A shadowed row of v12 gets a value; the shadow VMCS follows only if it is new. */
#define KEEP(field, value)                                                                                   \
	do {                                                                                                 \
		u64 value_ = (value);                                                                        \
                                                                                                             \
		if (slot->v12.field != value_) {                                                             \
			slot->v12.field = value_;                                                            \
			slot->to_push |= PLACE(field);                                                       \
		}                                                                                            \
	} while (0)

#define EFER_LMA_TO_CONTROL 1 /* the control is a bit below the MSR's */
static_assert(EFER_LMA >> EFER_LMA_TO_CONTROL == ENTRY_IA32E_GUEST, "save_lma()");

/*
 * "The value of IA32_EFER.LMA is stored into the 'IA-32e mode guest' control",
 * in vmcs02 by the processor.
 */
static inline void save_lma(struct nested_vmcs *slot, u64 efer)
{
	bool lma = efer & EFER_LMA;

	/* As it was, in both: nothing to do. */
	if (likely(!(((efer >> EFER_LMA_TO_CONTROL) ^ slot->v12.entry_controls) & ENTRY_IA32E_GUEST)) &&
	    likely(known02_has_lma(slot, efer >> EFER_LMA_TO_CONTROL)))
		return;
	if (caps12.misc & VMX_MISC_STORES_LMA)
		slot->v12.entry_controls = with_lma(slot->v12.entry_controls, lma);
	if (vmx_caps.misc & VMX_MISC_STORES_LMA)
		known02_exit_stored_lma(slot, lma);
}

/* Without any of these there is nothing for save_by_control(), which looks closer. */
#define SAVED_BY_CONTROL (EXIT_SAVE_PAT | EXIT_SAVE_PREEMPTION_TIMER)

/*
 * SDM "Saving Control Registers, Debug Registers, and MSRs": what a save
 * control governs keeps vmcs12's value without it. Debug controls, which nearly every L1 has saved, are
 * save_debug_controls()'s.
 */
static NOINLINE void save_by_control(struct vcpu *vcpu, struct nested_vmcs *slot)
{
	struct vmcs12 *v12 = &slot->v12;

	if (v12_has_exit(v12, EXIT_SAVE_PAT))
		v12->guest_pat = vcpu_pat(vcpu);
	if (v12_has_exit(v12, EXIT_SAVE_PREEMPTION_TIMER) && v12_has_pin(v12, PIN_PREEMPTION_TIMER))
		KEEP(preemption_timer_value, timer_left(slot));
	if (v12_has_proc2(v12, PROC2_VIRTUAL_INTERRUPT))
		KEEP(guest_intr_status, vmcs_read(VMCS_guest_intr_status));
}

/* vmcs02 has virtual NMIs, which IRET unblocks; with "NMI exiting" alone, blocking outlasts L2's IRETs. */
static u64 interruptibility_at_exit(const struct nested_vmcs *slot, u64 now)
{
	return slot->nmi_blocked ? now | INTERRUPTIBILITY_NMI : now;
}

/* What an exit saves of the register cache's under no control; a plain one has none of them in the cache but
 * RIP. */
#define SAVED_REGS                                                                                           \
	(BIT(REG_RSP) | BIT(REG_RFLAGS) | BIT(REG_CR0) | BIT(REG_CR3) | BIT(REG_CR4) | BIT(REG_CS_AR) |      \
	 BIT(REG_SS_AR) | BIT(REG_ACTIVITY) | BIT(REG_INTERRUPTIBILITY) | BIT(REG_PENDING_DEBUG) |           \
	 BIT(REG_EFER) | BIT(REG_IDT_VECTORING_INFO) | BIT(REG_EXIT_INSTRUCTION_LENGTH))

/*
 * A field of vmcs02 that is being left: what the cache knows, be it dirty, else the VMCS. The cache learns
 * nothing. Plain exits are counted together: counters.plain_exits.
 */
static ALWAYS_INLINE u64 saved_reg(struct vcpu *vcpu, enum reg reg, bool plain)
{
	const struct reg_batch batch = vcpu_reg_batch(vcpu);

	return plain ? regcache_read_past(batch.cache, reg) : reg_batch_peek(&batch, reg);
}

static inline void save_debug_controls(struct vcpu *vcpu, struct vmcs12 *v12)
{
	v12->guest_dr7 = saved_reg(vcpu, REG_DR7, false);
	v12->guest_debugctl = vcpu_debugctl(vcpu);
	debug_known(VMCS_guest_debugctl, v12->guest_debugctl);
}

/*
 * SDM "Saving Guest State".  CR0 and CR4 of vmcs02 are L2's own: L0 may
 * intercept their bits, but never runs L2 with other ones.  PDPTEs mean
 * something only with EPT12 and PAE paging, and are "undefined" otherwise:
 * then L1's values stay.  Returns L2's IA32_EFER.
 * Of a `plain` exit, FACT_INSN says what need not be read.
 */
static ALWAYS_INLINE u64 save_guest_state(struct vcpu *vcpu, struct nested_vmcs *slot, bool plain)
{
	struct vmcs12 *v12 = &slot->v12;
	u64 efer, interruptibility;

#define GET(reg) saved_reg(vcpu, REG_##reg, plain)
	KEEP(guest_rip, plain ? regcache_value(&slot->vmcs02.cache, REG_RIP) : GET(RIP));
	KEEP(guest_rsp, GET(RSP));
	KEEP(guest_rflags, GET(RFLAGS));
	KEEP(guest_cr0, GET(CR0));
	KEEP(guest_cr3, GET(CR3));
	KEEP(guest_cr4, GET(CR4));
	KEEP(guest_cs_ar, GET(CS_AR));
	KEEP(guest_ss_ar, GET(SS_AR));
	KEEP(guest_activity_state, plain ? ACTIVITY_ACTIVE : GET(ACTIVITY));
	interruptibility = GET(INTERRUPTIBILITY);
	KEEP(guest_interruptibility, interruptibility_at_exit(slot, interruptibility));
	if (unlikely(slot->nmi_blocked))
		slot->changed |= PLACE(guest_interruptibility);
	v12->guest_pending_debug =
		plain && likely(!(interruptibility & INTERRUPTIBILITY_MOV_SS)) ? 0 : GET(PENDING_DEBUG);
	if (plain) {
		debug_known(VMCS_guest_activity_state, ACTIVITY_ACTIVE);
		debug_known(VMCS_guest_pending_debug, v12->guest_pending_debug);
	}
	efer = GET(EFER);
#undef GET
	if (v12_has_proc2(v12, PROC2_EPT) && (v12->guest_cr0 & CR0_PG) && (v12->guest_cr4 & CR4_PAE) &&
	    !(efer & EFER_LMA)) {
		v12->guest_pdpte0 = vcpu_reg(vcpu, REG_PDPTE0);
		v12->guest_pdpte1 = vcpu_reg(vcpu, REG_PDPTE1);
		v12->guest_pdpte2 = vcpu_reg(vcpu, REG_PDPTE2);
		v12->guest_pdpte3 = vcpu_reg(vcpu, REG_PDPTE3);
	}
	/* L1 may clear the bit alone: then the segments must be those of another mode. */
	if (unlikely(v12->guest_rflags & RFLAGS_VM))
		slot->dirty |= GROUP_MODE;
	if (v12_has_exit(v12, EXIT_SAVE_DEBUG))
		save_debug_controls(vcpu, v12);
	if ((v12->exit_controls & SAVED_BY_CONTROL) | (v12->proc2_controls & PROC2_VIRTUAL_INTERRUPT))
		save_by_control(vcpu, slot);
	if (v12_has_exit(v12, EXIT_SAVE_EFER))
		v12->guest_efer = efer;
	save_lma(slot, efer);
	slot->rare_in_02 = true;
	slot->same_in_02 = true;
	known02_exit_stored_efer(slot, efer);
	return efer;
}

/*
 * SDM: "VM exits caused directly by NMIs cause blocking by NMI; other VM exits
 * do not affect it".  With virtual NMIs the blocking that L2 knows is not
 * L1's, and NMIs were not blocked; without them it is the same one.
 */
static inline bool nmi_blocked_after(const struct vmcs12 *v12, const struct exit_record *record)
{
	if (record && record->reason == EXIT_EXCEPTION_NMI &&
	    (record->intr_info & INTR_INFO_TYPE) >> INTR_INFO_TYPE_SHIFT == INTR_TYPE_NMI)
		return true;
	return !v12_has_pin(v12, PIN_VIRTUAL_NMIS) && (v12->guest_interruptibility & INTERRUPTIBILITY_NMI);
}

/* A row of exit information gets a value, likewise. */
#define TELL(field, value) KEEP(field, (u64)(value))

/* SDM: "Recording VM-Exit Information and Updating VM-Entry Control Fields".  Guest state has been saved. */
static void save_record(struct vcpu *vcpu, struct nested_vmcs *slot, const struct exit_record *record)
{
	struct vmcs12 *v12 = &slot->v12;
	u64 vectoring;

	TELL(exit_reason, record->reason);
	TELL(exit_qualification, record->qualification);
	TELL(exit_intr_info, record->intr_info);
	TELL(exit_intr_error_code, record->intr_error_code);
	TELL(exit_instruction_length, record->instruction_length);
	TELL(exit_instruction_info, record->instruction_info);
	TELL(guest_physical_address, record->guest_physical);
	TELL(guest_linear_address, record->guest_linear);
	TELL(entry_intr_info, v12->entry_intr_info & ~INTR_INFO_VALID);
	if (!record->from_hardware) {
		nested_event_to_vectoring(vcpu, v12);
		slot->to_push |= PLACE(idt_vectoring_info) | PLACE(idt_vectoring_error_code) |
				 PLACE(exit_instruction_length) | PLACE(guest_interruptibility);
		return;
	}
	/* An event that L0 had queued again after this exit is the one that the exit itself describes. */
	vcpu->pending_valid = false;
	vectoring = vcpu_reg_hot(vcpu, REG_IDT_VECTORING_INFO);
	TELL(idt_vectoring_info, vectoring);
	if (unlikely((vectoring & INTR_INFO_VALID) && (vectoring & INTR_INFO_ERROR_CODE)))
		TELL(idt_vectoring_error_code, vcpu_reg_hot(vcpu, REG_IDT_VECTORING_ERROR_CODE));
}

/* The same of a plain exit: exit_record_hardware() and save_record() in one. */
static inline void save_plain_record(struct vcpu *vcpu, struct nested_vmcs *slot)
{
	struct vmcs12 *v12 = &slot->v12;
	u32 facts = exit_facts_table[vcpu->exit_reason];
	u64 qualification = facts & FACT_QUAL ? saved_reg(vcpu, REG_EXIT_QUALIFICATION, false) : 0;

	TELL(exit_reason, vcpu->exit_reason);
	TELL(exit_qualification, qualification);
	TELL(exit_intr_info, 0);
	TELL(exit_instruction_length, vcpu_reg_past(vcpu, REG_EXIT_INSTRUCTION_LENGTH));
	if ((facts & (FACT_INFO | FACT_LINEAR)) &&
	    (!(facts & FACT_STRING) || (qualification & IO_QUALIFICATION_STRING))) {
		if (facts & FACT_INFO)
			TELL(exit_instruction_info, saved_reg(vcpu, REG_EXIT_INSTRUCTION_INFO, false));
		if (facts & FACT_LINEAR)
			TELL(guest_linear_address, saved_reg(vcpu, REG_GUEST_LINEAR_ADDRESS, false));
	}
	TELL(entry_intr_info, v12->entry_intr_info & ~INTR_INFO_VALID);
	TELL(idt_vectoring_info, 0);
	debug_known(VMCS_idt_vectoring_info, 0);
}

/* An exit that cannot be completed. L2 ends first: an abort is L1's. */
static COLD enum outcome abort_exit(struct vcpu *vcpu, struct nested_vmcs *slot, enum vmx_abort code)
{
	vcpu->pending_valid = false;
	nested_leave_l2(vcpu);
	return nested_vmx_abort(vcpu, slot, code);
}

/* `record` NULL: a plain exit. */
static ALWAYS_INLINE enum outcome reflect(struct vcpu *vcpu, const struct exit_record *record)
{
	struct nested_vmcs *slot = vcpu->nested.current;
	struct vmcs12 *v12 = &slot->v12;
	struct inherited inherited;
	u64 efer;

	vcpu->nested.counters.reflections++;
	efer = save_guest_state(vcpu, slot, !record);
	if (record)
		save_record(vcpu, slot, record);
	else
		save_plain_record(vcpu, slot);
	inherited = inherited_from_l2(vcpu, efer, nmi_blocked_after(v12, record));
	if (v12->exit_msr_store_count &&
	    msr_area_run(vcpu, LIST_EXIT_STORE, v12->exit_msr_store_addr, (u32)v12->exit_msr_store_count))
		return abort_exit(vcpu, slot, VMX_ABORT_STORE_MSR);
	/* L2 went to long mode by itself, but L1 is to be a 32-bit host. */
	if (unlikely(!v12_has_exit(v12, EXIT_HOST_64)) && (efer & EFER_LMA))
		return abort_exit(vcpu, slot, VMX_ABORT_HOST_LONG_MODE);
	nested_leave_l2(vcpu);
	/*
	 * L1 that has set IBRS expects of a VM exit that the processor keeps the branch predictions of its
	 * guests from it; to the processor, both are guests.  "Indirect Branch Predictor Barrier".
	 */
	if (vcpu->wish.ibpb)
		msr_predictor_barrier();
	return nested_load_host_state(vcpu, slot, &inherited);
}

enum outcome nested_reflect(struct vcpu *vcpu, const struct exit_record *record)
{
	return reflect(vcpu, record);
}

bool nested_state_is_unread(const struct vcpu *vcpu)
{
	return !regcache_has_any(&vcpu->vmcs->cache, SAVED_REGS);
}

bool nested_exit_is_plain(const struct vcpu *vcpu)
{
	return likely(vcpu->exit_reason < EXIT_REASON_COUNT) &&
	       (exit_facts_table[vcpu->exit_reason] & FACT_INSN) &&
	       !(vcpu->attention | (vcpu->vmcs->state ^ VMCS_LAUNCHED)) && nested_state_is_unread(vcpu);
}

enum outcome nested_reflect_plainly(struct vcpu *vcpu)
{
	vcpu->counters.plain_exits++;
	return reflect(vcpu, NULL);
}
