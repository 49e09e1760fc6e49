/* SPDX-License-Identifier: MIT */
/*
 * Control registers: what L1 may set, what the processor needs, and the
 * accesses that exit: for L1 those of fixed and hidden bits; with intercept=cr
 * every one, of L2 too after L1 had its say (vmx/nested/exit/exit.c).
 * SDM: "Control Registers", "Restrictions on VMX Operation", volume 2 "MOV - Move to/from Control Registers".
 */
#include "kernel/hw/cpu.h"
#include "kernel/cmdline.h"
#include "kernel/panic.h"
#include "kernel/x86.h"
#include "vmx/hw/caps.h"
#include "vmx/guest/guest_mem.h"
#include "vmx/hw/tlb.h"
#include "vmx/l1/exit_cr.h"
#include "vmx/guest/handlers.h"

#define CR4_OFFERED                                                                                          \
	(CR4_VME | CR4_PVI | CR4_TSD | CR4_DE | CR4_PSE | CR4_PAE | CR4_MCE | CR4_PGE | CR4_PCE |            \
	 CR4_OSFXSR | CR4_OSXMMEXCPT | CR4_UMIP | CR4_VMXE | CR4_FSGSBASE | CR4_PCIDE | CR4_OSXSAVE |        \
	 CR4_SMEP | CR4_SMAP | CR4_PKE)

#define CR0_DEFINED                                                                                          \
	(CR0_PE | CR0_MP | CR0_EM | CR0_TS | CR0_ET | CR0_NE | CR0_WP | CR0_AM | CR0_NW | CR0_CD | CR0_PG)

#define CR0_LOADED (~(CR0_ET | GENMASK(15, 6) | BIT(17) | GENMASK(28, 19) | CR0_NW | CR0_CD))

/* Exit qualification of a control-register access. */
#define QUAL_CR(q) ((q)&0xf)
#define QUAL_TYPE(q) (((q) >> 4) & 3)
#define QUAL_GPR(q) (((q) >> 8) & 0xf)
#define QUAL_LMSW(q) (((q) >> 16) & 0xffff)
enum { ACCESS_TO, ACCESS_FROM, ACCESS_CLTS, ACCESS_LMSW };

u64 cr0_forced(void)
{
	return vmx_caps.cr0_fixed0 & ~(CR0_PE | CR0_PG);
}

u64 cr_l1_cr4_allowed(void)
{
	return vmx_caps.cr4_fixed1 & CR4_OFFERED;
}

u64 cr_l1_cr0(struct vcpu *vcpu)
{
	return (vcpu_reg(vcpu, REG_CR0) & ~cr0_forced()) | (vcpu->l1.cr0_shadow & cr0_forced());
}

u64 cr_l1_cr4(struct vcpu *vcpu)
{
	return (vcpu_reg(vcpu, REG_CR4) & ~vmx_caps.cr4_fixed0) | (vcpu->l1.cr4_shadow & vmx_caps.cr4_fixed0);
}

u64 cr_loaded_cr0(u64 field)
{
	return (field & CR0_LOADED) | CR0_ET | (read_cr0() & (CR0_CD | CR0_NW));
}

/* VM entry and exit ignore CD and NW of the VMCS's CR0 fields: the register keeps them, so L0 writes the
 * register. */
void cr_set_cache_bits(u64 value)
{
	u64 old = read_cr0();

	if ((value ^ old) & (CR0_CD | CR0_NW))
		write_cr0((old & ~(CR0_CD | CR0_NW)) | (value & (CR0_CD | CR0_NW)));
}

void cr_set_l1_cr0(struct vcpu *vcpu, u64 value)
{
	ASSERT(vcpu->vmcs == &vcpu->vmcs01);
	cr_set_cache_bits(value);
	vcpu_set_reg(vcpu, REG_CR0, value | cr0_forced());
	if (vcpu->l1.cr0_shadow != value)
		vmcs_write(VMCS_cr0_read_shadow, value);
	vcpu->l1.cr0_shadow = value;
}

void cr_show_l1(struct vcpu *vcpu, u64 cr0, u64 cr4)
{
	if (unlikely(vcpu->l1.cr0_shadow != cr0))
		vmcs_write(VMCS_cr0_read_shadow, vcpu->l1.cr0_shadow = cr0);
	if (unlikely(vcpu->l1.cr4_shadow != cr4))
		vmcs_write(VMCS_cr4_read_shadow, vcpu->l1.cr4_shadow = cr4);
}

void cr_set_l1_cr4(struct vcpu *vcpu, u64 value)
{
	ASSERT(vcpu->vmcs == &vcpu->vmcs01);
	vcpu_set_reg(vcpu, REG_CR4, value | vmx_caps.cr4_fixed0);
	if (vcpu->l1.cr4_shadow != value)
		vmcs_write(VMCS_cr4_read_shadow, value);
	vcpu->l1.cr4_shadow = value;
}

/*
 * The processor keeps the entry control in step while the guest runs (unrestricted guest); so must an
 * emulation.
 */
void cr_set_efer(struct vcpu *vcpu, u64 value)
{
	u64 controls = vmcs_read(VMCS_entry_controls);
	u64 wanted = value & EFER_LMA ? controls | ENTRY_IA32E_GUEST : controls & ~ENTRY_IA32E_GUEST;

	vcpu_set_reg(vcpu, REG_EFER, value);
	if (wanted != controls)
		vmcs_write(VMCS_entry_controls, wanted);
}

void cr_update_masks(struct vcpu *vcpu)
{
	u64 cr0_mask = vcpu->nested.vmxon ? vmx_caps.cr0_fixed0 : cr0_forced();
	u64 cr4_mask = vmx_caps.cr4_fixed0 | CR4_VMXE | ~cr_l1_cr4_allowed();

	ASSERT(vcpu->vmcs == &vcpu->vmcs01);
	if (vcpu_intercepts_cr(vcpu))
		cr0_mask = cr4_mask = ~0ull;
	vmcs_write(VMCS_cr0_guest_host_mask, cr0_mask);
	vmcs_write(VMCS_cr4_guest_host_mask, cr4_mask);
	/* Bits that the masks did not cover until now. */
	vcpu->l1.cr0_shadow = cr_l1_cr0(vcpu);
	vcpu->l1.cr4_shadow = cr_l1_cr4(vcpu);
	vmcs_write(VMCS_cr0_read_shadow, vcpu->l1.cr0_shadow);
	vmcs_write(VMCS_cr4_read_shadow, vcpu->l1.cr4_shadow);
}

/* ---- MOV to CR0, CLTS, LMSW ---- */

/*
 * SDM volume 2, "MOV - Move to/from Control Registers", exceptions; the register as it would be is in
 * `value`.
 */
static bool cr0_valid(struct vcpu *vcpu, u64 old, u64 value)
{
	u64 cr4 = vcpu->guest->cr4(vcpu), efer = vcpu_reg(vcpu, REG_EFER);
	bool sets_pg = (value & CR0_PG) && !(old & CR0_PG), clears_pg = !(value & CR0_PG) && (old & CR0_PG);

	if (value >> 32)
		return false;
	if ((value & CR0_PG) && !(value & CR0_PE))
		return false;
	if ((value & CR0_NW) && !(value & CR0_CD))
		return false;
	if (sets_pg && (efer & EFER_LME)) {
		if (!(cr4 & CR4_PAE) || (vcpu_reg(vcpu, REG_CS_AR) & AR_L))
			return false;
		if ((vcpu_reg(vcpu, REG_TR_AR) & AR_TYPE) == SEG_TYPE_TSS16_BUSY)
			return false;
	}
	if (clears_pg && ((cr4 & CR4_PCIDE) || vcpu_is_64bit(vcpu)))
		return false;
	if (!(value & CR0_WP) && (cr4 & CR4_CET))
		return false;
	return !(vcpu->guest->cr0_fixed(vcpu) & ~value);
}

/* True: PAE paging is on with these registers. */
static bool is_pae(u64 cr0, u64 cr4, u64 efer)
{
	return (cr0 & CR0_PG) && (cr4 & CR4_PAE) && !(efer & EFER_LMA);
}

/*
 * SDM "PDPTE Registers": loaded when MOV to CR0 changes CD, NW or PG and PAE paging results. VMX-fixed
 * and L1-owned bits of `value` have their old values where the guest cannot change them.
 */
static enum outcome write_cr0_value(struct vcpu *vcpu, u64 value)
{
	u64 old = vcpu->guest->cr0(vcpu), owned = vcpu->guest->cr0_owned(vcpu), changed,
	    efer = vcpu_reg(vcpu, REG_EFER);
	enum outcome outcome = OUTCOME_NONE;

	value = (value & ~owned) | (old & owned);
	if (!cr0_valid(vcpu, old, value))
		return outcome_gp(vcpu, 0);
	value = (value & CR0_DEFINED) | CR0_ET;
	changed = value ^ old;
	if ((changed & CR0_PG) && (efer & EFER_LME))
		efer = value & CR0_PG ? efer | EFER_LMA : efer & ~EFER_LMA;
	if ((changed & (CR0_CD | CR0_NW | CR0_PG)) && is_pae(value, vcpu->guest->cr4(vcpu), efer))
		outcome = guest_load_pdptes(vcpu, vcpu_reg(vcpu, REG_CR3));
	if (outcome != OUTCOME_NONE)
		return outcome;
	vcpu->guest->set_cr0(vcpu, value);
	if (efer != vcpu_reg(vcpu, REG_EFER))
		cr_set_efer(vcpu, efer);
	if (changed & CR0_PG)
		tlb_flush_guest();
	return OUTCOME_SKIP;
}

/* ---- MOV to CR4 ---- */

static bool cr4_valid(struct vcpu *vcpu, u64 old, u64 value)
{
	bool long_mode = vcpu_is_long_mode(vcpu);

	if (value & ~cr_l1_cr4_allowed())
		return false;
	if (long_mode && (!(value & CR4_PAE) || ((value ^ old) & CR4_LA57)))
		return false;
	if ((value & CR4_PCIDE) && !(old & CR4_PCIDE) &&
	    (!long_mode || (vcpu_reg(vcpu, REG_CR3) & CR3_PCID_MASK)))
		return false;
	if (vcpu->nested.vmxon && (value & vmx_caps.cr4_fixed0) != vmx_caps.cr4_fixed0)
		return false;
	return true;
}

static enum outcome write_cr4_value(struct vcpu *vcpu, u64 value)
{
	u64 old = vcpu->guest->cr4(vcpu), owned = vcpu->guest->cr4_owned(vcpu), changed;
	enum outcome outcome = OUTCOME_NONE;

	value = (value & ~owned) | (old & owned);
	if (!cr4_valid(vcpu, old, value))
		return outcome_gp(vcpu, 0);
	changed = value ^ old;
	if ((changed & (CR4_PAE | CR4_PGE | CR4_PSE | CR4_SMEP)) &&
	    is_pae(vcpu_reg(vcpu, REG_CR0), value, vcpu_reg(vcpu, REG_EFER)))
		outcome = guest_load_pdptes(vcpu, vcpu_reg(vcpu, REG_CR3));
	if (outcome != OUTCOME_NONE)
		return outcome;
	vcpu->guest->set_cr4(vcpu, value);
	if (changed & (CR4_PGE | CR4_PAE | CR4_PSE | CR4_PCIDE | CR4_SMEP | CR4_LA57))
		tlb_flush_guest();
	return OUTCOME_SKIP;
}

/* ---- MOV to and from CR3: with intercept=cr or cr3 ---- */

static enum outcome write_cr3_value(struct vcpu *vcpu, u64 value)
{
	bool keep = (vcpu_reg(vcpu, REG_CR4) & CR4_PCIDE) && (value & CR3_NO_FLUSH);
	enum outcome outcome = OUTCOME_NONE;

	if (keep)
		value &= ~CR3_NO_FLUSH;
	if (vcpu_is_long_mode(vcpu) && value >> vmx_caps.physical_bits)
		return outcome_gp(vcpu, 0);
	if (vcpu_is_pae_paging(vcpu))
		outcome = guest_load_pdptes(vcpu, value);
	if (outcome != OUTCOME_NONE)
		return outcome;
	vcpu_set_reg(vcpu, REG_CR3, value);
	if (!keep)
		tlb_flush_guest();
	return OUTCOME_SKIP;
}

/* No control of L0's makes such an exit. */
static NORETURN void unasked(struct vcpu *vcpu)
{
	panic("control-register access that nobody asked for, qualification %llx",
	      (unsigned long long)vcpu_reg(vcpu, REG_EXIT_QUALIFICATION));
}

static enum outcome move_to(struct vcpu *vcpu, unsigned int cr, u64 value)
{
	if (!vcpu_is_64bit(vcpu))
		value = (u32)value;
	switch (cr) {
	case 0: return write_cr0_value(vcpu, value);
	case 3: return write_cr3_value(vcpu, value);
	case 4: return write_cr4_value(vcpu, value);
	default: unasked(vcpu);
	}
}

static enum outcome move_from(struct vcpu *vcpu, unsigned int cr, unsigned int gpr)
{
	u64 value = vcpu_reg(vcpu, REG_CR3);

	if (cr != 3)
		unasked(vcpu);
	vcpu_set_gpr(vcpu, gpr, vcpu_is_64bit(vcpu) ? value : (u32)value);
	return OUTCOME_SKIP;
}

enum outcome exit_cr_access(struct vcpu *vcpu)
{
	u64 qualification = vcpu_reg(vcpu, REG_EXIT_QUALIFICATION);
	u64 cr0;

	switch (QUAL_TYPE(qualification)) {
	case ACCESS_TO: return move_to(vcpu, QUAL_CR(qualification), vcpu_gpr(vcpu, QUAL_GPR(qualification)));
	case ACCESS_FROM: return move_from(vcpu, QUAL_CR(qualification), QUAL_GPR(qualification));
	case ACCESS_CLTS: return write_cr0_value(vcpu, vcpu->guest->cr0(vcpu) & ~CR0_TS);
	default:
		/* SDM "LMSW": the four low bits, but it cannot clear PE. */
		cr0 = vcpu->guest->cr0(vcpu);
		return write_cr0_value(vcpu, (cr0 & ~(CR0_MP | CR0_EM | CR0_TS)) |
						     (QUAL_LMSW(qualification) & 0xf));
	}
}
