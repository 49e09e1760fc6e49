/* SPDX-License-Identifier: MIT */
/*
 * The exit trace on a serial port of its own, while the machine runs: trace-port=.
 */
#ifndef VMX_MONITOR_LIVE_H
#define VMX_MONITOR_LIVE_H

#include "vmx/guest/vcpu.h"

/* BSP, once, behind gdb_open(), before vm_init(). */
void live_open(void);
/* An exit of this CPU's timer: what is new in its ring goes out, as much as is right at once. */
void live_send(struct vcpu *vcpu);

#endif
