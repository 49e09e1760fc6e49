/* SPDX-License-Identifier: MIT */
/*
 * Host builds: the VMX instructions over an array of VMCSs (tests/fake/fake.c). Shadows kernel/hw/vmx.h.
 */
#ifndef KERNEL_HW_VMX_H
#define KERNEL_HW_VMX_H

#include "kernel/types.h"

enum hw_vmx_result { HW_VMX_OK, HW_VMX_FAIL_INVALID, HW_VMX_FAIL_VALID };

enum hw_vmx_result hw_vmxon(u64 pa);
void hw_vmcall(u32 number, u32 argument);
enum hw_vmx_result hw_vmclear(u64 pa);
enum hw_vmx_result hw_vmptrld(u64 pa);
static inline bool hw_vmptrld_ok(const u64 *pa)
{
	return hw_vmptrld(*pa) == HW_VMX_OK;
}

enum hw_vmx_result hw_vmread(u64 field, u64 *value);
enum hw_vmx_result hw_vmwrite(u64 field, u64 value);

static inline bool hw_vmread_ok(u64 field, u64 *value)
{
	return hw_vmread(field, value) == HW_VMX_OK;
}

static inline bool hw_vmwrite_ok(u64 field, u64 value)
{
	return hw_vmwrite(field, value) == HW_VMX_OK;
}

/* They stop the test where a processor would fail. */
u64 hw_vmread_sure(u64 field);
void hw_vmwrite_sure(u64 field, u64 value);

enum hw_vmx_result hw_invept(u64 type, u64 eptp);
enum hw_vmx_result hw_invvpid(u64 type, u16 vpid, u64 linear);

#endif
