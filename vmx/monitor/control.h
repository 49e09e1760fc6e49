/* SPDX-License-Identifier: MIT */
/*
 * Stopping all CPUs and letting them go on. A CPU stops before a VM entry, when it has seen REQUEST_MONITOR:
 * after the next exit of its guest, and the VMX-preemption timer sees to it that there is one.
 */
#ifndef VMX_MONITOR_CONTROL_H
#define VMX_MONITOR_CONTROL_H

#include "vmx/guest/vcpu.h"

/* BSP, once: TSC ticks of the time in which each CPU looks up from its guest. */
void control_init(u64 period);
u64 control_period(void);

/* Any CPU. */
bool control_is_stopped(void);
/* CPU `id` (below percpu_count()) has stopped; it has not while it waits for a SIPI, for there it cannot
 * exit. */
bool control_has_stopped(u32 id);

/* Any CPU, of itself: it stops, or looks after the monitor's line, before its next entry. */
void control_request_this(struct vcpu *vcpu);

/*
 * Of a CPU between an exit and an entry: stops all others and has the turn. Returns when they have stopped,
 * or those that do not have had ten periods for it. False: the machine stands still already, or another CPU
 * is about to stop it, or an INIT has come, and this one goes on into its wait for a SIPI.
 */
bool control_stop(struct vcpu *vcpu);
/* Its end, for the CPU whose turn it is. If that waits for a SIPI, the end comes when another one has taken
 * the turn: control_is_going() until then. */
void control_go(void);
bool control_is_going(void);
/* TSC ticks of all stops so far, the present one too. For that CPU, or before any guest runs. */
u64 control_stood_still(void);
/* The same behind a command that has stopped the machine for its own time. False: it stays stopped, for
 * another CPU has asked so meanwhile by control_keep(). */
bool control_go_behind(struct vcpu *vcpu);
void control_keep(void);

/* The CPU whose turn it is goes on, and the machine stands still otherwise. */
void control_go_alone(struct vcpu *vcpu);
/* Some CPU does. */
bool control_goes_alone(void);
/* This one does. */
bool control_is_alone(const struct vcpu *vcpu);
/* It did, and stops. */
bool control_end_alone(struct vcpu *vcpu);

/* Whose commands are executed; the CPU that has the turn gives it away. */
u32 control_turn(void);
void control_give_turn(u32 id);

/* This CPU's guest does, or will from its next entry on. */
bool control_waits_for_sipi(struct vcpu *vcpu);
/* This CPU has come to its stop: true while it is to stay there. */
bool control_stay(struct vcpu *vcpu);
/* What it does there, without its turn. False: an INIT has come, and it does not stay. */
bool control_rest(struct vcpu *vcpu);

#endif
