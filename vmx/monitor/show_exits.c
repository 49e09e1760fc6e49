/* SPDX-License-Identifier: MIT */
/*
 * How many exits there were, and how often they came since somebody asked last. Time in which the machine
 * stood still is none of theirs.
 */
#include "vmx/monitor/show_exits.h"

#include "drivers/pit.h"
#include "kernel/hw/cpu.h"
#include "kernel/percpu.h"
#include "kernel/print.h"
#include "kernel/string.h"
#include "mm/page_alloc.h"
#include "vmx/guest/exit_trace.h"
#include "vmx/hw/exits.h"
#include "vmx/monitor/command.h"
#include "vmx/monitor/control.h"
#include "vmx/monitor/output.h"

#define PERIODS_PER_SECOND 50u
#define MILLION 1000000u

/* By level: L1's exits, L2's, and of these those that L1 was given. */
enum { OF_L1, OF_L2, TO_L1, COLUMNS };

/* What stood there when somebody asked last: each its CPU's own, in a page. */
struct since {
	u64 ticks;
	u64 counts[COLUMNS][EXIT_REASON_COUNT];
};
static_assert(sizeof(struct since) <= PAGE_SIZE, "a page");
static struct since *since[PERCPU_MAX];

static const u64 *column(const struct vcpu *vcpu, unsigned int i)
{
	return i == OF_L1   ? vcpu->counters.exits_l1
	       : i == OF_L2 ? vcpu->counters.exits_l2
			    : vcpu->counters.exits_reflected;
}

static u64 ticks_run(void)
{
	return rdtsc() - control_stood_still();
}

static void begin_anew(const struct vcpu *vcpu)
{
	struct since *last = since[vcpu->cpu->id];

	for (unsigned int i = 0; i < COLUMNS; i++)
		memcpy(last->counts[i], column(vcpu, i), sizeof(last->counts[i]));
	last->ticks = ticks_run();
}

void exits_start_cpu(const struct vcpu *vcpu)
{
	since[vcpu->cpu->id] = page_alloc();
	begin_anew(vcpu);
}

/* Of the TSC; 0: neither does the processor name it, nor could it be measured. */
static u64 ticks_per_second(void)
{
	u64 khz = exit_trace_tsc_khz();

	if (khz)
		return khz * 1000;
	return control_period() == PIT_20MS_GUESSED ? 0 : control_period() * PERIODS_PER_SECOND;
}

/* Tenths of `count` per `unit` ticks. What is too large for 64 bits needs no last digit. */
static u64 rate(u64 count, u64 unit, u64 ticks)
{
	while (count > UINT64_MAX / 10 / unit) {
		count >>= 1;
		ticks >>= 1;
	}
	return count * 10 * unit / MAX(ticks, (u64)1);
}

static void show(const char *name, const u64 *counts, const u64 *earlier, u64 unit, u64 ticks)
{
	u64 rates[COLUMNS];

	for (unsigned int i = 0; i < COLUMNS; i++)
		rates[i] = rate(counts[i] - earlier[i], unit, ticks);
	output("%s l1 %llu l2 %llu to-l1 %llu l1-rate %llu.%llu l2-rate %llu.%llu to-l1-rate %llu.%llu", name,
	       LL(counts[OF_L1]), LL(counts[OF_L2]), LL(counts[TO_L1]), LL(rates[OF_L1] / 10),
	       LL(rates[OF_L1] % 10), LL(rates[OF_L2] / 10), LL(rates[OF_L2] % 10), LL(rates[TO_L1] / 10),
	       LL(rates[TO_L1] % 10));
}

static void show_all(const struct vcpu *vcpu)
{
	const struct since *last = since[vcpu->cpu->id];
	u64 ticks = ticks_run() - last->ticks, second = ticks_per_second(), unit = second ? second : MILLION;
	u64 sums[COLUMNS] = { 0 }, earlier_sums[COLUMNS] = { 0 };

	output("cpu %u: rates per %s, of %llu ticks since they were asked for", vcpu->cpu->id,
	       second ? "second" : "million ticks", LL(ticks));
	for (u32 reason = 0; reason < EXIT_REASON_COUNT; reason++) {
		u64 counts[COLUMNS], earlier[COLUMNS];
		char name[32];

		for (unsigned int i = 0; i < COLUMNS; i++) {
			counts[i] = column(vcpu, i)[reason];
			earlier[i] = last->counts[i][reason];
			sums[i] += counts[i];
			earlier_sums[i] += earlier[i];
		}
		print_format(name, sizeof(name), "%u %s", reason, exit_reason_name(reason));
		if (counts[OF_L1] | counts[OF_L2])
			show(name, counts, earlier, unit, ticks);
	}
	show("all", sums, earlier_sums, unit, ticks);
}

bool command_exits(struct vcpu *vcpu, const struct words *words)
{
	bool reset = words->count == 2 && !strcmp(words->word[1], "reset");

	if (words->count > 1 && !reset)
		return false;
	if (!reset)
		show_all(vcpu);
	begin_anew(vcpu);
	return true;
}
