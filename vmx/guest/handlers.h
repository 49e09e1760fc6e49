/* SPDX-License-Identifier: MIT */
/*
 * L0's handlers of VM exits, one per row of vmx/hw/exits.def, each defined in
 * the room that it belongs to; vmx/exit.c has the table.  This CPU's guest has
 * exited; what is to become of it they return.
 */
#ifndef VMX_HANDLERS_H
#define VMX_HANDLERS_H

#include "vmx/guest/vcpu.h"

#define X(number, name, handler, wants, facts) enum outcome handler(struct vcpu *vcpu);
#include "vmx/hw/exits.def"
#undef X

#endif
