/* SPDX-License-Identifier: MIT */
/*
 * L2's task-priority register where the processor's own virtualization of it
 * would not do: L0 makes the write, and the comparison behind it.
 *  - The virtual-APIC page is no memory: a write is dropped, but the stand-in (addresses.c) would keep it.
 *  - The processor compares VTPR with the threshold at each of L0's entries; on the bare processor only L1's
 *    entry does. An L2 that can write to its virtual-APIC page may have lowered VTPR in between: from then on
 *    it runs with threshold 0, until it ends.
 * SDM: "TPR Virtualization", "VM Exits Induced by the TPR Threshold", "Checks on VMX Controls".
 */
#include "vmx/nested/entry/tpr.h"

#include "kernel/msr.h"
#include "kernel/x86.h"
#include "vmx/guest/event.h"
#include "vmx/guest/guest_mem.h"
#include "mm/addr.h"
#include "vmx/guest/outcome.h"
#include "vmx/guest/vcpu.h"
#include "vmx/nested/vmcs12/known02.h"
#include "vmx/nested/vmcs12/vmcs12.h"

#define QUAL_MOV_TO_CR8 8u /* access type 0 and the register's number */
#define QUAL_MASK 0x3fu

/* In the MSR bitmap: writes to MSRs 0-1FFFH. */
static COLD void intercept_x2apic_tpr(struct nested_vmcs *slot)
{
	slot->msr_bitmap02[(0x800 + MSR_IA32_X2APIC_TPR / 8) / 8] |= BIT(MSR_IA32_X2APIC_TPR % 64);
}

void tpr_prepare(struct nested_vmcs *slot)
{
	if (unlikely(tpr_is_l0s(slot)) && v12_has_proc2(&slot->v12, PROC2_VIRTUAL_X2APIC))
		intercept_x2apic_tpr(slot);
}

COLD bool tpr_relax(struct vcpu *vcpu)
{
	struct nested_vmcs *slot = vcpu->nested.current;
	const struct vmcs12 *v12 = &slot->v12;

	if (slot->tpr_relaxed || !v12_has_proc(v12, PROC_TPR_SHADOW) ||
	    v12_has_proc2(v12, PROC2_APIC_ACCESS | PROC2_VIRTUAL_INTERRUPT))
		return false;
	slot->tpr_relaxed = true;
	known02_set_tpr_threshold(slot, 0);
	vmcs_write(VMCS_proc_controls, vmcs_read(VMCS_proc_controls) | PROC_CR8_LOAD_EXITING);
	tpr_prepare(slot);
	return true;
}

void tpr_restore(struct nested_vmcs *slot)
{
	if (!slot->tpr_relaxed)
		return;
	slot->tpr_relaxed = false;
	/* The controls are merged anew at the next entry. */
	slot->dirty |= GROUP_CTL;
}

/*
 * SDM "VM Exits Induced by the TPR Threshold": such an exit directly after the entry outranks an INIT and an
 * NMI. They "do not occur if the logical processor just entered the shutdown state".
 */
bool nested_exits_by_tpr(struct vcpu *vcpu, const struct vmcs12 *v12)
{
	u32 vtpr = 0;

	if (!v12_has_proc(v12, PROC_TPR_SHADOW) || !v12_has_proc2(v12, PROC2_APIC_ACCESS) ||
	    v12_has_proc2(v12, PROC2_VIRTUAL_INTERRUPT) || vcpu_reg(vcpu, REG_ACTIVITY) == ACTIVITY_SHUTDOWN)
		return false;
	guest_mem_read(vcpu, GPA(v12->virtual_apic_addr + VTPR_OFFSET), &vtpr, sizeof(vtpr));
	return (v12->tpr_threshold & 0xf) > ((vtpr >> 4) & 0xf);
}

/* SDM "TPR Virtualization": without virtual-interrupt delivery, an exit behind the instruction. */
static enum outcome write_vtpr(struct vcpu *vcpu, u32 vtpr)
{
	const struct vmcs12 *v12 = &vcpu->nested.current->v12;
	struct exit_record record = { .reason = EXIT_TPR_BELOW_THRESHOLD };
	gpa_t at = GPA(v12->virtual_apic_addr + VTPR_OFFSET);

	guest_mem_write(vcpu, at, &vtpr, sizeof(vtpr));
	guest_mem_read(vcpu, at, &vtpr, sizeof(vtpr));
	if (v12_has_proc2(v12, PROC2_VIRTUAL_INTERRUPT) || (v12->tpr_threshold & 0xf) <= ((vtpr >> 4) & 0xf))
		return OUTCOME_SKIP;
	event_skip_instruction(vcpu);
	return outcome_reflect(vcpu, &record);
}

COLD enum outcome tpr_emulate(struct vcpu *vcpu)
{
	u64 qualification, value;
	u32 vtpr;

	switch (vcpu->exit_reason) {
	case EXIT_CR_ACCESS:
		qualification = vcpu_reg(vcpu, REG_EXIT_QUALIFICATION);
		if ((qualification & QUAL_MASK) != QUAL_MOV_TO_CR8)
			return OUTCOME_NONE;
		value = vcpu_gpr(vcpu, (qualification >> 8) & 0xf);
		vtpr = (value & 0xf) << 4;
		break;
	case EXIT_WRMSR:
		if ((u32)vcpu->gpr[GPR_RCX] != MSR_IA32_X2APIC_TPR ||
		    !v12_has_proc2(&vcpu->nested.current->v12, PROC2_VIRTUAL_X2APIC))
			return OUTCOME_NONE;
		value = ((vcpu->gpr[GPR_RDX] << 32) | (u32)vcpu->gpr[GPR_RAX]) >> 4;
		vtpr = vcpu->gpr[GPR_RAX] & 0xff;
		break;
	default: return OUTCOME_NONE;
	}
	return value > 0xf ? outcome_gp(vcpu, 0) : write_vtpr(vcpu, vtpr);
}
