/* SPDX-License-Identifier: MIT */
/*
 * What the parts of the guest test "hostile" share.
 */
#ifndef TESTS_GUEST_HOSTILE_H
#define TESTS_GUEST_HOSTILE_H

#include "tests/guest/lib/test.h"
#include "tests/guest/lib/vmx.h"

/*
 * 4 MiB of memory that is not there, to be equal everywhere: L0's window; on a bare machine, which has none,
 * addresses that no RAM and no device has.
 */
u64 hostile_absent(void);
bool hostile_has_window(void);

#endif
