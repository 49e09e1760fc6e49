/* SPDX-License-Identifier: MIT */
/*
 * EPT01: L1's addresses are the machine's, the window is not there, and what stands in for absent memory
 * while one CPU steps over it is in tables of that CPU's own; its memory types are the MTRRs', however many
 * tables there are.
 */
#include "tests/unit/machine.h"

#include "kernel/msr.h"
#include "mm/memmap.h"
#include "kernel/x86.h"
#include "tests/unit/cmocka_all.h"
#include "vmx/hw/caps.h"
#include "vmx/l1/vm.h"

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

#define HIGH_RAM (8ull << 30)
#define REMAPPING_UNIT 0xfed90000u
#define HIGH_WINDOW (HIGH_RAM + SIZE_1G + SIZE_2M)

static void add_high_memory(void)
{
	memmap_add(HIGH_RAM, (4ull << 30) + SIZE_2M, MEMMAP_USABLE);
	memmap_add_window(HIGH_WINDOW, SIZE_2M);
	memmap_add_window(REMAPPING_UNIT, PAGE_SIZE);
	memmap_add_window(HIGH_WINDOW + 2 * SIZE_1G, 4 * SIZE_2M);
}

static void machine_with_high_memory(void)
{
	machine_more_memory = add_high_memory;
}

static void every_window_is_cut_out(void **state)
{
	static const u64 inside[] = { M_WINDOW,
				      REMAPPING_UNIT,
				      REMAPPING_UNIT + PAGE_SIZE - 1,
				      HIGH_WINDOW,
				      HIGH_WINDOW + SIZE_2M - 1,
				      HIGH_WINDOW + 2 * SIZE_1G,
				      HIGH_WINDOW + 2 * SIZE_1G + 4 * SIZE_2M - 1 };
	static const u64 outside[] = { M_WINDOW - 1,
				       REMAPPING_UNIT - 1,
				       REMAPPING_UNIT + PAGE_SIZE,
				       HIGH_RAM,
				       HIGH_WINDOW - 1,
				       HIGH_WINDOW + SIZE_2M,
				       HIGH_WINDOW + 2 * SIZE_1G - 1,
				       HIGH_WINDOW + 2 * SIZE_1G + 4 * SIZE_2M };
	struct ept01_mapping found;
	u64 end;

	(void)state;
	machine_more_memory = NULL;
	for (size_t i = 0; i < ARRAY_SIZE(inside); i++) {
		assert_false(vm_ept01_lookup(GPA(inside[i]), &found));
		assert_true(memmap_in_window(inside[i], 1));
		assert_false(memmap_is_ram(inside[i], 1));
	}
	for (size_t i = 0; i < ARRAY_SIZE(outside); i++) {
		assert_true(vm_ept01_lookup(GPA(outside[i]), &found));
		assert_int_equal(found.hpa, ALIGN_DOWN(outside[i], found.size));
		assert_false(memmap_in_window(outside[i], 1));
		/* beside the unit there is device memory */
		assert_true(memmap_is_ram(outside[i], 1) == (outside[i] >> 28 != 0xf));
	}
	/* behind RAM: the gigabyte in which RAM ends has smaller chunks */
	end = ALIGN_UP(memmap_ram_end(), SIZE_2M);
	assert_true(end > SIZE_4G && end % SIZE_1G);
	assert_true(vm_ept01_lookup(GPA(end), &found));
	assert_int_equal(found.hpa, end);
	assert_true(found.size < SIZE_1G);
}

/* The entry that ends the walk from the root that an EPT pointer names. */
static u64 entry_from(u64 pointer, u64 gpa)
{
	u64 entry = pointer;

	for (unsigned int shift = 39;; shift -= 9) {
		entry = ((const u64 *)phys_to_ptr(HPA(entry & PTE_ADDR)))[gpa >> shift & 511];
		if (shift == 12 || !(entry & EPT_RWX) || (entry & EPT_LEAF))
			return entry;
	}
}

#define WINDOW_PAGE (M_WINDOW + 5 * PAGE_SIZE)

static void violation(u64 gpa)
{
	EXIT_NOW(.reason = EXIT_EPT_VIOLATION, .qualification = EPTV_READ, .guest_physical = gpa);
	assert_int_equal(machine_pending(), 0);
}

/* The page of ones is found by the CPU that steps, and by nobody else: EPT01 is what it was. */
static void a_step_is_this_cpus_alone(void **state)
{
	struct ept01_mapping found;
	u64 own, flushes;

	(void)state;
	violation(WINDOW_PAGE);
	own = machine_field(VMCS_ept_pointer);
	assert_true(own != vm.ept01_pointer && (own & ~(u64)PTE_ADDR) == (vm.ept01_pointer & ~(u64)PTE_ADDR));
	assert_int_equal(entry_from(own, WINDOW_PAGE) & PTE_ADDR,
			 ptr_to_phys(machine_vcpu->l1.absent.scratch).v);
	assert_int_equal(entry_from(own, WINDOW_PAGE + PAGE_SIZE), 0);
	assert_int_equal(entry_from(own, M_SPARE), entry_from(vm.ept01_pointer, M_SPARE));
	assert_int_equal(entry_from(vm.ept01_pointer, WINDOW_PAGE), 0);
	assert_false(vm_ept01_lookup(GPA(WINDOW_PAGE), &found));
	/* the instruction's second page */
	violation(M_WINDOW + SIZE_2M);
	assert_int_equal(machine_field(VMCS_ept_pointer), own);
	assert_true(entry_from(own, WINDOW_PAGE) && entry_from(own, M_WINDOW + SIZE_2M));
	flushes = fake_invept_count;
	EXIT_NOW(.reason = EXIT_MTF);
	assert_int_equal(machine_field(VMCS_ept_pointer), vm.ept01_pointer);
	assert_int_equal(fake_invept_count, flushes + 1);
	/* the next step begins with EPT01 as it is */
	violation(WINDOW_PAGE + PAGE_SIZE);
	assert_int_equal(entry_from(own, WINDOW_PAGE), 0);
	EXIT_NOW(.reason = EXIT_MTF);
}

/* What comes into EPT01 meanwhile is there for the instruction that is stepped; memory stays memory. */
static void a_step_follows_what_is_mapped(void **state)
{
	u64 own, far = MMIO + SIZE_1G;

	(void)state;
	violation(WINDOW_PAGE);
	own = machine_field(VMCS_ept_pointer);
	violation(far);
	assert_int_equal(machine_field(VMCS_ept_pointer), own);
	assert_true(entry_from(own, far) & EPT_RWX);
	assert_int_equal(entry_from(own, far), entry_from(vm.ept01_pointer, far));
	/* another CPU's doing, of a page that this one takes for absent */
	assert_true(ept01_step_add(machine_vcpu, GPA(far & ~(PAGE_SIZE - 1)), HPA(M_WINDOW)));
	assert_true(ept01_step_add(machine_vcpu, GPA(M_SPARE), HPA(M_WINDOW)));
	assert_int_equal(entry_from(own, far), entry_from(vm.ept01_pointer, far));
	assert_int_equal(entry_from(own, M_SPARE), entry_from(vm.ept01_pointer, M_SPARE));
	EXIT_NOW(.reason = EXIT_MTF);
}

/* The last pages are always there, however far apart; EPT01's own tables are not needed for them. */
static void any_pages_can_be_stepped(void **state)
{
	u32 used = passthru_tables_used();
	u64 scratch = ptr_to_phys(machine_vcpu->l1.absent.scratch).v;

	(void)state;
	for (u64 i = 0; i < 40; i++) {
		u64 page = BIT(vmx_caps.memory_bits) + (i << 39) + (i << 30) + (i << 21) + (i << 12);

		violation(i & 8 ? WINDOW_PAGE + i * PAGE_SIZE : page);
		for (u64 back = 0; back <= i && back < 4; back++) {
			u64 k = i - back;
			u64 at = BIT(vmx_caps.memory_bits) + (k << 39) + (k << 30) + (k << 21) + (k << 12);

			at = k & 8 ? WINDOW_PAGE + k * PAGE_SIZE : at;
			assert_int_equal(entry_from(machine_field(VMCS_ept_pointer), at) & PTE_ADDR, scratch);
		}
	}
	EXIT_NOW(.reason = EXIT_MTF);
	assert_int_equal(passthru_tables_used(), used);
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
			u32 want = mtrr_type(&machine_vcpu->l1.mtrr, gpa, &end);

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

/* What a step takes along has the types as they are, or waits for its own touch. */
static void a_step_has_the_types_as_they_are(void **state UNUSED)
{
	static const u64 near[] = { M_WINDOW - PAGE_SIZE, M_WINDOW - SIZE_2M, M_WINDOW + M_WINDOW_SIZE,
				    M_SPARE };

	violation(WINDOW_PAGE);
	EXIT_NOW(.reason = EXIT_MTF);
	write_range(0, M_WINDOW & ~(SIZE_1G - 1), WIDTH_MASK(SIZE_1G), MEMTYPE_UC);
	violation(WINDOW_PAGE);
	for (size_t i = 0; i < ARRAY_SIZE(near); i++) {
		u64 entry = entry_from(machine_field(VMCS_ept_pointer), near[i]), end;
		u32 type = mtrr_type(&machine_vcpu->l1.mtrr, near[i], &end);

		assert_true(!(entry & EPT_RWX) || (entry & EPT_MEMTYPE) >> EPT_MEMTYPE_SHIFT == type);
	}
	EXIT_NOW(.reason = EXIT_MTF);
}

/* Below this table, which maps from `base` on. */
static void assert_identity(u64 table, unsigned int level, u64 base)
{
	const u64 *entries = phys_to_ptr(HPA(table & PTE_ADDR));

	for (u64 i = 0; i < 512; i++) {
		u64 at = base + (i << (12 + 9 * (level - 1)));

		if (!entries[i])
			continue;
		if (level > 1 && !(entries[i] & EPT_LEAF)) {
			assert_identity(entries[i], level - 1, at);
			continue;
		}
		assert_int_equal(entries[i] & PTE_ADDR, at);
		assert_false(at >= M_WINDOW && at < M_WINDOW + M_WINDOW_SIZE);
	}
}

/*
 * Whatever happens, a leaf of EPT01 leads to its own address and what was mapped stays mapped: no translation
 * that another CPU holds is ever of something else's memory.
 */
static void nothing_but_identity_for_good(void **state UNUSED)
{
	static u64 mapped[1024];
	struct fake_random random = { 3 };
	u32 count = 0;

	for (u32 round = 0; round < 300; round++) {
		u64 gpa = fake_random(&random) & 0x1ffffff000, r = fake_random(&random);

		if (r & 1)
			gpa = M_WINDOW + (gpa & (M_WINDOW_SIZE - 1));
		violation(gpa);
		if (machine_field(VMCS_ept_pointer) == vm.ept01_pointer && count < ARRAY_SIZE(mapped))
			mapped[count++] = gpa;
		if (r & 2)
			EXIT_NOW(.reason = EXIT_MTF);
		if (!(r & 0x1c))
			write_range(r >> 5 & 3, r >> 8 & 0x1ffff000, WIDTH_MASK(SIZE_2M) | (r & 0x2000),
				    r & 0x100 ? MEMTYPE_UC : MEMTYPE_WT);
		if (!(r & 0x60))
			passthru_split(GPA(fake_random(&random) & 0xfff000));
		assert_identity(vm.ept01_pointer, 4, 0);
		for (u32 i = 0; i < count; i++)
			assert_true(entry_from(vm.ept01_pointer, mapped[i]));
	}
	assert_true(count > 20);
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

/* What lies far above is mapped by chunks of 2 MiB then, in pages of 4 KiB. */
static void far_memory_without_large_pages(void **state)
{
	const u64 chunk = ALIGN_DOWN(MMIO, SIZE_2M) + SIZE_1G, last = chunk + SIZE_2M - PAGE_SIZE;
	struct ept01_mapping found;

	(void)state;
	violation(chunk);
	assert_int_equal(entry_from(vm.ept01_pointer, last) & PTE_ADDR, last);
	assert_int_equal(entry_from(vm.ept01_pointer, chunk + SIZE_2M), 0);
	assert_true(vm_ept01_lookup(GPA(last + 1), &found));
	assert_int_equal(found.size, PAGE_SIZE);
	assert_int_equal(found.hpa, last);
}

/* An MSR of neither range has no bit: it exits always, whatever is wanted. */
static void an_msr_of_no_range_has_no_bit(void **state)
{
	static u8 before[PAGE_SIZE];

	(void)state;
	memcpy(before, vm.msr_bitmap01, PAGE_SIZE);
	for (unsigned int write = 0; write < 2; write++) {
		assert_true(vm_want_msr(0x4b564d01, write, false));
		assert_true(vm_want_msr(MSR_LOW_LAST + 1, write, false));
		assert_true(vm_want_msr(MSR_HIGH_LAST + 1, write, true));
	}
	assert_memory_equal(before, vm.msr_bitmap01, PAGE_SIZE);
}

/* What L0 wants besides, for a person's breakpoint, it wants in both of L1's bitmaps; IBRS stays wanted in
 * its own. */
static void a_wish_for_an_msr_is_in_both_bitmaps(void **state)
{
	const u64 *const pages[] = { vm.msr_bitmap01, vm.msr_bitmap_ibrs };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(pages); i++) {
		const u64 *reads = pages[i], *writes = pages[i] + 0x800 / sizeof(u64);

		assert_false(vm_want_msr(0x10, false, true));
		assert_true(reads[0] & BIT(0x10));
		assert_true(vm_want_msr(0x10, false, false));
		assert_false(reads[0] & BIT(0x10));
		assert_false(vm_want_msr(MSR_IA32_SPEC_CTRL, true, true));
		assert_true(writes[1] & BIT(MSR_IA32_SPEC_CTRL % 64));
		assert_true(vm_want_msr(MSR_IA32_SPEC_CTRL, true, false));
		assert_int_equal(!(writes[1] & BIT(MSR_IA32_SPEC_CTRL % 64)), i == 0);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		MACHINE_TEST(memory_is_found_at_its_own_address, ""),
		MACHINE_TEST_BEFORE(every_window_is_cut_out, "", machine_with_high_memory),
		MACHINE_TEST(a_step_is_this_cpus_alone, ""),
		MACHINE_TEST(a_step_follows_what_is_mapped, ""),
		MACHINE_TEST(any_pages_can_be_stepped, ""),
		MACHINE_TEST_BEFORE(an_address_beyond_the_tables_is_no_other, "", processor_with_52_bits),
		MACHINE_TEST(types_follow_when_touched, ""),
		MACHINE_TEST(any_ranges_and_any_touches, ""),
		MACHINE_TEST(a_list_changes_types_once, ""),
		MACHINE_TEST(a_step_has_the_types_as_they_are, ""),
		MACHINE_TEST(nothing_but_identity_for_good, ""),
		MACHINE_TEST(without_tables_types_stay, ""),
		MACHINE_TEST(far_memory_without_large_pages, "ept-large=off"),
		MACHINE_TEST(an_msr_of_no_range_has_no_bit, ""),
		MACHINE_TEST(a_wish_for_an_msr_is_in_both_bitmaps, ""),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
