/* SPDX-License-Identifier: MIT */
/*
 * L2 ends and L1 goes on: exit information and guest state from vmcs02 to
 * vmcs12, L1's host state into vmcs01, the MSR lists, VMX abort; and the same
 * for a VM entry that failed after its host state was checked.  Segments and
 * other rare guest state stay in vmcs02 until L1 asks (nested_sync_rare()).
 * SDM: "VM Exits", "VM-Entry Failures During or After Loading Guest State", "VMX Aborts".
 */
#include "kernel/log.h"
#include "kernel/msr.h"
#include "kernel/panic.h"
#include "kernel/x86.h"
#include "vmx/exit.h"
#include "vmx/guest_mem.h"
#include "vmx/nested/internal.h"

/* IA32_VMX_MISC: an exit stores IA32_EFER.LMA into the "IA-32e mode guest" control. */
#define MISC_EXIT_STORES_LMA BIT(5)

/* Access rights.  SDM: "Loading Host Segment and Descriptor-Table Registers". */
#define HOST_AR_CODE (SEG_TYPE_CODE_RX_ACCESSED | AR_S | AR_P | AR_G)
#define HOST_AR_DATA (SEG_TYPE_DATA_RW_ACCESSED | AR_S | AR_P | AR_DB | AR_G)
#define HOST_AR_TSS (SEG_TYPE_TSS_BUSY | AR_P)
#define HOST_LIMIT_TSS 0x67

/* What an exit does not load: L1 takes it over from L2, or keeps its own if no state of L2's was loaded. */
struct inherited {
	u64 cr0;  /* CD and NW */
	u64 efer; /* without "load IA32_EFER": all but LMA and LME */
	u64 pat;  /* without "load IA32_PAT" */
	bool nmi_blocked;
};

/* ---- the exit's description ---- */

/*
 * SDM "Exit Qualification": "for all other VM exits, this field is cleared".
 * The frequent ones of those need no VMREAD.
 */
static bool has_qualification(u32 reason)
{
	switch (reason) {
	case EXIT_EXTERNAL_INTERRUPT:
	case EXIT_INTERRUPT_WINDOW:
	case EXIT_NMI_WINDOW:
	case EXIT_CPUID:
	case EXIT_HLT:
	case EXIT_RDTSC:
	case EXIT_RDTSCP:
	case EXIT_VMCALL:
	case EXIT_RDMSR:
	case EXIT_WRMSR:
	case EXIT_PAUSE:
	case EXIT_PREEMPTION_TIMER: return false;
	}
	return true;
}

/* Exits at an instruction boundary that no instruction caused: the length would be undefined. */
static bool has_instruction_length(u32 reason)
{
	switch (reason) {
	case EXIT_EXTERNAL_INTERRUPT:
	case EXIT_INIT:
	case EXIT_SIPI:
	case EXIT_INTERRUPT_WINDOW:
	case EXIT_NMI_WINDOW:
	case EXIT_MTF:
	case EXIT_PREEMPTION_TIMER: return false;
	}
	return true;
}

/* SDM: "Information for VM Exits Due to Instruction Execution". */
static bool has_instruction_info(u32 reason)
{
	switch (reason) {
	case EXIT_IO:
	case EXIT_VMCLEAR:
	case EXIT_VMPTRLD:
	case EXIT_VMPTRST:
	case EXIT_VMREAD:
	case EXIT_VMWRITE:
	case EXIT_VMXON:
	case EXIT_GDTR_IDTR:
	case EXIT_LDTR_TR:
	case EXIT_INVEPT:
	case EXIT_INVVPID:
	case EXIT_INVPCID:
	case EXIT_RDRAND:
	case EXIT_RDSEED:
	case EXIT_XSAVES:
	case EXIT_XRSTORS:
	case EXIT_UMWAIT:
	case EXIT_TPAUSE: return true;
	}
	return false;
}

/* LMSW with a memory operand, INS and OUTS, and EPT violations. */
static bool has_guest_linear(u32 reason)
{
	return reason == EXIT_CR_ACCESS || reason == EXIT_IO || reason == EXIT_EPT_VIOLATION ||
	       reason == EXIT_PML_FULL;
}

/* Takes what the exit in hand defines; a field that it leaves undefined keeps what L1 saw there last. */
struct exit_record exit_record_hardware(struct vcpu *vcpu)
{
	const struct vmcs12 *v12 = &vcpu->nested.current->v12;
	u32 reason = vcpu->exit_reason & 0xffff;
	bool ept = reason == EXIT_EPT_VIOLATION || reason == EXIT_EPT_MISCONFIG;
	struct exit_record record = {
		.reason = vcpu->exit_reason,
		.instruction_length = (u32)v12->exit_instruction_length,
		.instruction_info = (u32)v12->exit_instruction_info,
		.guest_physical = v12->guest_physical_address,
		.guest_linear = v12->guest_linear_address,
		.intr_error_code = (u32)v12->exit_intr_error_code,
		.from_hardware = true,
	};

	if (has_qualification(reason))
		record.qualification = vcpu_reg(vcpu, REG_EXIT_QUALIFICATION);
	if (reason == EXIT_EXCEPTION_NMI || reason == EXIT_EXTERNAL_INTERRUPT) {
		record.intr_info = (u32)vcpu_reg(vcpu, REG_EXIT_INTR_INFO);
		if (record.intr_info & INTR_INFO_ERROR_CODE)
			record.intr_error_code = (u32)vcpu_reg(vcpu, REG_EXIT_INTR_ERROR_CODE);
	}
	if (has_instruction_length(reason))
		record.instruction_length = (u32)vcpu_reg(vcpu, REG_EXIT_INSTRUCTION_LENGTH);
	if (has_instruction_info(reason))
		record.instruction_info = (u32)vcpu_reg(vcpu, REG_EXIT_INSTRUCTION_INFO);
	if (has_guest_linear(reason))
		record.guest_linear = vcpu_reg(vcpu, REG_GUEST_LINEAR_ADDRESS);
	if (ept)
		record.guest_physical = vcpu_reg(vcpu, REG_GUEST_PHYSICAL_ADDRESS);
	return record;
}

/* SDM: "Recording VM-Exit Information and Updating VM-Entry Control Fields".  Guest state has been saved. */
static void save_exit_information(struct vcpu *vcpu, struct vmcs12 *v12, const struct exit_record *record)
{
	v12->exit_reason = record->reason;
	v12->exit_qualification = record->qualification;
	v12->exit_intr_info = record->intr_info;
	v12->exit_intr_error_code = record->intr_error_code;
	v12->exit_instruction_length = record->instruction_length;
	v12->exit_instruction_info = record->instruction_info;
	v12->guest_physical_address = record->guest_physical;
	v12->guest_linear_address = record->guest_linear;
	v12->entry_intr_info &= ~INTR_INFO_VALID;
	if (!record->from_hardware) {
		nested_event_to_vectoring(vcpu, v12);
		return;
	}
	/* An event that L0 had queued again after this exit is the one that the exit itself describes. */
	vcpu->pending_valid = false;
	v12->idt_vectoring_info = vcpu_reg(vcpu, REG_IDT_VECTORING_INFO);
	if ((v12->idt_vectoring_info & INTR_INFO_VALID) && (v12->idt_vectoring_info & INTR_INFO_ERROR_CODE))
		v12->idt_vectoring_error_code = vcpu_reg(vcpu, REG_IDT_VECTORING_ERROR_CODE);
}

/* ---- guest state ---- */

static u64 with_lma(u64 entry_controls, bool lma)
{
	return (entry_controls & ~ENTRY_IA32E_GUEST) | (lma ? ENTRY_IA32E_GUEST : 0);
}

/*
 * "The value of IA32_EFER.LMA is stored into the 'IA-32e mode guest' control",
 * in vmcs02 by the processor: merge.c must know what stands there.
 */
static void save_lma(struct vcpu *vcpu, struct nested_vmcs *slot)
{
	bool lma = vcpu_is_long_mode(vcpu);

	if (caps12.misc & MISC_EXIT_STORES_LMA)
		slot->v12.entry_controls = with_lma(slot->v12.entry_controls, lma);
	if (vmx_caps.misc & MISC_EXIT_STORES_LMA)
		slot->last.entry_controls = with_lma(slot->last.entry_controls, lma);
}

/*
 * SDM "Saving Control Registers, Debug Registers, and MSRs": what a save
 * control governs keeps vmcs12's value without it.
 */
static void save_by_control(struct vcpu *vcpu, struct vmcs12 *v12)
{
	if (v12_has_exit(v12, EXIT_SAVE_DEBUG)) {
		v12->guest_dr7 = vcpu_reg(vcpu, REG_DR7);
		v12->guest_debugctl = vmcs_read(VMCS_guest_debugctl);
	}
	if (v12_has_exit(v12, EXIT_SAVE_PAT))
		v12->guest_pat = vmcs_read(VMCS_guest_pat);
	if (v12_has_exit(v12, EXIT_SAVE_EFER))
		v12->guest_efer = vcpu_reg(vcpu, REG_EFER);
	if (v12_has_exit(v12, EXIT_SAVE_PREEMPTION_TIMER) && v12_has_pin(v12, PIN_PREEMPTION_TIMER))
		v12->preemption_timer_value = vmcs_read(VMCS_preemption_timer_value);
	if (v12_has_proc2(v12, PROC2_VIRTUAL_INTERRUPT))
		v12->guest_intr_status = vmcs_read(VMCS_guest_intr_status);
}

/* vmcs02 has virtual NMIs, which IRET unblocks; with "NMI exiting" alone, blocking outlasts L2's IRETs. */
static u64 interruptibility_at_exit(struct vcpu *vcpu, const struct vmcs12 *v12)
{
	u64 now = vcpu_reg(vcpu, REG_INTERRUPTIBILITY);

	if (!v12_has_pin(v12, PIN_NMI_EXITING) || v12_has_pin(v12, PIN_VIRTUAL_NMIS))
		return now;
	return now | (v12->guest_interruptibility & INTERRUPTIBILITY_NMI);
}

/*
 * SDM "Saving Guest State".  CR0 and CR4 of vmcs02 are L2's own: L0 may
 * intercept their bits, but never runs L2 with other ones.  PDPTEs mean
 * something only with EPT12 and PAE paging, and are "undefined" otherwise:
 * then L1's values stay.
 */
static void save_guest_state(struct vcpu *vcpu, struct nested_vmcs *slot)
{
	struct vmcs12 *v12 = &slot->v12;
	struct regcache *cache = &slot->vmcs02.cache;
	u64 available = cache->available;

#define SAVE(field, reg) v12->field = vcpu_reg_fast(vcpu, cache, &available, REG_##reg)
	SAVE(guest_rip, RIP);
	SAVE(guest_rsp, RSP);
	SAVE(guest_rflags, RFLAGS);
	SAVE(guest_cr0, CR0);
	SAVE(guest_cr3, CR3);
	SAVE(guest_cr4, CR4);
	SAVE(guest_cs_ar, CS_AR);
	SAVE(guest_ss_ar, SS_AR);
	SAVE(guest_activity_state, ACTIVITY);
	SAVE(guest_pending_debug, PENDING_DEBUG);
#undef SAVE
	cache->available = available;
	v12->guest_interruptibility = interruptibility_at_exit(vcpu, v12);
	if (v12_has_proc2(v12, PROC2_EPT) && vcpu_is_pae_paging(vcpu)) {
		v12->guest_pdpte0 = vcpu_reg(vcpu, REG_PDPTE0);
		v12->guest_pdpte1 = vcpu_reg(vcpu, REG_PDPTE1);
		v12->guest_pdpte2 = vcpu_reg(vcpu, REG_PDPTE2);
		v12->guest_pdpte3 = vcpu_reg(vcpu, REG_PDPTE3);
	}
	save_by_control(vcpu, v12);
	save_lma(vcpu, slot);
	slot->rare_in_02 = true;
}

/* ---- L1's host state; vmcs01 is current ---- */

/* A null selector makes a data segment unusable; FS and GS keep their base even then. */
static u32 data_rights(u64 selector)
{
	return selector ? HOST_AR_DATA : AR_UNUSABLE;
}

/* SDM: "Loading Host Segment and Descriptor-Table Registers". */
static void load_host_segments(struct vcpu *vcpu, const struct vmcs12 *v12)
{
	struct regcache *cache = &vcpu->vmcs01.cache;
	u32 mode = v12_has_exit(v12, EXIT_HOST_64) ? AR_L : AR_DB;
	u64 written = 0;

#define LOAD(reg, value) vcpu_write_reg_fast(vcpu, cache, &written, REG_##reg, value)
#define LOAD_SEGMENT(seg, selector, base, limit, rights)                                                     \
	do {                                                                                                 \
		LOAD(seg##_SELECTOR, selector);                                                              \
		LOAD(seg##_BASE, base);                                                                      \
		LOAD(seg##_LIMIT, limit);                                                                    \
		LOAD(seg##_AR, rights);                                                                      \
	} while (0)
	LOAD_SEGMENT(CS, v12->host_cs_selector, 0, 0xffffffff, HOST_AR_CODE | mode);
	LOAD_SEGMENT(SS, v12->host_ss_selector, 0, 0xffffffff, data_rights(v12->host_ss_selector));
	LOAD_SEGMENT(DS, v12->host_ds_selector, 0, 0xffffffff, data_rights(v12->host_ds_selector));
	LOAD_SEGMENT(ES, v12->host_es_selector, 0, 0xffffffff, data_rights(v12->host_es_selector));
	LOAD_SEGMENT(FS, v12->host_fs_selector, v12->host_fs_base, 0xffffffff,
		     data_rights(v12->host_fs_selector));
	LOAD_SEGMENT(GS, v12->host_gs_selector, v12->host_gs_base, 0xffffffff,
		     data_rights(v12->host_gs_selector));
	LOAD_SEGMENT(TR, v12->host_tr_selector, v12->host_tr_base, HOST_LIMIT_TSS, HOST_AR_TSS);
	LOAD_SEGMENT(LDTR, 0, 0, 0, AR_UNUSABLE);
	LOAD(GDTR_BASE, v12->host_gdtr_base);
	LOAD(GDTR_LIMIT, 0xffff);
	LOAD(IDTR_BASE, v12->host_idtr_base);
	LOAD(IDTR_LIMIT, 0xffff);
#undef LOAD_SEGMENT
#undef LOAD
	cache->available |= written;
	cache->dirty &= ~written;
}

/*
 * SDM "Loading Host Control Registers, Debug Registers, and MSRs".  CR4 and
 * EFER before CR0: who looks at CR0.PG finds the mode complete.
 */
static void load_host_registers(struct vcpu *vcpu, const struct vmcs12 *v12,
				const struct inherited *inherited)
{
	u64 efer = inherited->efer & ~(EFER_LMA | EFER_LME);

	if (v12_has_exit(v12, EXIT_HOST_64))
		efer |= EFER_LMA | EFER_LME;
	if (v12_has_exit(v12, EXIT_LOAD_EFER))
		efer = v12->host_efer;
	vcpu_set_reg(vcpu, REG_CR3, v12->host_cr3);
	cr_set_l1_cr4(vcpu, v12->host_cr4);
	if (vcpu_reg(vcpu, REG_EFER) != efer)
		cr_set_efer(vcpu, efer);
	cr_set_l1_cr0(vcpu,
		      (v12->host_cr0 & ~(CR0_CD | CR0_NW)) | (inherited->cr0 & (CR0_CD | CR0_NW)) | CR0_ET);
	vmcs_write_fast(VMCS_guest_debugctl, 0);
	vmcs_write_fast(VMCS_guest_sysenter_cs, v12->host_sysenter_cs);
	vmcs_write_fast(VMCS_guest_sysenter_esp, v12->host_sysenter_esp);
	vmcs_write_fast(VMCS_guest_sysenter_eip, v12->host_sysenter_eip);
	vmcs_write_fast(VMCS_guest_pat, v12_has_exit(v12, EXIT_LOAD_PAT) ? v12->host_pat : inherited->pat);
	if (v12_has_exit(v12, EXIT_LOAD_PERF_GLOBAL))
		msr_write(vcpu, MSR_IA32_PERF_GLOBAL_CTRL, v12->host_perf_global_ctrl);
}

/* SDM: "Loading Host RIP, RSP, RFLAGS, and SSP" and "Updating Non-Register State". */
static void load_host_execution(struct vcpu *vcpu, const struct vmcs12 *v12, bool nmi_blocked)
{
	struct regcache *cache = &vcpu->vmcs01.cache;
	u64 written = 0;

#define LOAD(reg, value) vcpu_write_reg_fast(vcpu, cache, &written, REG_##reg, value)
	LOAD(RIP, v12->host_rip);
	LOAD(RSP, v12->host_rsp);
	LOAD(RFLAGS, RFLAGS_FIXED1);
	LOAD(ACTIVITY, ACTIVITY_ACTIVE);
	LOAD(PENDING_DEBUG, 0);
	LOAD(DR7, DR7_RESET);
#undef LOAD
	cache->available |= written;
	cache->dirty &= ~written;
	vcpu_set_reg(vcpu, REG_INTERRUPTIBILITY, nmi_blocked ? INTERRUPTIBILITY_NMI : 0);
}

/*
 * SDM "VMX Aborts": the indicator goes into the VMCS region of L1's, and L1's
 * processor shuts down.  What vmcs01 holds of L1 no longer matters, but it
 * must stay a state that can be entered.
 */
static enum action vmx_abort(struct vcpu *vcpu, struct nested_vmcs *slot, enum vmx_abort code)
{
	u32 indicator = code;

	slot->v12.abort = indicator;
	guest_mem_write(vcpu, GPA(slot->gpa + offsetof(struct vmcs12, abort)), &indicator, sizeof(indicator));
	vcpu->pending_valid = false;
	vcpu->nmi_pending = false;
	vcpu->nested.aborted = true;
	vcpu->nested.in_l2 = false;
	vcpu_load_vmcs(vcpu, &vcpu->vmcs01);
	vcpu_set_reg(vcpu, REG_INTERRUPTIBILITY, 0);
	vcpu_set_reg(vcpu, REG_PENDING_DEBUG, 0);
	vcpu_set_reg(vcpu, REG_ACTIVITY, ACTIVITY_SHUTDOWN);
	return ACTION_RESUME;
}

/* The second half of an exit, and of a failed entry: L1's state.  vmcs01 is current, L1 is what runs. */
static enum action load_host_state(struct vcpu *vcpu, struct nested_vmcs *slot,
				   const struct inherited *inherited)
{
	const struct vmcs12 *v12 = &slot->v12;

	load_host_segments(vcpu, v12);
	load_host_registers(vcpu, v12, inherited);
	load_host_execution(vcpu, v12, inherited->nmi_blocked);
	/* SDM "Checking and Loading Host Page-Directory-Pointer-Table Entries". */
	if (vcpu_is_pae_paging(vcpu) && nested_load_pdptes(vcpu, v12->host_cr3) != PDPTE_OK)
		return vmx_abort(vcpu, slot, VMX_ABORT_HOST_PDPTE);
	if (v12->exit_msr_load_count &&
	    msr_area_load(vcpu, v12->exit_msr_load_addr, (u32)v12->exit_msr_load_count, false))
		return vmx_abort(vcpu, slot, VMX_ABORT_LOAD_MSR);
	shadow_push(vcpu, slot);
	return ACTION_RESUME;
}

/* vmcs02 is current: what L1 takes over from L2. */
static struct inherited inherit_from_l2(struct vcpu *vcpu, const struct vmcs12 *v12)
{
	struct inherited inherited = {
		.cr0 = vcpu_reg(vcpu, REG_CR0),
		.efer = vcpu_reg(vcpu, REG_EFER),
	};

	if (!v12_has_exit(v12, EXIT_LOAD_PAT))
		inherited.pat = vmcs_read(VMCS_guest_pat);
	return inherited;
}

/*
 * SDM: "VM exits caused directly by NMIs cause blocking by NMI; other VM exits
 * do not affect it".  With virtual NMIs the blocking that L2 knows is not
 * L1's, and NMIs were not blocked; without them it is the same one.
 */
static bool nmi_blocked_after(const struct vmcs12 *v12, const struct exit_record *record)
{
	if (record->reason == EXIT_EXCEPTION_NMI &&
	    (record->intr_info & INTR_INFO_TYPE) >> INTR_INFO_TYPE_SHIFT == INTR_TYPE_NMI)
		return true;
	return !v12_has_pin(v12, PIN_VIRTUAL_NMIS) && (v12->guest_interruptibility & INTERRUPTIBILITY_NMI);
}

enum action nested_reflect(struct vcpu *vcpu, const struct exit_record *record)
{
	struct nested_vmcs *slot = vcpu->nested.current;
	struct vmcs12 *v12 = &slot->v12;
	struct inherited inherited;

	ASSERT(vcpu->nested.in_l2 && vcpu->vmcs == &slot->vmcs02);
	vcpu->nested.counters.reflections++;
	ept02_absent_finish(vcpu);
	save_guest_state(vcpu, slot);
	save_exit_information(vcpu, v12, record);
	inherited = inherit_from_l2(vcpu, v12);
	inherited.nmi_blocked = nmi_blocked_after(v12, record);
	if (v12->exit_msr_store_count &&
	    msr_area_store(vcpu, v12->exit_msr_store_addr, (u32)v12->exit_msr_store_count))
		return vmx_abort(vcpu, slot, VMX_ABORT_STORE_MSR);
	/* L2 went to long mode by itself, but L1 is to be a 32-bit host. */
	if ((inherited.efer & EFER_LMA) && !v12_has_exit(v12, EXIT_HOST_64))
		return vmx_abort(vcpu, slot, VMX_ABORT_HOST_LONG_MODE);
	vcpu->nested.in_l2 = false;
	vcpu_load_vmcs(vcpu, &vcpu->vmcs01);
	/*
	 * L1 expects of a VM exit that the processor keeps the branch predictions of its guests from it; to
	 * the processor, both are guests.  SDM: "Indirect Branch Predictor Barrier".
	 */
	if (vcpu->ibpb)
		msr_write(vcpu, MSR_IA32_PRED_CMD, PRED_CMD_IBPB);
	return load_host_state(vcpu, slot, &inherited);
}

enum action nested_reflect_init(struct vcpu *vcpu)
{
	struct exit_record record = { .reason = EXIT_INIT };

	vcpu->nested.init_pending = false;
	return nested_reflect(vcpu, &record);
}

/* ---- entries that failed ---- */

/* vmcs01 is current: no state of L2's has been loaded, L1 keeps its own. */
static struct inherited inherit_from_l1(struct vcpu *vcpu)
{
	return (struct inherited){
		.cr0 = cr_l1_cr0(vcpu),
		.efer = vcpu_reg(vcpu, REG_EFER),
		.pat = vmcs_read(VMCS_guest_pat),
	};
}

/* The entry that vmcs02 was made for did not happen. */
static void cancel_entry(struct vcpu *vcpu, struct nested_vmcs *slot)
{
	if (!vcpu->nested.in_l2)
		return;
	if (slot->last.launching)
		slot->v12.launched = 0;
	vcpu->pending_valid = false;
	vcpu->nested.in_l2 = false;
	vcpu_load_vmcs(vcpu, &vcpu->vmcs01);
}

/*
 * "Only the exit reason and the exit qualification are recorded; the valid bit
 * of the VM-entry interruption information is not cleared, no guest state and
 * no MSR is saved, NMI blocking is what it was before the entry."  A failure
 * in the MSR list comes when L2's state has been loaded already.
 */
enum action nested_entry_failure(struct vcpu *vcpu, u32 reason, u64 qualification)
{
	struct nested_vmcs *slot = vcpu->nested.current;
	bool loaded = vcpu->nested.in_l2 && (reason & 0xffff) == EXIT_ENTRY_FAIL_MSR;
	struct inherited inherited;

	slot->v12.exit_reason = reason | EXIT_REASON_ENTRY_FAILURE;
	slot->v12.exit_qualification = qualification;
	if (loaded)
		inherited = inherit_from_l2(vcpu, &slot->v12);
	cancel_entry(vcpu, slot);
	if (!loaded)
		inherited = inherit_from_l1(vcpu);
	inherited.nmi_blocked = vcpu_reg(vcpu, REG_INTERRUPTIBILITY) & INTERRUPTIBILITY_NMI;
	return load_host_state(vcpu, slot, &inherited);
}

/* vmcs02 is made anew, and everything is checked again, when L1 tries once more. */
static void note_hardware_failure(struct vcpu *vcpu)
{
	vcpu->nested.current->entered = false;
	vcpu->nested.counters.entry_failures++;
}

enum action nested_hardware_failure(struct vcpu *vcpu, u32 reason, u64 qualification)
{
	note_hardware_failure(vcpu);
	log_debug("VM entry failed, by the processor: exit reason %u, qualification %llu\n", reason,
		  (unsigned long long)qualification);
	return nested_entry_failure(vcpu, reason, qualification);
}

enum action nested_hardware_vmfail(struct vcpu *vcpu, u32 error)
{
	/* L0's own part of vmcs02 is never at fault. */
	ASSERT(vcpu->nested.in_l2 && error == VMXERR_ENTRY_CONTROLS);
	note_hardware_failure(vcpu);
	log_debug("VM entry failed, by the processor: VM-instruction error %u\n", error);
	cancel_entry(vcpu, vcpu->nested.current);
	return insn_finish(vcpu, insn_fail(vcpu, error));
}
