/* SPDX-License-Identifier: MIT */
/*
 * The list of breakpoints, of all CPUs: what a person wants to stop at, and what is intercepted for it. When
 * one is met is step.c's.
 */
#ifndef VMX_MONITOR_BREAK_H
#define VMX_MONITOR_BREAK_H

#include "vmx/guest/vcpu.h"

#define BREAKS_MAX 16u
#define BREAK_LENGTH_MAX 8u

enum break_kind {
	BREAK_NONE,
	/* An instruction at `address` of `level`. */
	BREAK_CODE,
	/* One that changes `length` bytes there; one that reads any of them; one that reads or writes any,
	 * changed or not. */
	BREAK_WRITE,
	BREAK_READ,
	BREAK_ACCESS,
	/* A VM exit with reason `number`, of `level` or (0) any. */
	BREAK_EXIT,
	/* A VM entry of L1's that fails. */
	BREAK_ENTRY,
	/* RDMSR or WRMSR of `number`, by `level` or any; IN or OUT of `number`. */
	BREAK_MSR,
	BREAK_PORT,
	/* An exception of vector `number`, of `level` or any. */
	BREAK_EXCEPTION,
};

/* Written while the machine stands still. */
struct breakpoint {
	enum break_kind kind;
	u8 level;
	bool of_gdb; /* it goes when gdb does */
	u32 length, number;
	u64 address; /* linear */
	/* break.c's own */
	u64 place;	/* CODE to ACCESS: the byte in L1's memory that it was when the breakpoint was set */
	u64 value;	/* WRITE: what is there */
	bool was_on[2]; /* MSR: L0 wants its reads, its writes anyhow */
};

/* Breakpoint `number`, from 1 on; NULL: there is none. Any CPU. */
const struct breakpoint *break_get(unsigned int number);

/*
 * On the CPU whose level is meant; the machine stands still. NULL: it is set, as *number. Else what is wrong,
 * in words, and nothing has changed.
 */
const char *break_add(struct vcpu *vcpu, const struct breakpoint *wanted, unsigned int *number);
/* The exceptions that breakpoints are at: bits as in the exception bitmap. Any CPU. */
u32 break_exceptions(void);
/* The machine stands still; false: there is none. Pages stay closed until break_settle(). */
bool break_remove(unsigned int number);
/* Before the machine goes on: pages that no breakpoint needs any more are opened. */
void break_settle(void);

/* ---- step.c's: this CPU's guest, in the middle of an exit. 0: none ---- */

/* The code breakpoint at this linear address of this level, whose page leads to `gpa`'s page. */
unsigned int break_at(unsigned int level, u64 linear, gpa_t gpa);
/* The breakpoint that the exit in hand is. */
unsigned int break_of_exit(struct vcpu *vcpu);
/* Any breakpoint for which each exit must be looked at. */
bool break_wants_exits(void);
unsigned int break_of_entry(void);
/* READ and ACCESS: an instruction that is about to access `gpa` in this way (EPT_READ, EPT_WRITE). */
unsigned int break_of_access(struct vcpu *vcpu, gpa_t gpa, u32 access);
/* The first watched bytes that are no longer what they were. */
unsigned int break_of_write(struct vcpu *vcpu);

#endif
