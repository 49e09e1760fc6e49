/* SPDX-License-Identifier: MIT */
/*
 * The last exits of each CPU, in a ring. What the run loop writes of each is enough for a crash report. With
 * trace= the ring is larger, and all of an event is filled: what its handling will change when the exit is
 * known, the time of the next entry before that; off, neither stroke is reached. The newest event is that of
 * the exit in hand.
 */
#ifndef VMX_GUEST_EXIT_TRACE_H
#define VMX_GUEST_EXIT_TRACE_H

#include "vmx/guest/trace_ring.h"

struct vcpu;

/* Boot only: the ring of a new vCPU, as trace= says. */
void exit_trace_init(struct vcpu *vcpu);

/*
 * Recording goes on with the exit in hand, or pauses before it: then what was recorded stays. False: trace=
 * is off. Between an exit and an entry of that vCPU's.
 */
bool exit_trace_set(struct vcpu *vcpu, bool on);

/* The run loop: the exit in hand is of this exit_row(). The time of the entry it writes itself
 * (vmx/before_entry.c). */
void exit_trace_exit(struct vcpu *vcpu, u32 row);

/* The exit in hand is of no interest: without trace= it leaves its place to the next one. */
void exit_trace_forget(struct vcpu *vcpu);

/* Of trace=: the number of the oldest event, and that after the newest one that is complete; between an exit
 * and an entry. */
u64 exit_trace_first(const struct vcpu *vcpu);
u64 exit_trace_end(const struct vcpu *vcpu);
/* These and those that follow, numbered, in one piece: at most `most`; how many. 0: there are none. */
u64 exit_trace_get(const struct vcpu *vcpu, u64 number, u64 most, const struct trace_event **events);

/* The TSC's frequency in kHz, if the processor names it; else 0. */
u64 exit_trace_tsc_khz(void);

/*
 * As text, in the form that tools/trace reads: the line that comes first, and one for each event, without a
 * line feed. The buffer has TRACE_LINE_SIZE bytes.
 */
#define TRACE_LINE_SIZE 160
size_t exit_trace_head_line(char *line);
size_t exit_trace_line(const struct vcpu *vcpu, u64 number, char *line);

#endif
