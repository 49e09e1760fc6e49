/* SPDX-License-Identifier: MIT */
/*
 * An L2 as the guest that runs now: nested.current's.
 */
#ifndef VMX_GUEST2_H
#define VMX_GUEST2_H

#include "vmx/guest/guest.h"

extern const struct guest l2_guest;

#endif
