/* SPDX-License-Identifier: MIT */
/*
 * What the benchmark's rows share: a row runs its body a few times, takes the cheapest run, and prints the
 * instructions of all its rounds, with Socle's VMX accesses of the last run where Socle counts them (a build
 * with COUNT=1). tools/bench.py divides and makes the table.
 */
#ifndef TESTS_GUEST_BENCH_H
#define TESTS_GUEST_BENCH_H

#include "tests/guest/lib/test.h"
#include "tests/guest/lib/vmx.h"

enum { ROUNDS = 256, RUNS = 3 };

struct bench {
	const char *name;
	u64 rounds, start, best;
	u64 before[HW_COUNTED];
	u32 run;
};

struct bench bench_begin(const char *name, u64 rounds);
/* Ends the run before, if there was one. False: the row is printed. */
bool bench_turn(struct bench *bench);

/* The body does `rounds` of what the row is about. */
#define BENCH(name, rounds) for (struct bench bench_ = bench_begin(name, rounds); bench_turn(&bench_);)

/*
 * L2 by the current VMCS until it has exited `rounds` times, with a handler of L1's behind each exit.  `a`
 * and `b` are L2's RBX and RBP, which handlers keep. False: an entry failed.
 */
bool bench_loop(u64 rounds, void (*handler)(void), u64 a, u64 b, bool launch);
/* Where L2's exits arrive; the VMCS that bench_loop() runs must have it as its host RIP. */
extern u8 bench_exit[];
/* A handler: L2 goes on behind the instruction. */
void bench_advance(void);

/* An L2 with the controls that every hypervisor has on, which has run already. */
#define BENCH_BITMAPS BIT(8)
void bench_create(struct vm *vm, enum vm_mode mode, u64 flags, const void *code, u64 a, u64 b);

/* Inline, and without a check: what a hypervisor's own handler would execute. */
static inline u64 field_get(u64 field)
{
	u64 value;

	asm volatile("vmread %1, %0" : "=r"(value) : "r"(field) : "cc");
	return value;
}

static inline void field_set(u64 field, u64 value)
{
	asm volatile("vmwrite %1, %0" : : "r"(field), "r"(value) : "cc", "memory");
}

#endif
