/* SPDX-License-Identifier: MIT */
/*
 * INVEPT and INVVPID, by what this processor has. When to flush is the
 * caller's. SDM: "Caching Translation Information".
 */
#include "vmx/hw/tlb.h"

#include "kernel/cmdline.h"
#include "kernel/hw/vmx.h"
#include "kernel/panic.h"
#include "vmx/hw/caps.h"
#include "vmx/hw/vmcs_field.h"
#include "vmx/hw/vmx.h"

static void flush_checked(enum hw_vmx_result result, const char *what)
{
	if (unlikely(result != HW_VMX_OK))
		panic("%s failed", what);
}

bool tlb_uses_vpid(void)
{
	return options.vpid && vmx_caps.has_invvpid && (vmx_caps.proc2.allowed1 & PROC2_VPID);
}

void tlb_flush_ept_all(void)
{
	flush_checked(hw_invept(INVEPT_ALL, 0), "INVEPT");
}

void tlb_flush_ept(u64 eptp)
{
	if (vmx_caps.ept_vpid & EPT_CAP_INVEPT_TYPE(INVEPT_SINGLE))
		flush_checked(hw_invept(INVEPT_SINGLE, eptp), "INVEPT");
	else
		tlb_flush_ept_all();
}

void tlb_flush_vpid(u16 vpid)
{
	if (!tlb_uses_vpid())
		return;
	if (vmx_caps.ept_vpid & VPID_CAP_INVVPID_TYPE(INVVPID_SINGLE))
		flush_checked(hw_invvpid(INVVPID_SINGLE, vpid, 0), "INVVPID");
	else
		flush_checked(hw_invvpid(INVVPID_ALL, 0, 0), "INVVPID");
}

void tlb_flush_vpid_keep_globals(u16 vpid)
{
	if (!tlb_uses_vpid())
		return;
	if (vmx_caps.ept_vpid & VPID_CAP_INVVPID_TYPE(INVVPID_RETAIN_GLOBALS))
		flush_checked(hw_invvpid(INVVPID_RETAIN_GLOBALS, vpid, 0), "INVVPID");
	else
		tlb_flush_vpid(vpid);
}

void tlb_flush_vpid_address(u16 vpid, u64 linear)
{
	if (!tlb_uses_vpid())
		return;
	if (vmx_caps.ept_vpid & VPID_CAP_INVVPID_TYPE(INVVPID_ADDRESS))
		flush_checked(hw_invvpid(INVVPID_ADDRESS, vpid, linear), "INVVPID");
	else
		tlb_flush_vpid(vpid);
}

void tlb_flush_guest(void)
{
	if (tlb_uses_vpid())
		tlb_flush_vpid((u16)vmcs_read(VMCS_vpid));
}
