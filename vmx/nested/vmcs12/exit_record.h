/* SPDX-License-Identifier: MIT */
/*
 * The exit in hand as L1 will read it in vmcs12.
 */
#ifndef VMX_NESTED_VMCS12_EXIT_RECORD_H
#define VMX_NESTED_VMCS12_EXIT_RECORD_H

#include "kernel/x86.h"
#include "vmx/guest/vcpu.h"

/* Makes the record of the exit in hand, all of it from vmcs02, which is current. */
struct exit_record exit_record_hardware(struct vcpu *vcpu);

#endif
