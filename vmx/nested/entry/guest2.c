/* SPDX-License-Identifier: MIT */
/*
 * An L2 as the guest that runs now, by the vmcs12 that is current: its addresses
 * go through EPT12, L1 keeps bits of CR0 and CR4 from it.  CR0 and CR4 of vmcs02
 * are L2's own: L0 may intercept their bits, but never runs L2 with other ones.
 * SDM: "Guest/Host Masks and Read Shadows for CR0 and CR4", "Unrestricted Guests", "VM Functions".
 */
#include "vmx/nested/entry/guest2.h"

#include "vmx/hw/caps.h"
#include "vmx/l1/exit_cr.h"
#include "mm/addr.h"
#include "vmx/guest/guest_mem.h"
#include "vmx/guest/outcome.h"
#include "vmx/guest/vcpu.h"
#include "vmx/nested/entry/io_bitmaps.h"
#include "vmx/nested/entry/merge.h"
#include "vmx/nested/ept/ept12.h"
#include "vmx/nested/ept/eptp.h"
#include "vmx/nested/vmcs12/caps12.h"
#include "vmx/nested/vmcs12/exit_record.h"
#include "vmx/nested/vmcs12/known02.h"
#include "vmx/nested/vmcs12/vmcs12.h"

static const struct vmcs12 *v12_of(struct vcpu *vcpu)
{
	return &vcpu->nested.current->v12;
}

static enum outcome translate(struct vcpu *vcpu, u64 address, u64 access, gpa_t *gpa)
{
	return nested_translate(vcpu, L2GPA(address), access, gpa);
}

static bool look(struct vcpu *vcpu, u64 address, gpa_t *gpa)
{
	return nested_look(vcpu, L2GPA(address), gpa);
}

static u32 proc_of_owner(struct vcpu *vcpu)
{
	return (u32)v12_of(vcpu)->proc_controls;
}

static u64 cr0(struct vcpu *vcpu)
{
	return vcpu_reg(vcpu, REG_CR0);
}

static u64 cr4(struct vcpu *vcpu)
{
	return vcpu_reg(vcpu, REG_CR4);
}

/* What L2 reads of the bits that are its own is what it wrote. */
static void set_cr0(struct vcpu *vcpu, u64 value)
{
	struct nested_vmcs *slot = vcpu->nested.current;
	u64 mask12 = slot->v12.cr0_guest_host_mask;

	cr_set_cache_bits(value);
	vcpu_set_reg(vcpu, REG_CR0, value);
	known02_set_cr0_shadow(slot, (slot->v12.cr0_read_shadow & mask12) | (value & ~mask12));
}

static void set_cr4(struct vcpu *vcpu, u64 value)
{
	struct nested_vmcs *slot = vcpu->nested.current;
	u64 mask12 = slot->v12.cr4_guest_host_mask;

	vcpu_set_reg(vcpu, REG_CR4, value);
	known02_set_cr4_shadow(slot, (slot->v12.cr4_read_shadow & mask12) | (value & ~mask12));
}

static u64 cr0_owned(struct vcpu *vcpu)
{
	return v12_of(vcpu)->cr0_guest_host_mask;
}

static u64 cr4_owned(struct vcpu *vcpu)
{
	return v12_of(vcpu)->cr4_guest_host_mask;
}

/* "A-1 VMX-Fixed Bits in CR0": an unrestricted guest may clear PE and PG. */
static u64 cr0_fixed(struct vcpu *vcpu)
{
	return v12_has_proc2(v12_of(vcpu), PROC2_UNRESTRICTED_GUEST) ? cr0_forced() : vmx_caps.cr0_fixed0;
}

static void write_exceptions(struct vcpu *vcpu)
{
	merge_exception_bitmap(vcpu, vcpu->nested.current);
}

#define EPTP_LIST_LENGTH 512

/* SDM "EPTP Switching": false if the function is to cause a VM exit instead. */
static bool switch_eptp(struct vcpu *vcpu)
{
	struct nested_vmcs *slot = vcpu->nested.current;
	u32 index = (u32)vcpu->gpr[GPR_RCX];
	u64 eptp;

	if (index >= EPTP_LIST_LENGTH)
		return false;
	guest_mem_read(vcpu, GPA(slot->v12.eptp_list_addr + 8 * index), &eptp, sizeof(eptp));
	if (!eptp12_valid(eptp, &caps12))
		return false;
	slot->v12.ept_pointer = eptp;
	/* "If the processor supports the 1-setting of EPT-violation #VE", whatever the control is. */
	if (caps12.proc2.allowed1 & PROC2_VE)
		slot->v12.eptp_index = index;
	merge_translation(vcpu, slot);
	return true;
}

/* A function that L1 has enabled. */
static enum outcome vmfunc(struct vcpu *vcpu)
{
	struct exit_record record;

	if ((u32)vcpu->gpr[GPR_RAX] == VMFUNC_EPTP_SWITCHING && switch_eptp(vcpu))
		return OUTCOME_SKIP;
	record = exit_record_hardware(vcpu);
	return outcome_reflect(vcpu, &record);
}

const struct guest l2_guest = {
	.level = 2,
	.translate = translate,
	.look = look,
	.proc_of_owner = proc_of_owner,
	.open_ports = io_bitmaps_open,
	.cr0 = cr0,
	.cr4 = cr4,
	.set_cr0 = set_cr0,
	.set_cr4 = set_cr4,
	.cr0_owned = cr0_owned,
	.cr4_owned = cr4_owned,
	.cr0_fixed = cr0_fixed,
	.write_exceptions = write_exceptions,
	.vmfunc = vmfunc,
	.accesses_shadow_vmcs = true,
	.uses_ept02 = true,
};
