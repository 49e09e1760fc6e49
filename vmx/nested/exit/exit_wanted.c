/* SPDX-License-Identifier: MIT */
/*
 * Does L1 want an exit of L2's?  The predicates wants_*() of vmx/hw/exits.def:
 * pure, over vmcs12 and the exit information, with L1's bitmaps read from
 * L1's pages (the merged ones say only that somebody wants the exit).
 * SDM: "VMX Non-Root Operation".
 */
#include "vmx/nested/exit/exit_wanted.h"

#include "kernel/msr.h"
#include "kernel/x86.h"
#include "vmx/guest/guest_mem.h"
#include "mm/addr.h"
#include "vmx/guest/outcome.h"
#include "vmx/guest/vcpu.h"
#include "vmx/nested/entry/io_bitmaps.h"
#include "vmx/nested/exit/event.h"
#include "vmx/nested/vmcs12/vmcs12.h"
#include "vmx/guest/handlers.h"

static const struct vmcs12 *v12_current(struct vcpu *vcpu)
{
	return &vcpu->nested.current->v12;
}

/* One bit of a bitmap in L1's memory, bytes from `gpa`.  Absent memory reads as ones: an exit. */
static bool bitmap_test(struct vcpu *vcpu, u64 gpa, u32 bit)
{
	u8 byte = 0xff;

	guest_mem_read(vcpu, GPA(gpa + bit / 8), &byte, sizeof(byte));
	return byte & BIT(bit % 8);
}

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

/* ept02_violation() has decided before anybody asks; what it leaves over is L0's. */
static bool wants_ept_violation(struct vcpu *vcpu UNUSED)
{
	return false;
}

static bool wants_ept_misconfig(struct vcpu *vcpu UNUSED)
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

/*
 * "If any of the I/O ports accessed has its bit set, or the access wraps
 * around the 16-bit port space": every port of the access counts.
 */
static bool wants_io(struct vcpu *vcpu)
{
	const struct vmcs12 *v12 = v12_current(vcpu);
	u64 qualification = vcpu_reg(vcpu, REG_EXIT_QUALIFICATION);
	u32 size = (qualification & 7) + 1;
	u32 first = (qualification >> 16) & 0xffff;

	if (!v12_has_proc(v12, PROC_IO_BITMAPS))
		return v12_has_proc(v12, PROC_UNCONDITIONAL_IO);
	if (first + size > 0x10000)
		return true;
	for (u32 port = first; port < first + size; port++) {
		u64 bitmap = port < 0x8000 ? v12->io_bitmap_a : v12->io_bitmap_b;

		if (bitmap_test(vcpu, bitmap, port & 0x7fff))
			return true;
	}
	return false;
}

/* The MSR bitmap: four quarters of 1 KiB, read low, read high, write low, write high. */
static bool wants_msr(struct vcpu *vcpu, bool write)
{
	const struct vmcs12 *v12 = v12_current(vcpu);
	u32 msr = (u32)vcpu->gpr[GPR_RCX];
	u64 quarter = v12->msr_bitmap + (write ? 0x800 : 0);

	if (!v12_has_proc(v12, PROC_MSR_BITMAPS))
		return true;
	if (msr <= MSR_LOW_LAST)
		return bitmap_test(vcpu, quarter, msr);
	if (msr >= MSR_HIGH_FIRST && msr <= MSR_HIGH_LAST)
		return bitmap_test(vcpu, quarter + 0x400, msr - MSR_HIGH_FIRST);
	return true;
}

static bool wants_rdmsr(struct vcpu *vcpu)
{
	return wants_msr(vcpu, false);
}

static bool wants_wrmsr(struct vcpu *vcpu)
{
	return wants_msr(vcpu, true);
}

/* A bit that L1 owns would get another value than the one that its read shadow shows. */
static bool wants_cr_write(u64 mask, u64 shadow, u64 value)
{
	return (value ^ shadow) & mask;
}

static bool wants_cr3_load(const struct vmcs12 *v12, u64 value)
{
	const u64 targets[] = { v12->cr3_target0, v12->cr3_target1, v12->cr3_target2, v12->cr3_target3 };

	if (!v12_has_proc(v12, PROC_CR3_LOAD_EXITING))
		return false;
	for (u32 i = 0; i < v12->cr3_target_count && i < ARRAY_SIZE(targets); i++)
		if (targets[i] == value)
			return false;
	return true;
}

static bool wants_mov_to_cr(struct vcpu *vcpu, u64 qualification)
{
	const struct vmcs12 *v12 = v12_current(vcpu);
	u64 value = vcpu_gpr(vcpu, (qualification >> 8) & 0xf);

	if (!vcpu_is_64bit(vcpu))
		value = (u32)value;
	switch (qualification & 0xf) {
	case 0: return wants_cr_write(v12->cr0_guest_host_mask, v12->cr0_read_shadow, value);
	case 3: return wants_cr3_load(v12, value);
	case 4: return wants_cr_write(v12->cr4_guest_host_mask, v12->cr4_read_shadow, value);
	case 8: return v12_has_proc(v12, PROC_CR8_LOAD_EXITING);
	}
	return true;
}

/*
 * LMSW writes the four low bits of CR0 and never clears PE: "CR0.PE is set in
 * the mask and the source operand and clear in the shadow, or any of bits 3:1
 * is set in the mask and differs between source operand and shadow".
 */
static bool wants_lmsw(const struct vmcs12 *v12, u64 source)
{
	u64 mask = v12->cr0_guest_host_mask, shadow = v12->cr0_read_shadow;

	if (mask & source & ~shadow & CR0_PE)
		return true;
	return wants_cr_write(mask & (CR0_MP | CR0_EM | CR0_TS), shadow, source);
}

/* SDM: "Exit Qualification for Control-Register Accesses" */
static bool wants_cr_access(struct vcpu *vcpu)
{
	const struct vmcs12 *v12 = v12_current(vcpu);
	u64 qualification = vcpu_reg(vcpu, REG_EXIT_QUALIFICATION);

	switch ((qualification >> 4) & 3) {
	case 0: return wants_mov_to_cr(vcpu, qualification);
	case 1: /* MOV from CR3 or CR8 */
		return v12_has_proc(v12, (qualification & 0xf) == 3 ? PROC_CR3_STORE_EXITING
								    : PROC_CR8_STORE_EXITING);
	case 2: /* CLTS */ return v12->cr0_guest_host_mask & v12->cr0_read_shadow & CR0_TS;
	}
	return wants_lmsw(v12, (qualification >> 16) & 0xffff);
}

/*
 * VMREAD and VMWRITE exit without "VMCS shadowing", with bits 63:15 of the
 * encoding (31:15 outside 64-bit mode) not all 0, or by L1's bitmap.
 */
static bool wants_vmcs_access(struct vcpu *vcpu, u64 bitmap)
{
	u32 info = (u32)vcpu_reg(vcpu, REG_EXIT_INSTRUCTION_INFO);
	u64 encoding = vcpu_gpr(vcpu, (info >> 28) & 0xf);

	if (!v12_has_proc2(v12_current(vcpu), PROC2_VMCS_SHADOWING))
		return true;
	if (!vcpu_is_64bit(vcpu))
		encoding = (u32)encoding;
	return encoding >> 15 || bitmap_test(vcpu, bitmap, (u32)encoding);
}

static bool wants_vmread(struct vcpu *vcpu)
{
	return wants_vmcs_access(vcpu, v12_current(vcpu)->vmread_bitmap);
}

static bool wants_vmwrite(struct vcpu *vcpu)
{
	return wants_vmcs_access(vcpu, v12_current(vcpu)->vmwrite_bitmap);
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
 * Does L1 want the exit in hand?  What L0 has no handler for is L1's
 * whatever the predicate says, and so is what only L1's own pages were asked
 * for: nobody else can have wanted it (another CPU may have changed a bitmap).
 */
bool nested_l1_wants(struct vcpu *vcpu)
{
	u32 reason = vcpu->exit_reason & 0xffff;

	if (reason >= EXIT_REASON_COUNT || !rows[reason].wants)
		return true;
	if (nested_l1_asked(vcpu) || rows[reason].handler == exit_unexpected)
		return true;
	if (reason == EXIT_PREEMPTION_TIMER)
		return !vcpu->wish.timer_ticks;
	return reason == EXIT_IO && io_bitmaps_are_l1s(vcpu);
}
