/* SPDX-License-Identifier: MIT */
/*
 * The ports that L0 wants: their table and bitmaps, accesses of each width at each neighbour, what is in
 * vmcs02's bitmaps by L1's controls and pages, words that are opened, and which writes put the machine to
 * sleep.
 */
#include "tests/unit/cmocka_all.h"

#include <string.h>

#include "drivers/acpi_sleep.h"
#include "kernel/x86.h"
#include "mm/memmap.h"
#include "mm/page_alloc.h"
#include "tests/unit/machine.h"
#include "vmx/l1/ports.h"
#include "vmx/l1/sleep.h"

#define PORT 0xb004u /* two ports of L0's */
#define LOW_PORT 0xb2u
#define T_IO_A (M_SPARE + 0x3000)
#define T_IO_B (M_SPARE + 0x4000)
#define T_BUFFER (M_SPARE + 0x8000)
#define OUT(port, size) ((u64)(port) << 16 | ((size)-1u))
#define IN(port, size) (OUT(port, size) | BIT(3))
#define STRING BIT(4)
#define REP BIT(5)
#define INFO_64 (2u << 7 | 3u << 15)

static struct port_access seen[64];
static unsigned int seen_count;
static bool refuse;
static u32 answer; /* to an IN, if not 0 */

static bool handler(struct vcpu *vcpu UNUSED, const struct port_range *range UNUSED,
		    struct port_access *access)
{
	if (seen_count < ARRAY_SIZE(seen))
		seen[seen_count++] = *access;
	if (access->in && answer)
		access->value = answer;
	return !refuse;
}

static void add(u16 first, u32 count)
{
	ports_add(&(const struct port_range){ first, count, "test", handler, NULL });
}

static void want_high(void)
{
	add(PORT, 2);
}

static void want_low(void)
{
	add(LOW_PORT, 1);
}

static void want_both(void)
{
	want_high();
	want_low();
}

static void want_ends(void)
{
	add(0, 1);
	add(0xffff, 1);
	add(0x7fff, 2);
}

static void clear_log(void)
{
	seen_count = 0;
	fake_out_count = 0;
}

/* ---- the table ---- */

static void bitmaps_have_the_tables_ports(void **state UNUSED)
{
	unsigned int count = 0;

	assert_true(ports_wanted() && ports_wanted_in(0) && ports_wanted_in(1));
	for (u32 port = 0; port < PORT_COUNT; port++) {
		bool set = ports_bitmap(port >> 15)[(port & 0x7fff) / 64] >> (port % 64) & 1;

		assert_int_equal(set, port == 0 || port == 0x7fff || port == 0x8000 || port == 0xffff);
		assert_int_equal(ports_are_wanted((u16)port, 1), set);
		count += set;
	}
	assert_int_equal(count, 4);
	assert_true(ports_are_wanted(0x7ffc, 4) && ports_are_wanted(0xfffe, 2));
	assert_false(ports_are_wanted(0x7ffb, 4) || ports_are_wanted(0x8001, 4) || ports_are_wanted(1, 1));
}

static void vmcs01_has_them(void **state UNUSED)
{
	assert_true(machine_field01(VMCS_proc_controls) & PROC_IO_BITMAPS);
	assert_int_equal(machine_field01(VMCS_io_bitmap_a), page_phys(ports_bitmap(0)).v);
	assert_int_equal(machine_field01(VMCS_io_bitmap_b), page_phys(ports_bitmap(1)).v);
}

static void nothing_wanted_nothing_intercepted(void **state UNUSED)
{
	assert_false(ports_wanted() || ports_wanted_in(0) || ports_wanted_in(1) || ports_are_wanted(PORT, 4));
	assert_false(machine_field01(VMCS_proc_controls) & PROC_IO_BITMAPS);
	l1_run_l2();
	assert_false(machine_field(VMCS_proc_controls) & PROC_IO_BITMAPS);
}

/* ---- an access ---- */

/* Each width at each port that reaches the two, and one beyond on either side. */
static void each_width_at_each_neighbour(void **state UNUSED)
{
	for (u32 size = 1; size <= 4; size *= 2) {
		for (u32 port = PORT - size; port <= PORT + 2; port++) {
			bool reaches = port + size > PORT && port < PORT + 2;
			u64 rip = machine_field(VMCS_guest_rip);

			clear_log();
			machine_vcpu->gpr[GPR_RAX] = 0xa1a2a3a484838281;
			EXIT_NOW(.reason = EXIT_IO, .qualification = OUT(port, size), .length = 1);
			assert_int_equal(machine_field(VMCS_guest_rip), rip + 1);
			assert_int_equal(seen_count, reaches);
			assert_int_equal(fake_out_count, 1);
			assert_int_equal(fake_outs[0].port, port);
			assert_int_equal(fake_outs[0].size, size);
			assert_int_equal(fake_outs[0].value, 0x84838281u & (0xffffffffu >> (32 - 8 * size)));
			assert_int_equal(fake_outs[0].gpr[GPR_RAX], 0xa1a2a3a484838281);
		}
	}
}

/* What is refused does not reach the two ports; the others get their bytes, one by one. */
static void what_is_refused_is_left_out(void **state UNUSED)
{
	refuse = true;
	for (u32 size = 1; size <= 4; size *= 2) {
		for (u32 port = PORT - size + 1; port < PORT + 2; port++) {
			u32 at = 0;

			clear_log();
			machine_vcpu->gpr[GPR_RAX] = 0x84838281;
			EXIT_NOW(.reason = EXIT_IO, .qualification = OUT(port, size), .length = 1);
			for (u32 i = 0; i < size; i++) {
				if (port + i == PORT || port + i == PORT + 1)
					continue;
				assert_int_equal(fake_outs[at].port, port + i);
				assert_int_equal(fake_outs[at].size, 1);
				assert_int_equal(fake_outs[at].value, 0x81 + i);
				at++;
			}
			assert_int_equal(fake_out_count, at);
		}
	}
	refuse = false;
}

static void in_fills_its_part_of_rax(void **state UNUSED)
{
	static const struct {
		u32 size;
		u64 rax;
	} list[] = { { 1, 0x1111222233334494 }, { 2, 0x1111222233339394 }, { 4, 0x91929394 } };

	fake_io_in(0x91929394);
	for (size_t i = 0; i < ARRAY_SIZE(list); i++) {
		machine_vcpu->gpr[GPR_RAX] = 0x1111222233334444;
		EXIT_NOW(.reason = EXIT_IO, .qualification = IN(PORT, list[i].size), .length = 1);
		assert_int_equal(machine_vcpu->gpr[GPR_RAX], list[i].rax);
	}
	answer = 0x55;
	EXIT_NOW(.reason = EXIT_IO, .qualification = IN(PORT, 1), .length = 1);
	assert_int_equal(machine_vcpu->gpr[GPR_RAX], 0x91929355);
}

static void an_access_over_ffff_goes_on_at_0(void **state UNUSED)
{
	clear_log();
	refuse = true;
	machine_vcpu->gpr[GPR_RAX] = 0x84838281;
	EXIT_NOW(.reason = EXIT_IO, .qualification = OUT(0xfffe, 4), .length = 1);
	assert_int_equal(seen_count, 2);
	assert_int_equal(fake_out_count, 2);
	assert_int_equal(fake_outs[0].port, 0xfffe);
	assert_int_equal(fake_outs[1].port, 1);
	assert_int_equal(fake_outs[1].value, 0x84);
}

/* ---- strings ---- */

static void start_string(u64 at, u64 count)
{
	clear_log();
	machine_vcpu->gpr[GPR_RSI] = machine_vcpu->gpr[GPR_RDI] = at;
	machine_vcpu->gpr[GPR_RCX] = count;
	for (u64 i = 0; i < PAGE_SIZE; i++)
		fake_memory[T_BUFFER + i] = (u8)i;
}

#define STRING_EXIT(q)                                                                                       \
	EXIT_NOW(.reason = EXIT_IO, .qualification = (q) | STRING, .length = 2, .info = INFO_64)

static void a_repetition_is_done_in_parts(void **state UNUSED)
{
	u64 rip = machine_field(VMCS_guest_rip);

	start_string(T_BUFFER, 70);
	STRING_EXIT(OUT(PORT, 2) | REP);
	assert_int_equal(fake_out_count, 32);
	assert_int_equal(machine_vcpu->gpr[GPR_RCX], 38);
	assert_int_equal(machine_vcpu->gpr[GPR_RSI], T_BUFFER + 64);
	assert_int_equal(machine_field(VMCS_guest_rip), rip);
	assert_true(machine_field(VMCS_guest_rflags) & RFLAGS_RF);
	STRING_EXIT(OUT(PORT, 2) | REP);
	STRING_EXIT(OUT(PORT, 2) | REP);
	assert_int_equal(fake_out_count, 70);
	assert_int_equal(fake_outs[69].value, 0x8b8a);
	assert_int_equal(machine_vcpu->gpr[GPR_RCX], 0);
	assert_int_equal(machine_field(VMCS_guest_rip), rip + 2);
	assert_false(machine_field(VMCS_guest_rflags) & RFLAGS_RF);
}

static void ins_writes_memory(void **state UNUSED)
{
	fake_io_in(0x91929394);
	start_string(T_BUFFER + 8, 3);
	machine_set_field(VMCS_guest_rflags, machine_field(VMCS_guest_rflags) | RFLAGS_DF);
	STRING_EXIT(IN(PORT, 4) | REP);
	assert_int_equal(l1_read64(T_BUFFER), 0x9192939491929394);
	assert_int_equal(l1_read64(T_BUFFER + 8), 0x0f0e0d0c91929394);
	assert_int_equal(machine_vcpu->gpr[GPR_RDI], T_BUFFER - 4);
	assert_int_equal(fake_out_count, 0);
}

/* The port is not touched if the memory operand cannot be. */
static void a_fault_comes_before_the_port(void **state UNUSED)
{
	start_string(0x8000000000000000, 3);
	STRING_EXIT(OUT(PORT, 2) | REP);
	assert_int_equal(machine_pending() & INTR_INFO_VECTOR, VEC_GP);
	STRING_EXIT(IN(PORT, 2));
	assert_int_equal(machine_pending() & INTR_INFO_VECTOR, VEC_GP);
	assert_int_equal(seen_count, 0);
}

/* ---- vmcs02 ---- */

static const u8 *page02(u32 field)
{
	return phys_to_ptr(HPA(machine_field(field)));
}

/* L1's controls and pages of the next entry. */
static void l2_with(u32 proc, u64 a, u64 b)
{
	u64 value;

	if (machine_in_l2())
		EXIT_NOW(.reason = EXIT_CPUID);
	assert_int_equal(l1_vmread(VMCS_proc_controls, &value), 0);
	value = (value & ~(PROC_IO_BITMAPS | PROC_UNCONDITIONAL_IO)) | proc;
	assert_int_equal(l1_vmwrite(VMCS_proc_controls, value), 0);
	assert_int_equal(l1_vmwrite(VMCS_io_bitmap_a, a), 0);
	assert_int_equal(l1_vmwrite(VMCS_io_bitmap_b, b), 0);
	assert_int_equal(l1_enter(EXIT_VMRESUME), 0);
	assert_true(machine_in_l2());
}

static void bitmaps_of_vmcs02(void **state UNUSED)
{
	const u64 io = PROC_IO_BITMAPS | PROC_UNCONDITIONAL_IO;

	l1_run_l2();
	l2_with(0, T_IO_A, T_IO_B);
	assert_int_equal(machine_field(VMCS_proc_controls) & io, ports_wanted() ? PROC_IO_BITMAPS : 0);
	if (ports_wanted()) {
		assert_int_equal(machine_field(VMCS_io_bitmap_a), page_phys(ports_bitmap(0)).v);
		assert_int_equal(machine_field(VMCS_io_bitmap_b), page_phys(ports_bitmap(1)).v);
	}
	l2_with(PROC_UNCONDITIONAL_IO, T_IO_A, T_IO_B);
	assert_int_equal(machine_field(VMCS_proc_controls) & io, PROC_UNCONDITIONAL_IO);
	for (unsigned int both = 0; both < 2; both++) {
		l2_with(PROC_IO_BITMAPS | (both ? PROC_UNCONDITIONAL_IO : 0), T_IO_A, T_IO_B);
		assert_true(machine_field(VMCS_proc_controls) & PROC_IO_BITMAPS);
		for (unsigned int half = 0; half < 2; half++) {
			u32 field = half ? VMCS_io_bitmap_b : VMCS_io_bitmap_a;

			if (!ports_wanted_in(half)) {
				assert_int_equal(machine_field(field), half ? T_IO_B : T_IO_A);
				continue;
			}
			assert_true(memmap_in_window(machine_field(field), PAGE_SIZE));
			for (unsigned int i = 0; i < PAGE_SIZE; i++)
				assert_int_equal(page02(field)[i], 0xff);
		}
	}
	/* no RAM: the window, a hole, the end */
	l2_with(PROC_IO_BITMAPS, M_WINDOW, M_RAM_END);
	for (unsigned int i = 0; i < PAGE_SIZE; i++)
		assert_int_equal(page02(VMCS_io_bitmap_a)[i] & page02(VMCS_io_bitmap_b)[i], 0xff);
	EXIT_NOW(.reason = EXIT_IO, .qualification = IN(0x5000, 1), .length = 1);
	assert_false(machine_in_l2());
}

static void set_port(u32 port, bool set)
{
	u8 *byte = &fake_memory[(port < PORT_HALF ? T_IO_A : T_IO_B) + port % PORT_HALF / 8];

	*byte = (u8)(set ? *byte | BIT(port % 8) : *byte & ~BIT(port % 8));
}

/* As the processor looks at vmcs02's bitmaps. */
static bool exits02(u32 port)
{
	return page02(port < PORT_HALF ? VMCS_io_bitmap_a : VMCS_io_bitmap_b)[port % PORT_HALF / 8] >>
		       (port % 8) &
	       1;
}

static void again(void)
{
	EXIT_NOW(.reason = EXIT_CPUID);
	assert_int_equal(l1_enter(EXIT_VMRESUME), 0);
}

/* An exit that nobody wants opens its word: L2 makes the access itself, and L1's next bits count from an
 * entry on. */
static void a_word_is_opened(void **state UNUSED)
{
	u64 rip;

	set_port(0xb010, true);
	l1_run_l2();
	l2_with(PROC_IO_BITMAPS, T_IO_A, T_IO_B);
	rip = machine_field(VMCS_guest_rip);
	clear_log();
	assert_true(exits02(0xb020));
	EXIT_NOW(.reason = EXIT_IO, .qualification = IN(0xb020, 2), .length = 1);
	assert_true(machine_in_l2());
	assert_int_equal(machine_field(VMCS_guest_rip), rip);
	assert_int_equal(fake_out_count + seen_count, 0);
	for (u32 port = 0xb000; port < 0xb040; port++)
		assert_int_equal(exits02(port), port == PORT || port == PORT + 1 || port == 0xb010);
	assert_true(exits02(0xaff0) && exits02(0xb040));
	/* over the border of two words */
	EXIT_NOW(.reason = EXIT_IO, .qualification = OUT(0xb03e, 4), .length = 1);
	assert_false(exits02(0xb03f) || exits02(0xb040));
	/* read again at the entry */
	set_port(0xb010, false);
	set_port(0xb011, true);
	assert_true(exits02(0xb010));
	again();
	assert_false(exits02(0xb010));
	assert_true(exits02(0xb011) && exits02(PORT));
	EXIT_NOW(.reason = EXIT_IO, .qualification = IN(0xb011, 1), .length = 1);
	assert_false(machine_in_l2());
	assert_int_equal(l1_enter(EXIT_VMRESUME), 0);
	/* other pages of L1's: nothing of the first is left */
	l2_with(PROC_IO_BITMAPS, T_IO_A, T_IO_B + PAGE_SIZE);
	assert_false(exits02(0xb011));
	l2_with(PROC_IO_BITMAPS, T_IO_A, M_WINDOW);
	assert_true(exits02(0xb012));
}

/* L0's own ports: carried out for L2 unless L1 wants them, by the bits that are there now. */
static void l0s_ports_stay_closed(void **state UNUSED)
{
	l1_run_l2();
	l2_with(PROC_IO_BITMAPS, T_IO_A, T_IO_B);
	EXIT_NOW(.reason = EXIT_IO, .qualification = OUT(0xb030, 1), .length = 1);
	for (unsigned int i = 0; i < 3; i++) {
		clear_log();
		EXIT_NOW(.reason = EXIT_IO, .qualification = OUT(PORT - 3, 4), .length = 1);
		assert_true(machine_in_l2());
		assert_int_equal(seen_count, 1);
		assert_int_equal(fake_out_count, 1);
		assert_true(exits02(PORT) && exits02(PORT + 1));
		again();
		assert_true(exits02(PORT) && exits02(PORT + 1));
	}
	set_port(PORT - 1, true);
	clear_log();
	EXIT_NOW(.reason = EXIT_IO, .qualification = OUT(PORT - 3, 4), .length = 1);
	assert_false(machine_in_l2());
	assert_int_equal(seen_count + fake_out_count, 0);
	/* with neither control, and with unconditional exiting */
	assert_int_equal(l1_enter(EXIT_VMRESUME), 0);
	l2_with(0, T_IO_A, T_IO_B);
	EXIT_NOW(.reason = EXIT_IO, .qualification = OUT(PORT, 1), .length = 1);
	assert_true(machine_in_l2());
	assert_int_equal(seen_count, 1);
	l2_with(PROC_UNCONDITIONAL_IO, T_IO_A, T_IO_B);
	EXIT_NOW(.reason = EXIT_IO, .qualification = OUT(PORT, 1), .length = 1);
	assert_false(machine_in_l2());
	assert_int_equal(seen_count, 1);
}

/* In the half in which only L1's page was asked, the exit is L1's though the bit is clear by now. */
static void a_bit_cleared_behind_the_exit(void **state UNUSED)
{
	l1_run_l2();
	l2_with(PROC_IO_BITMAPS, T_IO_A, T_IO_B);
	clear_log();
	EXIT_NOW(.reason = EXIT_IO, .qualification = OUT(0x5000, 1), .length = 1);
	assert_false(machine_in_l2());
	assert_int_equal(fake_out_count, 0);
}

/* One page for both halves: a bit of the other half's is nobody's wish, and L0 carries the access out. */
static void two_halves_in_one_page(void **state UNUSED)
{
	l1_run_l2();
	set_port(0x3020, true);
	l2_with(PROC_IO_BITMAPS, T_IO_A, T_IO_B);
	assert_int_equal(machine_field(VMCS_io_bitmap_a), machine_field(VMCS_io_bitmap_b));
	clear_log();
	EXIT_NOW(.reason = EXIT_IO, .qualification = OUT(0xb020, 1), .length = 1);
	assert_true(machine_in_l2());
	assert_int_equal(fake_out_count, 1);
	EXIT_NOW(.reason = EXIT_IO, .qualification = OUT(0x3020, 1), .length = 1);
	assert_false(machine_in_l2());
	assert_int_equal(l1_enter(EXIT_VMRESUME), 0);
	assert_true(exits02(LOW_PORT) && exits02(PORT) && exits02(PORT + 1));
}

/* More words than are remembered, L1's bits at random, other pages and another VMCS in the slot: never a port
 * of L0's without its bit, never one of L1's that an entry has not seen. */
static void no_port_is_ever_open(void **state UNUSED)
{
	struct fake_random random = { 1 };

	l1_run_l2();
	l2_with(PROC_IO_BITMAPS, T_IO_A, T_IO_B);
	for (unsigned int round = 0; round < 3000; round++) {
		u32 port = (u32)fake_random(&random) & 0xffff, size = 1u << fake_random(&random) % 3;

		set_port((u32)fake_random(&random) & 0xffff, fake_random(&random) & 1);
		if (fake_random(&random) % 4 == 0)
			again();
		if (fake_random(&random) % 64 == 0)
			l2_with(PROC_IO_BITMAPS, T_IO_A, fake_random(&random) & 1 ? T_IO_B : T_IO_A);
		if (port + size <= PORT_COUNT)
			EXIT_NOW(.reason = EXIT_IO, .qualification = OUT(port, size), .length = 1);
		if (!machine_in_l2())
			assert_int_equal(l1_enter(EXIT_VMRESUME), 0);
		for (unsigned int half = 0; half < 2; half++)
			for (unsigned int i = 0; i < PAGE_SIZE / 8; i++) {
				const u64 *words =
					(const void *)page02(half ? VMCS_io_bitmap_b : VMCS_io_bitmap_a);

				assert_int_equal(words[i] & ports_bitmap(half)[i], ports_bitmap(half)[i]);
			}
	}
	/* after the entry, what is open is L1's as it is now */
	again();
	for (u32 port = PORT_HALF; port < PORT_COUNT; port++)
		if (fake_memory[T_IO_B + port % PORT_HALF / 8] >> (port % 8) & 1)
			assert_true(exits02(port));
}

static void a_slots_next_vmcs_starts_closed(void **state UNUSED)
{
	l1_run_l2();
	l2_with(PROC_IO_BITMAPS, T_IO_A, T_IO_B);
	EXIT_NOW(.reason = EXIT_IO, .qualification = OUT(0xb020, 1), .length = 1);
	assert_false(exits02(0xb020));
	EXIT_NOW(.reason = EXIT_CPUID);
	assert_int_equal(l1_memory_insn(EXIT_VMCLEAR, M_VMCS(0)), 0);
	l1_load_vmcs(0);
	l1_write_valid_vmcs();
	assert_int_equal(l1_enter(EXIT_VMLAUNCH), 0);
	set_port(0xb020, true);
	l2_with(PROC_IO_BITMAPS, T_IO_A, T_IO_B);
	assert_true(exits02(0xb020));
}

/* ---- sleep ---- */

#define ALLOWED (BIT(0) | BIT(2) | BIT(5))

static void want_sleep(void)
{
	static const struct acpi_sleep sleep = {
		.pm1a = { SLEEP_IO, PORT, 2 },
		.pm1b = { SLEEP_IO, 0xb104, 4 },
		.control = { SLEEP_IO, 0x8010, 1 },
		.smi_port = LOW_PORT,
		.s4bios_request = 0xf2,
		.pm1a_allowed = ALLOWED,
		.pm1b_allowed = BIT(1),
	};

	sleep_add_ports(&sleep);
}

static void slp_en_decides_with_slp_typ(void **state UNUSED)
{
	for (u32 allowed = 0; allowed < 256; allowed++)
		for (u32 byte = 0; byte < 256; byte++) {
			bool sleeps = byte >> 5 & 1;

			assert_int_equal(sleep_byte_passes((u8)byte, (u8)allowed),
					 !sleeps || (allowed >> (byte >> 2 & 7) & 1));
		}
}

/* Whichever way the byte with SLP_EN comes: the one decision, by the value that the register would hold. */
static void every_way_to_the_register(void **state UNUSED)
{
	static const struct {
		u32 byte; /* the port that decides */
		u8 allowed;
	} registers[] = { { PORT + 1, ALLOWED }, { 0xb105, BIT(1) }, { 0x8010, ALLOWED } };

	for (size_t r = 0; r < ARRAY_SIZE(registers); r++)
		for (u32 typ = 0; typ < 8; typ++)
			for (u32 enable = 0; enable < 2; enable++)
				for (u32 size = 1; size <= 4; size *= 2)
					for (u32 before = 0; before < size; before++) {
						u32 byte = typ << 2 | enable << 5 | 0x80;
						bool passes = !enable || (registers[r].allowed >> typ & 1);
						bool arrives = false;

						clear_log();
						/* the other bytes would, if they were looked at */
						machine_vcpu->gpr[GPR_RAX] =
							(0x24242424 & ~(0xffu << (8 * before))) |
							byte << (8 * before);
						EXIT_NOW(.reason = EXIT_IO,
							 .qualification =
								 OUT(registers[r].byte - before, size),
							 .length = 1);
						for (size_t i = 0; i < fake_out_count; i++)
							arrives |= fake_outs[i].port + fake_outs[i].size >
									   registers[r].byte &&
								   fake_outs[i].port <= registers[r].byte;
						assert_int_equal(arrives, passes);
					}
	/* one warning for each of the three */
	assert_non_null(strstr(fake_log(), "L1 would sleep by PM1a_CNT (SLP_TYP 1): refused"));
	assert_null(strstr(strstr(fake_log(), "PM1a_CNT") + 1, "PM1a_CNT"));
	assert_non_null(strstr(fake_log(), "SLEEP_CONTROL_REG"));
}

static void s4bios_is_refused(void **state UNUSED)
{
	for (u32 value = 0; value < 256; value++) {
		clear_log();
		machine_vcpu->gpr[GPR_RAX] = 0xaa00 | value;
		machine_vcpu->gpr[GPR_RBX] = 0x1234567890;
		EXIT_NOW(.reason = EXIT_IO, .qualification = OUT(LOW_PORT, 1) | BIT(6), .length = 2);
		assert_int_equal(fake_out_count, value != 0xf2);
		if (value != 0xf2)
			assert_int_equal(fake_outs[0].gpr[GPR_RBX], 0x1234567890);
		machine_vcpu->gpr[GPR_RAX] = value << 8;
		clear_log();
		EXIT_NOW(.reason = EXIT_IO, .qualification = OUT(LOW_PORT - 1, 2), .length = 2);
		assert_int_equal(fake_outs[0].size, value == 0xf2 ? 1 : 2);
		assert_int_equal(fake_out_count, 1);
	}
}

static void reads_pass(void **state UNUSED)
{
	fake_io_in(0xffffffff);
	EXIT_NOW(.reason = EXIT_IO, .qualification = IN(PORT, 2), .length = 1);
	assert_int_equal(machine_vcpu->gpr[GPR_RAX] & 0xffff, 0xffff);
	assert_null(strstr(fake_log(), "would sleep"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		MACHINE_TEST_BEFORE(bitmaps_have_the_tables_ports, "", want_ends),
		MACHINE_TEST_BEFORE(vmcs01_has_them, "", want_high),
		MACHINE_TEST(nothing_wanted_nothing_intercepted, ""),
		MACHINE_TEST_BEFORE(each_width_at_each_neighbour, "", want_high),
		MACHINE_TEST_BEFORE(what_is_refused_is_left_out, "", want_high),
		MACHINE_TEST_BEFORE(in_fills_its_part_of_rax, "", want_high),
		MACHINE_TEST_BEFORE(an_access_over_ffff_goes_on_at_0, "", want_ends),
		MACHINE_TEST_BEFORE(a_repetition_is_done_in_parts, "", want_high),
		MACHINE_TEST_BEFORE(ins_writes_memory, "", want_high),
		MACHINE_TEST_BEFORE(a_fault_comes_before_the_port, "", want_high),
		MACHINE_TEST(bitmaps_of_vmcs02, ""),
		MACHINE_TEST_BEFORE(bitmaps_of_vmcs02, "shadow-vmcs=off", want_high),
		MACHINE_TEST_BEFORE(bitmaps_of_vmcs02, "log=info", want_low),
		MACHINE_TEST_BEFORE(bitmaps_of_vmcs02, "log=debug", want_both),
		MACHINE_TEST_BEFORE(a_word_is_opened, "", want_high),
		MACHINE_TEST_BEFORE(l0s_ports_stay_closed, "", want_high),
		MACHINE_TEST_BEFORE(a_bit_cleared_behind_the_exit, "", want_high),
		MACHINE_TEST_BEFORE(two_halves_in_one_page, "", want_both),
		MACHINE_TEST_BEFORE(no_port_is_ever_open, "", want_both),
		MACHINE_TEST_BEFORE(a_slots_next_vmcs_starts_closed, "", want_high),
		cmocka_unit_test(slp_en_decides_with_slp_typ),
		MACHINE_TEST_BEFORE(every_way_to_the_register, "", want_sleep),
		MACHINE_TEST_BEFORE(s4bios_is_refused, "", want_sleep),
		MACHINE_TEST_BEFORE(reads_pass, "", want_sleep),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
