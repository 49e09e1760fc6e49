/* SPDX-License-Identifier: MIT */
/*
 * The run loop: where exits pass, and where outcomes are carried out.
 */
#ifndef VMX_RUN_H
#define VMX_RUN_H

#include "vmx/guest/vcpu.h"

/* Runs the vCPU of this CPU for ever. */
NORETURN void vcpu_run(struct vcpu *vcpu);

/*
 * Carries out what an emulation came to, as far as that is an event or the end of L2.  What is left: an
 * outcome up to OUTCOME_AGAIN, for who knows whether an instruction is over.  This CPU's guest.
 */
enum outcome run_carry_out(struct vcpu *vcpu, enum outcome outcome);

#endif
