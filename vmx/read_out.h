/* SPDX-License-Identifier: MIT */
/*
 * The debug call that reads the log and the exit trace.
 */
#ifndef VMX_READ_OUT_H
#define VMX_READ_OUT_H

#include "vmx/guest/outcome.h"

struct vcpu;

/* VMCALL of L1's with EBX = 9, whose right to it has been looked at. OUTCOME_SKIP: done. */
enum outcome debug_read(struct vcpu *vcpu);

#endif
