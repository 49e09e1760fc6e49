/* SPDX-License-Identifier: MIT */
/*
 * EPT violations and misconfigurations that L1 may want, for it maps pages on demand by them or has devices
 * behind them. With explain=first they are held, and told when L1 seems to do nothing about them: the same
 * one has come many times in a row, or L1 has not entered any L2 again when it ends VMX operation, meets a
 * triple fault, or runs for a while without an exit. VMCLEAR is no such end: a vCPU that moves to another CPU
 * in the middle of an access has one. All of it on the CPU that it is about.
 */
#ifndef VMX_NESTED_EXPLAIN_HELD_H
#define VMX_NESTED_EXPLAIN_HELD_H

#include "vmx/guest/vcpu.h"
#include "vmx/nested/explain/rules.h"

/* How often L1 may be given one and the same: a loop of L2's that polls a device has fewer, or is told. */
#define HELD_TIMES 1000

/* L1 has VMX operation from now on, or no more; vmcs01 is current. */
void held_watch(struct vcpu *vcpu, bool on);

/* L1 is about to be given one, of a rule that is open, while vmcs02 is current. False: it is told now, for it
 * comes the HELD_TIMES-th time, or because explain=all tells everything at once. */
bool held_take(struct vcpu *vcpu, bool misconfigured, u64 eptp, u64 l2gpa, u64 access);

/* Was it the exit that L1 has had last, and is the VMCS current still? While L1 runs. */
bool held_is_left(const struct vcpu *vcpu);

/* The timer of vmcs01 has come to its end: has L1 been without an exit for long enough? */
bool held_looked(struct vcpu *vcpu);

#endif
