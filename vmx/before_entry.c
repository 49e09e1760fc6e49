/* SPDX-License-Identifier: MIT */
/*
 * Before an entry, what most entries have not: requests of other CPUs and of NMIs, events that wait, flushes;
 * and entries that did not take place. The usual entry is run.c's. SDM: "VM Entries", "VM-Entry Failures".
 */
#include "vmx/before_entry.h"

#include "kernel/cmdline.h"
#include "kernel/hw/cpu.h"
#include "kernel/desc.h"
#include "kernel/msr.h"
#include "kernel/panic.h"
#include "kernel/percpu.h"
#include "kernel/trap.h"
#include "kernel/x86.h"
#include "vmx/carry_out.h"
#include "vmx/guest/event.h"
#include "vmx/guest/outcome.h"
#include "vmx/guest/vcpu.h"
#include "vmx/hw/entry.h"
#include "vmx/hw/tlb.h"
#include "vmx/inject.h"
#include "vmx/l1/exit_msr.h"
#include "vmx/l1/late.h"
#include "vmx/monitor/monitor.h"
#include "vmx/monitor/step.h"
#include "vmx/nested/ept/ept02.h"
#include "vmx/nested/exit/event.h"
#include "vmx/nested/exit/reflect.h"
#include "vmx/nested/insn/insn.h"

static COLD void handle_requests(struct vcpu *vcpu)
{
	u64 request;

	/* It asks all CPUs, and so this one, to forget what they hold. */
	if (READ_ONCE(vcpu->request) & REQUEST_MTRRS_CHANGED)
		msr_apply_mtrrs(vcpu);
	request = __atomic_exchange_n(&vcpu->request, 0, __ATOMIC_ACQ_REL);
	if (request & REQUEST_EPT01_CHANGED) {
		tlb_flush_ept_all();
		nested_ept01_changed(vcpu);
	}
	if (request & REQUEST_STOP)
		cpu_halt_forever();
	if (request & REQUEST_NMI)
		vcpu->nmi_pending = true;
	if (request & REQUEST_MACHINE_CHECK)
		vcpu->machine_check_pending = true;
	if (request & REQUEST_MONITOR_NMI)
		monitor_take_nmi(vcpu);
	if (request & (REQUEST_MONITOR | REQUEST_MONITOR_NMI)) {
		step_look(vcpu);
		monitor_attend(vcpu);
		step_prepare(vcpu);
	}
}

/* The vCPU must not be entered without having seen it. */
static void request_before_entry(struct vcpu *vcpu, u64 request, struct trap_frame *frame)
{
	__atomic_fetch_or(&vcpu->request, request, __ATOMIC_RELEASE);
	if (frame->rip >= (u64)vmx_entry_begin && frame->rip < (u64)vmx_entry_end)
		frame->rip = (u64)vmx_entry_restart;
}

/* An NMI in L0: it is L1's, or the monitor's. */
static void nmi_hook(struct trap_frame *frame)
{
	struct vcpu *vcpu = percpu_this()->vcpu;

	if (vcpu)
		request_before_entry(vcpu, vcpu->wish.nmi ? REQUEST_MONITOR_NMI : REQUEST_NMI, frame);
}

/*
 * A machine check in L0: the banks are L1's, and so is it, if the processor can go on and L0 did not cause
 * it. One that is broadcast finds parked CPUs too, which are nobody's: they clear IA32_MCG_STATUS.MCIP, for a
 * second one would reset the machine. SDM: "Machine-Check Architecture", "Guidelines for Writing
 * Machine-Check Software".
 */
static bool machine_check_hook(struct trap_frame *frame)
{
	struct vcpu *vcpu = percpu_this()->vcpu;

	if (!late_machine_check_is_l1s())
		return false;
	if (vcpu)
		request_before_entry(vcpu, REQUEST_MACHINE_CHECK, frame);
	else
		wrmsr(MSR_IA32_MCG_STATUS, 0);
	return true;
}

static NORETURN void entry_failed(struct vcpu *vcpu, enum enter_result result)
{
	const char *level = vcpu->nested.in_l2 ? "L2" : "L1";

	if (result == ENTER_FAIL_INVALID)
		panic("VM entry of %s: no current VMCS", level);
	panic("VM entry of %s: VM-instruction error %llu", level,
	      (unsigned long long)vmcs_read(VMCS_vm_instruction_error));
}

/*
 * What L1 asked for passed our checks but not the processor's: L1's VMLAUNCH or VMRESUME fails as it
 * would there.
 */
static COLD void entry_of_l2_failed(struct vcpu *vcpu)
{
	enum outcome outcome = nested_hardware_vmfail(vcpu, (u32)vmcs_read(VMCS_vm_instruction_error));

	if (outcome != OUTCOME_RESUME && insn_finish(vcpu, outcome) == OUTCOME_SKIP)
		event_skip_instruction(vcpu);
}

/*
 * Before an entry for which something waits (vcpu->attention, vmcs->state). Events wait in vcpu->pending
 * until an entry has delivered them or an exit of their delivery gives them back.
 */
static void prepare_unusual(struct vcpu *vcpu)
{
	struct vmcs *vmcs;

	vcpu->entered_unusually = true;
	if (unlikely(vcpu->machine_check_pending))
		run_carry_out(vcpu, inject_machine_check(vcpu));
	/* L1's exit by the NMI, or L2's own: looked at again until it has gone one way or the other. */
	if (unlikely(vcpu->nmi_pending) && vcpu->nested.in_l2)
		run_carry_out(vcpu, nested_held_nmi(vcpu));
	vmcs = vcpu->vmcs;
	if (vcpu->nmi_pending | vcpu->pending_valid | vmcs->injecting | vmcs->nmi_window)
		inject_commit(vcpu);
}

/* Last: what L0 does behind it is in the buffers again. */
static inline void flush_buffers(struct vcpu *vcpu)
{
	regcache_flush(&vcpu->vmcs->cache);
	verw(GDT_DATA);
}

static NOINLINE void prepare_unusual_and_flush(struct vcpu *vcpu)
{
	prepare_unusual(vcpu);
	if (vcpu->vmcs->flushes)
		flush_buffers(vcpu);
}

/* Likewise, and of each VMCS with `flushes`, which alone is nothing unusual. */
static NOINLINE void run_prepare_usually(struct vcpu *vcpu)
{
	if (unlikely(vcpu->attention | (vcpu->vmcs->state ^ VMCS_LAUNCHED)))
		prepare_unusual_and_flush(vcpu);
	else
		flush_buffers(vcpu);
}

/* With trace=: the time comes behind what is done before the entry, and what it has left in the buffers is
 * flushed as well. */
static NOINLINE void run_prepare_traced(struct vcpu *vcpu)
{
	if (unlikely(vcpu->attention | (vcpu->vmcs->state ^ VMCS_LAUNCHED)))
		prepare_unusual_and_flush(vcpu);
	rdtsc_store(&vcpu_trace(vcpu, 0)->entry_tsc);
	if (vcpu->vmcs->flushes)
		flush_buffers(vcpu);
}

void (*run_prepare_more)(struct vcpu *vcpu) = run_prepare_usually;

COLD void run_not_entered(struct vcpu *vcpu, enum enter_result result)
{
	if (result == ENTER_REQUEST)
		handle_requests(vcpu);
	else if (result == ENTER_FAIL_VALID && vcpu->nested.in_l2)
		entry_of_l2_failed(vcpu);
	else
		entry_failed(vcpu, result);
}

void run_set_hooks(void)
{
	run_prepare_more = options.trace_size ? run_prepare_traced : run_prepare_usually;
	trap_set_nmi_hook(nmi_hook);
	trap_set_machine_check_hook(machine_check_hook);
}
