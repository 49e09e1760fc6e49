/* SPDX-License-Identifier: MIT */
/*
 * What operations of L1's cost, at their worst: took() measures, bounded() says whether that is within
 * Socle's bounds (docs/security.md, "Cost"), and begins anew.
 */
#ifndef TESTS_GUEST_HOSTILE_COST_H
#define TESTS_GUEST_HOSTILE_COST_H

#include "tests/guest/lib/test.h"
#include "tests/guest/lib/vmx.h"

#define OPERATION_MAX 200000 /* any one operation */
#define ENTRY_MAX 400	     /* an entry of an MSR list */

enum { MSR_MTRRCAP = 0xfe, MSR_PHYSBASE0 = 0x200, MSR_MTRR_DEF_TYPE = 0x2ff, VARIABLE = 16 };

extern const u8 c_vmcall[];
extern u64 cost_worst;

void took(u64 start);
void bounded(const char *what, u64 bound);
void time_entry(struct vm *vm, u64 start);
void mtrrs_save(void);
void mtrrs_restore(void);

#endif
