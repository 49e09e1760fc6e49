/* SPDX-License-Identifier: MIT */
/*
 * What the parts of the guest test "legacy" share: the steps that legacy_run.S executes in 32-bit protected
 * mode, and their report.
 */
#ifndef TESTS_GUEST_LEGACY_H
#define TESTS_GUEST_LEGACY_H

#include "tests/guest/lib/test.h"
#include "tests/guest/lib/vmx.h"

enum op {
	END,
	VMXON,
	VMXOFF,
	VMCLEAR,
	VMPTRLD,
	VMPTRST,
	VMREAD,
	VMREAD_MEMORY,
	VMWRITE,
	VMWRITE_MEMORY,
	VMLAUNCH,
	VMRESUME,
	INVEPT,
	INVVPID,
	VMCALL,
	CR0,
	CR3,
	CR4,
	LOAD,
	STORE,
	EFER,
	TASK,
	INVLPG,
	TASK_IRET,
	LTR,
};

struct step {
	u32 op, a, b, result, flags, vector, error, cr2;
};

extern u64 legacy_words[16]; /* operands in memory */
extern u64 legacy_idt[];
extern const u8 l_vmcall[];

void legacy_reset(void); /* no steps, operands 0, the handlers as they were */
struct step *legacy_add(enum op op, u64 a, u64 b);
void legacy_execute(u64 cr3, u64 cr4, u32 code, u32 data, u64 base);
void legacy_report(const char *what);
u64 legacy_cr4(bool pae);

/* legacy_role.c: steps that make a VMCS current, and a write and a read by L0's walk and a read by its own.
 */
#define WINDOW 0xc0000000u /* where page tables differ */
void legacy_start(u64 cr3, u64 cr4);
void legacy_touch(u32 offset);

u64 legacy_vmcs(enum vm_mode mode, u64 flags, const void *code, u64 host_cr3, u64 host_cr4);

#endif
