/* SPDX-License-Identifier: MIT */
/*
 * The monitor: commands on a serial port of its own, while L1 and L2 run or stand still. With monitor=off
 * none of this runs.
 */
#ifndef VMX_MONITOR_H
#define VMX_MONITOR_H

#include "vmx/guest/vcpu.h"

/* What monitor= says: opens the port and hides it from guests. BSP, once, before vm_init(). */
void monitor_open(void);

/* Each CPU, before its guest runs for the first time. */
void monitor_start_cpu(struct vcpu *vcpu);

/* REQUEST_MONITOR_NMI, before monitor_attend(): the machine is to stop. */
void monitor_take_nmi(struct vcpu *vcpu);

/* REQUEST_MONITOR, before an entry: a line that this CPU has read, or a stop. Returns when the guest goes on.
 */
void monitor_attend(struct vcpu *vcpu);

/* Another one who commands, at a port of its own: each CPU calls it at the timer's exits while the machine
 * runs, and all the time while it stands still. BSP, before the first vCPU is made; control_init() has been
 * called. */
void monitor_set_client(void (*attend)(struct vcpu *vcpu));

#endif
