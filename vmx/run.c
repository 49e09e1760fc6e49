/* SPDX-License-Identifier: MIT */
/*
 * The loop: requests, events, registers in, entry; registers forgotten, exit
 * counted and handled, RIP moved. The one place where exits pass and where a
 * VM entry of L0's own can fail. What a handler does is its own file's.
 * SDM: "VM Entries", "VM Exits".
 */
#include "kernel/hw/cpu.h"
#include "kernel/log.h"
#include "kernel/panic.h"
#include "kernel/percpu.h"
#include "kernel/trap.h"
#include "vmx/entry.h"
#include "vmx/event.h"
#include "vmx/exit.h"
#include "vmx/tlb.h"
#include "vmx/vcpu.h"

/* Exits that can break off an event's delivery. */
#define EXITS_VECTORING                                                                                      \
	(BIT(EXIT_EXCEPTION_NMI) | BIT(EXIT_TASK_SWITCH) | BIT(EXIT_APIC_ACCESS) | BIT(EXIT_EPT_VIOLATION) | \
	 BIT(EXIT_EPT_MISCONFIG) | BIT(EXIT_PML_FULL))

/* Exits whose qualification says something for the trace. */
#define EXITS_QUALIFIED                                                                                      \
	(BIT(EXIT_EXCEPTION_NMI) | BIT(EXIT_SIPI) | BIT(EXIT_TASK_SWITCH) | BIT(EXIT_INVLPG) |               \
	 BIT(EXIT_CR_ACCESS) | BIT(EXIT_DR_ACCESS) | BIT(EXIT_IO) | BIT(EXIT_APIC_ACCESS) |                  \
	 BIT(EXIT_EPT_VIOLATION))

static bool is_one_of(u64 exits, u32 reason)
{
	return reason < 64 && (exits >> reason & 1);
}

static void trace(struct vcpu *vcpu, u32 reason)
{
	struct trace_entry *entry = &vcpu->trace[vcpu->trace_next++ % TRACE_COUNT];

	entry->reason = (u16)reason;
	entry->level = vcpu->nested.in_l2 ? 2 : 1;
	entry->reflected = false;
	entry->rip = vcpu_reg(vcpu, REG_RIP);
	entry->qualification = is_one_of(EXITS_QUALIFIED, reason) ? vcpu_reg(vcpu, REG_EXIT_QUALIFICATION) : 0;
	entry->tsc = rdtsc();
}

static void count(struct vcpu *vcpu, u32 reason)
{
	ASSERT(reason < EXIT_REASON_COUNT);
	if (vcpu->nested.in_l2)
		vcpu->exits_l2[reason]++;
	else
		vcpu->exits_l1[reason]++;
}

static void handle_requests(struct vcpu *vcpu)
{
	u64 request = __atomic_exchange_n(&vcpu->request, 0, __ATOMIC_ACQ_REL);

	if (request & REQUEST_EPT01_CHANGED) {
		tlb_flush_ept_all();
		nested_ept01_changed(vcpu);
	}
	if (request & REQUEST_STOP)
		cpu_halt_forever();
	if (request & REQUEST_NMI)
		vcpu->nmi_pending = true;
}

/* An NMI in L0: it is L1's, and the vCPU must not be entered without having seen it. */
static void nmi_hook(struct trap_frame *frame)
{
	struct vcpu *vcpu = percpu_this()->vcpu;

	if (!vcpu)
		return;
	__atomic_fetch_or(&vcpu->request, REQUEST_NMI, __ATOMIC_RELEASE);
	if (frame->rip >= (u64)vmx_entry_begin && frame->rip < (u64)vmx_entry_end)
		frame->rip = (u64)vmx_entry_restart;
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
static void entry_of_l2_failed(struct vcpu *vcpu)
{
	if (nested_hardware_vmfail(vcpu, (u32)vmcs_read(VMCS_vm_instruction_error)) == ACTION_SKIP)
		event_skip_instruction(vcpu);
}

/*
 * Events wait in vcpu->pending until an entry has delivered them or an exit of their delivery gives
 * them back.
 */
static void enter(struct vcpu *vcpu)
{
	enum enter_result result;

	for (;;) {
		if (unlikely(READ_ONCE(vcpu->request)))
			handle_requests(vcpu);
		/*
		 * L1's exit by the NMI, or L2's own: looked at again until it has gone one way or the
		 * other.
		 */
		if (unlikely(vcpu->nmi_pending) && vcpu->nested.in_l2)
			nested_nmi(vcpu);
		event_commit(vcpu);
		regcache_flush(&vcpu->vmcs->cache);
		vcpu->launched = vcpu->vmcs->launched;
		result = vmx_enter(vcpu);
		if (likely(result == ENTER_EXITED))
			break;
		if (result == ENTER_FAIL_VALID && vcpu->nested.in_l2)
			entry_of_l2_failed(vcpu);
		else if (result != ENTER_REQUEST)
			entry_failed(vcpu, result);
	}
	regcache_reset(&vcpu->vmcs->cache);
	vcpu->exit_reason = (u32)vmcs_read(VMCS_exit_reason);
	vcpu->vmcs->injecting = false;
	vcpu->pending_valid = false;
	if (likely(!(vcpu->exit_reason & EXIT_REASON_ENTRY_FAILURE)))
		vcpu->vmcs->launched = true;
	else if (!vcpu->nested.in_l2)
		panic("VM entry of L1 failed late: reason %u, qualification %llx", vcpu->exit_reason & 0xffff,
		      (unsigned long long)vcpu_reg(vcpu, REG_EXIT_QUALIFICATION));
}

/* Reports, stops the other CPUs at their next exit, and this one for good. */
static NORETURN void stop(struct vcpu *vcpu)
{
	(void)vcpu;
	for (u32 i = 0; i < percpu_count(); i++) {
		struct vcpu *other = percpu_get(i)->vcpu;

		if (other)
			__atomic_fetch_or(&other->request, REQUEST_STOP, __ATOMIC_RELEASE);
	}
	cpu_halt_forever();
}

static void dump_trace(const struct vcpu *vcpu)
{
	for (u32 back = 1; back <= 16 && back <= vcpu->trace_next; back++) {
		const struct trace_entry *entry = &vcpu->trace[(vcpu->trace_next - back) % TRACE_COUNT];

		log_error("  -%u: L%u %s%s rip %llx qualification %llx tsc %llu", back, entry->level,
			  exit_reason_name(entry->reason), entry->reflected ? " (to L1)" : "",
			  (unsigned long long)entry->rip, (unsigned long long)entry->qualification,
			  (unsigned long long)entry->tsc);
	}
}

void run_dump(void)
{
	struct vcpu *vcpu = percpu_this()->vcpu;

	if (!vcpu || !vcpu->vmcs)
		return;
	log_error("CPU %u, %s current, exit %s (%x), %s", vcpu->cpu->id,
		  vcpu->vmcs == &vcpu->vmcs01 ? "vmcs01" : "vmcs02",
		  exit_reason_name(vcpu->exit_reason & 0xffff), vcpu->exit_reason,
		  vcpu->nested.in_l2   ? "L2 ran"
		  : vcpu->nested.vmxon ? "L1 ran in VMX operation"
				       : "L1 ran");
	log_error("  rip %llx rsp %llx cr0 %llx cr3 %llx cr4 %llx efer %llx",
		  (unsigned long long)vcpu_reg(vcpu, REG_RIP), (unsigned long long)vcpu_reg(vcpu, REG_RSP),
		  (unsigned long long)vcpu_reg(vcpu, REG_CR0), (unsigned long long)vcpu_reg(vcpu, REG_CR3),
		  (unsigned long long)vcpu_reg(vcpu, REG_CR4), (unsigned long long)vcpu_reg(vcpu, REG_EFER));
	log_error("  rflags %llx cs %llx/%llx/%llx ss-ar %llx activity %llu interruptibility %llx",
		  (unsigned long long)vcpu_reg(vcpu, REG_RFLAGS),
		  (unsigned long long)vcpu_reg(vcpu, REG_CS_SELECTOR),
		  (unsigned long long)vcpu_reg(vcpu, REG_CS_BASE),
		  (unsigned long long)vcpu_reg(vcpu, REG_CS_AR),
		  (unsigned long long)vcpu_reg(vcpu, REG_SS_AR),
		  (unsigned long long)vcpu_reg(vcpu, REG_ACTIVITY),
		  (unsigned long long)vcpu_reg(vcpu, REG_INTERRUPTIBILITY));
	dump_trace(vcpu);
}

void vcpu_run(struct vcpu *vcpu)
{
	trap_set_nmi_hook(nmi_hook);
	panic_set_dump(run_dump);
	for (;;) {
		enum action action;
		u32 reason;

		enter(vcpu);
		reason = vcpu->exit_reason & 0xffff;
		trace(vcpu, reason);
		count(vcpu, reason);
		if (unlikely(vcpu->absent.stepping) && reason != EXIT_EPT_VIOLATION)
			absent_finish(vcpu);
		if (vcpu->nested.in_l2) {
			action = nested_exit(vcpu);
			if (!vcpu->nested.in_l2)
				vcpu->exits_reflected[reason]++;
		} else {
			if (unlikely(is_one_of(EXITS_VECTORING, reason)))
				event_requeue_vectoring(vcpu);
			action = exit_dispatch(vcpu);
		}
		if (action == ACTION_SKIP) {
			event_skip_instruction(vcpu);
			if (unlikely(vcpu->nested.in_l2))
				action = nested_after_skip(vcpu);
		}
		if (unlikely(action == ACTION_STOP))
			stop(vcpu);
	}
}
