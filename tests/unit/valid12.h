/* SPDX-License-Identifier: MIT */
/*
 * A vmcs12 that passes every check, with an environment in which nearly every feature is offered; tests
 * change one thing. Memory of "L1" is a small array at address 0.
 */
#ifndef TESTS_VALID12_H
#define TESTS_VALID12_H

#include "vmx/hw/caps.h"
#include "vmx/nested/entry/check.h"
#include "vmx/nested/vmcs12/vmcs12.h"

#define VALID12_MEMORY 0x10000
#define VALID12_SELF 0x5000	/* the current VMCS */
#define VALID12_SHADOW 0x6000	/* a shadow VMCS region */
#define VALID12_ORDINARY 0x7000 /* an ordinary one */
#define VALID12_VAPIC 0x8000
#define VALID12_PDPTES 0x9020

extern u8 valid12_memory[VALID12_MEMORY];
extern struct vmx_caps valid12_caps;

/* A 64-bit L2 with EPT and unrestricted guest, of a 64-bit L1. */
void valid12_init(struct vmcs12 *v12, struct check_env *env);
/* Makes it a guest of another mode. */
void valid12_protected(struct vmcs12 *v12); /* 32 bits, 32-bit paging */
void valid12_pae(struct vmcs12 *v12);	    /* 32 bits, PAE paging */
void valid12_real(struct vmcs12 *v12);	    /* real mode (unrestricted) */
void valid12_v86(struct vmcs12 *v12);

#endif
