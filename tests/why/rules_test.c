/* SPDX-License-Identifier: MIT */
/*
 * For each rule of VM entry a dump that breaks it: the host tests' own valid vmcs12 with one mutation
 * (tests/unit/check_test.c has the table), written as text and read again. The rule must be called broken,
 * and where a row of the table is without a rule, nothing may be.
 */
int check_test_main(void);
#define main check_test_main
#include "tests/unit/check_test.c"
#undef main

#include <stdio.h>
#include <stdlib.h>

#include "tools/vmcs_why/judge.h"

/* What a dump cannot say, so that these are open or hold: memory, L1's own mode, the current VMCS' address,
 * and what the processor has besides its VMX. */
static const char *const not_in_a_dump[] = {
	"tpr_threshold_vtpr", "link_revision", "link_self",	   "pdptes_memory",
	"host_not_64",	      "guest_not_64",  "host_64",	   "host_perf_global",
	"guest_perf_global",  "pending_rtm",   "pending_bus_lock", "blocking_enclave",
};

#define ALONE 190 /* rules that the table breaks without another; it may grow */

static bool covered[RULE_COUNT]; /* by a dump that breaks nothing else */
static unsigned int bad, dumps;

static int rule_of(const char *name)
{
	for (unsigned int i = 0; i < RULE_COUNT; i++)
		if (!strcmp(rule_names[i], name))
			return (int)i;
	return -1;
}

static bool is_in_a_dump(const char *rule)
{
	for (unsigned int i = 0; i < ARRAY_SIZE(not_in_a_dump); i++)
		if (!strcmp(rule, not_in_a_dump[i]))
			return false;
	return true;
}

static size_t write_dump(char *text, size_t size)
{
	size_t used = 0;

	for (unsigned int f = 0; f < VMCS12_FIELD_COUNT; f++)
		used += (size_t)snprintf(text + used, size - used, "%s=%llx\n", vmcs12_fields[f].name,
					 (unsigned long long)vmcs12_value(&v12, f));
	return used;
}

/* `field`: and that field is named; NULL: whatever is. */
static bool is_broken(const struct judgement *j, unsigned int rule, const char *field)
{
	for (unsigned int segment = 0; segment < SEGMENTS; segment++)
		if (j->verdict[rule][segment] == BROKEN &&
		    (!field || !strcmp(vmcs12_fields[j->failure[rule][segment].field].name, field)))
			return true;
	return false;
}

/* A mutation that one stage of the checks passes may break a rule of a later one. */
static unsigned int count_broken(const struct judgement *j, unsigned int stage, const char *text)
{
	unsigned int count = 0;

	for (unsigned int rule = 0; rule < RULE_COUNT; rule++)
		if (is_broken(j, rule, NULL) && section_rows[rule_rows[rule].section].stage == stage) {
			printf("rules: %s: %s is called broken, and is not\n", text, rule_names[rule]);
			count++;
		}
	return count;
}

static void try_row(const struct row *row, void (*mutate)(size_t n), size_t n, unsigned int stage)
{
	static struct judgement j;
	static char text[16384];
	struct vmx_caps caps = valid12_caps;
	struct dump dump = { .count = 0 };
	int rule = rule_of(row->rule);

	make(row->base);
	mutate(n);
	/* what the tool takes for granted of the processor and of L1 */
	if (!row->field && (env.has_rtm || !env.l1_long_mode)) {
		valid12_caps = caps;
		return;
	}
	dump_parse(&dump, text, write_dump(text, sizeof(text)));
	judge(&dump, &valid12_caps, &j);
	valid12_caps = caps;
	dumps++;
	if (rule < 0) {
		bad += count_broken(&j, stage, row->text);
	} else if (is_in_a_dump(row->rule) && !is_broken(&j, (unsigned int)rule, row->field)) {
		printf("rules: %s: %s is not called broken\n", row->text, row->rule);
		bad++;
	} else if (j.broken == 1) {
		covered[rule] = true;
	}
}

#define TRY(rows_, mutate, stage)                                                                            \
	do {                                                                                                 \
		static const struct row rows[] = { rows_(EXPECTATION) };                                     \
		for (size_t i = 0; i < ARRAY_SIZE(rows); i++)                                                \
			try_row(&rows[i], mutate, i, stage);                                                 \
	} while (0)

int main(void)
{
	unsigned int alone = 0;

	TRY(CONTROL_ROWS, controls_each_rule_mutate, STAGE_CONTROLS);
	TRY(EVENT_ROWS, events_each_rule_mutate, STAGE_CONTROLS);
	TRY(HOST_ROWS, host_each_rule_mutate, STAGE_HOST);
	TRY(GUEST_ROWS, guest_each_rule_mutate, STAGE_GUEST);
	TRY(HOT_ROWS, guest_non_register_each_rule_mutate, STAGE_GUEST);
	for (unsigned int rule = 0; rule < RULE_COUNT; rule++) {
		alone += covered[rule];
		if (getenv("SHOW") && !covered[rule])
			printf("rules: %s is never broken alone\n", rule_names[rule]);
	}
	printf("rules: %u dumps, %u rules broken alone, %u bad\n", dumps, alone, bad);
	return bad || alone < ALONE;
}
