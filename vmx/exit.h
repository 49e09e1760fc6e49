/* SPDX-License-Identifier: MIT */
/*
 * The table of L0's handlers of VM exits, and the debug call.
 */
#ifndef VMX_EXIT_H
#define VMX_EXIT_H

#include "vmx/guest/handlers.h"

/* By basic exit reason, from exits.def. */
extern enum outcome (*const exit_handlers[EXIT_REASON_COUNT])(struct vcpu *vcpu);

/* L0's own handling of the exit in hand: L1's exit, or one of L2's that L1 does not want. */
enum outcome exit_dispatch(struct vcpu *vcpu);

/* ---- counters.c: VMCALL with EAX = DEBUG_CALL_MAGIC, from ring 0 (with counters=on, any) ---- */
#define DEBUG_CALL_MAGIC 0x50434c53u
enum outcome debug_call(struct vcpu *vcpu);

#endif
