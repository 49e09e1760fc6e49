/* SPDX-License-Identifier: MIT */
/*
 * EPT violations of L2 that L1 wants as virtualization exceptions.  vmcs02
 * has the control off: EPT02's violations are L0's first, and only those that
 * EPT12 causes are converted.
 * SDM: "Virtualization Exceptions".
 */
#include "vmx/nested/ept/ve.h"

#include "kernel/x86.h"
#include "vmx/guest/guest_mem.h"
#include "vmx/nested/ept/ept.h"
#include "mm/addr.h"
#include "vmx/guest/outcome.h"
#include "vmx/guest/vcpu.h"
#include "vmx/nested/ept/ept02.h"
#include "vmx/nested/vmcs12/vmcs12.h"

/* The virtualization-exception information area. */
struct ve_info {
	u32 reason;
	u32 busy; /* all ones until L2 clears it */
	u64 qualification;
	u64 linear;
	u64 physical;
	u16 eptp_index;
} PACKED;
static_assert(offsetof(struct ve_info, eptp_index) == 32,
	      "SDM: Format of the Virtualization-Exception Information");

/* SDM "Convertible EPT Violations": by bit 63 of the entry that maps the page, or that is not present. */
static bool is_convertible(struct vcpu *vcpu, u64 entry12)
{
	return !(entry12 & EPT_SUPPRESS_VE) && vcpu_is_protected(vcpu) &&
	       !(vcpu_reg(vcpu, REG_IDT_VECTORING_INFO) & INTR_INFO_VALID);
}

enum outcome nested_convert_violation(struct vcpu *vcpu, u64 entry12, u64 qualification)
{
	const struct vmcs12 *v12 = &vcpu->nested.current->v12;
	struct ve_info info;

	if (likely(!v12_has_proc2(v12, PROC2_VE)) || !is_convertible(vcpu, entry12))
		return OUTCOME_NONE;
	guest_mem_read(vcpu, GPA(v12->ve_info_addr), &info, sizeof(info));
	if (info.busy)
		return OUTCOME_NONE;
	info = (struct ve_info){
		.reason = EXIT_EPT_VIOLATION,
		.busy = 0xffffffff,
		.qualification = qualification,
		.linear = vcpu_reg(vcpu, REG_GUEST_LINEAR_ADDRESS),
		.physical = vcpu_reg(vcpu, REG_GUEST_PHYSICAL_ADDRESS),
		.eptp_index = (u16)v12->eptp_index,
	};
	guest_mem_write(vcpu, GPA(v12->ve_info_addr), &info, sizeof(info));
	ept02_absent_finish(vcpu);
	return outcome_exception(vcpu, VEC_VE, false, 0);
}
