/* SPDX-License-Identifier: MIT */
/*
 * Counts the instructions that are executed in VMX root operation, by RIP, and writes them to the file
 * SOCLE_PROFILE_OUT.
 *
 * With SOCLE_PROFILE_MARK: each time that a guest comes to that address, the counts since the last time, after
 * a line "section N".
 *
 * Without it, when the emulator ends, of all that was executed since the first entry of an L2, what one CPU
 * did in root operation between an exit and the next entry, by what exited: after a line "exit LEVEL REASON
 * BEHIND TIMES INSTRUCTIONS", where BEHIND is the reason of the last exit of an L2. Then, until the last exit
 * of an L2, "level LEVEL INSTRUCTIONS" of each level, 0 being Socle, and "ticks N", which is time: it passes
 * in HLT as well. SOCLE_PROFILE_BARE says that root operation is L1's, so that there is no level 1 among the
 * guests; its counts have no RIPs.
 */
#include "bochs.h"
#include "cpu/cpu.h"
#include "pc_system.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <map>
#include <tuple>
#include <unordered_map>

#define REASON_VMLAUNCH 20
#define REASON_VMRESUME 24
#define REASON_VMXON	27

typedef std::unordered_map<Bit64u, Bit64u> counts_t;

/* What is executed in root operation behind exits of one kind. */
struct stretch {
	Bit64u times, instructions;
	counts_t counts;
};

typedef std::tuple<unsigned, unsigned, unsigned> kind_t;

struct state {
	bool has_l1;
	Bit64u l1_vmcs;
	unsigned behind;
	struct stretch *stretch;
	Bit64u executed[3], until_last[3]; /* by level */
};

static Bit64u mark;
static FILE *out;
static counts_t counts;
static unsigned long section;
static bool is_bare, started;
static Bit64u first_tick, last_tick;
static struct state states[BX_MAX_SMP_THREADS_SUPPORTED];
static std::map<kind_t, struct stretch> stretches;

void profile_begin(void)
{
	const char *m = getenv("SOCLE_PROFILE_MARK"), *o = getenv("SOCLE_PROFILE_OUT");

	if (!o)
		return;
	mark = m ? strtoull(m, NULL, 16) : 0;
	is_bare = getenv("SOCLE_PROFILE_BARE");
	out = fopen(o, "w");
}

static void write_counts(const counts_t &which)
{
	for (auto &p : which)
		fprintf(out, "%llx %llu\n", (unsigned long long)p.first, (unsigned long long)p.second);
}

static void write_stretches(void)
{
	Bit64u executed[3] = { 0, 0, 0 };

	for (auto &p : stretches) {
		fprintf(out, "exit %u %u %u %llu %llu\n", std::get<0>(p.first), std::get<1>(p.first),
			std::get<2>(p.first), (unsigned long long)p.second.times,
			(unsigned long long)p.second.instructions);
		write_counts(p.second.counts);
	}
	for (auto &s : states)
		for (unsigned level = 0; level <= 2; level++)
			executed[level] += s.until_last[level];
	for (unsigned level = 0; level <= 2; level++)
		fprintf(out, "level %u %llu\n", level, (unsigned long long)executed[level]);
	fprintf(out, "ticks %llu\n", (unsigned long long)(last_tick - first_tick));
}

void profile_end(void)
{
	if (!out)
		return;
	if (!mark)
		write_stretches();
	fclose(out);
	out = NULL;
}

static void flush_counts(void)
{
	fprintf(out, "section %lu\n", section++);
	write_counts(counts);
	counts.clear();
	fflush(out);
}

static unsigned level_of(const struct state *s, unsigned cpu)
{
	return !is_bare && (!s->has_l1 || BX_CPU(cpu)->vmcsptr == s->l1_vmcs) ? 1 : 2;
}

/* An exit. The VMCS with which L1 itself does VMXON is L1's own. */
void profile_exit(unsigned cpu, unsigned reason)
{
	struct state *s = &states[cpu];
	unsigned level;

	reason &= 0xffff;
	if (!out || mark)
		return;
	if (!is_bare && reason == REASON_VMXON && !s->has_l1) {
		s->has_l1 = true;
		s->l1_vmcs = BX_CPU(cpu)->vmcsptr;
	}
	level = level_of(s, cpu);
	if (!started && (is_bare || reason == REASON_VMLAUNCH)) {
		started = true;
		first_tick = bx_pc_system.time_ticks();
	}
	if (!started)
		return;
	if (level == 2) {
		s->behind = reason;
		last_tick = bx_pc_system.time_ticks();
		memcpy(s->until_last, s->executed, sizeof(s->executed));
	}
	s->stretch = &stretches[kind_t(level, reason, s->behind)];
	s->stretch->times++;
}

void profile_instruction(unsigned cpu, bxInstruction_c *i)
{
	struct state *s = &states[cpu];
	Bit64u rip;

	if (!out)
		return;
	rip = BX_CPU(cpu)->get_instruction_pointer();
	if (BX_CPU(cpu)->in_vmx_guest) {
		if (mark && rip == mark)
			flush_counts();
		if (started)
			s->executed[level_of(s, cpu)]++;
	} else if (mark) {
		counts[rip]++;
	} else if (s->stretch) {
		s->executed[is_bare]++;
		s->stretch->instructions++;
		if (!is_bare)
			s->stretch->counts[rip]++;
	}
}
