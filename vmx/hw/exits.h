/* SPDX-License-Identifier: MIT */
/*
 * What is known of each exit reason (exits.def), by number.
 * SDM: appendix "VMX Basic Exit Reasons".
 */
#ifndef VMX_HW_EXITS_H
#define VMX_HW_EXITS_H

#include "kernel/bits.h"
#include "kernel/types.h"
#include "vmx/hw/vmx.h"

/* FACTS_*: a row's, as a constant. */
enum exit_facts_by_name {
#define X(number, name, handler, wants, facts) FACTS_##name = (facts),
#include "vmx/hw/exits.def"
#undef X
};

/* FACT_* and FACT_ROW; 0 where exits.def has no row. */
extern const u16 exit_facts_table[EXIT_REASON_COUNT];

/*
 * The row of an exit-reason field, where exits are counted and handled: its basic reason. Reasons of
 * processors newer than Socle are taken together: the last row, which has no exit of its own.
 */
static inline u32 exit_row(u32 reason)
{
	return MIN(reason & 0xffff, (u32)EXIT_REASON_COUNT - 1);
}

/*
 * FACT_* of any number as a basic exit reason. A reason that is newer than Socle is treated as the exit of
 * an instruction.
 */
static inline u32 exit_facts(u32 reason)
{
	if (unlikely(reason >= EXIT_REASON_COUNT || !exit_facts_table[reason]))
		return FACT_QUAL | FACT_LENGTH;
	return exit_facts_table[reason];
}

/* "CPUID" etc; "?" for a reason that no row has. */
const char *exit_reason_name(u32 reason);

#endif
