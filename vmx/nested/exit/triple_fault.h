/* SPDX-License-Identifier: MIT */
/*
 * What a triple fault leaves, for who must find out why: registers, tables, what stands in the IDT, code and
 * stack, and a guess. The processor says nothing itself: such an exit has no vectoring information.
 */
#ifndef VMX_NESTED_EXIT_TRIPLE_FAULT_H
#define VMX_NESTED_EXIT_TRIPLE_FAULT_H

#include "vmx/guest/vcpu.h"
#include "vmx/nested/explain/words.h"

/* Of the guest that runs now, L1 or L2: lines that are ended by '\n' each. Changes nothing. */
void triple_fault_describe(struct vcpu *vcpu, struct text *text);

/* The same to the log, for L1's, which ends the machine: waits for nobody but the log's line. */
void triple_fault_report(struct vcpu *vcpu);

#endif
