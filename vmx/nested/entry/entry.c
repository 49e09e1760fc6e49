/* SPDX-License-Identifier: MIT */
/*
 * VMLAUNCH and VMRESUME of L1: decode, check, commit, in the SDM's order.
 * Nothing changes before the last check has passed.  The rules are in
 * check_*.c, what is written to vmcs02 in merge.c.
 * SDM: "VM Entries", "VMLAUNCH/VMRESUME".
 */
#include "vmx/nested/entry/entry.h"

#include "kernel/cpuid.h"
#include "kernel/msr.h"
#include "kernel/x86.h"
#include "vmx/guest/guest_mem.h"
#include "vmx/nested/entry/guest2.h"
#include "vmx/nested/explain/explain.h"
#include "mm/addr.h"
#include "vmx/guest/event.h"
#include "vmx/guest/outcome.h"
#include "vmx/guest/vcpu.h"
#include "vmx/nested/entry/check.h"
#include "vmx/nested/entry/entry_fast.h"
#include "vmx/nested/entry/host_prepare.h"
#include "vmx/nested/entry/merge.h"
#include "vmx/nested/entry/msr_area.h"
#include "vmx/nested/entry/tpr.h"
#include "vmx/nested/explain/fail.h"
#include "vmx/nested/vmcs12/caps12.h"
#include "vmx/nested/vmcs12/debug.h"
#include "vmx/nested/vmcs12/shadow.h"
#include "vmx/nested/vmcs12/known02.h"
#include "vmx/nested/vmcs12/vmcs12.h"
#include "vmx/l1/exit_msr.h"
#include "vmx/l1/exit_cpu.h"

static bool read_l1(void *context, u64 gpa, void *to, size_t length)
{
	return guest_mem_read(context, GPA(gpa), to, length);
}

/* Each entry that fails by a check of check_*.c is counted and explained here. */
static COLD void note_failure(struct vcpu *vcpu, const struct nested_vmcs *slot)
{
	vcpu->nested.counters.entry_failures++;
	explain_entry(vcpu, slot);
}

/*
 * Groups whose checks must be run again.  The primary controls change in
 * every other entry by the interrupt window alone, on which nothing depends;
 * what the others govern is merged anew as well.  RFLAGS.VM decides how the
 * segments are checked.
 */
static u32 stale_groups(struct nested_vmcs *slot)
{
	u32 stale;

	if (known02_changed_proc(slot) & ~(u32)PROC_INTERRUPT_WINDOW)
		slot->dirty |= GROUP_WORD;
	if (slot->dirty & GROUP_WORD)
		slot->dirty |= GROUP_CTL;
	stale = slot->entered ? slot->dirty : GROUP_ALL;
	if (slot->v12.guest_rflags & RFLAGS_VM)
		stale |= GROUP_MODE;
	return stale;
}

/* False: nested.failure, which is a VM-instruction error. */
static bool check_before_load(struct vcpu *vcpu, struct nested_vmcs *slot, const struct check_env *env,
			      u32 stale)
{
	struct check_failure *f = &vcpu->nested.failure;
	const struct vmcs12 *v12 = &slot->v12;

	if (!(stale & GROUP_CTL ? check_controls(v12, env, f) : check_event_injection(v12, env, f))) {
		note_failure(vcpu, slot);
		return false;
	}
	/* L1's mode, with which the host's address-space size is compared, stays the same in VMX operation.
	 */
	if (!(stale & (GROUP_WORD | GROUP_HST)))
		return true;
	if (!check_host(v12, env, f)) {
		note_failure(vcpu, slot);
		return false;
	}
	host_state_prepare(slot);
	host_tables_name(vcpu, slot);
	return true;
}

static bool check_state(struct vcpu *vcpu, struct nested_vmcs *slot, const struct check_env *env, u32 stale)
{
	struct check_failure *f = &vcpu->nested.failure;
	bool ok;

	if (stale & (GROUP_WORD | GROUP_SEG | GROUP_RARE | GROUP_MODE)) {
		nested_sync_rare(vcpu, slot);
		ok = check_guest(&slot->v12, env, f);
	} else {
		ok = check_guest_hot(&slot->v12, env, f);
	}
	if (!ok)
		note_failure(vcpu, slot);
	return ok;
}

/* L1's state that vmcs12 does not replace.  vmcs01 is current. */
static struct l1_state l1_state_read(struct vcpu *vcpu, const struct vmcs12 *v12)
{
	struct l1_state l1 = { 0 };

	if (!v12_has_entry(v12, ENTRY_LOAD_EFER))
		l1.efer = vcpu_reg_hot(vcpu, REG_EFER);
	if (!v12_has_entry(v12, ENTRY_LOAD_DEBUG)) {
		l1.dr7 = vcpu_reg_hot(vcpu, REG_DR7);
		l1.debugctl = vcpu_debugctl(vcpu);
	}
	/*
	 * L1 changes DR7 without an exit. If it is seen here to be what an exit of L2 loads, that exit need
	 * not load it.
	 */
	vcpu->nested.dr7_is_reset = l1.dr7 == DR7_RESET;
	l1.pat = vcpu_pat(vcpu);
	return l1;
}

/*
 * An INIT that was held in VMX root operation, at an entry that unblocks it.
 * SDM "Event Injection": what the entry injects is delivered "as part of VM
 * entry", INIT comes at the boundary behind it, which the monitor trap flag
 * finds; a pending MTF VM exit is injected into no IDT and gives way.
 * "Wait-for-SIPI" goes on blocking INITs.
 */
COLD enum outcome nested_take_init(struct vcpu *vcpu)
{
	struct exit_record record = { .reason = EXIT_INIT };

	vcpu->nested.init_pending = false;
	return outcome_reflect(vcpu, &record);
}

static COLD enum outcome take_held_init(struct vcpu *vcpu, struct nested_vmcs *slot)
{
	const struct vmcs12 *v12 = &slot->v12;

	if (v12->guest_activity_state == ACTIVITY_WAIT_FOR_SIPI || nested_exits_by_tpr(vcpu, v12))
		return OUTCOME_RESUME;
	if (!vcpu->pending_valid || vcpu->pending.type == INTR_TYPE_OTHER)
		return nested_take_init(vcpu);
	event_set_step(vcpu, STEP_INIT, true);
	return OUTCOME_RESUME;
}

/* The entry failed while it loaded guest state: vmcs12 keeps what it had, and all of it is loaded again next
 * time. */
static COLD enum outcome fail_late(struct vcpu *vcpu, struct nested_vmcs *slot, u32 reason, u64 qualification)
{
	vcpu->nested.counters.entry_failures++;
	if (reason == EXIT_ENTRY_FAIL_MSR)
		explain_list(vcpu, slot);
	else
		explain_late(vcpu, slot, RULE_late_pdptes, reason, qualification);
	slot->dirty = GROUP_ALL;
	return outcome_entry_failure(vcpu, reason, qualification);
}

void entry_switch(struct vcpu *vcpu, struct nested_vmcs *slot, bool launch)
{
	vcpu_switch_vmcs(vcpu, &slot->vmcs02);
	vcpu->nested.in_l2 = true;
	vcpu->guest = &l2_guest;
	slot->launching = launch;
	vcpu->nested.counters.entries++;
}

/* All checks have passed: L2's state goes into vmcs02, and L2 is what runs next. */
static enum outcome commit(struct vcpu *vcpu, struct nested_vmcs *slot, const struct l1_state *l1,
			   bool launch)
{
	struct vmcs12 *v12 = &slot->v12;
	u32 failed;

	/* What can still fail must find vmcs12 whole: the list may write fields that live in vmcs02 only. */
	if (v12->entry_msr_load_count || entry_loads_pdptes(v12))
		nested_sync_rare(vcpu, slot);
	entry_switch(vcpu, slot, launch);
	merge_vmcs02(vcpu, slot, l1);
	debug_entry(vcpu, slot, l1);
	slot->dirty = 0;
	slot->same_in_02 = false;
	/* SDM: without EPT, "the PDPTEs are loaded from memory"; a bad one is caught by check_guest, unless
	 * L1 raced. */
	if (entry_loads_pdptes(v12) && guest_load_pdptes(vcpu, v12->guest_cr3) != OUTCOME_NONE)
		return fail_late(vcpu, slot, EXIT_ENTRY_FAIL_GUEST, ENTRY_FAIL_PDPTE);
	if (v12_has_entry(v12, ENTRY_LOAD_PERF_GLOBAL))
		msr_write(vcpu, MSR_IA32_PERF_GLOBAL_CTRL, v12->guest_perf_global_ctrl);
	if (v12->entry_msr_load_count) {
		failed = msr_area_run(vcpu, LIST_ENTRY_LOAD, v12->entry_msr_load_addr,
				      (u32)v12->entry_msr_load_count);
		if (failed)
			return fail_late(vcpu, slot, EXIT_ENTRY_FAIL_MSR, failed);
	}
	v12->launched = 1;
	entry_fast_prepare(vcpu, slot);
	if (unlikely(vcpu->wish.flush_l1d))
		msr_write(vcpu, MSR_IA32_FLUSH_CMD, FLUSH_CMD_L1D);
	if (unlikely(vcpu->nested.init_pending))
		return take_held_init(vcpu, slot);
	return OUTCOME_RESUME;
}

/* SDM "Architectural Performance Monitoring": a bit for each counter, from 0 and from 32. */
static COLD u64 perf_global_valid(struct vcpu *vcpu)
{
	struct cpuid_regs r = cpuid_l1(vcpu, CPUID_LEAF_PERFMON, 0);
	u64 version = r.eax & 0xff, general = (r.eax >> 8) & 0xff, fixed = BIT(MIN(r.edx & 0x1f, 16u)) - 1;
	u64 capabilities, valid;

	if (version < 2)
		return 0;
	if (version >= 5)
		fixed |= r.ecx & GENMASK(15, 0);
	valid = (BIT(MIN(general, 32u)) - 1) | fixed << 32;
	if ((cpuid_l1(vcpu, CPUID_LEAF_FEATURES, 0).ecx & CPUID_1_ECX_PDCM) &&
	    msr_read(vcpu, MSR_IA32_PERF_CAPABILITIES, &capabilities) && (capabilities & PERF_CAP_METRICS))
		valid |= BIT(48);
	return valid;
}

/*
 * What rare checks want to know of L1's processor. CPUID is slow under a hypervisor, so it is asked only
 * where vmcs12 uses the feature. Its answer depends on vmcs01.
 */
static COLD void describe_processor(struct vcpu *vcpu, const struct vmcs12 *v12, struct check_env *env)
{
	struct vmcs *back = vcpu->vmcs;

	vcpu_load_vmcs(vcpu, &vcpu->vmcs01);
	if (v12_has_exit(v12, EXIT_LOAD_PERF_GLOBAL) || v12_has_entry(v12, ENTRY_LOAD_PERF_GLOBAL))
		env->perf_global_valid = perf_global_valid(vcpu);
	if (v12->guest_pending_debug & PENDING_DEBUG_BLD)
		env->has_bus_lock_detect =
			cpuid_l1(vcpu, CPUID_LEAF_EXTENDED_FEATURES, 0).ecx & CPUID_7_ECX_BUS_LOCK_DETECT;
	if (v12->guest_pending_debug & PENDING_DEBUG_RTM)
		env->has_rtm = cpuid_l1(vcpu, CPUID_LEAF_EXTENDED_FEATURES, 0).ebx & CPUID_7_EBX_RTM;
	vcpu_load_vmcs(vcpu, back);
}

struct check_env entry_env(struct vcpu *vcpu, const struct nested_vmcs *slot)
{
	const struct vmcs12 *v12 = &slot->v12;
	struct check_env env = {
		.caps = &caps12,
		.l1_long_mode = vcpu->nested.l1_long_mode,
		.vmcs_link_self = slot->gpa,
		.context = vcpu,
		.read = read_l1,
	};

	if (unlikely(v12_has_exit(v12, EXIT_LOAD_PERF_GLOBAL) || v12_has_entry(v12, ENTRY_LOAD_PERF_GLOBAL) ||
		     (v12->guest_pending_debug & (PENDING_DEBUG_BLD | PENDING_DEBUG_RTM))))
		describe_processor(vcpu, v12, &env);
	return env;
}

/* All groups that L1 wrote are checked, then merged. Where it fails L1 goes on: vmcs01 is loaded. */
static NOINLINE enum outcome enter_fully(struct vcpu *vcpu, struct nested_vmcs *slot,
					 const struct l1_state *l1, bool launch)
{
	struct check_env env = entry_env(vcpu, slot);
	u32 stale = stale_groups(slot);

	if (!check_before_load(vcpu, slot, &env, stale)) {
		vcpu_load_vmcs(vcpu, &vcpu->vmcs01);
		return insn_fail_entry(vcpu);
	}
	if (!check_state(vcpu, slot, &env, stale)) {
		vcpu_load_vmcs(vcpu, &vcpu->vmcs01);
		return outcome_entry_failure(vcpu, EXIT_ENTRY_FAIL_GUEST, vcpu->nested.failure.qualification);
	}
	return commit(vcpu, slot, l1, launch);
}

enum outcome nested_enter(struct vcpu *vcpu, bool launch)
{
	struct nested_vmcs *slot = vcpu->nested.current;
	struct l1_state l1;

	/* SDM: VMfailInvalid if there is no current VMCS, or if it is a shadow VMCS. */
	if (!slot)
		return insn_fail(vcpu, RULE_no_vmcs, 0);
	if (slot->v12.revision & VMCS_SHADOW_INDICATOR)
		return insn_fail(vcpu, RULE_shadow_current, slot->gpa);
	if (vcpu_reg_hot(vcpu, REG_INTERRUPTIBILITY) & INTERRUPTIBILITY_MOV_SS)
		return insn_fail(vcpu, RULE_mov_ss, 0);
	if (launch && slot->v12.launched)
		return insn_fail(vcpu, RULE_launched, 0);
	if (!launch && !slot->v12.launched)
		return insn_fail(vcpu, RULE_not_launched, 0);
	/*
	 * Read now, for the next line leaves vmcs01. L1 writes none of the fields that decide here by VMCS
	 * shadowing.
	 */
	l1 = l1_state_read(vcpu, &slot->v12);
	shadow_pull_for_entry(vcpu, slot);
	if (likely(!launch) && likely(entry_fast(vcpu, slot, &l1)))
		return OUTCOME_RESUME;
	return enter_fully(vcpu, slot, &l1, launch);
}
