/* SPDX-License-Identifier: MIT */
/*
 * Where outcomes are carried out.
 */
#ifndef VMX_CARRY_OUT_H
#define VMX_CARRY_OUT_H

#include "vmx/guest/outcome.h"

/*
 * Carries out what an emulation came to, as far as that is an event or the end of L2.  What is left: an
 * outcome up to OUTCOME_AGAIN, for who knows whether an instruction is over.  This CPU's guest.
 */
enum outcome run_carry_out(struct vcpu *vcpu, enum outcome outcome);

/* What a panic shows. */
void run_panic_dump(void);

#endif
