/* SPDX-License-Identifier: MIT */
/*
 * L1's host state into vmcs01, after an exit and after a failed entry; VMX abort.
 * SDM: "Loading Host State", "VMX Aborts".
 */
#include "vmx/nested/exit/host_state.h"

#include "kernel/msr.h"
#include "kernel/panic.h"
#include "kernel/x86.h"
#include "vmx/guest/guest_mem.h"
#include "vmx/nested/explain/explain.h"
#include "mm/addr.h"
#include "vmx/guest/outcome.h"
#include "vmx/guest/vcpu.h"
#include "vmx/nested/entry/msr_area.h"
#include "vmx/nested/exit/host_load.h"
#include "vmx/nested/exit/host_tables.h"
#include "vmx/nested/vmcs12/debug.h"
#include "vmx/nested/vmcs12/shadow.h"
#include "vmx/hw/caps.h"
#include "vmx/nested/vmcs12/vmcs12.h"
#include "vmx/l1/exit_cr.h"
#include "vmx/l1/exit_msr.h"
#include "vmx/l1/l1.h"

/* What of L1's the cache of vmcs01 may go on to know over an exit of L2's: all that LOAD() does not write. */
#define KEPT_REGS                                                                                            \
	(BIT(REG_INTERRUPTIBILITY) | BIT(REG_PDPTE0) | BIT(REG_PDPTE1) | BIT(REG_PDPTE2) | BIT(REG_PDPTE3))

/*
 * SDM: "Loading Host Segment and Descriptor-Table Registers". L1 changes these six without an exit; the
 * others are host_tables.c's, the rights host_prepare.c's.
 */
static inline void load_host_segments(const struct nested_vmcs *slot)
{
	const struct vmcs12 *v12 = &slot->v12;

	LOAD_SEGMENT(CS, v12->host_cs_selector, 0, 0xffffffff, slot->host.cs_ar);
	LOAD_SEGMENT(SS, v12->host_ss_selector, 0, 0xffffffff, slot->host.ss_ar);
	LOAD_SEGMENT(DS, v12->host_ds_selector, 0, 0xffffffff, slot->host.ds_ar);
	LOAD_SEGMENT(ES, v12->host_es_selector, 0, 0xffffffff, slot->host.es_ar);
	LOAD_SEGMENT(FS, v12->host_fs_selector, v12->host_fs_base, 0xffffffff, slot->host.fs_ar);
	LOAD_SEGMENT(GS, v12->host_gs_selector, v12->host_gs_base, 0xffffffff, slot->host.gs_ar);
}

/*
 * L1's WRMSR of these exits (vmx/l1/msrs.def). So vmcs01 still holds what the last exit loaded, if that was
 * of this slot and nobody has written one of them, or the slot's host state, since: host_known says so.
 */
static void load_known_msrs(struct vcpu *vcpu, struct nested_vmcs *slot, const struct inherited *inherited)
{
	const struct vmcs12 *v12 = &slot->v12;
	bool known = vcpu->nested.host_known == slot;

	debug_begin_compare(known);
	if (DEBUG_COMPARES || !known) {
		vmcs_write_fast(VMCS_guest_sysenter_cs, v12->host_sysenter_cs);
		vmcs_write_fast(VMCS_guest_sysenter_esp, v12->host_sysenter_esp);
		vmcs_write_fast(VMCS_guest_sysenter_eip, v12->host_sysenter_eip);
	}
	debug_end_compare();
	debug_known(VMCS_guest_pat, vcpu_pat(vcpu));
	vcpu_set_pat(vcpu, v12_has_exit(v12, EXIT_LOAD_PAT) ? v12->host_pat : inherited->pat);
	vcpu->nested.host_known = slot;
}

/*
 * SDM "Loading Host Control Registers, Debug Registers, and MSRs". LMA is what vmcs01's entry control has:
 * the host's address-space size is that of the VM entry's own mode, which cannot change in VMX operation.
 */
static inline void load_host_registers(struct vcpu *vcpu, struct nested_vmcs *slot,
				       const struct inherited *inherited)
{
	const struct vmcs12 *v12 = &slot->v12;
	u64 efer, cr0 = slot->host.cr0 | cr_cache_bits();

	if (likely(v12_has_exit(v12, EXIT_LOAD_EFER)))
		efer = v12->host_efer;
	else if (v12_has_exit(v12, EXIT_HOST_64))
		efer = inherited->efer | EFER_LMA | EFER_LME;
	else
		efer = inherited->efer & ~(EFER_LMA | EFER_LME);
	LOAD(CR3, v12->host_cr3);
	LOAD(CR4, slot->host.cr4);
	LOAD(CR0, cr0 | cr0_forced());
	cr_show_l1(vcpu, cr0, v12->host_cr4);
	LOAD(EFER, efer);
	debug_host_mode(efer);
	vcpu_set_debugctl(vcpu, 0);
	debug_known(VMCS_guest_debugctl, 0);
	load_known_msrs(vcpu, slot, inherited);
	if (v12_has_exit(v12, EXIT_LOAD_PERF_GLOBAL))
		msr_write(vcpu, MSR_IA32_PERF_GLOBAL_CTRL, v12->host_perf_global_ctrl);
	if (v12_has_exit(v12, EXIT_CLEAR_BNDCFGS))
		msr_write(vcpu, MSR_IA32_BNDCFGS, 0);
}

/* SDM: "Loading Host RIP, RSP, RFLAGS, and SSP" and "Updating Non-Register State". */
static void load_host_execution(struct vcpu *vcpu, const struct vmcs12 *v12, bool nmi_blocked)
{
	/* L1's last exit was by VMLAUNCH or VMRESUME, without MOV-SS blocking, and since then nobody has
	 * written vmcs01: FACT_INSN. */
	debug_known(VMCS_guest_activity_state, ACTIVITY_ACTIVE);
	debug_known(VMCS_guest_pending_debug, 0);
	if (!vcpu->nested.dr7_is_reset)
		LOAD(DR7, DR7_RESET);
	debug_known(VMCS_guest_dr7, DR7_RESET);
	LOAD(RIP, v12->host_rip);
	LOAD(RSP, v12->host_rsp);
	LOAD(RFLAGS, RFLAGS_FIXED1);
	vcpu_set_reg(vcpu, REG_INTERRUPTIBILITY, nmi_blocked ? INTERRUPTIBILITY_NMI : 0);
}

/* A host in VMX operation has paging on, and its mode is that of the control. */
static bool host_pae_paging(const struct vmcs12 *v12)
{
	return !v12_has_exit(v12, EXIT_HOST_64) && (v12->host_cr4 & CR4_PAE);
}

static COLD enum rule abort_rule(enum vmx_abort code)
{
	switch (code) {
	case VMX_ABORT_STORE_MSR: return RULE_abort_store;
	case VMX_ABORT_HOST_PDPTE: return RULE_abort_pdptes;
	case VMX_ABORT_LOAD_MSR: return RULE_abort_load;
	default: return RULE_abort_mode;
	}
}

/*
 * SDM "VMX Aborts": the indicator goes into the VMCS region of L1's, and L1's
 * processor shuts down.  What vmcs01 holds of L1 no longer matters, but it
 * must stay a state that can be entered.
 */
COLD enum outcome nested_vmx_abort(struct vcpu *vcpu, struct nested_vmcs *slot, enum vmx_abort code)
{
	u32 indicator = code;

	explain_abort(vcpu, slot, abort_rule(code));
	slot->v12.abort = indicator;
	guest_mem_write(vcpu, GPA(slot->gpa + offsetof(struct vmcs12, abort)), &indicator, sizeof(indicator));
	vcpu->pending_valid = false;
	vcpu->nmi_pending = false;
	vcpu->nested.aborted = true;
	/* What an exit outside PAE paging left there is "undefined"; an entry to a host that has it checks
	 * them. */
	for (enum reg reg = REG_PDPTE0; reg <= REG_PDPTE3; reg++)
		vcpu_set_reg(vcpu, reg, 0);
	vcpu_set_reg(vcpu, REG_INTERRUPTIBILITY, 0);
	vcpu_set_reg(vcpu, REG_PENDING_DEBUG, 0);
	l1_shut_down(vcpu);
	return OUTCOME_RESUME;
}

/* The second half of an exit, and of a failed entry: L1's state.  vmcs01 is current, L1 is what runs. */
enum outcome nested_load_host_state(struct vcpu *vcpu, struct nested_vmcs *slot,
				    const struct inherited *inherited)
{
	const struct vmcs12 *v12 = &slot->v12;

	if (unlikely(slot->to_push)) {
		shadow_push(vcpu, slot);
		vcpu_load_vmcs(vcpu, &vcpu->vmcs01);
	}
	regcache_keep(&vcpu->vmcs01.cache, KEPT_REGS);
	debug_host_ready(slot);
	load_host_segments(slot);
	host_tables_load(vcpu, slot);
	load_host_registers(vcpu, slot, inherited);
	load_host_execution(vcpu, v12, inherited->nmi_blocked);
	/* SDM "Checking and Loading Host Page-Directory-Pointer-Table Entries". */
	if (unlikely(host_pae_paging(v12)) && guest_load_pdptes(vcpu, v12->host_cr3) != OUTCOME_NONE)
		return nested_vmx_abort(vcpu, slot, VMX_ABORT_HOST_PDPTE);
	if (v12->exit_msr_load_count &&
	    msr_area_run(vcpu, LIST_EXIT_LOAD, v12->exit_msr_load_addr, (u32)v12->exit_msr_load_count))
		return nested_vmx_abort(vcpu, slot, VMX_ABORT_LOAD_MSR);
	debug_pushed(vcpu, slot);
	return OUTCOME_RESUME;
}
