/* SPDX-License-Identifier: MIT */
/*
 * The processors of the machine: who is asked and when it is believed that nobody else answers, what becomes
 * of the page that they start in, who is L1's and who is parked.
 */
#include "tests/unit/cmocka_all.h"

#include "boot/census.h"
#include "boot/roster.h"
#include "kernel/cmdline.h"
#include "drivers/apic.h"
#include "kernel/msr.h"
#include "mm/host_map.h"
#include "mm/memmap.h"
#include "tests/fake/fake.h"

#define APIC 0xfee00000u
#define PAGE 0x5000u
#define PARAMETERS 0x100u /* tests/fake */
#define INIT_OTHERS 0xc4500u
#define SIPI_OTHERS (0xc4600u | PAGE >> PAGE_SHIFT)

static struct census answered;
static struct acpi_cpus named;
static struct roster roster;

/* A machine: a microsecond an input, processors that answer the first SIPI so much later. */
static struct {
	u32 now, sent_count, cpu_count, started_at;
	struct {
		u32 at, icr;
		u8 in_page;
	} sent[8];
	u32 delay[8], apic_id[8];
	bool restless;
} world;

static u64 identity; /* the page that is mapped at its own address; 0: none */

void host_map_identity(u64 pa, bool mapped)
{
	identity = mapped ? pa : 0;
}

static struct trampoline *in_page(void)
{
	return (struct trampoline *)(void *)(fake_memory + PAGE + PARAMETERS);
}

static void answer(u32 apic_id)
{
	struct trampoline *at = in_page();

	assert_int_equal(at->wanted, TRAMPOLINE_NOBODY);
	assert_int_equal(identity, PAGE);
	if (at->count < TRAMPOLINE_ID_MAX)
		at->apic_id[at->count] = apic_id;
	at->count++;
}

static void microsecond(void)
{
	u32 *icr = (u32 *)(void *)(fake_memory + APIC + 0x300);

	if (*icr && world.sent_count < ARRAY_SIZE(world.sent)) {
		world.sent[world.sent_count].at = world.now;
		world.sent[world.sent_count].in_page = fake_memory[PAGE];
		world.sent[world.sent_count++].icr = *icr;
		if ((*icr & 0x700) == 0x600 && !world.started_at)
			world.started_at = world.now;
		*icr = 0;
	}
	world.now++;
	for (u32 i = 0; world.started_at && i < world.cpu_count; i++)
		if (world.now == world.started_at + world.delay[i])
			answer(world.apic_id[i]);
	if (world.restless && world.started_at && world.now % 50000 == 0)
		answer(world.now);
}

static int setup(void **state UNUSED)
{
	fake_reset();
	cmdline_parse("");
	memset(&world, 0, sizeof(world));
	memset(&named, 0, sizeof(named));
	memset(&answered, 0, sizeof(answered));
	fake_msr_set(MSR_IA32_APIC_BASE, APIC | APIC_BASE_ENABLE | APIC_BASE_BSP);
	memmap_init();
	memmap_add(0, PAGE, MEMMAP_RESERVED);
	memmap_add(PAGE, 0x8000, MEMMAP_USABLE);
	memset(fake_memory + PAGE, 0x11, 2 * PAGE_SIZE);
	fake_input_hook = microsecond;
	return 0;
}

static int teardown(void **state UNUSED)
{
	fake_input_hook = NULL;
	trampoline_give_back();
	return 0;
}

static void add_cpu(u32 apic_id, u32 delay)
{
	world.apic_id[world.cpu_count] = apic_id;
	world.delay[world.cpu_count++] = delay;
}

/* SDM "Typical AP Initialization Sequence": INIT, 10 ms, SIPI, 200 us, SIPI. */
static void init_sipi_sipi_to_all(void **state UNUSED)
{
	add_cpu(1, 20);
	assert_int_equal(census_take(&answered), STATUS_OK);
	assert_int_equal(world.sent_count, 3);
	assert_int_equal(world.sent[0].icr, INIT_OTHERS);
	assert_int_equal(world.sent[1].icr, SIPI_OTHERS);
	assert_int_equal(world.sent[2].icr, SIPI_OTHERS);
	assert_true(world.sent[1].at - world.sent[0].at >= 10000);
	assert_true(world.sent[2].at - world.sent[1].at >= 200);
	/* whoever runs in that page, against the firmware's word, does so until the INIT */
	assert_int_equal(world.sent[0].in_page, 0x11);
	assert_int_equal(world.sent[1].in_page, 0xc7);
	assert_int_equal(answered.count, 1);
	assert_int_equal(answered.apic_id[0], 1);
}

/* In xAPIC mode an identifier has eight bits, and 255 is everybody. */
static void who_can_be_reached(void **state UNUSED)
{
	assert_true(apic_reaches(0) && apic_reaches(254));
	assert_false(apic_reaches(255) || apic_reaches(256) || apic_reaches(0x10001));
	fake_msr_set(MSR_IA32_APIC_BASE, APIC | APIC_BASE_ENABLE | APIC_BASE_X2APIC);
	assert_true(apic_reaches(254) && apic_reaches(255) && apic_reaches(0x10001));
}

static void x2apic_asks_by_its_msr(void **state UNUSED)
{
	fake_msr_set(MSR_IA32_APIC_BASE, APIC | APIC_BASE_ENABLE | APIC_BASE_X2APIC);
	fake_msr_set(0x830, 0);
	assert_int_equal(census_take(&answered), STATUS_OK);
	assert_int_equal(fake_msr_get(0x830), SIPI_OTHERS);
	assert_int_equal(answered.count, 0);
}

/* Each answer begins the 100 ms anew. */
static void late_ones_are_waited_for(void **state UNUSED)
{
	add_cpu(6, 30);
	add_cpu(2, 95000);
	add_cpu(0x1234, 185000);
	assert_int_equal(census_take(&answered), STATUS_OK);
	assert_int_equal(answered.count, 3);
	assert_int_equal(answered.apic_id[2], 0x1234);
	assert_true(world.now - world.started_at >= 285000);
	assert_true(world.now - world.started_at < 300000);
}

static void one_that_never_stands_still(void **state UNUSED)
{
	world.restless = true;
	assert_int_equal(census_take(&answered), STATUS_CPUS_RESTLESS);
	assert_true(world.now >= 10000000 && world.now < 11000000);
}

static void what_a_census_needs(void **state UNUSED)
{
	fake_msr_set(MSR_IA32_APIC_BASE, APIC);
	assert_int_equal(census_take(&answered), STATUS_APIC_OFF);
	assert_int_equal(world.now, 0);
	fake_msr_set(MSR_IA32_APIC_BASE, APIC | APIC_BASE_ENABLE);
	memmap_init();
	memmap_add(0x100000, 0x100000, MEMMAP_USABLE);
	memmap_add(0, PAGE_SIZE, MEMMAP_USABLE);
	assert_int_equal(census_take(&answered), STATUS_NO_LOW_PAGE);
}

/* Nothing of what L1 had there changes, the table of APIC IDs behind the code included. */
static void the_page_is_given_back(void **state UNUSED)
{
	add_cpu(1, 20);
	add_cpu(2, 20);
	assert_int_equal(census_take(&answered), STATUS_OK);
	assert_int_not_equal(fake_memory[PAGE], 0x11);
	assert_ptr_equal(trampoline_take(), in_page());
	assert_int_equal(in_page()->count, 2);
	assert_int_equal(trampoline_page(), PAGE >> PAGE_SHIFT);
	trampoline_give_back();
	trampoline_give_back();
	for (u32 i = 0; i < 2 * PAGE_SIZE; i++)
		assert_int_equal(fake_memory[PAGE + i], 0x11);
}

static void name(u32 apic_id)
{
	if (named.count < ACPI_CPU_MAX)
		named.apic_id[named.count] = apic_id;
	named.count++;
}

static void has_answered(u32 apic_id)
{
	if (answered.count < TRAMPOLINE_ID_MAX)
		answered.apic_id[answered.count] = apic_id;
	answered.count++;
}

static void assert_roster(u32 usable, u32 count, const u32 *apic_id)
{
	assert_int_equal(roster.count, count);
	assert_int_equal(roster.usable, usable);
	for (u32 i = 0; i < count; i++)
		assert_int_equal(roster.apic_id[i], apic_id[i]);
}
#define ROSTER(usable, ...)                                                                                  \
	assert_roster(usable, ARRAY_SIZE(((u32[]){ __VA_ARGS__ })), (const u32[]){ __VA_ARGS__ })

static void named_ones_are_l1s(void **state UNUSED)
{
	name(0);
	name(6);
	name(4);
	has_answered(4);
	has_answered(6);
	assert_int_equal(roster_make(&named, &answered, 4, 0, &roster), STATUS_OK);
	ROSTER(3, 4, 0, 6);
	/* who did not answer is tried all the same: it fails there */
	answered.count = 0;
	assert_int_equal(roster_make(&named, &answered, 0, 0, &roster), STATUS_OK);
	ROSTER(3, 0, 6, 4);
}

static void others_are_parked(void **state UNUSED)
{
	name(0);
	name(2);
	has_answered(9);
	has_answered(2);
	has_answered(1);
	has_answered(9);
	assert_int_equal(roster_make(&named, &answered, 0, 0, &roster), STATUS_OK);
	ROSTER(2, 0, 2, 1, 9);
	assert_int_equal(roster_make(&named, &answered, 0, 1, &roster), STATUS_OK);
	ROSTER(1, 0, 2, 1, 9);
	/* cpus= never reaches one that no table names */
	assert_int_equal(roster_make(&named, &answered, 0, 3, &roster), STATUS_TOO_MANY_CPUS);
	assert_null(strstr(fake_log(), "is not named"));
	/* a table that does not name us */
	assert_int_equal(roster_make(&named, &answered, 7, 0, &roster), STATUS_OK);
	assert_non_null(strstr(fake_log(), "the processor that runs, with APIC ID 7, is not named"));
	ROSTER(3, 7, 0, 2, 1, 9);
}

static void without_a_table_all_are_l1s(void **state UNUSED)
{
	has_answered(3);
	has_answered(1);
	has_answered(2);
	assert_int_equal(roster_make(&named, &answered, 0, 0, &roster), STATUS_OK);
	ROSTER(4, 0, 1, 2, 3);
	assert_int_equal(roster_make(&named, &answered, 0, 2, &roster), STATUS_OK);
	ROSTER(2, 0, 1, 2, 3);
	assert_int_equal(roster_make(&named, &answered, 0, 5, &roster), STATUS_TOO_MANY_CPUS);
	answered.count = 0;
	assert_int_equal(roster_make(&named, &answered, 0, 0, &roster), STATUS_OK);
	ROSTER(1, 0);
}

/* Each must be held, so none may be left out, whatever cpus= says. */
static void too_many_are_refused(void **state UNUSED)
{
	for (u32 i = 1; i < PERCPU_MAX; i++)
		has_answered(i);
	assert_int_equal(roster_make(&named, &answered, 0, 0, &roster), STATUS_OK);
	assert_int_equal(roster.usable, PERCPU_MAX);
	has_answered(PERCPU_MAX);
	assert_int_equal(roster_make(&named, &answered, 0, 1, &roster), STATUS_MANY_CPUS);
	has_answered(PERCPU_MAX + 1); /* no room in the table, and one of the others is 0 */
	answered.apic_id[7] = 0;
	answered.apic_id[8] = 0;
	assert_int_equal(roster_make(&named, &answered, 0, 1, &roster), STATUS_MANY_CPUS);
	answered.count = 0;
	for (u32 i = 0; i < PERCPU_MAX; i++)
		name(i);
	assert_int_equal(roster_make(&named, &answered, 0, 0, &roster), STATUS_OK);
	assert_int_equal(roster_make(&named, &answered, PERCPU_MAX, 0, &roster), STATUS_MANY_CPUS);
	name(1);
	assert_int_equal(roster_make(&named, &answered, 0, 1, &roster), STATUS_MANY_CPUS);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(init_sipi_sipi_to_all, setup, teardown),
		cmocka_unit_test_setup_teardown(who_can_be_reached, setup, teardown),
		cmocka_unit_test_setup_teardown(x2apic_asks_by_its_msr, setup, teardown),
		cmocka_unit_test_setup_teardown(late_ones_are_waited_for, setup, teardown),
		cmocka_unit_test_setup_teardown(one_that_never_stands_still, setup, teardown),
		cmocka_unit_test_setup_teardown(what_a_census_needs, setup, teardown),
		cmocka_unit_test_setup_teardown(the_page_is_given_back, setup, teardown),
		cmocka_unit_test_setup_teardown(named_ones_are_l1s, setup, teardown),
		cmocka_unit_test_setup_teardown(others_are_parked, setup, teardown),
		cmocka_unit_test_setup_teardown(without_a_table_all_are_l1s, setup, teardown),
		cmocka_unit_test_setup_teardown(too_many_are_refused, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
