/* SPDX-License-Identifier: MIT */
/*
 * When a CPU's guest has come to what a person waits for: breakpoints that are met, and steps.
 */
#ifndef VMX_MONITOR_STEP_H
#define VMX_MONITOR_STEP_H

#include "vmx/guest/vcpu.h"

/* In the place of a breakpoint's number. */
#define HIT_STEP 0x100u	 /* the steps are done */
#define HIT_WAITS 0x101u /* they are not, but the guest waits: it is left where it is */

/* What stopped the machine last. */
struct stop {
	u32 cpu;
	u8 level;	  /* of the guest whose instruction or exit it was */
	unsigned int hit; /* 0: a person did; else a breakpoint's number or HIT_* */
	u64 rip;	  /* linear, of that guest */
};

/* BSP, once. */
void step_init(void);

/* ---- the run loop's ---- */

/* LOOK_BREAKS: an exit, before it is handled. */
void step_exit(struct vcpu *vcpu);
/* REQUEST_MONITOR, before an entry: looks at what has come of the exit, and may stop the machine. */
void step_look(struct vcpu *vcpu);
/* And behind that, when this CPU's guest goes on. */
void step_prepare(struct vcpu *vcpu);

/* ---- commands, on the CPU with the turn while the machine stands still ---- */

/*
 * From control_go() or control_go_alone() on this CPU's guest makes so many steps, of `level` (0: of
 * whichever runs), then the machine stops. An emulated instruction is one, an exit to the other level too.
 * Whatever steps were begun before, on any CPU, are void: with a count of 0 there are none.
 */
void step_begin(struct vcpu *vcpu, u32 count, unsigned int level);

const struct stop *step_last_stop(void);
/* Which breakpoint it was, in a line, of those whose place does not say it; false: none. */
bool step_describe(struct vcpu *vcpu, char *text, size_t size);
/* A person has stopped the machine, on this CPU. */
void step_note_stop(struct vcpu *vcpu);

#endif
