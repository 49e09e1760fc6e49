/* SPDX-License-Identifier: MIT */
/*
 * What the parts of the guest test "events" share.
 */
#ifndef TESTS_GUEST_EVENTS_H
#define TESTS_GUEST_EVENTS_H

#include "tests/guest/lib/test.h"
#include "tests/guest/lib/vmx.h"

#endif
