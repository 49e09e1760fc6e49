/* SPDX-License-Identifier: MIT */
/*
 * A guest's memory as Socle reads and writes it for the guest: pieces on two pages, ROM, flags that the walk
 * of the guest's tables sets, protection keys, and what EPT12 stops. SDM: "Paging"; "Exit Qualification for
 * EPT Violations".
 */
#include "tests/unit/cmocka_all.h"

#include "kernel/x86.h"
#include "mm/guest_walk.h"
#include "tests/unit/l2_support.h"
#include "vmx/guest/guest_mem.h"

#define NO_RAM (M_WINDOW - 4) /* four bytes before the end of L1's RAM */
#define TABLE_IN_ROM 0xfffff000u
#define VALUE 0x8877665544332211ull
#define USER_RIGHTS 0xc0f3 /* of SS, at CPL 3 */

/* The registers of the exit in hand are looked at anew. */
static struct vcpu *look(void)
{
	regcache_flush(&machine_vcpu->vmcs->cache);
	regcache_reset(&machine_vcpu->vmcs->cache);
	return machine_vcpu;
}

static enum outcome read_at(u64 address, u64 *value)
{
	return guest_linear_read(look(), GVA(address), value, sizeof(*value));
}

static enum outcome write_at(u64 address, u64 value)
{
	return guest_linear_write(look(), GVA(address), &value, sizeof(value));
}

/* #PF at this address, with this error code. */
static void assert_page_fault(enum outcome outcome, u64 address, u32 error_code)
{
	assert_int_equal(outcome, OUTCOME_FAULT);
	assert_int_equal(machine_vcpu->outcome.fault.vector, VEC_PF);
	assert_int_equal(machine_vcpu->outcome.fault.error_code, error_code);
	assert_int_equal(machine_vcpu->outcome.fault.linear, address);
}

static void two_pages_are_one_piece(void **state UNUSED)
{
	u64 value = VALUE;

	assert_int_equal(write_at(M_SPARE + 0xffd, VALUE), OUTCOME_NONE);
	assert_true(l1_read64(M_SPARE + 0xffd) == VALUE);
	value = 0;
	assert_int_equal(read_at(M_SPARE + 0xffd, &value), OUTCOME_NONE);
	assert_true(value == VALUE);
	value = 0;
	assert_true(guest_mem_read(machine_vcpu, GPA(M_SPARE + 0xffd), &value, sizeof(value)));
	assert_true(value == VALUE);
	value = ~VALUE;
	assert_true(guest_mem_write(machine_vcpu, GPA(M_SPARE + 0xffd), &value, sizeof(value)));
	assert_true(l1_read64(M_SPARE + 0xffd) == ~VALUE);
}

/* What there is no RAM for reads as ones, and drops what is written: the other page has its part. */
static void the_second_page_may_be_absent(void **state UNUSED)
{
	u64 value = VALUE;

	l1_write64(M_WINDOW, 0x55);
	assert_false(guest_mem_write(machine_vcpu, GPA(NO_RAM), &value, sizeof(value)));
	assert_int_equal(l1_read64(M_WINDOW), 0x55);
	value = 0;
	assert_false(guest_mem_read(machine_vcpu, GPA(NO_RAM), &value, sizeof(value)));
	assert_true(value == (0xffffffff00000000ull | (u32)VALUE));
	assert_int_equal(guest_mem_word(machine_vcpu, GPA(NO_RAM)), (u32)VALUE);
	assert_int_equal(guest_mem_word(machine_vcpu, GPA(M_WINDOW)), 0xffffffff);
	l1_write64(M_SPARE, 0x100);
	for (u32 bit = 0; bit < 16; bit++) {
		assert_int_equal(guest_mem_bit(machine_vcpu, GPA(M_SPARE), bit), bit == 8);
		assert_true(guest_mem_bit(machine_vcpu, GPA(M_WINDOW), bit));
	}
}

static void where_rom_is(void **state UNUSED)
{
	assert_true(guest_mem_is_rom(GPA(0xc0000), 1));
	assert_true(guest_mem_is_rom(GPA(0xffff8), 8));
	assert_false(guest_mem_is_rom(GPA(0xffff9), 8));
	assert_false(guest_mem_is_rom(GPA(0x100000), 1));
	assert_true(guest_mem_is_rom(GPA(0xfffffff8), 8));
	assert_false(guest_mem_is_rom(GPA(0xfffffff9), 8));
}

/* SDM "Accessed and Dirty Flags". */
static void the_walk_sets_flags(void **state UNUSED)
{
	u64 value;

	l1_write64(0x1000, 0x2000 | PTE_P | PTE_W);
	l1_write64(0x2000, PTE_P | PTE_W | PTE_PS);
	assert_int_equal(read_at(M_SPARE, &value), OUTCOME_NONE);
	assert_int_equal(l1_read64(0x1000), 0x2000 | PTE_P | PTE_W | PTE_A);
	assert_int_equal(l1_read64(0x2000), PTE_P | PTE_W | PTE_PS | PTE_A);
	assert_int_equal(write_at(M_SPARE, VALUE), OUTCOME_NONE);
	assert_int_equal(l1_read64(0x2000), PTE_P | PTE_W | PTE_PS | PTE_A | PTE_D);
	assert_true(l1_read64(M_SPARE) == VALUE);
}

/* Entries of 32 bits: the neighbour is left alone. */
static void the_walk_sets_flags_in_32_bits(void **state UNUSED)
{
	u64 value;

	machine_set_field(VMCS_guest_efer, 0);
	machine_set_field(VMCS_entry_controls, machine_field(VMCS_entry_controls) & ~(u64)ENTRY_IA32E_GUEST);
	machine_set_field(VMCS_guest_cs_ar, 0xc09b);
	machine_set_field(VMCS_guest_cr4, CR4_PSE | CR4_VMXE);
	machine_set_field(VMCS_guest_cr3, M_SPARE);
	l1_write64(M_SPARE, 0x1234567800000000ull | PTE_P | PTE_W | PTE_PS);
	l1_write64(M_SPARE + 0x1000, VALUE);
	/* a linear address has 32 bits */
	assert_int_equal(read_at(BIT(32) | (M_SPARE + 0x1000), &value), OUTCOME_NONE);
	assert_true(value == VALUE);
	assert_true(l1_read64(M_SPARE) == (0x1234567800000000ull | PTE_P | PTE_W | PTE_PS | PTE_A));
	/* and so has the one that a fault names */
	assert_page_fault(read_at(BIT(32) | 0x400000, &value), 0x400000, 0);
}

/* Tables in ROM are read; their flags cannot be set, which is no fault. */
static void tables_may_be_in_rom(void **state UNUSED)
{
	u64 value;

	l1_write64(TABLE_IN_ROM, 0x2000 | PTE_P | PTE_W);
	machine_set_field(VMCS_guest_cr3, TABLE_IN_ROM);
	l1_write64(M_SPARE, VALUE);
	assert_int_equal(read_at(M_SPARE, &value), OUTCOME_NONE);
	assert_true(value == VALUE);
	assert_int_equal(l1_read64(TABLE_IN_ROM), 0x2000 | PTE_P | PTE_W);
}

static void users_and_supervisors(void **state UNUSED)
{
	u64 value;

	/* a user's page: SMAP keeps a supervisor away, but for RFLAGS.AC */
	l1_write64(0x1000, l1_read64(0x1000) | PTE_U);
	l1_write64(0x2000, l1_read64(0x2000) | PTE_U);
	assert_int_equal(read_at(M_SPARE, &value), OUTCOME_NONE);
	machine_set_field(VMCS_guest_cr4, CR4_PAE | CR4_VMXE | CR4_SMAP);
	assert_page_fault(read_at(M_SPARE, &value), M_SPARE, 1);
	machine_set_field(VMCS_guest_rflags, machine_field(VMCS_guest_rflags) | RFLAGS_AC);
	assert_int_equal(read_at(M_SPARE, &value), OUTCOME_NONE);
	machine_set_field(VMCS_guest_ss_ar, USER_RIGHTS);
	assert_int_equal(read_at(M_SPARE, &value), OUTCOME_NONE);
	/* the second GiB is a supervisor's; the first byte that may not be read is named */
	assert_page_fault(read_at(0x40000000, &value), 0x40000000, 5);
	assert_page_fault(write_at(0x3ffffffc, VALUE), 0x40000000, 7);
	assert_int_equal((u32)l1_read64(0x3ffffffc), 0);
}

/* SDM "Protection Keys": bit 5 of the error code. */
static void protection_keys(void **state UNUSED)
{
	u64 value;

	l1_write64(0x1000, l1_read64(0x1000) | PTE_U);
	l1_write64(0x2000, l1_read64(0x2000) | PTE_U | BIT(59));
	machine_set_field(VMCS_guest_ss_ar, USER_RIGHTS);
	fake_pkru = 1u << 3; /* key 1: no writes */
	assert_int_equal(write_at(M_SPARE, VALUE), OUTCOME_NONE);
	machine_set_field(VMCS_guest_cr4, CR4_PAE | CR4_VMXE | CR4_PKE);
	assert_page_fault(write_at(M_SPARE, VALUE), M_SPARE, 0x27);
	assert_int_equal(read_at(M_SPARE, &value), OUTCOME_NONE);
	fake_pkru = 1u << 2; /* no access */
	assert_page_fault(read_at(M_SPARE, &value), M_SPARE, 0x25);
}

/* ---- L2 ---- */

#define EPT12_GIB(n) (P_EPT + 0x1000 + (n)*8)

/* L2's exit to L1 that the access at `linear` makes, about this address of L2's. */
static void assert_stopped(enum outcome outcome, u64 linear, u64 l2gpa, u64 qualification)
{
	const struct exit_record *record = &machine_vcpu->outcome.record;

	assert_int_equal(outcome, OUTCOME_REFLECT);
	assert_int_equal(record->reason, EXIT_EPT_VIOLATION);
	assert_int_equal(record->guest_linear, linear);
	assert_int_equal(record->guest_physical, l2gpa);
	assert_int_equal(record->qualification &
				 (EPTV_READ | EPTV_WRITE | EPTV_LINEAR_VALID | EPTV_TRANSLATED),
			 qualification);
}

/* L2's page tables are L1's, taken for PAE paging's: linear 1000H is L2's 40000000H. */
static void ept12_stops_accesses(void **state UNUSED)
{
	u64 value, gib0, gib1;

	l2_run_pae();
	gib0 = l1_read64(EPT12_GIB(0));
	gib1 = l1_read64(EPT12_GIB(1));
	l1_write64(EPT12_GIB(1), (gib1 & ~(u64)GENMASK(51, 30)));
	l1_write64(0, VALUE);
	assert_int_equal(read_at(0x1000, &value), OUTCOME_NONE);
	assert_true(value == VALUE);
	/* the page */
	l1_write64(EPT12_GIB(1), 0);
	assert_stopped(read_at(0x1008, &value), 0x1008, 0x40000008,
		       EPTV_READ | EPTV_LINEAR_VALID | EPTV_TRANSLATED);
	assert_stopped(write_at(0x1008, 0), 0x1008, 0x40000008,
		       EPTV_WRITE | EPTV_LINEAR_VALID | EPTV_TRANSLATED);
	/* a flag in a table that EPT12 does not let L2 write */
	l1_write64(0x2008, l1_read64(0x2008) & ~(u64)PTE_A);
	l1_write64(EPT12_GIB(0), gib0 & ~(u64)EPT_WRITE);
	assert_stopped(read_at(0x1008, &value), 0x1008, 0x2008, EPTV_READ | EPTV_WRITE | EPTV_LINEAR_VALID);
	assert_int_equal(l1_read64(0x2008) & PTE_A, 0);
	/* a table that is not there */
	l1_write64(EPT12_GIB(0), 0);
	assert_stopped(read_at(0x1008, &value), 0x1008, 0x1000, EPTV_READ | EPTV_LINEAR_VALID);
}

/* ---- the two quick walks say what the full walk says, or nothing ---- */

enum { P_WALK = M_SPARE + 0x20000, WALKS = 20000 };

/*
 * Four levels at P_WALK for linear address 0; each entry has the usual bits, but now and then for one. Now
 * and then the page is a user's, which takes a bit in each entry.
 */
static void make_tables(struct fake_random *rng)
{
	static const u64 bits[] = { PTE_P,  PTE_W,  PTE_U,   PTE_A,   PTE_D,
				    PTE_PS, PTE_NX, BIT(51), BIT(13), BIT(12) };
	u64 user = fake_random(rng) % 8 ? 0 : PTE_U;

	for (u64 level = 0; level < 4; level++) {
		u64 entry = (P_WALK + (level + 1) * PAGE_SIZE) | PTE_P | PTE_W | PTE_A | PTE_D | user;

		if (fake_random(rng) % 6 == 0)
			entry ^= bits[fake_random(rng) % ARRAY_SIZE(bits)];
		if (fake_random(rng) % 16 == 0)
			entry |= PTE_PS | PTE_NX;
		l1_write64(P_WALK + level * PAGE_SIZE, entry);
	}
	l1_write64(P_WALK + 4 * PAGE_SIZE, VALUE);
	l1_write64(P_WALK + 4 * PAGE_SIZE + 8, ~VALUE);
}

/* One word and two are read alike. */
static bool read_plainly(u64 va, u64 pair[2])
{
	struct plain_word word = guest_read_word_plainly(look(), va);

	assert_int_equal(guest_read_pair_plainly(look(), va, pair), word.read);
	if (word.read)
		assert_true(pair[0] == word.value);
	return word.read;
}

static bool read_l1(void *context UNUSED, u64 gpa, void *to, size_t length)
{
	guest_mem_read(machine_vcpu, GPA(gpa), to, length);
	return true;
}

/* What the full walk says of a supervisor's read at linear address 0, which sets no flag. */
static enum walk_result look_through(u32 *error_code)
{
	struct guest_walk walk = guest_walk_as_it_stands(look());
	struct walk_page page = { .pfec = 0 };
	enum walk_result result;

	walk.read = read_l1;
	result = guest_walk(&walk, 0, 0, &page);
	*error_code = page.pfec;
	return result;
}

static void walk_all(bool large_pages)
{
	u64 before[4], plain[2], full;
	enum walk_result right;
	u32 error_code;
	bool plainly;
	struct fake_random rng = { 7 };
	unsigned int said = 0;

	/* L1's usual range of RAM is the one that was looked up last. */
	assert_int_equal(read_at(M_SPARE, &full), OUTCOME_NONE);
	vmx_caps.has_guest_1g = large_pages;
	machine_set_field(VMCS_guest_cr3, P_WALK);
	for (unsigned int n = 0; n < WALKS; n++) {
		make_tables(&rng);
		machine_set_field(VMCS_guest_efer,
				  EFER_LME | EFER_LMA | (fake_random(&rng) % 2 ? EFER_NXE : 0));
		machine_set_field(VMCS_guest_cr4,
				  CR4_PAE | CR4_VMXE | (fake_random(&rng) % 2 ? CR4_SMAP : 0));
		right = look_through(&error_code);
		plainly = read_plainly(0, plain);
		for (u64 level = 0; level < 4; level++)
			before[level] = l1_read64(P_WALK + level * PAGE_SIZE);
		if (right != WALK_OK)
			assert_page_fault(read_at(0, &full), 0, error_code);
		else
			assert_int_equal(read_at(0, &full), OUTCOME_NONE);
		if (!plainly)
			continue;
		said++;
		assert_int_equal(right, WALK_OK);
		assert_true(plain[0] == full);
		assert_int_equal(read_at(8, &full), OUTCOME_NONE);
		assert_true(plain[1] == full);
		for (u64 level = 0; level < 4; level++)
			assert_true(before[level] == l1_read64(P_WALK + level * PAGE_SIZE));
	}
	assert_true(said > WALKS / 4);
}

static void plain_reads_are_full_walks(void **state UNUSED)
{
	assert_true(vmx_caps.has_guest_1g);
	walk_all(true);
}

static void plain_reads_are_full_walks_without_large_pages(void **state UNUSED)
{
	walk_all(false);
	vmx_caps.has_guest_1g = true;
}

static bool is_plain(u64 va)
{
	u64 pair[2];
	bool word = guest_read_word_plainly(look(), va).read;

	/* A pair is where a word is, but at the page's end. */
	assert_int_equal(guest_read_pair_plainly(look(), va, pair), word && va % PAGE_SIZE <= PAGE_SIZE - 16);
	return word;
}

static void plain_reads_meet_no_breakpoint(void **state UNUSED)
{
	u64 value;

	assert_false(is_plain(M_SPARE));
	assert_int_equal(read_at(M_SPARE, &value), OUTCOME_NONE);
	assert_true(is_plain(M_SPARE));
	machine_set_field(VMCS_guest_dr7, DR7_RESET | 1);
	assert_false(is_plain(M_SPARE));
	machine_set_field(VMCS_guest_dr7, DR7_RESET);
	assert_true(is_plain(M_SPARE + 0xff8));
	assert_true(is_plain(M_SPARE + 0xff0));
	assert_false(is_plain(M_SPARE + 0xffc));
	assert_false(is_plain(M_SPARE + 0xff9));
	assert_false(is_plain(BIT(60)));
	assert_false(is_plain(BIT(47)));
}

/* Only where a whole page is left in the range that was looked up last; nowhere, if that is less than one. */
static void plain_reads_end_with_the_range(void **state UNUSED)
{
	const void *place;
	u64 value;

	assert_false(guest_mem_usual_place(machine_vcpu, GPA(0), &place));
	assert_int_equal(read_at(M_SPARE, &value), OUTCOME_NONE);
	assert_true(is_plain(M_WINDOW - PAGE_SIZE));
	assert_false(is_plain(M_WINDOW - PAGE_SIZE + 8));
	assert_false(is_plain(M_WINDOW));
	assert_true(guest_mem_usual_place(machine_vcpu, GPA(M_WINDOW - PAGE_SIZE), &place));
	assert_ptr_equal(place, fake_memory + M_WINDOW - PAGE_SIZE);
	assert_false(guest_mem_usual_place(machine_vcpu, GPA(M_WINDOW - PAGE_SIZE + 1), &place));
	/* Tables too: the last one is in RAM's last page, where the full walk has to say. */
	l1_write64(P_WALK, (M_WINDOW - PAGE_SIZE) | PTE_P | PTE_W | PTE_A);
	l1_write64(M_WINDOW - PAGE_SIZE, PTE_P | PTE_W | PTE_A | PTE_D | PTE_PS);
	l1_write64(M_WINDOW - PAGE_SIZE + 8, PTE_P | PTE_W | PTE_A | PTE_D | PTE_PS);
	l1_write64(M_SPARE, VALUE);
	machine_set_field(VMCS_guest_cr3, P_WALK);
	assert_true(is_plain(M_SPARE));
	assert_false(is_plain((1ull << 30) + M_SPARE));
	assert_int_equal(read_at((1ull << 30) + M_SPARE, &value), OUTCOME_NONE);
	assert_true(value == VALUE);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		MACHINE_TEST(two_pages_are_one_piece, ""),
		MACHINE_TEST(the_second_page_may_be_absent, ""),
		MACHINE_TEST(where_rom_is, ""),
		MACHINE_TEST(the_walk_sets_flags, ""),
		MACHINE_TEST(the_walk_sets_flags_in_32_bits, ""),
		MACHINE_TEST(tables_may_be_in_rom, ""),
		MACHINE_TEST(users_and_supervisors, ""),
		MACHINE_TEST(protection_keys, ""),
		MACHINE_TEST(ept12_stops_accesses, ""),
		MACHINE_TEST(plain_reads_are_full_walks, ""),
		MACHINE_TEST(plain_reads_are_full_walks_without_large_pages, ""),
		MACHINE_TEST(plain_reads_meet_no_breakpoint, ""),
		MACHINE_TEST(plain_reads_end_with_the_range, ""),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
