/* SPDX-License-Identifier: MIT */
/*
 * Host builds: an entry is what a test makes of it (fake_enter). Shadows kernel/hw/enter.h.
 */
#ifndef KERNEL_HW_ENTER_H
#define KERNEL_HW_ENTER_H

#include "kernel/types.h"

u32 hw_enter(void **vcpu);

#endif
