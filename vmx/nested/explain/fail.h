/* SPDX-License-Identifier: MIT */
/*
 * How a VMX instruction that breaks a rule ends.
 */
#ifndef VMX_NESTED_EXPLAIN_FAIL_H
#define VMX_NESTED_EXPLAIN_FAIL_H

#include "kernel/x86.h"
#include "vmx/guest/vcpu.h"

/*
 * The instruction breaks `rule` of rules.def; `value` is what is told of it. VMfail(error) with the rule's
 * error: VMfailValid if there is a current VMCS (the error is stored in it), else VMfailInvalid, as where the
 * rule says so; or #UD, #GP(0).
 */
enum outcome insn_fail(struct vcpu *vcpu, enum rule rule, u64 value);
/* The same for a rule of VM entry, which nested.failure names already: error 7 or 8. */
enum outcome insn_fail_entry(struct vcpu *vcpu);

#endif
