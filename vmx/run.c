/* SPDX-License-Identifier: MIT */
/*
 * The loop: registers in, entry; registers forgotten, exit counted and
 * handled, RIP moved. The one place where exits pass. What a handler does is
 * its own file's, what comes before an unusual entry before_entry.c's.
 * SDM: "VM Entries", "VM Exits".
 */
#include "vmx/run.h"

#include "kernel/hw/count.h"
#include "kernel/hw/cpu.h"
#include "kernel/panic.h"
#include "kernel/x86.h"
#include "vmx/hw/entry.h"
#include "vmx/hw/exits.h"
#include "vmx/guest/event.h"
#include "vmx/guest/exit_trace.h"
#include "vmx/l1/late.h"
#include "vmx/guest/outcome.h"
#include "vmx/guest/vcpu.h"
#include "vmx/nested/exit/event.h"
#include "vmx/nested/exit/exit.h"
#include "vmx/before_entry.h"
#include "vmx/carry_out.h"
#include "vmx/exit.h"
#include "vmx/nested/wish.h"
#include "vmx/monitor/step.h"

/* `level`: 1 or 2, whose exit it is; `row`: its exit_row(). */
static inline void trace(struct vcpu *vcpu, const struct vmcs *vmcs, u32 row, u32 level)
{
	struct trace_event *entry = trace_ring_next(&vcpu->counters.trace);

	vcpu->counters.trace.newest = entry;
	entry->head = row | level << 16;
	entry->rip = regcache_value(&vmcs->cache, REG_RIP);
	/* An MSR's number is in RCX; elsewhere nobody looks. */
	entry->subject = vcpu->gpr[GPR_RCX];
	rdtsc_store(&entry->exit_tsc);
}

/* Of exits with FACT_TRACED. */
static inline void trace_subject(struct vcpu *vcpu)
{
	vcpu_trace(vcpu, 0)->subject = vcpu_reg_hot(vcpu, REG_EXIT_QUALIFICATION);
}

/*
 * The exit's reason is no plain one: a reason newer than Socle, bits beside the basic reason, or an entry
 * that failed while it loaded guest state. False: L1 is to be entered again.
 */
static COLD bool exited_strangely(struct vcpu *vcpu)
{
	if (vcpu->nested.in_l2 || !(vcpu->exit_reason & EXIT_REASON_ENTRY_FAILURE)) {
		vcpu->entered_unusually = true;
		return true;
	}
	vcpu->vmcs->injecting = false;
	if (!late_mend(vcpu))
		panic("VM entry of L1 failed late: reason %u, qualification %llx", vcpu->exit_reason & 0xffff,
		      (unsigned long long)vcpu_reg(vcpu, REG_EXIT_QUALIFICATION));
	return false;
}

/* Before every entry. Requests are the entry's to find. */
static inline void prepare(struct vcpu *vcpu)
{
	if (unlikely(vcpu->attention | (vcpu->vmcs->before ^ VMCS_LAUNCHED)))
		run_prepare_more(vcpu);
	regcache_flush(&vcpu->vmcs->cache);
	hw_count_entry();
}

/*
 * Behind it: the register cache is forgotten before anything else can look. False: the guest has not run, and
 * is to be entered (again).
 */
static inline bool exited(struct vcpu *vcpu, enum enter_result result, u32 *row)
{
	struct vmcs *vmcs = vcpu->vmcs;
	u32 reason;

	if (unlikely(result != ENTER_EXITED)) {
		run_not_entered(vcpu, result);
		return false;
	}
	regcache_reset_to(&vmcs->cache, REG_RIP, vmcs_read_fast(VMCS_guest_rip));
	reason = (u32)vmcs_read_fast(VMCS_exit_reason);
	vcpu->exit_reason = reason;
	*row = reason;
	if (unlikely(reason >= EXIT_REASON_COUNT)) {
		*row = exit_row(reason);
		return exited_strangely(vcpu);
	}
	return true;
}

/* Who wants to see the exit before it is handled. It is the newest in the trace. */
static COLD void look(struct vcpu *vcpu, u32 row)
{
	if (exit_facts_table[row] & FACT_TRACED)
		trace_subject(vcpu);
	if (vcpu->looks & LOOK_TRACE)
		exit_trace_exit(vcpu, row);
	if ((vcpu->looks & LOOK_ABSENT) && row != EXIT_EPT_VIOLATION)
		absent_finish(vcpu);
	if (vcpu->looks & LOOK_BREAKS)
		step_exit(vcpu);
}

/* Behind an exit: what its entry has consumed, the first one of a VMCS, and who else is interested. */
static NOINLINE void note_exit(struct vcpu *vcpu, u32 row)
{
	struct vmcs *vmcs = vcpu->vmcs;

	/* What is to be seen only is soon over. */
	if (vcpu->behind == LOOK_TRACE) {
		exit_trace_exit(vcpu, row);
		return;
	}
	vcpu->entered_unusually = false;
	vmcs->injecting = false;
	if (!(vcpu->exit_reason & EXIT_REASON_ENTRY_FAILURE)) {
		vcpu->pending_valid = false;
		vmcs->launched = true;
		vcpu->launched = true;
	}
	if (vcpu->looks)
		look(vcpu, row);
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
static NOINLINE enum outcome handle_l2(struct vcpu *vcpu, u32 row)
{
	enum outcome outcome;

	trace(vcpu, vcpu->vmcs, row, 2);
	if (unlikely(vcpu->behind))
		note_exit(vcpu, row);
	if (unlikely(exit_facts_table[row] & FACT_TRACED))
		trace_subject(vcpu);
	vcpu->counters.exits_l2[row]++;
	outcome = nested_exit(vcpu);
	if (unlikely(outcome == OUTCOME_NONE))
		outcome = handle_l2_as_l0(vcpu);
	else if (unlikely(outcome > OUTCOME_AGAIN))
		outcome = run_carry_out(vcpu, outcome);
	if (!vcpu->nested.in_l2) {
		vcpu->counters.exits_reflected[row]++;
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

/* An exit of L1's about which there is more to say, or that may have broken off an event's delivery. */
static NOINLINE void look_closer(struct vcpu *vcpu, u32 facts)
{
	if (facts & FACT_TRACED)
		trace_subject(vcpu);
	if (facts & FACT_BREAKS)
		event_requeue_vectoring(vcpu);
}

static inline enum outcome handle_l1(struct vcpu *vcpu, const struct vmcs *vmcs, u32 row)
{
	trace(vcpu, vmcs, row, 1);
	if (unlikely(vcpu->behind))
		note_exit(vcpu, row);
	vcpu->counters.exits_l1[row]++;
	if (unlikely(exit_facts_table[row] & (FACT_TRACED | FACT_BREAKS)))
		look_closer(vcpu, exit_facts_table[row]);
	return exit_handlers[row](vcpu);
}

/* What skip_from() has read past the register cache is read again, and both count. */
static COLD void skip_unusually(struct vcpu *vcpu, bool has_read_rflags)
{
	u64 *reads = vcpu->counters.registers.reads;

	reads[REG_EXIT_INSTRUCTION_LENGTH]++;
	reads[REG_INTERRUPTIBILITY]++;
	reads[REG_RFLAGS] += has_read_rflags;
	event_skip_instruction(vcpu);
}

/*
 * event_skip_instruction() where nothing but RIP changes: no trap flag, no blocking that ends. RIP is known
 * (exited()) and goes into the VMCS at once; what is read here nobody looks at again before the entry.
 */
static ALWAYS_INLINE void skip_from(struct vcpu *vcpu, u64 rip, u64 rflags, u64 *count)
{
	u64 next = rip + vcpu_reg_past(vcpu, REG_EXIT_INSTRUCTION_LENGTH);
	u64 unusual =
		vcpu_reg_past(vcpu, REG_INTERRUPTIBILITY) & (INTERRUPTIBILITY_STI | INTERRUPTIBILITY_MOV_SS);

	unusual |= rflags & (RFLAGS_TF | RFLAGS_RF);
	if (unlikely(unusual | (rip ^ next) >> 32)) {
		skip_unusually(vcpu, count == &vcpu->counters.skips);
		return;
	}
	++*count;
	vcpu_write_reg_hot(vcpu, REG_RIP, next);
}

static inline void skip_instruction(struct vcpu *vcpu)
{
	const struct regcache *cache = &vcpu->vmcs->cache;
	u64 rip = regcache_value(cache, REG_RIP);

	if (unlikely(regcache_has_any(cache, BIT(REG_INTERRUPTIBILITY) | BIT(REG_EXIT_INSTRUCTION_LENGTH))))
		event_skip_instruction(vcpu);
	else if (regcache_has_any(cache, BIT(REG_RFLAGS)))
		skip_from(vcpu, rip, regcache_value(cache, REG_RFLAGS), &vcpu->counters.knowing_skips);
	else
		skip_from(vcpu, rip, vcpu_reg_past(vcpu, REG_RFLAGS), &vcpu->counters.skips);
}

static NOINLINE void skip_instruction_of_l2(struct vcpu *vcpu)
{
	skip_instruction(vcpu);
	run_carry_out(vcpu, nested_after_skip(vcpu));
}

void vcpu_run(struct vcpu *vcpu)
{
	run_set_hooks();
	panic_set_dump(run_panic_dump);
	for (;;) {
		enum enter_result result;
		const struct vmcs *vmcs;
		enum outcome outcome;
		u32 row;

		prepare(vcpu);
		vcpu = vmx_enter(vcpu, &result);
		vmcs = vcpu->vmcs;
		if (unlikely(!exited(vcpu, result, &row)))
			continue;
		if (likely(!vcpu->nested.in_l2)) {
			outcome = handle_l1(vcpu, vmcs, row);
			if (likely(outcome == OUTCOME_SKIP)) {
				skip_instruction(vcpu);
				continue;
			}
		} else {
			outcome = handle_l2(vcpu, row);
			if (outcome == OUTCOME_SKIP) {
				skip_instruction_of_l2(vcpu);
				continue;
			}
		}
		if (unlikely(outcome > OUTCOME_SKIP))
			act_seldom(vcpu, outcome);
	}
}
