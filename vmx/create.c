/* SPDX-License-Identifier: MIT */
/*
 * The vCPU of each CPU, made once: L1's part, then the VMX that L1 sees.
 * SDM: "Mitigations of Processor Vulnerabilities" for what is flushed at a switch.
 */
#include "vmx/create.h"

#include "kernel/cmdline.h"
#include "kernel/hw/cpu.h"
#include "kernel/msr.h"
#include "kernel/percpu.h"
#include "kernel/x86.h"
#include "mm/page_alloc.h"
#include "vmx/guest/exit_trace.h"
#include "vmx/monitor/monitor.h"
#include "vmx/l1/l1.h"
#include "vmx/nested/nested.h"
#include "vmx/guest/vcpu.h"
#include "vmx/nested/wish.h"

/*
 * What L1 flushes before it enters L2 does not stay flushed: L0 works in between. SDM
 * "IA32_ARCH_CAPABILITIES": the L1 data cache needs it without RDCL_NO, unless a hypervisor below does it
 * ("SKIP_L1DFL_VMENTRY").
 */
static void choose_flushes(struct vcpu *vcpu)
{
	u32 has = options.flush ? cpuid(CPUID_LEAF_EXTENDED_FEATURES, 0).edx : 0;
	u64 arch = 0;

	if (has & CPUID_7_EDX_ARCH_CAPABILITIES)
		arch = rdmsr(MSR_IA32_ARCH_CAPABILITIES);
	if (has && ((has & CPUID_7_EDX_MD_CLEAR) || (arch & (ARCH_CAP_FB_CLEAR | ARCH_CAP_RFDS_CLEAR))))
		vcpu->wish.flush_buffers = true;
	vcpu->wish.flush_l1d =
		(has & CPUID_7_EDX_L1D_FLUSH) && !(arch & (ARCH_CAP_RDCL_NO | ARCH_CAP_SKIP_L1DFL));
}

/*
 * A processor keeps the predictions of guests from their host where that has set IBRS ("Indirect Branch
 * Restricted Speculation"); to the processor L1 is a guest as its L2s are. So only an L1 that has set it gets
 * the barrier of reflect.c. Firmware may have set it for L1.
 */
static void await_ibrs(struct vcpu *vcpu)
{
	u64 value = 0;

	if (!options.ibpb || !(cpuid(CPUID_LEAF_EXTENDED_FEATURES, 0).edx & CPUID_7_EDX_IBRS))
		return;
	vcpu->wish.ibpb = rdmsr_safe(MSR_IA32_SPEC_CTRL, &value) && (value & SPEC_CTRL_IBRS);
	vcpu->wish.ibrs_awaited = !vcpu->wish.ibpb;
}

struct vcpu *vcpu_create(struct percpu *cpu, struct vm *the_vm, const struct l1_start *start)
{
	struct vcpu *vcpu;

	page_alloc_near(cpu->node);
	vcpu = page_alloc_contig(ALIGN_UP(sizeof(*vcpu), PAGE_SIZE) / PAGE_SIZE);
	vcpu->cpu = cpu;
	vcpu->vm = the_vm;
	wish_init(vcpu);
	await_ibrs(vcpu);
	choose_flushes(vcpu);
	exit_trace_init(vcpu);
	l1_init(vcpu);
	nested_init(vcpu);
	l1_start(vcpu, start);
	cpu->vcpu = vcpu;
	monitor_start_cpu(vcpu);
	page_alloc_near(PAGE_ALLOC_ANY);
	return vcpu;
}
