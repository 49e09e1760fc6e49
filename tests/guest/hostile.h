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
/* It reads as ones, as a chipset may have it: no manual promises that, and QEMU's memory reads as 0. Socle
 * does. */
bool hostile_absent_is_ones(void);
bool hostile_has_window(void);

#endif
