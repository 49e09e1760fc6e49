/* SPDX-License-Identifier: MIT */
/*
 * VMX operation on this CPU: capabilities, VMXON and VMXOFF, field access with failures counted.
 */
#include "tests/guest/lib/vmx.h"
#include "tests/guest/lib/test.h"

struct vmx_caps caps;

bool vmx_supported(void)
{
	return cpuid(1, 0).ecx & BIT(5);
}

void vmx_caps_read(void)
{
	bool true_controls;

	caps.basic = msr_read(MSR_VMX_BASIC);
	true_controls = caps.basic & BIT(55);
	caps.pin = msr_read(true_controls ? MSR_VMX_TRUE_PIN : MSR_VMX_PIN);
	caps.proc = msr_read(true_controls ? MSR_VMX_TRUE_PROC : MSR_VMX_PROC);
	caps.exit = msr_read(true_controls ? MSR_VMX_TRUE_EXIT : MSR_VMX_EXIT);
	caps.entry = msr_read(true_controls ? MSR_VMX_TRUE_ENTRY : MSR_VMX_ENTRY);
	caps.misc = msr_read(MSR_VMX_MISC);
	caps.cr0_fixed0 = msr_read(MSR_VMX_CR0_FIXED0);
	caps.cr0_fixed1 = msr_read(MSR_VMX_CR0_FIXED1);
	caps.cr4_fixed0 = msr_read(MSR_VMX_CR4_FIXED0);
	caps.cr4_fixed1 = msr_read(MSR_VMX_CR4_FIXED1);
	if (caps_proc(PROC_SECONDARY))
		caps.proc2 = msr_read(MSR_VMX_PROC2);
	if (caps_proc2(PROC2_EPT) || caps_proc2(PROC2_VPID))
		caps.ept_vpid = msr_read(MSR_VMX_EPT_VPID);
	if (caps_proc2(PROC2_VMFUNC))
		caps.vmfunc = msr_read(MSR_VMX_VMFUNC);
}

u64 vmx_region_area;

u64 vmx_region(void)
{
	u32 *region = vmx_region_area ? ptr_of(vmx_region_area) : page_alloc();

	if (vmx_region_area) {
		memset(region, 0, PAGE_SIZE);
		vmx_region_area += PAGE_SIZE;
	}
	*region = (u32)caps.basic & 0x7fffffff;
	return addr_of(region);
}

void vmx_enable(void)
{
	struct cpu *cpu = this_cpu();

	if (!(msr_read(MSR_FEATURE_CONTROL) & BIT(0)))
		msr_write(MSR_FEATURE_CONTROL, BIT(0) | BIT(2));
	cpu->vmxon_cr4 = cr4_read();
	cr0_write(cr0_read() | CR0_NE);
	cr4_write(cr4_read() | CR4_VMXE);
	cpu->vmxon_page = vmx_region();
	if (vmxon(cpu->vmxon_page) == VMX_OK)
		cpu->vmx_on = true;
	else
		test_fail("vmx_enable", 0, "vmxon");
}

void vmx_disable(void)
{
	struct cpu *cpu = this_cpu();

	if (!cpu->vmx_on)
		return;
	vmxoff();
	cpu->vmx_on = false;
	cpu->vm = NULL;
	cr4_write(cpu->vmxon_cr4);
}

u64 vmread(u64 field)
{
	u64 v = 0;

	return vmread_checked(field, &v) == VMX_OK ? v : ~0ull;
}

void vmwrite(u64 field, u64 v)
{
	if (vmwrite_checked(field, v) != VMX_OK) {
		print("FAIL %s vmwrite(%lx, %lx) error %u\n", test_name(), field, v, vmx_error());
		test_failed();
	}
}

void vmset(u64 field, u64 bits)
{
	vmwrite(field, vmread(field) | bits);
}
void vmunset(u64 field, u64 bits)
{
	vmwrite(field, vmread(field) & ~bits);
}
u32 vmx_error(void)
{
	return (u32)vmread(F_INSTRUCTION_ERROR);
}

const char *vmx_result_name(enum vmx_result r, char buf[48])
{
	if (r == VMX_OK)
		return "ok";
	if (r == VMX_FAIL_INVALID)
		return "invalid";
	format(buf, 48, "valid(%u)", vmx_error());
	return buf;
}

/* ---- Socle itself ---- */

#define SOCLE_REVISION 0x534f4301
#define SOCLE_CALL 0x50434c53
#define SOCLE_CALL_COUNTER 3
#define SOCLE_CALL_HARDWARE 8

bool under_socle(void)
{
	return (u32)caps.basic == SOCLE_REVISION;
}

static u64 socle_number(u64 call, u64 which)
{
	u64 value = SOCLE_CALL;

	asm volatile("vmcall" : "+a"(value), "+b"(call) : "c"(which) : "rdx", "memory", "cc");
	return value;
}

u64 socle_count(enum socle_counter which)
{
	return under_socle() ? socle_number(SOCLE_CALL_COUNTER, which) : 0;
}

u64 socle_hw_count(u64 which)
{
	return under_socle() ? socle_number(SOCLE_CALL_HARDWARE, which) : ~0ull;
}
