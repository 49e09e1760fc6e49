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
 * Of the CPU that runs a command, in monitor_attend(): stops all others and has the turn. Returns when they
 * have stopped, or those that do not have had ten periods for it.
 */
void control_stop(struct vcpu *vcpu);
/* Its end, for the CPU whose turn it is. */
void control_go(void);

/* Whose commands are executed; the CPU that has the turn gives it away. */
u32 control_turn(void);
void control_give_turn(u32 id);

/* This CPU has come to its stop: true while it is to stay there. */
bool control_stay(struct vcpu *vcpu);

#endif
