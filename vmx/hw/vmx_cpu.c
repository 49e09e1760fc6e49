/* SPDX-License-Identifier: MIT */
/*
 * Takes this CPU into VMX operation. What the processor can do is caps.c's;
 * it was checked before. SDM: "Enabling and Entering VMX Operation",
 * "Restrictions on VMX Operation".
 */
#include "vmx/hw/vmx_cpu.h"

#include "kernel/hw/cpu.h"
#include "kernel/hw/phys.h"
#include "kernel/hw/vmx.h"
#include "kernel/msr.h"
#include "kernel/percpu.h"
#include "kernel/x86.h"
#include "mm/page_alloc.h"

static struct vmx_cpu vmx_cpus[PERCPU_MAX];

enum status vmx_cpu_init(void)
{
	struct percpu *cpu = percpu_this();
	struct vmx_cpu *vmx = &vmx_cpus[cpu->id];
	u64 cr4_wanted = CR4_VMXE;

	vmx->firmware_feature_control = rdmsr(MSR_IA32_FEATURE_CONTROL);
	if (!(vmx->firmware_feature_control & FEATURE_CONTROL_LOCKED))
		wrmsr(MSR_IA32_FEATURE_CONTROL,
		      vmx->firmware_feature_control | FEATURE_CONTROL_LOCKED | FEATURE_CONTROL_VMX);

	/* XSETBV is executed for L1; RDPKRU is needed to walk its tables. */
	if (cpuid(CPUID_LEAF_FEATURES, 0).ecx & CPUID_1_ECX_XSAVE)
		cr4_wanted |= CR4_OSXSAVE;
	if (cpuid(CPUID_LEAF_MAX, 0).eax >= CPUID_LEAF_EXTENDED_FEATURES &&
	    (cpuid(CPUID_LEAF_EXTENDED_FEATURES, 0).ecx & CPUID_7_ECX_PKU))
		cr4_wanted |= CR4_PKE;
	/* Each CPU reads its own MSRs here, for a parked CPU may differ from the BSP. */
	write_cr0((read_cr0() | rdmsr(MSR_IA32_VMX_CR0_FIXED0)) & rdmsr(MSR_IA32_VMX_CR0_FIXED1));
	write_cr4((read_cr4() | rdmsr(MSR_IA32_VMX_CR4_FIXED0) | cr4_wanted) &
		  rdmsr(MSR_IA32_VMX_CR4_FIXED1));

	page_alloc_near(cpu->node);
	vmx->vmxon_region = page_alloc();
	page_alloc_near(PAGE_ALLOC_ANY);
	*(u32 *)vmx->vmxon_region = (u32)(rdmsr(MSR_IA32_VMX_BASIC) & GENMASK(30, 0));
	if (hw_vmxon(ptr_to_phys(vmx->vmxon_region).v) != HW_VMX_OK)
		return STATUS_VMXON_FAILED;
	cpu->vmx = vmx;
	return STATUS_OK;
}
