/* SPDX-License-Identifier: MIT */
/*
 * An exit is noted before it is handled, and judged before the next entry, when all that the instruction
 * leads to has been done: RIP has moved, or L1 runs in L2's place. Steps are the monitor trap flag's, but an
 * instruction that L0 emulates, and a switch of levels, are boundaries without it. L1's own monitor trap flag
 * over L2 is not touched: both make the same exit, and it is L1's.
 * SDM: "Monitor Trap Flag", "Debug Exceptions".
 */
#include "vmx/monitor/step.h"

#include "kernel/percpu.h"
#include "kernel/print.h"
#include "kernel/string.h"
#include "kernel/x86.h"
#include "vmx/guest/event.h"
#include "vmx/hw/exits.h"
#include "vmx/l1/closed.h"
#include "vmx/monitor/break.h"
#include "vmx/monitor/control.h"
#include "vmx/monitor/output.h"
#include "vmx/nested/nested.h"
#include "vmx/nested/wish.h"

#define WAITS_MAX 50u /* ends of the timer, a second */

static struct stop last; /* the CPU's whose turn it is */
static u32 order;	 /* any CPU, atomic: written by the one that has the turn. Earlier ones are void */

static u64 linear_rip(struct vcpu *vcpu)
{
	u64 rip = vcpu_reg(vcpu, REG_RIP);

	return vcpu_is_64bit(vcpu) ? rip : (u32)(rip + vcpu_reg(vcpu, REG_SEG_BASE(SEG_CS)));
}

/* A CPU may stand far from a step when the machine stops for something else: what is asked then counts. */
static bool is_ordered(const struct debugged *d)
{
	return d->order == __atomic_load_n(&order, __ATOMIC_ACQUIRE);
}

/* ---- exits ---- */

void step_exit(struct vcpu *vcpu)
{
	struct debugged *d = &vcpu->debugged;
	u32 reason = vcpu->exit_reason & 0xffff;

	d->exited = true;
	d->exit_level = (u8)vcpu->guest->level;
	d->exit_reason = vcpu->exit_reason;
	d->exit_rip = linear_rip(vcpu);
	d->entry_failures = vcpu->nested.counters.entry_failures;
	if (reason == EXIT_VMLAUNCH || reason == EXIT_VMRESUME)
		d->exit_next = d->exit_rip + vcpu_reg(vcpu, REG_EXIT_INSTRUCTION_LENGTH);
	event_set_step(vcpu, STEP_DEBUG, false);
	if (!d->hit && break_wants_exits())
		d->hit = (u16)break_of_exit(vcpu);
	control_request_this(vcpu);
}

/* Whether the guest may touch a closed page: all may but an instruction with a breakpoint, met anew. */
static bool asked(struct vcpu *vcpu, gpa_t gpa, u32 access)
{
	struct debugged *d = &vcpu->debugged;
	u64 rip = linear_rip(vcpu);
	unsigned int hit = access & EPT_EXEC ? break_at(vcpu->guest->level, rip, gpa) : 0;

	vcpu->looks |= LOOK_BREAKS;
	control_request_this(vcpu);
	if (hit && !(d->passing && d->passing_level == vcpu->guest->level && d->passing_rip == rip)) {
		d->exit_level = (u8)vcpu->guest->level;
		d->exit_reason = vcpu->exit_reason;
		d->exit_rip = rip;
		d->hit = (u16)hit;
		return false;
	}
	if (access & EPT_WRITE)
		d->writing = true;
	/* The walk of the guest's tables is none of its instruction's accesses. */
	if (!d->accessed && (access & (EPT_READ | EPT_WRITE)) &&
	    (vcpu_reg(vcpu, REG_EXIT_QUALIFICATION) & EPTV_TRANSLATED))
		d->accessed = (u16)break_of_access(vcpu, gpa, access);
	return true;
}

void step_init(void)
{
	closed_ask(asked);
}

/* ---- what came of it ---- */

/* SDM "VM-Entry Failures": VMfail leaves L1 behind the instruction, a late failure at its host state. */
static bool entry_has_failed(struct vcpu *vcpu)
{
	const struct debugged *d = &vcpu->debugged;
	u32 reason = d->exit_reason & 0xffff;

	if (vcpu->nested.counters.entry_failures != d->entry_failures)
		return true;
	return d->exit_level == 1 && (reason == EXIT_VMLAUNCH || reason == EXIT_VMRESUME) &&
	       vcpu->guest->level == 1 && linear_rip(vcpu) == d->exit_next;
}

/*
 * The others stand still, so that nobody ends its wait. One that has been sent to wait for a SIPI has no exit
 * any more at which Socle could look, whether it is stepped or just goes on.
 */
static bool waits_for_sipi(struct vcpu *vcpu)
{
	return control_is_alone(vcpu) && control_waits_for_sipi(vcpu);
}

/* Another one's SIPI may be on its way, and would be lost: what there is to tell is told behind it. */
static bool goes_first(struct vcpu *vcpu)
{
	return !control_is_alone(vcpu) && control_waits_for_sipi(vcpu);
}

static bool waits_for_ever(struct vcpu *vcpu)
{
	struct debugged *d = &vcpu->debugged;

	return control_is_alone(vcpu) && (d->exit_reason & 0xffff) == EXIT_PREEMPTION_TIMER &&
	       ++d->waits >= WAITS_MAX;
}

static void judge_steps(struct vcpu *vcpu, u8 level, u64 rip, bool mtf)
{
	struct debugged *d = &vcpu->debugged;

	if (!d->steps || !is_ordered(d))
		return;
	if (waits_for_ever(vcpu))
		d->hit = HIT_WAITS;
	if ((d->step_level && d->step_level != level) ||
	    (!mtf && level == d->from_level && rip == d->from_rip))
		return;
	d->from_level = level;
	d->from_rip = rip;
	if (!--d->steps && !d->hit)
		d->hit = HIT_STEP;
}

static void judge(struct vcpu *vcpu)
{
	struct debugged *d = &vcpu->debugged;
	u8 level = (u8)vcpu->guest->level;
	u64 rip = linear_rip(vcpu);
	bool mtf = d->exit_reason == EXIT_MTF && d->exit_level == level;

	/* A CPU that starts anew comes to its first instruction anew, also where it was at that one before.
	 */
	if (d->passing_level == level &&
	    (mtf || rip != d->passing_rip || (d->exit_reason & 0xffff) == EXIT_SIPI))
		d->passing = false;
	if ((d->writing || d->accessed) && (d->exit_reason & 0xffff) != EXIT_EPT_VIOLATION) {
		unsigned int hit = d->writing ? break_of_write(vcpu) : 0;

		if (!d->hit)
			d->hit = hit ? (u16)hit : d->accessed;
		d->writing = false;
		d->accessed = 0;
	}
	if (!d->hit && break_of_entry() && entry_has_failed(vcpu))
		d->hit = (u16)break_of_entry();
	if (waits_for_sipi(vcpu))
		d->hit = HIT_WAITS;
	judge_steps(vcpu, level, rip, mtf);
}

bool step_describe(struct vcpu *vcpu, char *text, size_t size)
{
	const struct debugged *d = &vcpu->debugged;
	const struct breakpoint *b = break_get(last.hit);

	if (b)
		print_format(text, size, "breakpoint %u: cpu %u, L%u at %llx, exit %s; L%u goes on at %llx\n",
			     last.hit, last.cpu, last.level, LL(last.rip),
			     exit_reason_name(d->exit_reason & 0xffff), vcpu->guest->level,
			     LL(linear_rip(vcpu)));
	return b;
}

static void tell(struct vcpu *vcpu)
{
	char text[152];

	if (step_describe(vcpu, text, sizeof(text)))
		output_text(text, strlen(text));
	else
		output("step: cpu %u, L%u at %llx%s", last.cpu, vcpu->guest->level, LL(linear_rip(vcpu)),
		       last.hit == HIT_WAITS ? ", which waits" : "");
}

/* The machine stops for it, unless another CPU stops it now: then it is told when that has ended. */
static void stop_for(struct vcpu *vcpu)
{
	struct debugged *d = &vcpu->debugged;
	bool stepped = d->hit >= HIT_STEP;

	if (stepped ? !is_ordered(d) : !break_get(d->hit)) {
		d->hit = 0;
		return;
	}
	if (control_end_alone(vcpu))
		;
	else if (control_stop(vcpu))
		output_text("\n", 1); /* behind the prompt */
	else
		return;
	last = (struct stop){ .cpu = vcpu->cpu->id, .hit = d->hit };
	last.level = stepped ? (u8)vcpu->guest->level : d->exit_level;
	last.rip = stepped ? linear_rip(vcpu) : d->exit_rip;
	d->hit = 0;
	d->steps = 0;
	d->passing = true;
	d->passing_level = (u8)vcpu->guest->level;
	d->passing_rip = linear_rip(vcpu);
	tell(vcpu);
}

void step_look(struct vcpu *vcpu)
{
	struct debugged *d = &vcpu->debugged;

	if (d->exited)
		judge(vcpu);
	d->exited = false;
	if (d->hit && !goes_first(vcpu))
		stop_for(vcpu);
}

/*
 * The wish for exceptions is this CPU's to change, and needs vmcs01: not in the middle of a step over absent
 * memory, which is over at the next exit.
 */
static void follow_exceptions(struct vcpu *vcpu, u32 vectors)
{
	if (vcpu->vmcs->steps & STEP_ABSENT)
		vcpu->looks |= LOOK_BREAKS;
	else
		wish_watch(vcpu, vectors);
}

void step_prepare(struct vcpu *vcpu)
{
	struct debugged *d = &vcpu->debugged;
	bool steps;

	if (!is_ordered(d))
		d->steps = 0;
	steps = d->steps && (!d->step_level || d->step_level == vcpu->guest->level);
	if (waits_for_sipi(vcpu))
		d->hit = HIT_WAITS;
	/* Told before the guest runs. */
	if (d->hit && !goes_first(vcpu))
		control_request_this(vcpu);
	/* While the machine stands still, one that goes alone, or into a wait, stops behind its next exit. */
	if (d->steps || d->hit || d->passing || d->writing || d->accessed || break_wants_exits() ||
	    control_is_stopped())
		vcpu->looks |= LOOK_BREAKS;
	else
		vcpu->looks &= (u8)~LOOK_BREAKS;
	if (vcpu->wish.watched != break_exceptions())
		follow_exceptions(vcpu, break_exceptions());
	event_set_step(vcpu, STEP_DEBUG, steps);
}

void step_begin(struct vcpu *vcpu, u32 count, unsigned int level)
{
	struct debugged *d = &vcpu->debugged;

	d->order = __atomic_add_fetch(&order, 1, __ATOMIC_ACQ_REL);
	if (d->hit >= HIT_STEP)
		d->hit = 0;
	d->steps = count;
	d->step_level = (u8)level;
	d->from_level = (u8)vcpu->guest->level;
	d->from_rip = linear_rip(vcpu);
	d->waits = 0;
}

const struct stop *step_last_stop(void)
{
	return &last;
}

void step_note_stop(struct vcpu *vcpu)
{
	last = (struct stop){ .cpu = vcpu->cpu->id,
			      .level = (u8)vcpu->guest->level,
			      .rip = linear_rip(vcpu) };
}
