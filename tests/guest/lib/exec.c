/* SPDX-License-Identifier: MIT */
/*
 * Runs raw code with given registers in a ring and code segment of choice, and records how it ended. See
 * trap.h.
 */
#include "tests/guest/lib/trap.h"

u64 exec_start(u64 e, u64 unused1, u64 unused2);

static u8 stacks[CPU_MAX][4096] ALIGNED(4096);

_Static_assert(offsetof(struct exec, rip) == 128 && offsetof(struct exec, ss) == 152,
	       "trap_entry.S knows these");
_Static_assert(offsetof(struct cpu, guard_rsp) == 8 && offsetof(struct cpu, guard_fault) == 16,
	       "trap_entry.S");

void exec_init(struct exec *e, u64 rip)
{
	memset(e, 0, sizeof(*e));
	e->rip = rip;
	e->cs = SEL_CODE64;
	e->ss = SEL_DATA;
	e->rflags = RFLAGS_FIXED;
	e->regs.rsp = addr_of(stacks[this_cpu()->id]) + 2048;
}

void exec_user(struct exec *e)
{
	e->cs = SEL_USER64;
	e->ss = SEL_USER_DATA;
}

void exec_run(struct exec *e)
{
	guard_call(&e->out, exec_start, addr_of(e), 0, 0);
}
