/* SPDX-License-Identifier: MIT */
/*
 * What the parts of the guest test "modes" share: one piece of code, run by L1 itself outside long mode.
 */
#ifndef TESTS_GUEST_MODES_H
#define TESTS_GUEST_MODES_H

#include "tests/guest/lib/test.h"
#include "tests/guest/lib/vmx.h"

enum { KIND_PROTECTED, KIND_V86, KIND_REAL };

/* Registers in and out; modes_run.S knows the offsets. */
struct modes {
	u32 kind, cr0, cr3, cr4, tr, ldt;
	u64 vmxon, vmcs; /* physical addresses; without VMX operation 0 */
	u32 edi, esi, ebp, unused, ebx, edx, ecx, eax;
	u32 gs, fs, es, ds;
	u32 eip, cs, eflags, esp, ss;
	u32 vector, error, cr2, tr_out, cr0_out, cr3_out, tss_rights; /* out */
};

extern u64 modes_idt[];
extern u8 modes_stubs[];

/* Protected mode with 32-bit paging, flat segments, ring 0. */
void modes_run(struct modes *m);
void modes_init(struct modes *m, const void *code);
void modes_go(struct modes *m);
const char *modes_outcome(const struct modes *m, char buf[48]);

#endif
