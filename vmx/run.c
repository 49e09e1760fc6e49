/* SPDX-License-Identifier: MIT */
/*
 * The loop: requests, events, registers in, entry; registers forgotten, exit
 * counted and handled, RIP moved. The one place where exits pass and where a
 * VM entry of L0's own can fail. What a handler does is its own file's.
 * SDM: "VM Entries", "VM Exits".
 */
#include "vmx/run.h"

#include "drivers/apic.h"
#include "drivers/reset.h"
#include "kernel/cmdline.h"
#include "kernel/hw/count.h"
#include "kernel/hw/cpu.h"
#include "kernel/log.h"
#include "kernel/msr.h"
#include "kernel/panic.h"
#include "kernel/percpu.h"
#include "kernel/trap.h"
#include "kernel/x86.h"
#include "vmx/hw/entry.h"
#include "vmx/hw/exits.h"
#include "vmx/guest/event.h"
#include "vmx/guest/exit_trace.h"
#include "vmx/inject.h"
#include "vmx/l1/late.h"
#include "vmx/hw/tlb.h"
#include "vmx/guest/outcome.h"
#include "vmx/guest/vcpu.h"
#include "vmx/nested/ept/ept02.h"
#include "vmx/nested/exit/event.h"
#include "vmx/nested/exit/exit.h"
#include "vmx/nested/exit/reflect.h"
#include "vmx/nested/insn/insn.h"
#include "vmx/nested/vmcs12/vmcs12.h"
#include "vmx/l1/exit_msr.h"
#include "vmx/crash.h"
#include "vmx/exit.h"
#include "vmx/wish.h"
#include "vmx/monitor/monitor.h"
#include "vmx/monitor/step.h"

/* Behind a test that hardly ever succeeds: so that the test itself is one comparison with memory. */
static inline void read_again(void)
{
	__atomic_signal_fence(__ATOMIC_SEQ_CST);
}

static inline void trace(struct vcpu *vcpu, struct vmcs *vmcs, u32 reason)
{
	struct trace_event *entry = trace_ring_next(&vcpu->counters.trace);

	vcpu->counters.trace.newest = entry;
	entry->reason = (u16)reason;
	entry->level = vcpu->nested.in_l2 ? 2 : 1;
	entry->flags = 0;
	entry->rip = regcache_read_hot(&vmcs->cache, &vcpu->counters.registers, REG_RIP);
	/* An MSR's number is in RCX; elsewhere nobody looks. */
	entry->subject = exit_facts(reason) & FACT_TRACED ? vcpu_reg(vcpu, REG_EXIT_QUALIFICATION)
							  : vcpu->gpr[GPR_RCX];
	entry->exit_tsc = rdtsc();
}

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
 * Events wait in vcpu->pending until an entry has delivered them or an exit of their delivery gives
 * them back.
 */
static inline void prepare(struct vcpu *vcpu)
{
	struct vmcs *vmcs;

	if (unlikely(READ_ONCE(vcpu->request)))
		handle_requests(vcpu);
	if (unlikely(vcpu->machine_check_pending))
		run_carry_out(vcpu, inject_machine_check(vcpu));
	/* L1's exit by the NMI, or L2's own: looked at again until it has gone one way or the other. */
	if (unlikely(vcpu->nmi_pending) && vcpu->nested.in_l2)
		run_carry_out(vcpu, nested_held_nmi(vcpu));
	vmcs = vcpu->vmcs;
	if (unlikely(vcpu->nmi_pending | vcpu->pending_valid | vmcs->injecting | vmcs->nmi_window))
		inject_commit(vcpu);
	regcache_flush_hot(&vmcs->cache, &vcpu->counters.registers);
	vcpu->launched = vmcs->launched;
	if (unlikely(vcpu->before_entry)) {
		read_again();
		if (vcpu->before_entry & BEFORE_ENTRY_TRACE)
			exit_trace_entry(vcpu);
		/* Last: what L0 does behind it is in the buffers again. */
		if ((vcpu->before_entry & BEFORE_ENTRY_FLUSH) && vcpu->nested.in_l2)
			verw(GDT_DATA);
	}
}

/*
 * Runs the guest until it exits; the register cache is forgotten before anything else can look. False: it has
 * not run, and is to be entered (again).
 */
static inline bool enter(struct vcpu *vcpu)
{
	enum enter_result result;
	struct vmcs *vmcs;
	u32 reason;

	prepare(vcpu);
	HW_COUNT(ENTRY);
	result = vmx_enter(vcpu);
	if (unlikely(result != ENTER_EXITED)) {
		if (result == ENTER_FAIL_VALID && vcpu->nested.in_l2)
			entry_of_l2_failed(vcpu);
		else if (result != ENTER_REQUEST)
			entry_failed(vcpu, result);
		return false;
	}
	vmcs = vcpu->vmcs;
	regcache_reset(&vmcs->cache);
	reason = (u32)vmcs_read_fast(VMCS_exit_reason);
	vcpu->exit_reason = reason;
	vmcs->injecting = false;
	if (likely(!(reason & EXIT_REASON_ENTRY_FAILURE))) {
		vcpu->pending_valid = false;
		vmcs->launched = true;
		return true;
	}
	if (vcpu->nested.in_l2)
		return true;
	if (!late_mend(vcpu))
		panic("VM entry of L1 failed late: reason %u, qualification %llx", reason & 0xffff,
		      (unsigned long long)vcpu_reg(vcpu, REG_EXIT_QUALIFICATION));
	return false;
}

/* The other CPUs stop before their next entry; the NMI makes them exit now. */
static void stop_others(void)
{
	const struct percpu *self = percpu_this();

	for (u32 i = 0; i < percpu_count(); i++) {
		const struct percpu *cpu = percpu_get(i);

		if (cpu == self || !cpu->vcpu)
			continue;
		__atomic_fetch_or(&cpu->vcpu->request, REQUEST_STOP, __ATOMIC_RELEASE);
		apic_send_nmi(cpu->apic_id);
	}
}

/* As boards do after a shutdown, but so much later that the reason can be read. */
static NORETURN void stop(void)
{
	crash_report();
	stop_others();
	if (options.stop_resets) {
		log_error("stopped; the machine is reset in %u seconds (on-stop=halt leaves it as it is)",
			  options.stop_seconds);
		for (u32 i = 0; i < options.stop_seconds; i++)
			apic_delay(1000000);
		reset_machine();
	}
	log_error("halted");
	cpu_halt_forever();
}

static void panic_dump(void)
{
	stop_others();
	crash_report();
	crash_stack();
}

/* Reasons of processors newer than Socle are counted together: as the last one. */
static inline u32 counted(u32 reason)
{
	return likely(reason < EXIT_REASON_COUNT) ? reason : EXIT_REASON_COUNT - 1;
}

enum outcome run_carry_out(struct vcpu *vcpu, enum outcome outcome)
{
	for (;;) {
		switch (outcome) {
		case OUTCOME_STOP: stop();
		case OUTCOME_FAULT: outcome = inject_fault(vcpu); break;
		case OUTCOME_REFLECT:
		case OUTCOME_ENTRY_FAILURE: outcome = nested_end_l2(vcpu, outcome); break;
		default: return outcome;
		}
	}
}

/* An exit of L2's that L1 does not want. */
static enum outcome handle_l2_as_l0(struct vcpu *vcpu)
{
	enum outcome outcome = run_carry_out(vcpu, exit_dispatch(vcpu));

	if (unlikely(vcpu->wish.pf_alternates) && vcpu->nested.in_l2)
		wish_alternate_pf(vcpu);
	return outcome;
}

/* L2's exit: L1's, or L0's own. */
static enum outcome handle_l2(struct vcpu *vcpu, u32 reason)
{
	enum outcome outcome;

	vcpu->counters.exits_l2[counted(reason)]++;
	outcome = nested_exit(vcpu);
	if (unlikely(outcome == OUTCOME_NONE))
		outcome = handle_l2_as_l0(vcpu);
	else if (unlikely(outcome > OUTCOME_AGAIN))
		outcome = run_carry_out(vcpu, outcome);
	if (!vcpu->nested.in_l2) {
		vcpu->counters.exits_reflected[counted(reason)]++;
		vcpu_trace(vcpu, 0)->flags = TRACE_TO_L1;
	}
	return outcome;
}

/* Behind the handling of an exit, where the instruction is neither over nor to be tried again. */
static void act_seldom(struct vcpu *vcpu, enum outcome outcome)
{
	if (outcome == OUTCOME_AGAIN) {
		event_finish_iteration(vcpu);
		outcome = vcpu->nested.in_l2 ? nested_after_skip(vcpu) : OUTCOME_RESUME;
	}
	run_carry_out(vcpu, outcome);
}

static inline enum outcome handle_l1(struct vcpu *vcpu, u32 reason)
{
	vcpu->counters.exits_l1[counted(reason)]++;
	if (unlikely(exit_facts(reason) & FACT_BREAKS))
		event_requeue_vectoring(vcpu);
	return exit_dispatch(vcpu);
}

/* Who wants to see the exit before it is handled. */
static COLD void look(struct vcpu *vcpu, u32 reason)
{
	if ((vcpu->looks & LOOK_ABSENT) && reason != EXIT_EPT_VIOLATION)
		absent_finish(vcpu);
	if (vcpu->looks & LOOK_BREAKS)
		step_exit(vcpu);
}

void vcpu_run(struct vcpu *vcpu)
{
	trap_set_nmi_hook(nmi_hook);
	trap_set_machine_check_hook(machine_check_hook);
	panic_set_dump(panic_dump);
	for (;;) {
		enum outcome outcome;
		u32 reason;

		if (unlikely(!enter(vcpu)))
			continue;
		reason = vcpu->exit_reason & 0xffff;
		trace(vcpu, vcpu->vmcs, reason);
		if (unlikely(vcpu->looks)) {
			read_again();
			if (vcpu->looks & LOOK_TRACE)
				exit_trace_exit(vcpu, reason);
			if (vcpu->looks & ~LOOK_TRACE)
				look(vcpu, reason);
		}
		outcome = vcpu->nested.in_l2 ? handle_l2(vcpu, reason) : handle_l1(vcpu, reason);
		if (likely(outcome == OUTCOME_SKIP)) {
			event_skip_instruction(vcpu);
			if (unlikely(vcpu->nested.in_l2))
				outcome = nested_after_skip(vcpu);
		}
		if (unlikely(outcome > OUTCOME_SKIP))
			act_seldom(vcpu, outcome);
	}
}
