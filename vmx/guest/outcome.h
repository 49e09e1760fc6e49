/* SPDX-License-Identifier: MIT */
/*
 * What an emulation comes to, as a value: nobody below the run loop injects
 * an event, and nobody but vmx/nested/exit ends an L2, so that the current
 * VMCS never changes under its user.  The value says what follows; what there
 * is to say about it lies in vcpu->outcome, where the functions below put it.
 * SDM: "Event Injection", "Basic VM-Exit Information".
 */
#ifndef VMX_OUTCOME_H
#define VMX_OUTCOME_H

#include "kernel/types.h"

struct vcpu;

/* The order counts: the run loop carries out what comes after OUTCOME_SKIP on its slow path. */
enum outcome {
	OUTCOME_NONE,	 /* nothing has come of it yet: the caller goes on; never reaches the run loop */
	OUTCOME_RESUME,	 /* enter again: RIP stays, or the guest that runs now is another */
	OUTCOME_SKIP,	 /* the instruction was emulated: RIP moves behind it */
	OUTCOME_AGAIN,	 /* an iteration of a repeated instruction was emulated: RIP stays */
	OUTCOME_STOP,	 /* the machine stops: dump and halt */
	OUTCOME_FAULT,	 /* an exception of the guest that runs now: vcpu->outcome.fault */
	OUTCOME_REFLECT, /* L2 ends, by the exit in vcpu->outcome.record */
	OUTCOME_ENTRY_FAILURE, /* L1's VM entry fails late: the record's reason and qualification */
	/* SDM "Conventions": how a VMX instruction ends.  Only insn_finish() gets them, and says what
	   follows. */
	OUTCOME_VMSUCCEED,
	OUTCOME_VMFAIL_INVALID,
	OUTCOME_VMFAIL_VALID, /* the error is in the current vmcs12 */
};

struct outcome_fault {
	u8 vector;
	bool has_error_code; /* outside real mode */
	u32 error_code;
	u64 linear; /* #PF: CR2 */
};

/* An exit of L2's as L1 will read it in vmcs12. */
struct exit_record {
	u32 reason;
	u64 qualification;
	u32 intr_info, intr_error_code;
	u32 instruction_length, instruction_info;
	u64 guest_physical, guest_linear;
	/* Copy the IDT-vectoring fields from vmcs02.  False: L0 made this exit up, and they tell of
	 * vcpu->pending. */
	bool from_hardware;
};

/*
 * The details of the outcome that was made last. If that outcome is dropped (by a look that may fail),
 * they stay here and mean nothing.
 */
struct outcome_details {
	struct outcome_fault fault;
	struct exit_record record;
};

/* Constructors, for this CPU's guest.  They change nothing but vcpu->outcome. */
enum outcome outcome_exception(struct vcpu *vcpu, u8 vector, bool has_error_code, u32 error_code);
enum outcome outcome_ud(struct vcpu *vcpu);
enum outcome outcome_gp(struct vcpu *vcpu, u32 error_code);
enum outcome outcome_pf(struct vcpu *vcpu, u64 linear, u32 error_code);
enum outcome outcome_reflect(struct vcpu *vcpu, const struct exit_record *record);
enum outcome outcome_entry_failure(struct vcpu *vcpu, u32 reason, u64 qualification);

#endif
