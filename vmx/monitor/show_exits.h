/* SPDX-License-Identifier: MIT */
/*
 * The command `exits`: counts, and rates since it was given last.
 */
#ifndef VMX_MONITOR_SHOW_EXITS_H
#define VMX_MONITOR_SHOW_EXITS_H

#include "vmx/guest/vcpu.h"

/* Each CPU, once, before its guest runs, if somebody can ask: the first rates are those since then. */
void exits_start_cpu(const struct vcpu *vcpu);

#endif
