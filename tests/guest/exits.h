/* SPDX-License-Identifier: MIT */
/*
 * What the parts of the guest test "exits" share.
 */
#ifndef TESTS_GUEST_EXITS_H
#define TESTS_GUEST_EXITS_H

#include "tests/guest/lib/test.h"
#include "tests/guest/lib/vmx.h"

void go(struct vm *vm, const char *what); /* runs, and reports the exit */
void report_stack(struct vm *vm, const char *what);

struct msr_entry {
	u32 msr, reserved;
	u64 value;
};

#endif
