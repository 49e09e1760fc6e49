/* SPDX-License-Identifier: MIT */
/*
 * The VMX accesses of one exit of L2's to L1 and back, counted on the fake processor: the table in
 * docs/performance.md says by which function each is made, and its sums must be what is counted.
 */
#include "tests/unit/cmocka_all.h"

#include <stdio.h>
#include <stdlib.h>

#include "kernel/x86.h"
#include "tests/unit/l2_support.h"
#include "vmx/guest/vcpu.h"
#include "vmx/guest/handlers.h"
#include "vmx/nested/vmcs12/shadow_use.h"

#define PAGE "docs/performance.md"
#define FUNCTIONS 16 /* the table has at least so many rows */

enum which { VMCS01, VMCS02, SHADOW, VMCS_COUNT };

struct counts {
	u64 reads, writes[VMCS_COUNT], loads;
};

/* A file of the tree: tests run in its root or in tests/unit. */
static char *text_of(const char *path)
{
	static char text[1 << 17];
	char below[200];
	FILE *file = fopen(path, "r");

	snprintf(below, sizeof(below), "../../%s", path);
	if (!file)
		file = fopen(below, "r");
	if (!file)
		fail_msg("there is no %s", path);
	text[fread(text, 1, sizeof(text) - 1, file)] = 0;
	fclose(file);
	return text;
}

static void assert_defines(const char *path, const char *function)
{
	char call[100];

	snprintf(call, sizeof(call), "%s(", function);
	if (!strstr(text_of(path), call))
		fail_msg(PAGE ": no %s() in %s", function, path);
}

static enum which which_of(const char *name)
{
	if (!strcmp(name, "vmcs01"))
		return VMCS01;
	if (!strcmp(name, "vmcs02"))
		return VMCS02;
	assert_string_equal(name, "shadow");
	return SHADOW;
}

/* The sums over the table's rows. */
static struct counts counts_of_page(void)
{
	struct counts sum = { 0 };
	char *page = strdup(text_of(PAGE));
	unsigned int rows = 0;

	for (char *line = strtok(page, "\n"); line; line = strtok(NULL, "\n")) {
		char path[100], function[60], vmcs[10];
		unsigned int reads, writes, loads;

		if (sscanf(line, "| %*[a-z] | `%99[^`]` | `%59[^(]()` | %9[a-z0-9] | %u | %u | %u |", path,
			   function, vmcs, &reads, &writes, &loads) != 6)
			continue;
		assert_defines(path, function);
		sum.reads += reads;
		sum.writes[which_of(vmcs)] += writes;
		sum.loads += loads;
		rows++;
	}
	free(page);
	assert_true(rows >= FUNCTIONS);
	return sum;
}

static u64 writes_to(const struct vmcs *vmcs)
{
	u64 count = 0;

	for (size_t i = 0; i < fake_write_count; i++)
		count += fake_writes[i].vmcs == vmcs->region.v;
	return count;
}

/* As the benchmark's L2: 64-bit, with EPT, VPID and all bitmaps. */
static void start(void)
{
	l1_start_vmx();
	l1_load_vmcs(0);
	l1_write_valid_vmcs();
	l1_write64(P_EPT, (P_EPT + 0x1000) | EPT_RWX);
	for (u64 i = 0; i < 4; i++)
		l1_write64(P_EPT + 0x1000 + i * 8,
			   i << 30 | EPT_RWX | EPT_LEAF | MEMTYPE_WB << EPT_MEMTYPE_SHIFT);
	W(ept_pointer, P_EPT | 3 << EPTP_WALK_SHIFT | MEMTYPE_WB);
	W(proc2_controls, PROC2_EPT | PROC2_VPID);
	W(vpid, 1);
	W(io_bitmap_a, P_IO_A);
	W(io_bitmap_b, P_IO_B);
	W(msr_bitmap, P_MSR);
	W(proc_controls, R(proc_controls) | PROC_IO_BITMAPS | PROC_MSR_BITMAPS);
}

/* The controls that load and save debug state and PAT, which the benchmark's L1 has not. */
static void set_all_controls(void)
{
	const u64 pat = 0x0007040600070406;

	W(entry_controls, R(entry_controls) | ENTRY_LOAD_DEBUG | ENTRY_LOAD_PAT);
	W(exit_controls, R(exit_controls) | EXIT_SAVE_DEBUG | EXIT_SAVE_PAT | EXIT_LOAD_PAT);
	W(host_pat, pat);
	W(guest_pat, pat);
	W(guest_dr7, 0x400);
}

/* L1 moves RIP and resumes L2, which runs on to its next CPUID. */
static void go_round(void)
{
	W(guest_rip, R(guest_rip) + R(exit_instruction_length));
	assert_int_equal(l1_enter(EXIT_VMRESUME), 0);
	assert_true(machine_in_l2());
	machine_set_field(VMCS_guest_rip, machine_field(VMCS_guest_rip) + 2);
	EXIT_NOW(.reason = EXIT_CPUID);
	assert_false(machine_in_l2());
}

/* Of a later round: nothing is made for the first time then, and it has been seen what L1 writes. */
static struct counts count_round(void)
{
	const struct nested_vmcs *slot;
	struct counts c = { 0 };

	assert_int_equal(l1_enter(EXIT_VMLAUNCH), 0);
	EXIT_NOW(.reason = EXIT_CPUID);
	for (unsigned int i = 0; i < 2 * SHADOW_USE_PERIOD; i++)
		go_round();
	fake_log_clear();
	go_round();
	slot = machine_vcpu->nested.current;
	c.reads = fake_read_count;
	c.loads = fake_load_count;
	c.writes[VMCS01] = writes_to(&machine_vcpu->vmcs01);
	c.writes[VMCS02] = writes_to(&slot->vmcs02);
	c.writes[SHADOW] = writes_to(&slot->shadow);
	assert_int_equal(fake_write_count, c.writes[VMCS01] + c.writes[VMCS02] + c.writes[SHADOW]);
	return c;
}

static void the_page_has_each_access(void **state UNUSED)
{
	struct counts page = counts_of_page(), counted;
	char all[60];

	start();
	counted = count_round();
	assert_int_equal(page.reads, counted.reads);
	for (enum which vmcs = VMCS01; vmcs < VMCS_COUNT; vmcs++)
		assert_int_equal(page.writes[vmcs], counted.writes[vmcs]);
	assert_int_equal(page.loads, counted.loads);
	snprintf(all, sizeof(all), "| all | | | | %llu | %zu | %llu | |", (unsigned long long)counted.reads,
		 fake_write_count, (unsigned long long)counted.loads);
	assert_non_null(strstr(text_of(PAGE), all));
}

static void with_all_controls_it_is_less(void **state UNUSED)
{
	struct counts counted;
	char sums[60];

	start();
	set_all_controls();
	counted = count_round();
	snprintf(sums, sizeof(sums), "the sums are %llu, %zu and %llu.", (unsigned long long)counted.reads,
		 fake_write_count, (unsigned long long)counted.loads);
	if (!strstr(text_of(PAGE), sums))
		fail_msg(PAGE " does not say: %s", sums);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		MACHINE_TEST(the_page_has_each_access, "shadow-vmcs=on"),
		MACHINE_TEST(with_all_controls_it_is_less, "shadow-vmcs=on"),
	};

	return cmocka_run_group_tests_name("round_trip", tests, NULL, NULL);
}
