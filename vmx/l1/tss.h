/* SPDX-License-Identifier: MIT */
/*
 * A task in L1's memory: descriptors, and the TSSs of both sizes. For task_switch.c, which makes the switch.
 * L1 runs, vmcs01 is current.
 */
#ifndef VMX_L1_TSS_H
#define VMX_L1_TSS_H

#include "kernel/bits.h"
#include "kernel/types.h"
#include "vmx/guest/outcome.h"

struct vcpu;

/* What leads to the other task: bits 31:30 of the exit qualification. */
enum task_source { SOURCE_CALL, SOURCE_IRET, SOURCE_JMP, SOURCE_IDT };

/* What a TSS of either size says. */
struct task {
	u32 cr3, eip, eflags;
	u32 gpr[8];
	u16 selector[6];
	u16 ldt;
	bool trap;
};

struct descriptor {
	u32 base, limit, ar;
	u64 raw;
};

/* The task switch ends here, by this outcome, unless the step went well. */
#define STEP(step)                                                                                           \
	do {                                                                                                 \
		enum outcome step_outcome = (step);                                                          \
                                                                                                             \
		if (step_outcome != OUTCOME_NONE)                                                            \
			return step_outcome;                                                                 \
	} while (0)

/* The outcome of a fault, with its error code where the vector has one. */
enum outcome task_fault(struct vcpu *vcpu, u8 vector, u32 error_code);
/* Implicit supervisor accesses: descriptor tables and TSSs. With neither `to` nor `from` it only asks.
 * OUTCOME_NONE: done. */
enum outcome task_access(struct vcpu *vcpu, u64 va, void *to, const void *from, size_t length);
/* The descriptor of a selector, as it stands in memory now; `vector` if it is beyond its table's limit. */
enum outcome tss_descriptor_read(struct vcpu *vcpu, u16 selector, u8 vector, struct descriptor *out);

static inline bool tss_is_32(u32 ar)
{
	return ar & BIT(3);
}

/* SDM "Exception Conditions Checked During a Task Switch". What passes is what a VM entry wants of TR. */
enum outcome tss_check(struct vcpu *vcpu, const struct descriptor *tss, u16 selector, u32 source);
/* The busy bit of a TSS's descriptor in the GDT. */
enum outcome tss_set_busy(struct vcpu *vcpu, u16 selector, bool busy);
/* The registers of the task that ends, into its TSS (TR's): all of it can be written, or nothing is. */
enum outcome tss_save_old(struct vcpu *vcpu, u32 eip, u32 eflags);
/* What the other task's TSS says. */
enum outcome tss_read_new(struct vcpu *vcpu, const struct descriptor *tss, struct task *task);

#endif
