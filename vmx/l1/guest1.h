/* SPDX-License-Identifier: MIT */
/*
 * L1 as the guest that runs now.
 */
#ifndef VMX_GUEST1_H
#define VMX_GUEST1_H

#include "vmx/guest/guest.h"

extern const struct guest l1_guest;

#endif
