/* SPDX-License-Identifier: MIT */
/*
 * The run loop's unusual entries.
 */
#ifndef VMX_BEFORE_ENTRY_H
#define VMX_BEFORE_ENTRY_H

#include "vmx/hw/entry.h"

struct vcpu;

/* Once: NMIs and machine checks that meet L0 are kept for the guest, and which way entries are made that are
 * not usual. */
void run_set_hooks(void);
/* Where vcpu->attention or the VMCS's `before` says that the next entry is not the usual one. Constant after
 * that; with trace= all VMCSs say so. */
extern void (*run_prepare_more)(struct vcpu *vcpu);
/* The entry did not take place: it comes again, or L1's VMLAUNCH or VMRESUME has failed. */
void run_not_entered(struct vcpu *vcpu, enum enter_result result);

#endif
