/* SPDX-License-Identifier: MIT */
/*
 * The columns of exits.def that need no handler: names and facts.
 */
#include "vmx/hw/exits.h"

const u16 exit_facts_table[EXIT_REASON_COUNT] = {
#define X(number, name, handler, wants, facts) [number] = FACT_ROW | (facts),
#include "vmx/hw/exits.def"
#undef X
};

static const char *const names[EXIT_REASON_COUNT] = {
#define X(number, name, handler, wants, facts) [number] = #name,
#include "vmx/hw/exits.def"
#undef X
};

const char *exit_reason_name(u32 reason)
{
	return reason < EXIT_REASON_COUNT && names[reason] ? names[reason] : "?";
}
