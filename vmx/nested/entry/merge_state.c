/* SPDX-License-Identifier: MIT */
/*
 * The registers and the event that an L2 begins with, into vmcs02: from vmcs12,
 * or from L1 where no entry control loads them. What vmcs02 holds as the last
 * exit saved it is not written again. Segments are copied by merge.c.
 * SDM: "Loading Guest State", "Event Injection".
 */
#include "kernel/x86.h"
#include "vmx/guest/vcpu.h"
#include "vmx/l1/exit_cr.h"
#include "vmx/nested/entry/merge.h"
#include "vmx/nested/vmcs12/known02.h"
#include "vmx/nested/vmcs12/vmcs12.h"

/*
 * SDM "Loading Guest Control Registers, Debug Registers, and MSRs": without
 * "load IA32_EFER", LMA is the "IA-32e mode guest" control's, and LME too if
 * CR0.PG is being loaded with 1.
 */
u64 merge_guest_efer(const struct vmcs12 *v12, const struct l1_state *l1)
{
	if (v12_has_entry(v12, ENTRY_LOAD_EFER))
		return v12->guest_efer;
	/* "If the IA-32e mode guest VM-entry control is 1, bit 31 in the CR0 field (PG) must be 1." */
	if (likely(v12_has_entry(v12, ENTRY_IA32E_GUEST)))
		return l1->efer | EFER_LMA | EFER_LME;
	return l1->efer & ~(EFER_LMA | (v12->guest_cr0 & CR0_PG ? (u64)EFER_LME : 0));
}

/*
 * Without "load debug controls" L2 goes on with L1's IA32_DEBUGCTL. But where the entry checks BS of the
 * pending debug exceptions, it looks at the field's BTF: vmcs02, in which the field is loaded, must agree.
 */
u64 merge_guest_debugctl(const struct vmcs12 *v12, const struct l1_state *l1)
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
u64 merge_loaded_dr7(u64 field)
{
	return (field & ~DR7_RESERVED0) | DR7_FIXED1;
}

/*
 * What an entry control loads or leaves alone. Where an exit control saves it as well, vmcs02 still holds
 * what v12 says, and nothing is written.
 */
static void merge_by_control(struct vcpu *vcpu, struct nested_vmcs *slot, const struct l1_state *l1)
{
	const struct vmcs12 *v12 = &slot->v12;
	bool known = slot->same_in_02 && !(slot->dirty & (GROUP_RARE | GROUP_WORD));
	u64 efer = merge_guest_efer(v12, l1);

	if (!known02_has_efer(slot, efer))
		vcpu_set_reg(vcpu, REG_EFER, efer);
	if (!known || !v12_has_entry(v12, ENTRY_LOAD_DEBUG) || !v12_has_exit(v12, EXIT_SAVE_DEBUG)) {
		vcpu_set_reg(vcpu, REG_DR7,
			     v12_has_entry(v12, ENTRY_LOAD_DEBUG) ? merge_loaded_dr7(v12->guest_dr7)
								  : l1->dr7);
		vcpu_set_debugctl(vcpu, merge_guest_debugctl(v12, l1));
	}
	if (!known || !v12_has_entry(v12, ENTRY_LOAD_PAT) || !v12_has_exit(v12, EXIT_SAVE_PAT))
		vcpu_set_pat(vcpu, v12_has_entry(v12, ENTRY_LOAD_PAT) ? v12->guest_pat : l1->pat);
}

/*
 * The registers are written as they will be behind the entry, which is not always what the fields say. L2 may
 * end before the processor has loaded them (by a held NMI or INIT, a machine check, a failed list): then L1
 * finds these values saved.
 */
void merge_registers(struct vcpu *vcpu, struct nested_vmcs *slot, const struct l1_state *l1)
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
 * SDM "Loading Page-Directory-Pointer-Table Entries": an entry to PAE paging loads them from the fields with
 * EPT, otherwise from memory, which entry.c does. Elsewhere they mean nothing.
 */
void merge_pdptes(struct vcpu *vcpu, struct nested_vmcs *slot)
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
	 * Without virtual NMIs L1 may inject an NMI while NMIs are blocked. vmcs02 always has virtual NMIs,
	 * and with them the processor refuses that. So the blocking is taken out; the injection sets it
	 * again.
	 */
	if (vcpu->pending.type == INTR_TYPE_NMI)
		vcpu_set_reg(vcpu, REG_INTERRUPTIBILITY,
			     vcpu_reg(vcpu, REG_INTERRUPTIBILITY) & ~(u64)INTERRUPTIBILITY_NMI);
}
