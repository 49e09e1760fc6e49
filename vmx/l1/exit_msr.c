/* SPDX-License-Identifier: MIT */
/*
 * RDMSR and WRMSR of the guest that runs now, as L1's processor has them: for
 * the exits that vm.c's bitmap asks for, and for the MSR lists of nested VMX.
 * SDM volume 4; volume 3, "MSRs in VMX", "Loading MSRs".
 */
#include "kernel/hw/cpu.h"
#include "kernel/msr.h"
#include "kernel/percpu.h"
#include "kernel/x86.h"
#include "mm/memmap.h"
#include "vmx/hw/caps.h"
#include "vmx/guest/event.h"
#include "vmx/guest/guest_mem.h"
#include "vmx/hw/tlb.h"
#include "vmx/l1/vm.h"
#include "vmx/l1/exit_cr.h"
#include "vmx/l1/exit_msr.h"
#include "vmx/l1/exit_cpu.h"
#include "vmx/guest/handlers.h"

/* Bits of IA32_DEBUGCTL whose mere writing has effects in L0. */
#define DEBUGCTL_EFFECTIVE                                                                                   \
	(DEBUGCTL_LBR | DEBUGCTL_BTF | DEBUGCTL_BLD | DEBUGCTL_TR | DEBUGCTL_BTS | DEBUGCTL_BTINT)

static bool is_vmx_capability(u32 index)
{
	return index >= MSR_IA32_VMX_FIRST && index <= MSR_IA32_VMX_LAST;
}

/*
 * Features that L1 does not have: CPUID hides them. And the numbers that SDM volume 4 sets aside for
 * software: a hypervisor below Socle may have MSRs there, and would take L1's writes for Socle's own wish.
 */
static bool is_hidden(u32 index)
{
	if (index >> 28 == MSR_HYPERVISOR_RANGE)
		return true;
	switch (index) {
#define MSR_INTERCEPTED(first, last, read, write)
#define MSR_HIDDEN_IF_THERE MSR_HIDDEN
#define MSR_HIDDEN(first, last)                                                                              \
	case (first)...(last):                                                                               \
		return true;
#include "vmx/l1/msrs.def"
#undef MSR_INTERCEPTED
#undef MSR_HIDDEN
#undef MSR_HIDDEN_IF_THERE
	default: return false;
	}
}

bool msr_read(struct vcpu *vcpu, u32 index, u64 *value)
{
	switch (index) {
	case MSR_IA32_EFER: *value = vcpu_reg(vcpu, REG_EFER); return true;
	case MSR_IA32_FS_BASE: *value = vcpu_reg(vcpu, REG_FS_BASE); return true;
	case MSR_IA32_GS_BASE: *value = vcpu_reg(vcpu, REG_GS_BASE); return true;
	case MSR_IA32_PAT: *value = vmcs_read(VMCS_guest_pat); return true;
	case MSR_IA32_DEBUGCTL: *value = vmcs_read(VMCS_guest_debugctl); return true;
	case MSR_IA32_SYSENTER_CS: *value = vmcs_read(VMCS_guest_sysenter_cs); return true;
	case MSR_IA32_SYSENTER_ESP: *value = vmcs_read(VMCS_guest_sysenter_esp); return true;
	case MSR_IA32_SYSENTER_EIP: *value = vmcs_read(VMCS_guest_sysenter_eip); return true;
	case MSR_IA32_FEATURE_CONTROL: *value = vcpu->l1.feature_control; return true;
	case MSR_IA32_SMM_MONITOR_CTL: *value = 0; return true;
	default: break;
	}
	if (is_vmx_capability(index)) {
		if (!vm.read_capability(index, value))
			return false;
		/* of this CPU: those of a hybrid part may count at other rates */
		if (index == MSR_IA32_VMX_MISC)
			*value = (*value & ~VMX_MISC_TIMER_RATE) | (rdmsr(index) & VMX_MISC_TIMER_RATE);
		return true;
	}
	if (mtrr_is_msr(index))
		return mtrr_read(&vcpu->l1.mtrr, index, value);
	if (is_hidden(index) || !rdmsr_safe(index, value))
		return false;
	if (index == MSR_IA32_CORE_CAPABILITIES)
		*value &= ~(CORE_CAP_RAR | CORE_CAP_UC_LOCK_DISABLE);
	return true;
}

/* SDM "IA32_EFER": LMA is the processor's own; LME cannot change while paging is on. */
static bool write_efer(struct vcpu *vcpu, u64 value)
{
	u64 old = vcpu_reg(vcpu, REG_EFER);
	u64 allowed = EFER_SCE | EFER_LME | EFER_LMA;

	if (cpuid(CPUID_LEAF_EXT_FEATURES, 0).edx & CPUID_EXT1_EDX_NX)
		allowed |= EFER_NXE;
	if (value & ~allowed)
		return false;
	if (((value ^ old) & EFER_LME) && (vcpu_reg(vcpu, REG_CR0) & CR0_PG))
		return false;
	cr_set_efer(vcpu, (value & ~EFER_LMA) | (old & EFER_LMA));
	return true;
}

static bool write_pat(struct vcpu *vcpu, u64 value)
{
	if (!pat_is_valid(value))
		return false;
	vcpu_set_pat(vcpu, value);
	return true;
}

/* The processor is asked again: L1 can take features away (IA32_TSX_CTRL), and an entry of L1 must not fail.
 */
static bool write_debugctl(struct vcpu *vcpu, u64 value)
{
	bool valid;

	if (value & ~vmx_caps.debugctl_valid)
		return false;
	if ((value & DEBUGCTL_BLD) &&
	    !(cpuid(CPUID_LEAF_EXTENDED_FEATURES, 0).ecx & CPUID_7_ECX_BUS_LOCK_DETECT))
		return false;
	valid = wrmsr_safe(MSR_IA32_DEBUGCTL, value & ~(u64)DEBUGCTL_EFFECTIVE);
	wrmsr(MSR_IA32_DEBUGCTL, 0);
	if (valid)
		vcpu_set_debugctl(vcpu, value);
	return valid;
}

static bool write_linear(enum vmcs_field field, u64 value)
{
	if (!is_canonical(value, vmx_caps.linear_bits))
		return false;
	vmcs_write(field, value);
	return true;
}

static bool write_base(struct vcpu *vcpu, enum reg reg, u64 value)
{
	if (!is_canonical(value, vmx_caps.linear_bits))
		return false;
	vcpu_set_reg(vcpu, reg, value);
	return true;
}

/*
 * The MSR behaves as the real one does: what is locked cannot be written. SMX is hidden, so its bits are
 * reserved like the others.
 */
static bool write_feature_control(struct vcpu *vcpu, u64 value)
{
	if (vcpu->l1.feature_control & FEATURE_CONTROL_LOCKED)
		return false;
	if (value & ~(FEATURE_CONTROL_LOCKED | FEATURE_CONTROL_VMX | FEATURE_CONTROL_LMCE))
		return false;
	vcpu->l1.feature_control = value;
	return true;
}

/* An MSR list may write MTRRs thousands of times. So EPT01 follows once, before the next entry. */
static bool write_mtrr(struct vcpu *vcpu, u32 index, u64 value)
{
	bool changed;

	if (!mtrr_write(&vcpu->l1.mtrr, index, value, &changed))
		return false;
	if (changed)
		__atomic_fetch_or(&vcpu->request, REQUEST_MTRRS_CHANGED, __ATOMIC_RELAXED);
	return true;
}

/*
 * Other CPUs flush at their next exit, with no kick: the SDM's procedure ("MTRR Considerations in MP
 * Systems") has every processor write its own MTRRs with interrupts off before any of them goes on,
 * and each such write exits.
 */
void msr_apply_mtrrs(struct vcpu *vcpu)
{
	if (!passthru_retype(&vcpu->l1.mtrr))
		return;
	for (u32 i = 0; i < percpu_count(); i++) {
		struct vcpu *each = percpu_get(i)->vcpu;

		if (each)
			__atomic_fetch_or(&each->request, REQUEST_EPT01_CHANGED, __ATOMIC_RELEASE);
	}
}

static bool is_partly_ram(u64 page)
{
	for (size_t i = 0; i < memmap_count(); i++) {
		const struct memmap_range *range = memmap_get(i);

		if ((range->type == MEMMAP_USABLE || range->type == MEMMAP_ACPI) &&
		    page < range->base + range->size && range->base < page + PAGE_SIZE)
			return true;
	}
	return false;
}

/*
 * The APIC's page must not come to lie over L0's memory; nor over L1's RAM and the firmware's ROM, which L0
 * accesses in pieces of any size: SDM "Local APIC Register Address Map" calls other than aligned 32-bit
 * accesses undefined.
 */
static bool write_apic_base(u64 value)
{
	u64 page = value & APIC_BASE_ADDR;
	bool moves = (value ^ rdmsr(MSR_IA32_APIC_BASE)) & APIC_BASE_ADDR;

	if (memmap_in_window(page, PAGE_SIZE) || (moves && is_partly_ram(page)))
		return false;
	if (moves && guest_mem_is_rom(GPA(page), PAGE_SIZE))
		return false;
	return wrmsr_safe(MSR_IA32_APIC_BASE, value);
}

/*
 * SDM "Features to Disable Bus Locks": with UC-lock disable (bit 28), a locked access to other than
 * write-back memory faults at any CPL: #GP where IA32_CORE_CAPABILITIES bit 4 names the feature, #AC where
 * CPUID.(7,2).EDX bit 6 does. Whether CR0.CD, which is L1's in L0 too, makes all memory such is not known
 * here (docs/limits.md), and taken for granted. So L1 has no such feature, and neither of the two names it.
 * Bit 29, #AC for split locks, is L1's: L0 has none.
 */
static bool write_memory_ctrl(u64 value)
{
	return !(value & MEMORY_CTRL_UC_LOCK_DISABLE) && wrmsr_safe(MSR_MEMORY_CTRL, value);
}

void msr_predictor_barrier(void)
{
	wrmsr_safe(MSR_IA32_PRED_CMD, PRED_CMD_IBPB);
}

/*
 * The first IBRS of L1's: from now on exits of L2's are followed by a barrier (reflect.c), whatever L1 writes
 * later, and its writes need not exit. L2's writes say nothing of L1 and are not intercepted for this; one
 * that L0 makes for an L2 all the same, in a list, counts as L1's.
 */
static bool write_spec_ctrl(struct vcpu *vcpu, u64 value)
{
	struct vmcs *back = vcpu->vmcs;

	if (!wrmsr_safe(MSR_IA32_SPEC_CTRL, value))
		return false;
	if (!vcpu->wish.ibrs_awaited || !(value & SPEC_CTRL_IBRS))
		return true;
	vcpu->wish.ibpb = true;
	vcpu->wish.ibrs_awaited = false;
	/* L2s that ran before have taught the predictor, too. */
	msr_predictor_barrier();
	vcpu_load_vmcs(vcpu, &vcpu->vmcs01);
	vm_write_msr_bitmap(false);
	vcpu_load_vmcs(vcpu, back);
	return true;
}

void msr_cpu_init(void)
{
	u64 value;

	if (rdmsr_safe(MSR_MEMORY_CTRL, &value) && (value & MEMORY_CTRL_UC_LOCK_DISABLE))
		wrmsr_safe(MSR_MEMORY_CTRL, value & ~MEMORY_CTRL_UC_LOCK_DISABLE);
}

/* IA32_DEBUGCTL's bits of `value` that the processor takes now: L1 can take features away. */
u64 msr_debugctl_taken(u64 value)
{
	u64 taken = 0;

	for (u64 left = value & vmx_caps.debugctl_valid; left; left &= left - 1) {
		u64 bit = left & -left;

		if (wrmsr_safe(MSR_IA32_DEBUGCTL, bit & ~(u64)DEBUGCTL_EFFECTIVE))
			taken |= bit;
		wrmsr(MSR_IA32_DEBUGCTL, 0);
	}
	return taken;
}

bool msr_write(struct vcpu *vcpu, u32 index, u64 value)
{
	/*
	 * The write may change an MSR that host_known speaks of. Writes are rare, so all of them clear it.
	 */
	vcpu->nested.host_known = NULL;
	switch (index) {
	case MSR_IA32_EFER: return write_efer(vcpu, value);
	case MSR_IA32_FS_BASE: return write_base(vcpu, REG_FS_BASE, value);
	case MSR_IA32_GS_BASE: return write_base(vcpu, REG_GS_BASE, value);
	case MSR_IA32_PAT: return write_pat(vcpu, value);
	case MSR_IA32_DEBUGCTL: return write_debugctl(vcpu, value);
	case MSR_IA32_SYSENTER_CS: vmcs_write(VMCS_guest_sysenter_cs, (u32)value); return true;
	case MSR_IA32_SYSENTER_ESP: return write_linear(VMCS_guest_sysenter_esp, value);
	case MSR_IA32_SYSENTER_EIP: return write_linear(VMCS_guest_sysenter_eip, value);
	case MSR_IA32_FEATURE_CONTROL: return write_feature_control(vcpu, value);
	case MSR_IA32_APIC_BASE: return write_apic_base(value);
	case MSR_MEMORY_CTRL: return write_memory_ctrl(value);
	case MSR_IA32_SPEC_CTRL: return write_spec_ctrl(vcpu, value);
	/* L1 finds the MSR as firmware locks it: a write could lay the trace hub over any memory. */
	case MSR_TRACE_HUB_STH_ACPIBAR_BASE: return false;
	case MSR_IA32_MISC_ENABLE:
		/* Execute-disable is L0's too: its page tables use it. */
		return wrmsr_safe(index, value & ~MISC_ENABLE_XD_DISABLE);
	case MSR_IA32_BIOS_UPDT_TRIG:
		/*
		 * SDM "Microcode Update Facilities": an update that does not fit is ignored; under
		 * Socle none fits.
		 */
		return true;
	case MSR_IA32_SMM_MONITOR_CTL: return false;
	case MSR_IA32_XSS: return !(value & ~CPUID_XSS_OFFERED) && wrmsr_safe(index, value);
	default: break;
	}
	if (mtrr_is_msr(index))
		return write_mtrr(vcpu, index, value);
	if (is_vmx_capability(index) || is_hidden(index))
		return false;
	return wrmsr_safe(index, value);
}

enum outcome exit_rdmsr(struct vcpu *vcpu)
{
	u64 value;

	if (!msr_read(vcpu, (u32)vcpu->gpr[GPR_RCX], &value))
		return outcome_gp(vcpu, 0);
	vcpu->gpr[GPR_RAX] = (u32)value;
	vcpu->gpr[GPR_RDX] = value >> 32;
	return OUTCOME_SKIP;
}

enum outcome exit_wrmsr(struct vcpu *vcpu)
{
	u64 value = (u32)vcpu->gpr[GPR_RAX] | vcpu->gpr[GPR_RDX] << 32;

	if (!msr_write(vcpu, (u32)vcpu->gpr[GPR_RCX], value))
		return outcome_gp(vcpu, 0);
	return OUTCOME_SKIP;
}
