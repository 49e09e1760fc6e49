/* SPDX-License-Identifier: MIT */
/*
 * The VMX instructions, one function each: the seam between Socle and the
 * processor.  Nothing here knows what a VMCS means.  A host build puts
 * tests/fake first on the include path and shadows this header with an array.
 * SDM: "VMX Instruction Reference".
 */
#ifndef KERNEL_HW_VMX_H
#define KERNEL_HW_VMX_H

#include "kernel/hw/count.h"
#include "kernel/hw/cpu.h"
#include "kernel/types.h"

/* SDM "Conventions": VMsucceed, VMfailInvalid (CF), VMfailValid (ZF). */
enum hw_vmx_result { HW_VMX_OK, HW_VMX_FAIL_INVALID, HW_VMX_FAIL_VALID };

static inline enum hw_vmx_result hw_vmx_result_make(bool cf, bool zf)
{
	return cf ? HW_VMX_FAIL_INVALID : zf ? HW_VMX_FAIL_VALID : HW_VMX_OK;
}

/* Also a fault is a failure: #GP, where a control register or IA32_FEATURE_CONTROL does not allow it. */
static inline enum hw_vmx_result hw_vmxon(u64 pa)
{
	u8 failed = 1;

	__asm__ volatile("1: vmxon %[pa]\n\t"
			 "setbe %[failed]\n\t"
			 "2:\n\t" CPU_EXTABLE("1b", "2b")
			 : [failed] "+q"(failed)
			 : [pa] "m"(pa)
			 : "cc", "memory");
	return failed ? HW_VMX_FAIL_INVALID : HW_VMX_OK;
}

/* To the hypervisor below, where there is one: #UD otherwise. It may change RAX to RDX, as Socle does. */
static inline void hw_vmcall(u32 number, u32 argument)
{
	__asm__ volatile("vmcall" : "+a"(number), "+b"(argument) : : "rcx", "rdx", "cc", "memory");
}

static inline enum hw_vmx_result hw_vmclear(u64 pa)
{
	bool cf, zf;

	HW_COUNT(VMPTRLD);
	__asm__ volatile("vmclear %2" : "=@ccc"(cf), "=@ccz"(zf) : "m"(pa) : "memory");
	return hw_vmx_result_make(cf, zf);
}

static inline enum hw_vmx_result hw_vmptrld(u64 pa)
{
	bool cf, zf;

	HW_COUNT(VMPTRLD);
	__asm__ volatile("vmptrld %2" : "=@ccc"(cf), "=@ccz"(zf) : "m"(pa) : "memory");
	return hw_vmx_result_make(cf, zf);
}

/* The same of an address in memory, where only success matters: one flag condition. */
static inline bool hw_vmptrld_ok(const u64 *pa)
{
	bool ok;

	HW_COUNT(VMPTRLD);
	__asm__ volatile("vmptrld %1" : "=@cca"(ok) : "m"(*pa) : "memory");
	return ok;
}

static inline enum hw_vmx_result hw_vmread(u64 field, u64 *value)
{
	bool cf, zf;

	HW_COUNT(VMREAD);
	__asm__ volatile("vmread %3, %2" : "=@ccc"(cf), "=@ccz"(zf), "=r"(*value) : "r"(field));
	return hw_vmx_result_make(cf, zf);
}

/* VMREAD and VMWRITE where only success matters: one flag condition. */
static inline bool hw_vmread_ok(u64 field, u64 *value)
{
	bool ok;

	HW_COUNT(VMREAD);
	__asm__ volatile("vmread %2, %1" : "=@cca"(ok), "=r"(*value) : "r"(field));
	return ok;
}

static inline bool hw_vmwrite_ok(u64 field, u64 value)
{
	bool ok;

	HW_COUNT(VMWRITE);
	__asm__ volatile("vmwrite %2, %1" : "=@cca"(ok) : "r"(field), "r"(value) : "memory");
	return ok;
}

/* The same where it cannot fail: the VMCS is current, and the processor has the field. */
static inline u64 hw_vmread_sure(u64 field)
{
	u64 value;

	HW_COUNT(VMREAD);
	__asm__ volatile("vmread %1, %0" : "=r"(value) : "r"(field) : "cc");
	return value;
}

static inline void hw_vmwrite_sure(u64 field, u64 value)
{
	HW_COUNT(VMWRITE);
	__asm__ volatile("vmwrite %1, %0" : : "r"(field), "rm"(value) : "cc", "memory");
}

static inline enum hw_vmx_result hw_invept(u64 type, u64 eptp)
{
	struct {
		u64 eptp, zero;
	} desc = { eptp, 0 };
	bool cf, zf;

	HW_COUNT(INVALIDATE);
	__asm__ volatile("invept %2, %3" : "=@ccc"(cf), "=@ccz"(zf) : "m"(desc), "r"(type) : "memory");
	return hw_vmx_result_make(cf, zf);
}

static inline enum hw_vmx_result hw_invvpid(u64 type, u16 vpid, u64 linear)
{
	struct {
		u64 vpid, linear;
	} desc = { vpid, linear };
	bool cf, zf;

	HW_COUNT(INVALIDATE);
	__asm__ volatile("invvpid %2, %3" : "=@ccc"(cf), "=@ccz"(zf) : "m"(desc), "r"(type) : "memory");
	return hw_vmx_result_make(cf, zf);
}

#endif
