/* SPDX-License-Identifier: MIT */
/*
 * EPT01: L1's addresses are the machine's, the window is not there, and what stands in for absent memory
 * while one CPU steps over it is no memory to the others.
 */
#include "tests/unit/machine.h"

#include "tests/unit/cmocka_all.h"
#include "vmx/caps.h"
#include "vmx/vm.h"

#define MMIO 0x4000001000ull /* above RAM, within the physical width */

static void memory_is_found_at_its_own_address(void **state)
{
	static const u64 addresses[] = { 0, 0x1234, M_SPARE, M_WINDOW - 1, 0xfee00123, MMIO };
	struct ept01_mapping found;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(addresses); i++) {
		assert_true(vm_ept01_lookup(GPA(addresses[i]), &found));
		assert_int_equal(found.hpa, ALIGN_DOWN(addresses[i], found.size));
		assert_int_equal(found.rwx, EPT_RWX);
		assert_false(found.ignore_pat);
	}
	assert_false(vm_ept01_lookup(GPA(M_WINDOW), &found));
	assert_false(vm_ept01_lookup(GPA(M_WINDOW + M_WINDOW_SIZE - 1), &found));
	assert_false(vm_ept01_lookup(GPA(1ull << vmx_caps.physical_bits), &found));
	assert_false(vm_ept01_lookup(GPA(~0ull), &found));
}

/* Beyond the tables that there are for MMIO another CPU may be stepping at the same address. */
static void another_cpus_scratch_is_no_memory(void **state)
{
	struct ept01_mapping found;

	(void)state;
	assert_true(passthru_map_scratch(GPA(MMIO), HPA(M_WINDOW + PAGE_SIZE)));
	assert_false(vm_ept01_lookup(GPA(MMIO), &found));
	/* Who does not own it does not take it away. */
	passthru_unmap_scratch(GPA(MMIO), HPA(M_WINDOW + 2 * PAGE_SIZE));
	assert_false(vm_ept01_lookup(GPA(MMIO), &found));
	passthru_unmap_scratch(GPA(MMIO), HPA(M_WINDOW + PAGE_SIZE));
	assert_true(vm_ept01_lookup(GPA(MMIO), &found));
	assert_int_equal(found.hpa, ALIGN_DOWN(MMIO, found.size));
	/* Nor memory of L1's, whoever asks. */
	passthru_unmap_scratch(GPA(M_SPARE), HPA(M_WINDOW + PAGE_SIZE));
	assert_true(vm_ept01_lookup(GPA(M_SPARE), &found));
}

static void processor_with_52_bits(void)
{
	fake_cpuid_set(0x80000008, 0, 0x3034, 0, 0, 0);
}

/* Four levels of tables would take it for the page 2^48 bytes below, which would be gone behind the access.
 */
static void an_address_beyond_the_tables_is_no_other(void **state)
{
	static const u64 pages[] = { 0x604000, MMIO };
	struct ept01_mapping found;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(pages); i++) {
		u64 beyond = BIT(48) + pages[i];

		assert_false(vm_ept01_lookup(GPA(beyond), &found));
		EXIT_NOW(.reason = EXIT_EPT_VIOLATION, .qualification = EPTV_READ, .guest_physical = beyond);
		assert_int_equal(machine_pending() & 0xff, VEC_GP);
		EXIT_NOW(.reason = EXIT_MTF);
		assert_true(vm_ept01_lookup(GPA(pages[i]), &found));
		assert_int_equal(found.hpa, ALIGN_DOWN(pages[i], found.size));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		MACHINE_TEST(memory_is_found_at_its_own_address, ""),
		MACHINE_TEST(another_cpus_scratch_is_no_memory, ""),
		MACHINE_TEST_BEFORE(an_address_beyond_the_tables_is_no_other, "", processor_with_52_bits),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
