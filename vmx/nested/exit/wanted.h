/* SPDX-License-Identifier: MIT */
/*
 * What the files of predicates share. The table of them all is exit_wanted.c's.
 */
#ifndef VMX_NESTED_EXIT_WANTED_H
#define VMX_NESTED_EXIT_WANTED_H

#include "vmx/guest/vcpu.h"
#include "vmx/nested/vmcs12/vmcs12.h"

static inline const struct vmcs12 *v12_current(struct vcpu *vcpu)
{
	return &vcpu->nested.current->v12;
}

/* By the port, the MSR, the control register or the field of the instruction: wanted_operand.c. */
bool wants_io(struct vcpu *vcpu);
bool wants_rdmsr(struct vcpu *vcpu);
bool wants_wrmsr(struct vcpu *vcpu);
bool wants_cr_access(struct vcpu *vcpu);
bool wants_vmread(struct vcpu *vcpu);
bool wants_vmwrite(struct vcpu *vcpu);

#endif
