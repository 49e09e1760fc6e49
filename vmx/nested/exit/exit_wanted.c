/* SPDX-License-Identifier: MIT */
/*
 * Does L1 want an exit of L2's?  The predicates wants_*() of vmx/hw/exits.def: pure, over vmcs12 and the exit
 * information.  Those that depend on the instruction's operand are wanted_operand.c's.
 * SDM: "VMX Non-Root Operation".
 */
#include "vmx/nested/exit/exit_wanted.h"

#include "kernel/x86.h"
#include "mm/addr.h"
#include "vmx/guest/outcome.h"
#include "vmx/guest/vcpu.h"
#include "vmx/nested/entry/io_bitmaps.h"
#include "vmx/nested/exit/event.h"
#include "vmx/nested/vmcs12/vmcs12.h"
#include "vmx/guest/handlers.h"
#include "vmx/nested/exit/wanted.h"

/* ---- SDM: "Instructions That Cause VM Exits Unconditionally", and what L1's controls alone cause ---- */

static bool wants_always(struct vcpu *vcpu UNUSED)
{
	return true;
}

/* SDM "XSETBV": outside ring 0 it is #GP(0), before the exit; exit_xsetbv() says so where a processor exited
 * first. */
static bool wants_xsetbv(struct vcpu *vcpu)
{
	return !vcpu_cpl(vcpu);
}

/* ---- SDM: "Other Causes of VM Exits" ---- */

/* SDM: "Exceptions".  An NMI (the same reason) never comes here: nested_nmi() has taken it. */
static bool wants_exception(struct vcpu *vcpu)
{
	u32 info = (u32)vcpu_reg(vcpu, REG_EXIT_INTR_INFO);
	u32 error_code = info & INTR_INFO_ERROR_CODE ? (u32)vcpu_reg(vcpu, REG_EXIT_INTR_ERROR_CODE) : 0;

	return nested_wants_exception(v12_current(vcpu), info & INTR_INFO_VECTOR, error_code);
}

static bool wants_external_interrupt(struct vcpu *vcpu)
{
	return v12_has_pin(v12_current(vcpu), PIN_EXTERNAL_INTERRUPT);
}

static bool wants_interrupt_window(struct vcpu *vcpu)
{
	return v12_has_proc(v12_current(vcpu), PROC_INTERRUPT_WINDOW);
}

static bool wants_nmi_window(struct vcpu *vcpu)
{
	return v12_has_proc(v12_current(vcpu), PROC_NMI_WINDOW);
}

/* By the control, or because L1 injected a pending MTF VM exit with this entry. */
static bool wants_mtf(struct vcpu *vcpu)
{
	const struct vmcs12 *v12 = v12_current(vcpu);

	return v12_has_proc(v12, PROC_MTF) ||
	       (v12->entry_intr_info & (INTR_INFO_VALID | INTR_INFO_TYPE)) ==
		       (INTR_INFO_VALID | INTR_TYPE_OTHER << INTR_INFO_TYPE_SHIFT);
}

static bool wants_preemption_timer(struct vcpu *vcpu)
{
	return v12_has_pin(v12_current(vcpu), PIN_PREEMPTION_TIMER) && !vcpu->nested.current->timer_beyond;
}

static bool wants_pml_full(struct vcpu *vcpu)
{
	return v12_has_proc2(v12_current(vcpu), PROC2_PML);
}

/*
 * EPT violations and misconfigurations: ept02_violation() has given L1 what is L1's before anybody asks here.
 */
static bool wants_never(struct vcpu *vcpu UNUSED)
{
	return false;
}

/* ---- SDM: "Instructions That Cause VM Exits Conditionally" ---- */

static bool wants_hlt(struct vcpu *vcpu)
{
	return v12_has_proc(v12_current(vcpu), PROC_HLT_EXITING);
}

static bool wants_invlpg(struct vcpu *vcpu)
{
	return v12_has_proc(v12_current(vcpu), PROC_INVLPG_EXITING);
}

static bool wants_invpcid(struct vcpu *vcpu)
{
	return v12_has_proc2(v12_current(vcpu), PROC2_INVPCID) && wants_invlpg(vcpu);
}

static bool wants_rdpmc(struct vcpu *vcpu)
{
	return v12_has_proc(v12_current(vcpu), PROC_RDPMC_EXITING);
}

/* UMWAIT and TPAUSE too: they are enabled by another control, and exit by this one. */
static bool wants_rdtsc(struct vcpu *vcpu)
{
	return v12_has_proc(v12_current(vcpu), PROC_RDTSC_EXITING);
}

static bool wants_rdtscp(struct vcpu *vcpu)
{
	return v12_has_proc2(v12_current(vcpu), PROC2_RDTSCP) && wants_rdtsc(vcpu);
}

static bool wants_mwait(struct vcpu *vcpu)
{
	return v12_has_proc(v12_current(vcpu), PROC_MWAIT_EXITING);
}

static bool wants_monitor(struct vcpu *vcpu)
{
	return v12_has_proc(v12_current(vcpu), PROC_MONITOR_EXITING);
}

/* "PAUSE-loop exiting" counts only at CPL 0 and only without "PAUSE exiting"; the processor has counted. */
static bool wants_pause(struct vcpu *vcpu)
{
	const struct vmcs12 *v12 = v12_current(vcpu);

	return v12_has_proc(v12, PROC_PAUSE_EXITING) || v12_has_proc2(v12, PROC2_PAUSE_LOOP_EXITING);
}

static bool wants_dr_access(struct vcpu *vcpu)
{
	return v12_has_proc(v12_current(vcpu), PROC_MOV_DR_EXITING);
}

static bool wants_desc_table(struct vcpu *vcpu)
{
	return v12_has_proc2(v12_current(vcpu), PROC2_DESC_TABLE_EXITING);
}

static bool wants_wbinvd(struct vcpu *vcpu)
{
	return v12_has_proc2(v12_current(vcpu), PROC2_WBINVD_EXITING);
}

static bool wants_rdrand(struct vcpu *vcpu)
{
	return v12_has_proc2(v12_current(vcpu), PROC2_RDRAND_EXITING);
}

static bool wants_rdseed(struct vcpu *vcpu)
{
	return v12_has_proc2(v12_current(vcpu), PROC2_RDSEED_EXITING);
}

/*
 * XSAVES and XRSTORS: EDX:EAX AND IA32_XSS AND the XSS-exiting bitmap is not
 * 0.  At IA32_XSS the processor has looked.
 */
static bool wants_xsaves(struct vcpu *vcpu)
{
	const struct vmcs12 *v12 = v12_current(vcpu);
	u64 features = (vcpu->gpr[GPR_RDX] << 32) | (u32)vcpu->gpr[GPR_RAX];

	return v12_has_proc2(v12, PROC2_XSAVES) && (features & v12->xss_exit_bitmap);
}

/* A function that L1 enabled is L0's to carry out; where the SDM makes it an exit, exit_vmfunc() reflects. */
static bool wants_vmfunc(struct vcpu *vcpu)
{
	u32 function = (u32)vcpu->gpr[GPR_RAX];

	return function >= 64 || !(v12_current(vcpu)->vm_function_controls & BIT(function));
}

/* ---- the table ---- */

static const struct {
	bool (*wants)(struct vcpu *vcpu);
	enum outcome (*handler)(struct vcpu *vcpu);
} rows[EXIT_REASON_COUNT] = {
#define X(number, name, handler_, wants_, facts) [number] = { wants_, handler_ },
#include "vmx/hw/exits.def"
#undef X
};

bool nested_l1_asked(struct vcpu *vcpu)
{
	u32 reason = vcpu->exit_reason & 0xffff;

	return reason < EXIT_REASON_COUNT && rows[reason].wants && rows[reason].wants(vcpu);
}

/*
 * What L0 has no handler for is L1's whatever the predicate says, and so is what only L1's own pages were
 * asked for: nobody else can have wanted it (another CPU may have changed a bitmap).
 */
static NOINLINE bool is_l1s_all_the_same(struct vcpu *vcpu, u32 reason)
{
	if (rows[reason].handler == exit_unexpected)
		return true;
	if (reason == EXIT_PREEMPTION_TIMER)
		return !vcpu->wish.timer_ticks;
	return reason == EXIT_IO && io_bitmaps_are_l1s(vcpu);
}

/* Does L1 want the exit in hand? */
bool nested_l1_wants(struct vcpu *vcpu)
{
	u32 reason = vcpu->exit_reason & 0xffff;

	if (unlikely(reason >= EXIT_REASON_COUNT || !rows[reason].wants))
		return true;
	return likely(rows[reason].wants(vcpu)) || is_l1s_all_the_same(vcpu, reason);
}
