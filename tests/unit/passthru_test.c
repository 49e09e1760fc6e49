/* SPDX-License-Identifier: MIT */
/*
 * EPT01: L1's addresses are the machine's, the window is not there, and what stands in for absent memory
 * while one CPU steps over it is no memory to the others; its memory types are the MTRRs', however many
 * tables there are.
 */
#include "tests/unit/machine.h"

#include "kernel/msr.h"
#include "kernel/x86.h"
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

/* ---- memory types ---- */

static void write_msr(u32 index, u64 value)
{
	machine_vcpu->gpr[GPR_RCX] = index;
	machine_vcpu->gpr[GPR_RAX] = (u32)value;
	machine_vcpu->gpr[GPR_RDX] = value >> 32;
	EXIT_NOW(.reason = EXIT_WRMSR, .length = 2);
	assert_int_equal(machine_pending(), 0);
}

/* What the MTRRs say, for one range. */
static void write_range(u32 n, u64 base, u64 mask, u32 type)
{
	write_msr(MSR_IA32_MTRR_PHYSBASE0 + 2 * n, base | type);
	write_msr(MSR_IA32_MTRR_PHYSBASE0 + 2 * n + 1, mask | MTRR_PHYSMASK_VALID);
}

static void assert_type(u64 gpa, u32 type, u64 size)
{
	struct ept01_mapping found;

	assert_true(vm_ept01_lookup(GPA(gpa), &found));
	assert_int_equal(found.hpa, ALIGN_DOWN(gpa, found.size));
	assert_int_equal(found.rwx, EPT_RWX);
	assert_int_equal(found.memory_type, type);
	if (size)
		assert_int_equal(found.size, size);
}

#define WIDTH_MASK(size) (~((size)-1) & (BIT(vmx_caps.physical_bits) - 1))

static void types_follow_when_touched(void **state UNUSED)
{
	assert_type(0x40000000, MEMTYPE_WB, 0);
	assert_type(MMIO, MEMTYPE_WB, 0);
	write_range(0, 0x600000, WIDTH_MASK(SIZE_2M), MEMTYPE_UC);
	write_range(1, 0x4000000000, WIDTH_MASK(SIZE_1G), MEMTYPE_WT);
	assert_type(0x600000, MEMTYPE_UC, SIZE_2M);
	assert_type(0x5ff000, MEMTYPE_WB, SIZE_2M);
	assert_type(0x800000, MEMTYPE_WB, SIZE_2M);
	assert_type(MMIO, MEMTYPE_WT, 0);
	assert_type(MMIO + SIZE_1G, MEMTYPE_WB, 0);
	/* where nothing cuts, pages are as large as they were */
	assert_type(0x80000000, MEMTYPE_WB, vmx_caps.has_ept_1g ? SIZE_1G : SIZE_2M);
	write_msr(MSR_IA32_MTRR_PHYSMASK0, 0);
	write_msr(MSR_IA32_MTRR_PHYSMASK0 + 2, 0);
	assert_type(0x600000, MEMTYPE_WB, SIZE_2M);
	assert_type(MMIO, MEMTYPE_WB, 0);
	/* off: as they were */
	write_msr(MSR_IA32_MTRR_DEF_TYPE, 0);
	assert_type(0x600000, MEMTYPE_WB, SIZE_2M);
}

/* Every address has the type that the MTRRs say, in whatever order they change and memory is touched. */
static void any_ranges_and_any_touches(void **state UNUSED)
{
	struct fake_random random = { 1 };

	for (u32 round = 0; round < 60; round++) {
		u64 low = round & 8 ? 0 : fake_random(&random) & 0x7000;
		u32 type = fake_random(&random) & 1 ? MEMTYPE_UC : MEMTYPE_WP;

		write_range(round % 4, fake_random(&random) & 0xfff000, WIDTH_MASK(SIZE_2M) | low, type);
		for (u32 i = 0; i < 200; i++) {
			u64 gpa = fake_random(&random) & 0xfff000, end;
			struct ept01_mapping found;
			u32 want = mtrr_type(&machine_vcpu->mtrr, gpa, &end);

			assert_true(vm_ept01_lookup(GPA(gpa), &found));
			assert_int_equal(found.hpa, ALIGN_DOWN(gpa, found.size));
			assert_int_equal(found.memory_type, want);
		}
	}
}

/* However many MTRRs a list writes, the other CPUs and this one forget once, and nothing is walked. */
static void a_list_changes_types_once(void **state UNUSED)
{
	enum { LIST = M_SPARE, COUNT = 512 };
	u64 flushes;

	for (u32 i = 0; i < COUNT; i++) {
		l1_write64(LIST + i * 16, MSR_IA32_MTRR_PHYSMASK0);
		l1_write64(LIST + i * 16 + 8, i & 1 ? WIDTH_MASK(SIZE_2M) | MTRR_PHYSMASK_VALID : 0);
	}
	l1_start_vmx();
	l1_load_vmcs(0);
	l1_write_valid_vmcs();
	assert_int_equal(l1_vmwrite(VMCS_entry_msr_load_addr, LIST), 0);
	assert_int_equal(l1_vmwrite(VMCS_entry_msr_load_count, COUNT), 0);
	flushes = fake_invept_count;
	assert_int_equal(l1_enter(EXIT_VMLAUNCH), 0);
	assert_true(machine_in_l2());
	assert_in_range(fake_invept_count, flushes + 1, flushes + 3);
	assert_type(0x180000, MEMTYPE_UC, 0);
}

static u64 entry_in_tables(u64 gpa)
{
	u64 entry = ptr_to_phys(vm.ept01_root).v;

	for (unsigned int shift = 39;; shift -= 9) {
		entry = ((const u64 *)phys_to_ptr(HPA(entry & PTE_ADDR)))[gpa >> shift & 511];
		if (shift == 12 || !entry || (entry & EPT_LEAF))
			return entry;
	}
}

/* What stood in for absent memory when the types changed is gone with them, and no other CPU's is revived. */
static void a_change_takes_scratch_pages_along(void **state UNUSED)
{
	u64 page = M_WINDOW + 5 * PAGE_SIZE;

	assert_true(passthru_map_scratch(GPA(page), HPA(M_WINDOW + PAGE_SIZE)));
	assert_int_equal(entry_in_tables(page) & PTE_ADDR, M_WINDOW + PAGE_SIZE);
	write_range(0, 0x600000, WIDTH_MASK(SIZE_2M), MEMTYPE_UC);
	assert_true(passthru_map_scratch(GPA(page + PAGE_SIZE), HPA(M_WINDOW + PAGE_SIZE)));
	assert_int_equal(entry_in_tables(page), 0);
	passthru_unmap_scratch(GPA(page + PAGE_SIZE), HPA(M_WINDOW + PAGE_SIZE));
	passthru_unmap_scratch(GPA(page), HPA(M_WINDOW + PAGE_SIZE));
	assert_int_equal(entry_in_tables(page), 0);
	assert_int_equal(entry_in_tables(page + PAGE_SIZE), 0);
	assert_type(0x600000, MEMTYPE_UC, 0);
}

static u32 count_of(const char *text)
{
	u32 count = 0;

	for (const char *at = fake_log(); (at = strstr(at, text)); at++)
		count++;
	return count;
}

/* The pool of tables is used up: said twice in all; large pages keep their type, and nothing is lost. */
static void without_tables_types_stay(void **state UNUSED)
{
	write_range(0, 0, 0x2000 | (WIDTH_MASK(SIZE_2M) & ~0x1ffffffffull), MEMTYPE_UC);
	for (u64 gpa = 0; gpa < 0xc0000000; gpa += SIZE_2M) {
		struct ept01_mapping found;

		if (gpa >= M_WINDOW && gpa < M_WINDOW + M_WINDOW_SIZE)
			continue;
		assert_true(vm_ept01_lookup(GPA(gpa), &found));
		assert_int_equal(found.hpa, ALIGN_DOWN(gpa, found.size));
		assert_int_equal(found.rwx, EPT_RWX);
		if (found.size > PAGE_SIZE)
			assert_int_equal(found.memory_type, MEMTYPE_WB);
	}
	assert_int_equal(count_of("three quarters of the tables"), 1);
	assert_int_equal(count_of("no table is left"), 1);
	assert_false(vm_ept01_lookup(GPA(MMIO + (100ull << 39)), &(struct ept01_mapping){ 0 }));
	write_msr(MSR_IA32_MTRR_PHYSMASK0, 0);
	assert_type(0x600000, MEMTYPE_WB, 0);
	assert_int_equal(count_of("no table is left"), 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		MACHINE_TEST(memory_is_found_at_its_own_address, ""),
		MACHINE_TEST(another_cpus_scratch_is_no_memory, ""),
		MACHINE_TEST_BEFORE(an_address_beyond_the_tables_is_no_other, "", processor_with_52_bits),
		MACHINE_TEST(types_follow_when_touched, ""),
		MACHINE_TEST(any_ranges_and_any_touches, ""),
		MACHINE_TEST(a_list_changes_types_once, ""),
		MACHINE_TEST(a_change_takes_scratch_pages_along, ""),
		MACHINE_TEST(without_tables_types_stay, ""),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
