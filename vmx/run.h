/* SPDX-License-Identifier: MIT */
/*
 * The run loop: where exits pass.
 */
#ifndef VMX_RUN_H
#define VMX_RUN_H

#include "vmx/guest/vcpu.h"

/* Runs the vCPU of this CPU for ever. */
NORETURN void vcpu_run(struct vcpu *vcpu);

#endif
