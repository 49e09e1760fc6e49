/* SPDX-License-Identifier: MIT */
/*
 * Counts the instructions that are executed in VMX root operation, by RIP. Each time that a guest comes to
 * the address in SOCLE_PROFILE_MARK, the counts since the last time go to the file SOCLE_PROFILE_OUT, after a
 * line "section N".
 */
#include "bochs.h"
#include "cpu/cpu.h"
#include <stdio.h>
#include <stdlib.h>
#include <unordered_map>

static Bit64u mark;
static FILE *out;
static std::unordered_map<Bit64u, Bit64u> counts;
static unsigned long section;

void profile_begin(void)
{
	const char *m = getenv("SOCLE_PROFILE_MARK"), *o = getenv("SOCLE_PROFILE_OUT");
	if (!m || !o)
		return;
	mark = strtoull(m, NULL, 16);
	out = fopen(o, "w");
}

void profile_end(void)
{
	if (out)
		fclose(out);
	out = NULL;
}

static void flush_counts(void)
{
	fprintf(out, "section %lu\n", section++);
	for (auto &p : counts)
		fprintf(out, "%llx %llu\n", (unsigned long long)p.first, (unsigned long long)p.second);
	counts.clear();
	fflush(out);
}

void profile_instruction(unsigned cpu, bxInstruction_c *i)
{
	if (!out)
		return;
	Bit64u rip = BX_CPU(cpu)->get_instruction_pointer();
	if (BX_CPU(cpu)->in_vmx_guest) {
		if (rip == mark)
			flush_counts();
		return;
	}
	counts[rip]++;
}
