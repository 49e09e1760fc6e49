/* SPDX-License-Identifier: MIT */
/*
 * Making a vCPU.
 */
#ifndef VMX_CREATE_H
#define VMX_CREATE_H

#include "vmx/guest/vcpu.h"

struct l1_start;

/* Makes this CPU's vCPU and loads its vmcs01.  `start` is NULL for an AP: it waits for a SIPI. */
struct vcpu *vcpu_create(struct percpu *cpu, struct vm *vm, const struct l1_start *start);

#endif
