/* SPDX-License-Identifier: MIT */
/*
 * INVEPT and INVVPID as L0 needs them. A flush that fails is our own fault:
 * a descriptor that the processor refuses.
 * SDM: "Caching Translation Information", INVEPT, INVVPID.
 */
#include "vmx/tlb.h"

#include "kernel/bits.h"
#include "kernel/hw/vmx.h"
#include "kernel/panic.h"
#include "vmx/caps.h"
#include "vmx/vmx.h"

/* Types that the processor has: IA32_VMX_EPT_VPID_CAP. */
static bool has_invept(unsigned int type)
{
	return vmx_caps.ept_vpid & BIT(24 + type);
}

static bool has_invvpid(unsigned int type)
{
	return vmx_caps.ept_vpid & BIT(40 + type);
}

static void invvpid(unsigned int type, u16 vpid, u64 linear)
{
	ASSERT(hw_invvpid(type, vpid, linear) == HW_VMX_OK);
}

void tlb_flush_ept(u64 eptp)
{
	if (has_invept(INVEPT_SINGLE))
		ASSERT(hw_invept(INVEPT_SINGLE, eptp) == HW_VMX_OK);
	else
		tlb_flush_ept_all();
}

void tlb_flush_ept_all(void)
{
	ASSERT(hw_invept(INVEPT_ALL, 0) == HW_VMX_OK);
}

void tlb_flush_vpid(u16 vpid)
{
	if (has_invvpid(INVVPID_SINGLE))
		invvpid(INVVPID_SINGLE, vpid, 0);
	else
		tlb_flush_vpid_all();
}

void tlb_flush_vpid_keep_globals(u16 vpid)
{
	if (has_invvpid(INVVPID_RETAIN_GLOBALS))
		invvpid(INVVPID_RETAIN_GLOBALS, vpid, 0);
	else
		tlb_flush_vpid(vpid);
}

void tlb_flush_vpid_address(u16 vpid, u64 linear)
{
	if (has_invvpid(INVVPID_ADDRESS))
		invvpid(INVVPID_ADDRESS, vpid, linear);
	else
		tlb_flush_vpid(vpid);
}

void tlb_flush_vpid_all(void)
{
	invvpid(INVVPID_ALL, 0, 0);
}
