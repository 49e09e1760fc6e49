/* SPDX-License-Identifier: MIT */
/*
 * Words of an I/O bitmap that L2's accesses open, where L0 wants ports in one half or in both: which accesses
 * may go on by themselves, and whose an exit is that nobody's bit explains.
 * SDM: "I/O-Bitmap Addresses".
 */
#include "tests/unit/cmocka_all.h"

#include "kernel/x86.h"
#include "tests/unit/l2_support.h"
#include "vmx/l1/ports.h"

#define HIGH_PORT 0xb004u
#define LOW_PORT 0xb2u
#define OUT(port, size) ((u64)(port) << 16 | ((size)-1u))
#define IN(port, size) (OUT(port, size) | BIT(3))

static bool take(struct vcpu *vcpu UNUSED, const struct port_range *range UNUSED,
		 struct port_access *access UNUSED)
{
	return true;
}

static void want_high(void)
{
	ports_add(&(const struct port_range){ HIGH_PORT, 2, "test", take, NULL });
}

static void want_low(void)
{
	ports_add(&(const struct port_range){ LOW_PORT, 1, "test", take, NULL });
}

static void want_both(void)
{
	want_high();
	want_low();
}

static void set_port(u32 port)
{
	fake_memory[(port < PORT_HALF ? P_IO_A : P_IO_B) + port % PORT_HALF / 8] |= (u8)BIT(port % 8);
}

static void run_with(u32 proc, u64 a)
{
	l1_start_vmx();
	l1_load_vmcs(0);
	l1_write_valid_vmcs();
	W(proc_controls, R(proc_controls) | proc);
	W(io_bitmap_a, a);
	W(msr_bitmap, P_MSR);
	W(io_bitmap_b, P_IO_B);
	assert_int_equal(l1_enter(EXIT_VMLAUNCH), 0);
	assert_true(machine_in_l2());
}

static bool opens(u16 port, unsigned int size)
{
	return io_bitmaps_open(machine_vcpu, port, size);
}

static void accesses_that_open(void **state UNUSED)
{
	/* bits of L1's: a port beside, the same place in the other half */
	set_port(0x5012);
	set_port(0x9012);
	run_with(PROC_IO_BITMAPS, P_IO_A);
	assert_true(opens(0x9011, 1));
	assert_false(opens(0x9011, 2));
	assert_false(opens(0x9012, 1));
	assert_true(opens(0x9013, 1));
	assert_true(opens(0xd012, 1));
	/* over the border of the halves */
	assert_true(opens(0x7fff, 2));
	assert_true(opens(0x7ffe, 4));
	/* the last ports; over their end there is always an exit */
	assert_true(opens(0xfffe, 2));
	assert_true(opens(0xffff, 1));
	assert_false(opens(0xffff, 2));
	assert_false(opens(0xfffe, 4));
}

/* With L0's ports in one half, the other one is L1's page: no bit of it stands in L0's page. */
static void a_bit_of_the_other_half_is_not_there(void **state UNUSED)
{
	set_port(0x1012);
	run_with(PROC_IO_BITMAPS, P_IO_A);
	assert_true(opens(0x9012, 1));
}

/* One page for both halves: the port opens for no half where either has the bit. */
static void a_bit_of_either_half_counts(void **state UNUSED)
{
	set_port(0x1012);
	run_with(PROC_IO_BITMAPS, P_IO_A);
	assert_false(opens(0x9012, 1));
	assert_true(opens(0x9014, 1));
}

static void an_absent_half_never_opens(void **state UNUSED)
{
	run_with(PROC_IO_BITMAPS, M_WINDOW);
	assert_false(opens(0x7fff, 2));
	assert_true(opens(0x8000, 2));
}

static void without_bitmaps_nothing_opens(void **state UNUSED)
{
	run_with(0, P_IO_A);
	assert_false(opens(0x9011, 1));
	assert_int_equal(machine_vcpu->nested.current->io_opened_count, 0);
}

/* Words are opened for many accesses in turn, and each is open when it is asked for. */
static void many_words(void **state UNUSED)
{
	run_with(PROC_IO_BITMAPS, P_IO_A);
	for (unsigned int round = 0; round < 3; round++)
		for (u16 port = 0x8020; port < 0xaf00; port = (u16)(port + 0x41))
			assert_true(opens(port, 4));
}

/*
 * An exit for which no bit stands in L1's page now is L1's, who has just cleared it, if L1's pages were asked
 * for each of its ports; with a port of L0's half among them it is L0's to carry out.
 */
static void whose_exit(u64 qualification, bool is_l1s)
{
	EXIT_NOW(.reason = EXIT_IO, .qualification = qualification, .length = 1);
	assert_int_equal(!machine_in_l2(), is_l1s);
	if (!machine_in_l2())
		assert_int_equal(l1_enter(EXIT_VMRESUME), 0);
}

/* A breakpoint on a port or an MSR: each slot's words are closed, its controls are written anew, and no more.
 */
static void all_that_is_open_is_closed(void **state UNUSED)
{
	struct nested_vmcs *slots = machine_vcpu->nested.slots, *slot;
	static u8 behind[sizeof(struct nested_vmcs)];

	run_with(PROC_IO_BITMAPS | PROC_MSR_BITMAPS, P_IO_A);
	slot = machine_vcpu->nested.current;
	assert_true(l2_uses_msr_of_word(P_MSR, 5));
	assert_true(opens(0x9011, 1));
	assert_true(slot->msr_opened_count && slot->io_opened_count);
	assert_true(slot->io_page[0x1011 / 64] != ~0ull);
	slot->dirty = 0;
	memcpy(behind, &slots[NESTED_VMCS_COUNT], sizeof(behind));
	nested_close_bitmaps(machine_vcpu);
	assert_memory_equal(&slots[NESTED_VMCS_COUNT], behind, sizeof(behind));
	assert_false(slot->msr_opened_count || slot->io_opened_count);
	for (unsigned int i = 0; i < PAGE_SIZE / sizeof(u64); i++)
		assert_true(slot->msr_bitmap02[i] == ~0ull && slot->io_page[i] == ~0ull);
	assert_int_equal(slot->dirty, GROUP_CTL);
	assert_int_equal(slots[NESTED_VMCS_COUNT - 1].dirty & GROUP_CTL, GROUP_CTL);
}

/* Words that the last vmcs12 of a slot had opened are none that the next one reads at each entry. */
static void the_next_vmcs_of_a_slot_opens_its_own(void **state UNUSED)
{
	struct nested_vmcs *slot;

	run_with(PROC_IO_BITMAPS | PROC_MSR_BITMAPS, P_IO_A);
	slot = machine_vcpu->nested.current;
	assert_true(l2_uses_msr_of_word(P_MSR, 5));
	assert_true(opens(0x9011, 1));
	EXIT_NOW(.reason = EXIT_CPUID);
	assert_int_equal(l1_memory_insn(EXIT_VMCLEAR, M_VMCS(0)), 0);
	l1_load_vmcs(1);
	l1_write_valid_vmcs();
	W(proc_controls, R(proc_controls) | PROC_IO_BITMAPS | PROC_MSR_BITMAPS);
	W(io_bitmap_a, P_IO_A);
	W(io_bitmap_b, P_IO_B);
	W(msr_bitmap, P_MSR);
	assert_int_equal(l1_enter(EXIT_VMLAUNCH), 0);
	assert_ptr_equal(machine_vcpu->nested.current, slot);
	assert_false(slot->msr_opened_count || slot->io_opened_count);
	for (unsigned int i = 0; i < PAGE_SIZE / sizeof(u64); i++)
		assert_true(slot->msr_bitmap02[i] == ~0ull && slot->io_page[i] == ~0ull);
	assert_true(l2_uses_msr_of_word(P_MSR, 5));
	assert_true(opens(0x9011, 1));
}

static void exits_with_l0_in_the_high_half(void **state UNUSED)
{
	run_with(PROC_IO_BITMAPS, P_IO_A);
	whose_exit(OUT(0x5000, 4), true);
	whose_exit(IN(0x7fff, 1), true);
	whose_exit(IN(0x7ffc, 4), true);
	whose_exit(OUT(0x7ffe, 4), false);
	whose_exit(OUT(0x9000, 1), false);
}

static void exits_with_l0_in_the_low_half(void **state UNUSED)
{
	run_with(PROC_IO_BITMAPS, P_IO_A);
	whose_exit(OUT(0x9000, 4), true);
	whose_exit(IN(0x8000, 1), true);
	whose_exit(OUT(0x7ffe, 4), false);
	whose_exit(OUT(0x5000, 1), false);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		MACHINE_TEST_BEFORE(accesses_that_open, "", want_high),
		MACHINE_TEST_BEFORE(a_bit_of_the_other_half_is_not_there, "", want_high),
		MACHINE_TEST_BEFORE(a_bit_of_either_half_counts, "", want_both),
		MACHINE_TEST_BEFORE(an_absent_half_never_opens, "", want_high),
		MACHINE_TEST_BEFORE(without_bitmaps_nothing_opens, "", want_high),
		MACHINE_TEST_BEFORE(many_words, "", want_high),
		MACHINE_TEST_BEFORE(many_words, "log=info", want_both),
		MACHINE_TEST_BEFORE(all_that_is_open_is_closed, "", want_both),
		MACHINE_TEST_BEFORE(the_next_vmcs_of_a_slot_opens_its_own, "", want_both),
		MACHINE_TEST_BEFORE(exits_with_l0_in_the_high_half, "", want_high),
		MACHINE_TEST_BEFORE(exits_with_l0_in_the_low_half, "", want_low),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
