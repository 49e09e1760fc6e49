/* SPDX-License-Identifier: MIT */
/*
 * What an EPT pointer of L1's may be, rule by rule: for VM entry (check_controls.c), and for whoever else
 * takes one (eptp12_valid()). SDM: "VM Entries", "Checks on VM-Execution Control Fields".
 */
#ifndef VMX_NESTED_EPTP_H
#define VMX_NESTED_EPTP_H

#include "kernel/x86.h"
#include "vmx/hw/caps.h"
#include "vmx/hw/vmx.h"

/* "The EPT memory type (bits 2:0) must be a value supported by the processor" */
static inline bool eptp_type_is_supported(u64 eptp, const struct vmx_caps *caps)
{
	u64 type = eptp & EPTP_MEMTYPE;

	return (type == MEMTYPE_UC && (caps->ept_vpid & EPT_CAP_UC)) ||
	       (type == MEMTYPE_WB && (caps->ept_vpid & EPT_CAP_WB));
}

/* "Bits 5:3 must contain 1 less than an EPT page-walk length supported by the processor" */
static inline bool eptp_walk_is_supported(u64 eptp, const struct vmx_caps *caps)
{
	u64 walk = (eptp & EPTP_WALK) >> EPTP_WALK_SHIFT;

	return (walk == 3 && (caps->ept_vpid & EPT_CAP_WALK_4)) ||
	       (walk == 4 && (caps->ept_vpid & EPT_CAP_WALK_5));
}

/* "Bit 6 must be 0 if ... the processor does not support accessed and dirty flags for EPT" */
static inline bool eptp_ad_is_supported(u64 eptp, const struct vmx_caps *caps)
{
	return !(eptp & EPTP_AD) || (caps->ept_vpid & EPT_CAP_AD);
}

/* "Reserved bits 11:7 and 63:N must all be 0" */
static inline u64 eptp_reserved(const struct vmx_caps *caps)
{
	return GENMASK(11, 7) | GENMASK(63, caps->physical_bits);
}

/* All of them. */
bool eptp12_valid(u64 eptp, const struct vmx_caps *caps);

#endif
