/* SPDX-License-Identifier: MIT */
/*
 * Accesses to memory that is not there (L0's window, addresses for which
 * EPT01 has no room): reads give ones, writes are dropped.  A scratch page of
 * ones stands in for one instruction, stepped by the monitor trap flag.
 */
#ifndef VMX_ABSENT_H
#define VMX_ABSENT_H

#include "kernel/types.h"
#include "mm/addr.h"

struct vcpu;

/* All members: this CPU only. */
struct absent {
	void *scratch; /* constant after init */
};

void absent_init(struct vcpu *vcpu);

/*
 * L1 touched absent memory at `gpa`: maps the scratch page there and turns on the monitor trap flag
 * (vmcs01 current). False: an address beyond what tables can have; the access cannot be given what it should
 * have.
 */
bool absent_step(struct vcpu *vcpu, gpa_t gpa);

/* L1 is to pass a closed page (closed.h): the same with the page itself in the place of the scratch page. */
void absent_step_closed(struct vcpu *vcpu, gpa_t gpa);

/* The instruction is over (or another exit came first): takes the mappings away and refills the page. */
void absent_finish(struct vcpu *vcpu);

#endif
