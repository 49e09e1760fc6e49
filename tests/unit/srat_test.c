/* SPDX-License-Identifier: MIT */
/*
 * ACPI's SRAT: whose processor and whose memory is where. A table that contradicts itself, or is damaged, is
 * left aside with a line; what it says of processors that are not there, or does not say, is told.
 */
#include "tests/unit/cmocka_all.h"

#include "boot/roster.h"
#include "drivers/srat.h"
#include "kernel/cmdline.h"
#include "tests/fake/fake.h"
#include "tests/unit/bytes.h"

#define RSDP 0xe0000u
#define RSDT 0x80000u
#define SRAT 0x81000u

static struct srat srat;
static struct roster roster;
static u32 used;

static void begin(void)
{
	memset(mem(SRAT), 0, 0x8000);
	memcpy(mem(SRAT), "SRAT", 4);
	*mem(SRAT + 8) = 3;
	used = 48;
}

static u64 add(u8 type, u32 size)
{
	u64 at = SRAT + used;

	*mem(at) = type;
	*mem(at + 1) = (u8)size;
	used += size;
	return at;
}

static void add_xapic(u8 apic_id, u32 domain, bool enabled)
{
	u64 at = add(0, 16);

	*mem(at + 2) = (u8)domain;
	*mem(at + 3) = apic_id;
	put(at + 4, enabled, 4);
	put(at + 9, domain >> 8, 3);
}

static void add_x2apic(u32 apic_id, u32 domain, bool enabled)
{
	u64 at = add(2, 24);

	put(at + 4, domain, 4);
	put(at + 8, apic_id, 4);
	put(at + 12, enabled, 4);
}

static void add_memory(u64 base, u64 size, u32 domain, bool enabled)
{
	u64 at = add(1, 40);

	put(at + 2, domain, 4);
	put(at + 8, base, 8);
	put(at + 16, size, 8);
	put(at + 28, enabled, 4);
}

static void read_table(void)
{
	put(SRAT + 4, used, 4);
	srat_read(NULL, 0, true, &srat);
}

/* Two sockets; the second one's identifiers need x2APIC entries. */
static void add_two_nodes(void)
{
	begin();
	for (u8 i = 0; i < 4; i++)
		add_xapic(i, 0, true);
	for (u32 i = 0; i < 4; i++)
		add_x2apic(0x100 + i, 0x12345, true);
	add_memory(0, 0xa0000, 0, true);
	add_memory(SIZE_1M, 2 * SIZE_1G, 0, true);
	add_memory(SIZE_4G, SIZE_4G, 0, true);
	add_memory(2 * SIZE_4G, SIZE_4G, 0x12345, true);
}

static int setup(void **state UNUSED)
{
	u8 sum = 0;

	fake_reset();
	cmdline_parse("");
	memset(mem(RSDP), 0, 64);
	memcpy(mem(RSDP), "RSD PTR ", 8);
	put(RSDP + 16, RSDT, 4);
	for (u32 i = 0; i < 20; i++)
		sum = (u8)(sum + *mem(RSDP + i));
	*mem(RSDP + 8) = (u8)-sum;
	memcpy(mem(RSDT), "RSDT\x28\0\0\0", 8);
	put(RSDT + 36, SRAT, 4);
	add_two_nodes();
	memset(&roster, 0, sizeof(roster));
	return 0;
}

static void two_nodes(void **state UNUSED)
{
	read_table();
	assert_int_equal(srat.node_count, 2);
	assert_int_equal(srat.domain[0], 0);
	assert_int_equal(srat.domain[1], 0x12345);
	assert_int_equal(srat.range_count, 4);
	assert_int_equal(srat.ranges[3].base, 2 * SIZE_4G);
	assert_int_equal(srat.ranges[3].end, 3 * SIZE_4G);
	assert_int_equal(srat.ranges[3].node, 2);
	assert_int_equal(srat_node_of(&srat, 3), 1);
	assert_int_equal(srat_node_of(&srat, 0x103), 2);
	assert_int_equal(srat_node_of(&srat, 4), SRAT_NO_NODE);
	assert_string_equal(fake_log(), "");
}

/* Entries that are not enabled, of generic initiators, of no size, or the same again. */
static void what_does_not_count(void **state UNUSED)
{
	add_xapic(9, 5, false);
	add_x2apic(9, 5, false);
	add_memory(0, SIZE_4G, 5, false);
	add_memory(0, 0, 5, true);
	add_memory(SIZE_1M, SIZE_1M, 0, true); /* of the same domain as what it lies in */
	add(5, 32);
	add(6, 32);
	add_xapic(3, 0, true);
	read_table();
	assert_int_equal(srat.node_count, 2);
	assert_int_equal(srat.cpu_count, 8);
	assert_int_equal(srat.range_count, 5);
	assert_string_equal(fake_log(), "");
	/* one domain alone; no table */
	begin();
	add_xapic(0, 3, true);
	add_memory(0, SIZE_4G, 3, true);
	read_table();
	assert_int_equal(srat.node_count, 0);
	assert_int_equal(srat_node_of(&srat, 0), SRAT_NO_NODE);
	memcpy(mem(SRAT), "SLIT", 4);
	read_table();
	assert_int_equal(srat.node_count, 0);
	assert_string_equal(fake_log(), "");
}

/* "Revision 1": what is above the lowest eight bits of a domain is reserved. */
static void the_first_revision(void **state UNUSED)
{
	begin();
	*mem(SRAT + 8) = 1;
	add_xapic(0, 0x777700, true);
	add_xapic(1, 0x888801, true);
	add_memory(0, SIZE_1G, 0x999900, true);
	add_memory(SIZE_1G, SIZE_1G, 0xaaaa01, true);
	read_table();
	assert_int_equal(srat.node_count, 2);
	assert_int_equal(srat.ranges[1].node, srat_node_of(&srat, 1));
	*mem(SRAT + 8) = 2;
	read_table();
	assert_int_equal(srat.node_count, 4);
}

static void assert_left_aside(const char *why)
{
	u64 before = strlen(fake_log());

	read_table();
	assert_int_equal(srat.node_count, 0);
	assert_int_equal(srat.range_count, 0);
	assert_int_equal(srat.cpu_count, 0);
	if (!strstr(fake_log() + before, why) || !strstr(fake_log() + before, "without regard to it"))
		fail_msg("'%s', not '%s'", fake_log() + before, why);
	assert_ptr_equal(strchr(fake_log() + before, '\n') + 1, fake_log() + strlen(fake_log()));
	add_two_nodes();
}

static void contradictions(void **state UNUSED)
{
	add_x2apic(2, 0x12345, true);
	assert_left_aside("the processor with APIC ID 2 is in two domains (0, 12345)");
	add_memory(SIZE_4G + SIZE_1G, SIZE_1G, 8, true);
	assert_left_aside("the memory at 140000000 is in two domains (0, 8)");
	/* by one byte at each end; and what only touches */
	add_memory(3 * SIZE_4G - 1, 2, 0, true);
	assert_left_aside("is in two domains");
	add_memory(2 * SIZE_4G - SIZE_1M, SIZE_1M + 1, 0, true);
	assert_left_aside("is in two domains");
	add_memory(3 * SIZE_4G, 1, 0, true);
	add_memory(5 * SIZE_1G / 2, SIZE_1M, 0x12345, true);
	read_table();
	assert_int_equal(srat.node_count, 2);
	add_two_nodes();
	add_memory(~0xfffull, 0x2000, 0, true);
	assert_left_aside("memory at fffffffffffff000 has no end");
	add_memory(0, ~0ull, 0x12345, true);
	assert_left_aside("is in two domains");
}

static void too_much(void **state UNUSED)
{
	for (u32 i = 0; i < SRAT_NODE_MAX - 1; i++)
		add_xapic((u8)(100 + i), 100 + i, true);
	assert_left_aside("more than 32 domains");
	for (u32 i = 0; i <= SRAT_RANGE_MAX - 4; i++)
		add_memory(4 * SIZE_4G + i * SIZE_1M, SIZE_1M, 0, true);
	assert_left_aside("more than 128 ranges");
	for (u32 i = 0; i <= ACPI_CPU_MAX - 8; i++)
		add_x2apic(0x1000 + i, 0, true);
	assert_left_aside("more than 512 processors");
}

static void damage(void **state UNUSED)
{
	add(0, 15);
	assert_left_aside("a structure of type 0 has 15 bytes");
	add(1, 39);
	assert_left_aside("a structure of type 1 has 39 bytes");
	add(2, 23);
	assert_left_aside("a structure of type 2 has 23 bytes");
	*mem(add(0, 16) + 1) = 1;
	assert_left_aside("a structure of 1 bytes");
	add(4, 200);
	used -= 100;
	assert_left_aside("a structure of 200 bytes, where there are 100");
	used += 1;
	assert_left_aside("a structure of 0 bytes, where there are 1");
	add(0x77, 2);
	read_table();
	assert_int_equal(srat.node_count, 2);
	assert_non_null(strstr(fake_log(), "SRAT: 1 structures are of unknown types"));
	/* shorter than its own head */
	used = 40;
	read_table();
	assert_int_equal(srat.node_count, 0);
}

/* Whatever firmware says, what comes out of it is in order. */
static void each_byte_may_be_any(void **state UNUSED)
{
	struct fake_random random = { 18 };

	for (u32 i = 0; i < 20000; i++) {
		add_two_nodes();
		for (u32 n = fake_random(&random) % 8; n; n--)
			*mem(SRAT + 48 + fake_random(&random) % (used - 48)) = (u8)fake_random(&random);
		read_table();
		assert_true(srat.node_count <= SRAT_NODE_MAX && srat.range_count <= SRAT_RANGE_MAX);
		for (u32 k = 0; k < srat.range_count; k++) {
			assert_in_range(srat.ranges[k].node, 1, srat.node_count);
			assert_true(srat.ranges[k].base < srat.ranges[k].end);
		}
		for (u32 k = 0; k < srat.cpu_count; k++)
			assert_in_range(srat.cpus[k].node, 1, srat.node_count);
	}
}

static void against_the_processors_that_there_are(void **state UNUSED)
{
	read_table();
	for (u32 i = 0; i < 8; i++)
		roster.apic_id[i] = i < 4 ? i : 0xfc + i;
	roster.count = roster.usable = 8;
	roster_place(&roster, &srat);
	assert_int_equal(roster.node[0], 1);
	assert_int_equal(roster.node[7], 2);
	assert_string_equal(fake_log(), "");
	/* one more, which is L1's; and one that is parked, of which nothing is said */
	roster.apic_id[8] = 0x33;
	roster.apic_id[9] = 0x34;
	roster.count = 10;
	roster.usable = 9;
	roster_place(&roster, &srat);
	assert_int_equal(roster.node[8], SRAT_NO_NODE);
	assert_non_null(strstr(fake_log(), "SRAT: 1 of L1's processors are in no domain"));
	/* a parked one takes nothing of what is its node's CPUs' */
	roster.usable = 7;
	roster_place(&roster, &srat);
	assert_int_equal(roster.node[6], 2);
	assert_int_equal(roster.node[7], SRAT_NO_NODE);
	add_xapic(0xee, 0, true);
	read_table();
	roster_place(&roster, &srat);
	assert_non_null(strstr(fake_log(), "SRAT: 1 processors in it are not there"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(two_nodes, setup),
		cmocka_unit_test_setup(what_does_not_count, setup),
		cmocka_unit_test_setup(the_first_revision, setup),
		cmocka_unit_test_setup(contradictions, setup),
		cmocka_unit_test_setup(too_much, setup),
		cmocka_unit_test_setup(damage, setup),
		cmocka_unit_test_setup(each_byte_may_be_any, setup),
		cmocka_unit_test_setup(against_the_processors_that_there_are, setup),
	};

	return cmocka_run_group_tests_name("srat", tests, NULL, NULL);
}
