/* SPDX-License-Identifier: MIT */
/*
 * The monitor: lines and words, the port that guests do not have, L1's preemption timer beside L0's own, and
 * commands while L1 and L2 run.
 */
#include "tests/unit/cmocka_all.h"

#include <stdio.h>
#include <string.h>

#include "kernel/cmdline.h"
#include "kernel/trap.h"
#include "kernel/x86.h"
#include "tests/unit/l2_support.h"
#include "vmx/monitor/line.h"

#define PORT 0x2f8
#define IN(port, size) ((u64)(port) << 16 | ((size)-1u) | BIT(3))
#define OUT(port, size) ((u64)(port) << 16 | ((size)-1u))

static const char *typed = ""; /* what the UART still has to give */
static char said[65536];
static size_t said_length;
static u8 scratch;
static u32 posted, posted_size; /* what port 80H was written */
static u32 touched;		/* accesses to the UART's data */
static u32
	stand_for; /* so long, in ticks of a million, the next line takes to come while the machine stands */

static bool port_in(u16 port, unsigned int size, u32 *value)
{
	*value = size == 1 ? 0x61 : 0x4461; /* channel 2's output is up */
	if (port == PORT + 5)
		*value = *typed ? 0x61 : 0x60;
	else if (port == PORT + 7)
		*value = scratch;
	else if (port == PORT) {
		touched++;
		for (; stand_for && *typed == 'x'; stand_for--)
			fake_pass_time();
		*value = *typed ? (u8)*typed++ : 0;
	}
	return true;
}

static bool port_out(u16 port, unsigned int size, u32 value)
{
	if (port == 0x80) {
		posted = value;
		posted_size = size;
		return true;
	}
	assert_int_equal(size, 1);
	if (port == PORT + 7)
		scratch = (u8)value;
	if (port == PORT) {
		touched++;
		if (said_length < sizeof(said) - 1)
			said[said_length++] = (char)value;
	}
	return true;
}

static void plug(void)
{
	fake_port_in = port_in;
	fake_port_out = port_out;
}

/* The timer ends the guest, which finds this typed. What the monitor says. */
static const char *type(const char *text)
{
	memset(said, 0, said_length);
	said_length = 0;
	typed = text;
	EXIT_NOW(.reason = EXIT_PREEMPTION_TIMER);
	/* attended to before the entry that follows */
	EXIT_NOW(.reason = EXIT_PREEMPTION_TIMER);
	return said;
}

/* ---- lines ---- */

static enum line_event put(struct line *line, const char *text)
{
	enum line_event event = LINE_MORE;

	for (; *text; text++)
		event = line_put(line, (u8)*text);
	return event;
}

static void a_line_becomes_words(void **state UNUSED)
{
	struct line line = { .length = 0 };
	struct words words;

	assert_int_equal(put(&line, "  regs  l1x\x7f  \r"), LINE_DONE);
	assert_true(line_take(&line, &words));
	assert_int_equal(words.count, 2);
	assert_string_equal(words.word[0], "regs");
	assert_string_equal(words.word[1], "l1");
	/* the line feed behind a carriage return is no line of its own */
	assert_int_equal(put(&line, "\n"), LINE_MORE);
	assert_int_equal(put(&line, "\n"), LINE_DONE);
	assert_true(line_take(&line, &words));
	assert_int_equal(words.count, 0);
	assert_int_equal(put(&line, "x\x15"), LINE_CANCEL);
	assert_int_equal(put(&line, "\b"), LINE_MORE);
}

static const char *typed_so_far(struct line *line, const char *text)
{
	put(line, text);
	return line_text(line);
}

static void earlier_lines_come_back(void **state UNUSED)
{
	struct line line = { .length = 0 };
	struct words words;

	assert_string_equal(typed_so_far(&line, "\x1b[A"), "");
	put(&line, "one\r");
	line_take(&line, &words);
	put(&line, "two\r");
	line_take(&line, &words);
	/* the same once more is not kept, nor what is empty or not whole */
	put(&line, "two\r");
	line_take(&line, &words);
	put(&line, "\r");
	line_take(&line, &words);
	put(&line, "th\x80ree\r");
	line_take(&line, &words);
	put(&line, "thr");
	assert_int_equal(put(&line, "\x1b[A"), LINE_REPLACED);
	assert_int_equal(line.erased, 3);
	assert_string_equal(line_text(&line), "two");
	assert_string_equal(typed_so_far(&line, "\x1bOA"), "one");
	assert_string_equal(typed_so_far(&line, "\x10"), "one");
	assert_string_equal(typed_so_far(&line, "\x1b[B"), "two");
	assert_string_equal(typed_so_far(&line, "\x0e"), "");
	assert_string_equal(typed_so_far(&line, "\x0e\x10s\x1b[C\x1b[3~\x1bx"), "twos");
	assert_int_equal(put(&line, "\x1b\r"), LINE_DONE);
	assert_true(line_take(&line, &words));
	assert_string_equal(words.word[0], "twos");
	/* as many as there is room for */
	for (char c = 'a'; c < 'a' + 12; c++) {
		line_put(&line, (u8)c);
		put(&line, "\r");
		line_take(&line, &words);
	}
	for (int i = 0; i < 20; i++)
		put(&line, "\x10");
	assert_string_equal(line_text(&line), "e");
}

static void what_is_not_whole_is_refused(void **state UNUSED)
{
	struct line line = { .length = 0 };
	struct words words;

	for (int i = 0; i < 3 * LINE_SIZE; i++)
		line_put(&line, 'a');
	assert_int_equal(line_put(&line, '\r'), LINE_DONE);
	assert_false(line_take(&line, &words));
	put(&line, "go");
	line_spoil(&line);
	put(&line, "\r");
	assert_false(line_take(&line, &words));
	put(&line, "g\x80o\r");
	assert_false(line_take(&line, &words));
	put(&line, "1 2 3 4 5 6 7\r");
	assert_false(line_take(&line, &words));
	put(&line, "1 2 3 4 5 6\r");
	assert_true(line_take(&line, &words));
	assert_int_equal(words.count, 6);
}

static void numbers(void **state UNUSED)
{
	u64 value = 7;

	assert_true(line_hex("ffffffffffffffff", UINT64_MAX, &value) && value == UINT64_MAX);
	assert_true(line_hex("0X1f", 0x1f, &value) && value == 0x1f);
	assert_false(line_hex("20", 0x1f, &value));
	assert_false(line_hex("10000000000000000", UINT64_MAX, &value));
	assert_false(line_hex("", 9, &value) || line_hex("0x", 9, &value) || line_hex("1g", 99, &value));
	assert_true(line_decimal("19", 19, &value) && value == 19);
	assert_false(line_decimal("1a", 99, &value) || line_decimal("-1", 99, &value));
}

/* ---- the port ---- */

static u32 l1_in(u16 port, unsigned int size)
{
	machine_vcpu->gpr[GPR_RAX] = 0;
	EXIT_NOW(.reason = EXIT_IO, .qualification = IN(port, size), .length = 1);
	return (u32)machine_vcpu->gpr[GPR_RAX];
}

static void guests_do_not_have_the_port(void **state UNUSED)
{
	u32 before = touched;

	typed = "x";
	for (u16 port = PORT; port < PORT + 8; port++)
		assert_int_equal(l1_in(port, 1), 0xff);
	assert_int_equal(l1_in(PORT, 4), 0xffffffff);
	/* the neighbour is there */
	assert_int_equal(l1_in(PORT - 1, 2), 0xff61);
	assert_int_equal(l1_in(PORT + 7, 2), 0x61ff);
	machine_vcpu->gpr[GPR_RAX] = 'y';
	EXIT_NOW(.reason = EXIT_IO, .qualification = OUT(PORT, 1), .length = 1);
	EXIT_NOW(.reason = EXIT_IO, .qualification = OUT(PORT, 4), .length = 1);
	assert_int_equal(touched, before);
	assert_string_equal(typed, "x");
	typed = "";
}

static void without_it_nothing_is_intercepted(void **state UNUSED)
{
	assert_int_equal(machine_vcpu->wish.timer_ticks, 0);
	assert_false(machine_field01(VMCS_pin_controls) & PIN_PREEMPTION_TIMER);
	assert_false(machine_field01(VMCS_proc_controls) & PROC_IO_BITMAPS);
	assert_int_equal(said_length, 0);
}

/* ---- the timer ---- */

#define WISH machine_vcpu->wish.timer_ticks
#define TIMER (u32) machine_field(VMCS_preemption_timer_value)

/* L2 runs, with a timer of L1's if `ticks` is not ~0. */
static void run_l2_with(u64 ticks)
{
	u64 pin, out;

	l1_start_vmx();
	l1_load_vmcs(0);
	l1_write_valid_vmcs();
	if (ticks != ~0ull) {
		assert_int_equal(l1_vmread(VMCS_pin_controls, &pin), 0);
		assert_int_equal(l1_vmread(VMCS_exit_controls, &out), 0);
		assert_int_equal(l1_vmwrite(VMCS_pin_controls, pin | PIN_PREEMPTION_TIMER), 0);
		assert_int_equal(l1_vmwrite(VMCS_exit_controls, out | EXIT_SAVE_PREEMPTION_TIMER), 0);
		assert_int_equal(l1_vmwrite(VMCS_preemption_timer_value, ticks), 0);
	}
	assert_int_equal(l1_enter(EXIT_VMLAUNCH), 0);
	assert_true(machine_in_l2());
	assert_true(machine_field(VMCS_pin_controls) & PIN_PREEMPTION_TIMER);
	assert_true(machine_field(VMCS_exit_controls) & EXIT_SAVE_PREEMPTION_TIMER);
}

static u64 saved(void)
{
	u64 value = 0;

	assert_false(machine_in_l2());
	assert_int_equal(l1_vmread(VMCS_preemption_timer_value, &value), 0);
	return value;
}

static void l0s_timer_is_not_l1s_exit(void **state UNUSED)
{
	assert_int_equal(machine_field01(VMCS_preemption_timer_value), WISH);
	machine_set_field(VMCS_preemption_timer_value, 0);
	EXIT_NOW(.reason = EXIT_PREEMPTION_TIMER);
	assert_int_equal(TIMER, WISH);
	run_l2_with(~0ull);
	assert_int_equal(TIMER, WISH);
	machine_set_field(VMCS_preemption_timer_value, 0);
	EXIT_NOW(.reason = EXIT_PREEMPTION_TIMER);
	assert_true(machine_in_l2());
	assert_int_equal(TIMER, WISH);
}

static void a_short_timer_is_l1s(void **state UNUSED)
{
	run_l2_with(WISH - 1);
	assert_int_equal(TIMER, WISH - 1);
	machine_set_field(VMCS_preemption_timer_value, 0);
	EXIT_NOW(.reason = EXIT_PREEMPTION_TIMER);
	assert_int_equal(saved(), 0);
}

static void a_timer_of_0_is_l1s(void **state UNUSED)
{
	run_l2_with(0);
	assert_int_equal(TIMER, 0);
	EXIT_NOW(.reason = EXIT_PREEMPTION_TIMER);
	assert_int_equal(saved(), 0);
}

/* Two of L0's, and then the rest is L1's. */
static void a_long_timer_is_l1s_to_the_tick(void **state UNUSED)
{
	run_l2_with(2 * WISH + 5);
	for (int i = 0; i < 2; i++) {
		assert_int_equal(TIMER, WISH);
		machine_set_field(VMCS_preemption_timer_value, 0);
		EXIT_NOW(.reason = EXIT_PREEMPTION_TIMER);
		assert_true(machine_in_l2());
	}
	assert_int_equal(TIMER, 5);
	machine_set_field(VMCS_preemption_timer_value, 0);
	EXIT_NOW(.reason = EXIT_PREEMPTION_TIMER);
	assert_int_equal(saved(), 0);
}

static void what_is_left_is_saved(void **state UNUSED)
{
	run_l2_with(3 * WISH);
	machine_set_field(VMCS_preemption_timer_value, 0);
	EXIT_NOW(.reason = EXIT_PREEMPTION_TIMER);
	/* an exit that L0 handles: the timer goes on */
	machine_set_field(VMCS_preemption_timer_value, 100);
	EXIT_NOW(.reason = EXIT_CPUID);
	assert_int_equal(saved(), WISH + 100);
}

static void leave_l2_after(u32 ticks)
{
	u32 before = TIMER;

	assert_true(before >= ticks);
	machine_set_field(VMCS_preemption_timer_value, before - ticks);
	EXIT_NOW(.reason = EXIT_CPUID);
	assert_false(machine_in_l2());
}

/* An L2 that L1 takes exits of more often than L0 looks. */
static void l0s_time_goes_on_over_l1s_exits(void **state UNUSED)
{
	run_l2_with(~0ull);
	leave_l2_after(WISH / 4);
	assert_int_equal(l1_enter(EXIT_VMRESUME), 0);
	assert_int_equal(TIMER, WISH - WISH / 4);
	leave_l2_after(WISH / 2);
	assert_int_equal(l1_enter(EXIT_VMRESUME), 0);
	assert_int_equal(TIMER, WISH - WISH / 4 - WISH / 2);
	/* of another L2 too */
	leave_l2_after(TIMER - 3);
	l1_load_vmcs(1);
	l1_write_valid_vmcs();
	assert_int_equal(l1_enter(EXIT_VMLAUNCH), 0);
	assert_int_equal(TIMER, 3);
	machine_set_field(VMCS_preemption_timer_value, 0);
	EXIT_NOW(.reason = EXIT_PREEMPTION_TIMER);
	assert_true(machine_in_l2());
	assert_int_equal(TIMER, WISH);
	leave_l2_after(7);
	assert_int_equal(l1_enter(EXIT_VMRESUME), 0);
	assert_int_equal(TIMER, WISH - 7);
}

/* L1's timer ends L2 first: L0's has gone on by so much. */
static void l0s_time_goes_on_over_l1s_timer(void **state UNUSED)
{
	run_l2_with(5);
	machine_set_field(VMCS_preemption_timer_value, 0);
	EXIT_NOW(.reason = EXIT_PREEMPTION_TIMER);
	assert_int_equal(saved(), 0);
	assert_int_equal(l1_vmwrite(VMCS_preemption_timer_value, WISH), 0);
	assert_int_equal(l1_enter(EXIT_VMRESUME), 0);
	assert_int_equal(TIMER, WISH - 5);
	machine_set_field(VMCS_preemption_timer_value, 0);
	EXIT_NOW(.reason = EXIT_PREEMPTION_TIMER);
	assert_true(machine_in_l2());
	assert_int_equal(TIMER, 5);
}

/* ---- commands ---- */

static void tab_completes(void **state UNUSED)
{
	assert_non_null(strstr(type("re\tse\t\x15"), "reset "));
	assert_non_null(strstr(type("re\t\x15"), "\r\nregs reset\r\nrunning> re"));
	assert_non_null(strstr(type("  vmcs 0\t1 guest_cr\t3\r"), "guest_cr3 "));
	assert_non_null(strstr(type("v 01 ho\t\x15"), "v 01 host"));
	assert_non_null(strstr(type("regs l\t\x15"), "\r\nl1 l2\r\n"));
	assert_non_null(strstr(type("ept \t\x15"), "\r\n01 02 12\r\n"));
	assert_non_null(strstr(type("x\t1b gpa:5000\r"), "x/1b"));
	assert_null(strstr(type("nonsense\t y\t msr 1\t\x15"), "reset"));
	/* there is no more room than there is */
	assert_non_null(strstr(type("                                                             "
				    "             re\tse\t\r"),
			       "error: "));
	/* a list is no longer than a line */
	assert_non_null(strstr(type("vmcs 12 guest\t\x15"), "guest_es_selector"));
	for (const char *line = said, *end; (end = strchr(line, '\n')); line = end + 1)
		assert_true(end - line <= 80);
}

static void commands_look_at_l1(void **state UNUSED)
{
	u64 rip = machine_field(VMCS_guest_rip);

	machine_vcpu->gpr[GPR_R9] = 0x123456789;
	assert_non_null(strstr(type("regs\r"), "r9 123456789"));
	assert_non_null(strstr(said, "L1, which runs"));
	assert_non_null(strstr(said, "running> "));
	assert_non_null(strstr(type("nonsense\r"), "error: no command nonsense"));
	assert_non_null(strstr(type("vmcs 12\r"), "error: L1 has no current VMCS"));
	assert_non_null(strstr(type("vmcs 01 4000\r"), "4000 pin_controls"));
	assert_non_null(strstr(type("msr 10000000\r"), "#GP"));
	assert_non_null(strstr(type("msr c0000080\r"), "msr c0000080: 500"));
	assert_non_null(strstr(type("exits\r"), "PREEMPTION_TIMER l1 "));
	assert_non_null(strstr(type("help\r"), "monitor-write=on"));
	l1_write64(0x5000, 0x1122334455667788);
	assert_non_null(strstr(type("x/1q 5000\r"), "5000: 1122334455667788"));
	assert_non_null(strstr(type("x/3l gpa:5004\r"), "5004: 11223344 "));
	assert_non_null(strstr(type("x/1b gpa:8000000\r"), "no RAM"));
	assert_non_null(strstr(type("walk 5000\r"), "5000 is gpa 5000"));
	assert_int_equal(machine_field(VMCS_guest_rip), rip);
}

static void commands_look_at_l2(void **state UNUSED)
{
	run_l2_with(~0ull);
	assert_non_null(strstr(type("regs\r"), "L2, which runs"));
	assert_non_null(strstr(type("regs l1\r"), "the host state of vmcs12"));
	assert_non_null(strstr(type("vmcs 12 pin\r"), "pin_controls"));
	assert_non_null(strstr(said, " (02: "));
	assert_non_null(strstr(type("vmcs 02 guest\r"), "guest_rip"));
	assert_non_null(strstr(type("vmcs 01 host\r"), "host_rip"));
	assert_non_null(strstr(type("ept 12 5000\r"), "error: vmcs12 has no EPT"));
	assert_non_null(strstr(type("why\r"), "no VM entry and no VMX instruction"));
	assert_true(machine_in_l2());
}

static void said_is(const char *text)
{
	if (!strstr(said, text))
		fail_msg("not said: %s; but: %s", text, said);
}

/* Names of bits, in all three VMCSs; what vmcs02 has more, or less. No line is longer than lines are. */
static void fields_are_decoded(void **state UNUSED)
{
	run_l2_with(5);
	for (const char *const *line = (const char *const[]){ "vmcs 01\r", "vmcs 02\r", "vmcs 12\r", NULL };
	     *line; line++) {
		type(*line);
		said_is("_controls ");
		for (const char *at = said, *end; (end = strchr(at, '\n')); at = end + 1)
			assert_true(end - at <= 151);
	}
	type("vmcs 12 pin\r");
	said_is("\r\n  means  VMX-preemption timer, and ");
	said_is("\r\n  02 has NMI exiting, virtual NMIs\r\n");
	assert_null(strstr(said, "02 not"));
	/* a word that goes on in another line is cut between names */
	type("vmcs 01 proc2\r");
	said_is("\r\n  means  EPT, ");
	type("vmcs 01 guest\r");
	said_is(" guest_cr0 80010031\r\n  means  PE ET NE WP PG\r\n");
	said_is("guest_activity_state 0\r\n  means  active\r\n");
	said_is("\r\n  means  type 11, DPL 0, S P L G\r\n");
	type("vmcs 01 host_cs\r");
	assert_null(strstr(said, "means"));
}

static void exits_are_decoded(void **state UNUSED)
{
	static const struct {
		u32 reason;
		u64 qualification;
		const char *says;
	} rows[] = {
		{ EXIT_CR_ACCESS, 0x213, "  means  MOV from CR3, register 2\r" },
		{ EXIT_CR_ACCESS, 0, "  means  MOV to CR0, register 0\r" },
		{ EXIT_CR_ACCESS, 0x20, "  means  CLTS CR0, register 0\r" },
		{ EXIT_DR_ACCESS, 0x317, "  means  MOV from DR7, register 3\r" },
		{ EXIT_IO, 0x3f80038, "  means  IN port 3f8, bytes 1, string, REP\r" },
		{ EXIT_IO, 0x800003, "  means  OUT port 80, bytes 4\r" },
		{ EXIT_TASK_SWITCH, 0x80000018, "  means  selector 18, by JMP\r" },
		{ EXIT_APIC_ACCESS, 0x10b0, "  means  offset b0, type 1\r" },
		{ EXIT_EPT_VIOLATION, 0x18a,
		  "  means  write, readable, linear address, translated address\r" },
		{ EXIT_REASON_ENTRY_FAILURE | EXIT_ENTRY_FAIL_GUEST, 0,
		  "  means  ENTRY_FAIL_GUEST, VM entry failed\r" },
		{ EXIT_CPUID, 5, "\r\n6400 exit_qualification 5\r\n6402" },
	};

	l1_start_vmx();
	l1_load_vmcs(0);
	l1_write_valid_vmcs();
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct vmcs12 *v12 = &machine_vcpu->nested.current->v12;

		v12->exit_reason = rows[i].reason;
		v12->exit_qualification = rows[i].qualification;
		v12->idt_vectoring_info = 0x80000b0e;
		v12->entry_intr_info = 0;
		type("vmcs 12\r");
		said_is(rows[i].says);
		said_is("means  valid, hardware exception, vector 14, with error code\r");
		said_is("entry_intr_info 0\r\n4018");
	}
}

/* Of the line that begins so: its rate of L1's exits, in tenths. */
static u64 rate_of(const char *name)
{
	unsigned long long whole, tenth;
	const char *line = strstr(said, name);

	assert_non_null(line);
	assert_int_equal(sscanf(strstr(line, " l1-rate "), " l1-rate %llu.%1llu ", &whole, &tenth), 2);
	return whole * 10 + tenth;
}

/* Seven CPUIDs in the time that the monitor itself says; `unit` is what its rates are of. */
static void rates_are_of(u64 unit, const char *called)
{
	unsigned long long ticks;
	char head[64];

	type("exits reset\r");
	for (int i = 0; i < 7; i++) {
		fake_pass_time();
		EXIT_NOW(.reason = EXIT_CPUID, .length = 2);
	}
	type("exits\r");
	snprintf(head, sizeof(head), "cpu 0: rates per %s, of %%llu ticks since", called);
	assert_int_equal(sscanf(strstr(said, "cpu 0: rates per "), head, &ticks), 1);
	assert_true(ticks >= 7000000 && ticks < 8000000);
	assert_int_equal(rate_of("\n10 CPUID l1 "), 7 * 10 * unit / ticks);
	assert_true(rate_of("\nall l1 ") > rate_of("\n10 CPUID l1 "));
	/* they have been asked for */
	type("exits\r");
	assert_int_equal(rate_of("\n10 CPUID l1 "), 0);
	assert_non_null(strstr(said, "\n10 CPUID l1 "));
}

static void exits_have_rates(void **state UNUSED)
{
	rates_are_of(1000000, "million ticks");
	assert_non_null(strstr(type("exits all\r"), "error: exits [reset]"));
	assert_non_null(strstr(type("exits reset now\r"), "error: exits [reset]"));
	/* SDM: "Time Stamp Counter and Nominal Core Crystal Clock Information Leaf" */
	fake_cpuid_set(0, 0, 0x15, 0, 0, 0);
	fake_cpuid_set(0x15, 0, 2, 200, 25000000, 0);
	rates_are_of(2500000000, "second");
}

/* A person reads what a stopped machine shows: that is none of the guests' time. */
static void a_stop_is_no_time_of_the_rates(void **state UNUSED)
{
	unsigned long long ticks;

	type("stop\rexits reset\rgo\r");
	for (int i = 0; i < 3; i++)
		fake_pass_time();
	stand_for = 1000;
	type("stop\rx/0q 1\rexits\rgo\r");
	assert_int_equal(stand_for, 0);
	assert_int_equal(
		sscanf(strstr(said, "cpu 0: rates"), "cpu 0: rates per million ticks, of %llu", &ticks), 1);
	assert_true(ticks >= 3000000 && ticks < 4000000);
}

/* The last refusal: a field's value, and a control word with its wrong bits. */
static void why_tells_the_last_refusal(void **state UNUSED)
{
	l1_start_vmx();
	l1_load_vmcs(0);
	l1_write_valid_vmcs();
	W(cr3_target_count, 5);
	assert_int_not_equal(l1_enter(EXIT_VMLAUNCH), 0);
	assert_non_null(strstr(type("why\r"), "cr3_target_count"));
	assert_non_null(strstr(said, "cpu 0: the last that failed"));
	assert_non_null(strstr(said, "vm-instruction error of the current VMCS: 7"));
	W(cr3_target_count, 0);
	W(pin_controls, 0);
	assert_int_not_equal(l1_enter(EXIT_VMLAUNCH), 0);
	assert_non_null(strstr(type("why\r"), "pin_controls"));
}

/* What the next entry would fail by, before L1 tries. */
static void broken_rules_are_marked(void **state UNUSED)
{
	u64 cr0, tr;

	l1_start_vmx();
	l1_load_vmcs(0);
	l1_write_valid_vmcs();
	cr0 = R(guest_cr0);
	tr = R(host_tr_selector);
	assert_null(strstr(type("vmcs 12\r"), "broken"));
	W(cr3_target_count, 5);
	W(host_cs_selector, 0);
	W(host_tr_selector, 3);
	W(guest_rflags, 0);
	W(guest_cr0, CR0_PG);
	W(guest_activity_state, 7);
	assert_non_null(strstr(type("vmcs 12 6820\r"), "broken: 400a cr3_target_count"));
	/* not the first of each part alone, and a field once */
	assert_non_null(strstr(said, "broken: 0c0c host_tr_selector"));
	assert_non_null(strstr(said, "broken: 6800 guest_cr0"));
	assert_null(strstr(strstr(said, "broken: 6800 guest_cr0") + 1, "broken: 6800 guest_cr0"));
	assert_non_null(strstr(said, "broken: 4826 guest_activity_state"));
	assert_non_null(strstr(said, "broken: 0c02 host_cs_selector"));
	assert_non_null(strstr(said, "broken: 6820 guest_rflags"));
	assert_non_null(strstr(said, "6820 guest_rflags 0\r\n  broken\r\n  rule   "));
	assert_non_null(strstr(said, "  wrong  bit 1 must be 1"));
	assert_null(strstr(type("vmcs 12 host_ss\r"), "  rule"));
	/* it has not been tried, and L1 sees nothing of it */
	assert_non_null(strstr(type("why\r"), "no VM entry and no VMX instruction"));
	assert_int_equal(l1_enter(EXIT_VMLAUNCH), 7);
	W(cr3_target_count, 0);
	W(host_cs_selector, 8);
	W(host_tr_selector, tr);
	W(guest_rflags, 2);
	W(guest_cr0, cr0);
	W(guest_activity_state, 0);
	assert_int_equal(l1_enter(EXIT_VMLAUNCH), 0);
	assert_null(strstr(type("vmcs 12\r"), "broken"));
}

/* EPT12 maps the first 4 GiB in pages of 1 GiB; L2's tables are L1's, taken for PAE paging's. */
static void tables_are_walked(void **state UNUSED)
{
	assert_non_null(strstr(type("ept 01 5000\r"), "5000 is 5000"));
	assert_non_null(strstr(type("walk 8000000000\r"), "8000000000 is not mapped: #PF"));
	l2_run_pae();
	assert_non_null(strstr(type("ept 12 40001234\r"), "40001234 is 40001234"));
	assert_non_null(strstr(said, "level 4 at 110000: "));
	assert_non_null(strstr(said, "level 3 at 111008: "));
	assert_null(strstr(said, "level 2"));
	assert_non_null(strstr(type("ept 12 123456789000\r"), " not present"));
	assert_non_null(strstr(said, "123456789000 is not mapped"));
	assert_non_null(strstr(type("ept 02 123456789000\r"), "ept02, pointer "));
	l1_write64(0, 0x1122334455667788);
	l1_write64(P_EPT + 0x1000 + 8, l1_read64(P_EPT + 0x1000) & GENMASK(29, 0));
	assert_non_null(strstr(type("walk 1000\r"), "1000 is gpa 40000000, page of 1000"));
	assert_non_null(strstr(said, "which is L1's 0"));
	assert_non_null(strstr(type("x/1q 1000\r"), "1000: 1122334455667788"));
	l1_write64(P_EPT + 0x1000, 0);
	assert_non_null(
		strstr(type("walk 1000\r"), "table entry at 1000: no RAM of L1's, or not mapped by EPT12"));
	assert_non_null(strstr(said, "1000: the walk ends there"));
	assert_non_null(strstr(type("x/1q 1000\r"), "1000: no RAM, or not mapped"));
	assert_true(machine_in_l2());
	/* L1's turn, and its EPT02s go: the page that vmcs02 names is a table of nobody's, or of another
	 * one's */
	machine_exit(&(const struct machine_exit){ .reason = EXIT_CPUID });
	assert_false(machine_in_l2());
	assert_non_null(strstr(type("ept 02 1000\r"), "ept02, pointer "));
	nested_ept01_changed(machine_vcpu);
	assert_non_null(strstr(type("ept 02 1000\r"), "is gone"));
}

static void the_last_exits_are_listed(void **state UNUSED)
{
	EXIT_NOW(.reason = EXIT_CPUID);
	assert_non_null(strstr(type("trace 3\r"), "-3 L1 "));
	assert_non_null(strstr(said, "CPUID rip "));
	assert_null(strstr(said, "-4 L1 "));
	assert_non_null(strstr(type("dump\r"), "L1, which runs"));
	assert_non_null(strstr(said, "no VM entry and no VMX instruction"));
	assert_non_null(strstr(said, "-1 L1 PREEMPTION_TIMER "));
}

/* With trace=: lines for socle-trace, of complete events; a pause keeps what there was. */
static void the_trace_is_dumped(void **state UNUSED)
{
	static char before[sizeof(said)];

	for (int i = 0; i < 4; i++)
		EXIT_NOW(.reason = EXIT_CPUID, .length = 2);
	assert_non_null(strstr(type("trace dump 2\r"), "trace: form 1 build-id "));
	assert_non_null(strstr(said, "\ntrace: 0 "));
	assert_null(strstr(strstr(strstr(said, "\ntrace: 0 ") + 1, "\ntrace: 0 ") + 1, "\ntrace: 0 "));
	assert_non_null(strstr(type("trace off\r"), "running> "));
	strcpy(before, strstr(type("trace dump\r"), "trace: form"));
	EXIT_NOW(.reason = EXIT_CPUID, .length = 2);
	assert_string_equal(strstr(type("trace dump\r"), "trace: form"), before);
	/* the last exits in brief go on */
	assert_non_null(strstr(type("trace 8\r"), "L1 CPUID"));
	type("trace on\r");
	EXIT_NOW(.reason = EXIT_CPUID, .length = 2);
	assert_string_not_equal(strstr(type("trace dump\r"), "trace: form"), before);
}

static void without_trace_nothing_is_dumped(void **state UNUSED)
{
	assert_non_null(strstr(type("trace dump\r"), "trace: form 1 "));
	assert_null(strstr(said, "trace: 0 "));
	assert_non_null(strstr(type("trace on\r"), "error: say trace=on"));
}

static void the_log_is_shown(void **state UNUSED)
{
	log_info("first of three");
	log_info("second of three");
	log_info("third of three");
	assert_non_null(strstr(type("log 2\r"), "second of three"));
	assert_non_null(strstr(said, "third of three"));
	assert_null(strstr(said, "first of three"));
	assert_non_null(strstr(type("log\r"), "first of three"));
	assert_null(strstr(type("log 0\r"), "of three"));
}

/* Each is answered by how it is said. */
static void what_is_said_wrongly_is_refused(void **state UNUSED)
{
	static const char *const lines[] = {
		"msr\r",     "msr 100000000\r", "io 10000\r",	  "io 80.x\r",	  "io 80 100\r",
		"trace x\r", "trace 1 2\r",	"trace dump x\r", "log x\r",	  "ept 13 0\r",
		"ept 01\r",  "walk\r",		"walk g\r",	  "x/1z 0\r",	  "x/1q gpa:g\r",
		"x/1q\r",    "regs l3\r",	"regs l1 l2\r",	  "vmcs 12 a b\r"
	};

	for (size_t i = 0; i < ARRAY_SIZE(lines); i++)
		if (!strstr(type(lines[i]), "error: "))
			fail_msg("%s: %s", lines[i], said);
}

static void stop_holds_until_go(void **state UNUSED)
{
	assert_non_null(strstr(type("stop\rcpus\rx/0q 1\rgo\r"), "stopped> "));
	type("stop\rcpu 0\rcpus\rgo\r");
	assert_non_null(strstr(said, "last-exit PREEMPTION_TIMER (this)"));
	/* there is no other */
	type("stop\rcpu 1\rgo\r");
	assert_non_null(strstr(said, "error: cpu N\r\nstopped> "));
	type("stop\rcpus\rx/0q 1\rgo\r");
	assert_non_null(strstr(said, "cpu 0: apic-id 0 L1"));
	assert_non_null(strstr(said, "error: x/ NU"));
	assert_non_null(strstr(said, "running> "));
	/* the rest of what was typed has been taken */
	assert_string_equal(typed, "");
}

#define AN_NMI .reason = EXIT_EXCEPTION_NMI, .intr_info = INTR_INFO_VALID | INTR_TYPE_NMI << 8 | VEC_NMI

/* The machine stops, is let go, and nobody is given the NMI. */
static void nmi_stops(void)
{
	memset(said, 0, said_length);
	said_length = 0;
	typed = "regs\rgo\r";
}

static void an_nmi_stops_the_machine(void **state UNUSED)
{
	struct trap_frame frame = { 0 };

	nmi_stops();
	EXIT_NOW(AN_NMI);
	assert_int_equal(machine_pending(), 0);
	assert_non_null(strstr(said, "socle: stopped by an NMI on cpu 0\r\nstopped> regs"));
	assert_non_null(strstr(said, "L1, which runs"));
	assert_string_equal(typed, "");
	/* L2's, whose L1 has "NMI exiting" */
	l1_start_vmx();
	l1_load_vmcs(0);
	l1_write_valid_vmcs();
	W(pin_controls, caps12.pin.allowed0 | PIN_NMI_EXITING);
	assert_int_equal(l1_enter(EXIT_VMLAUNCH), 0);
	nmi_stops();
	EXIT_NOW(AN_NMI);
	EXIT_NOW(.reason = EXIT_PREEMPTION_TIMER);
	assert_non_null(strstr(said, "L2, which runs"));
	assert_true(machine_in_l2());
	assert_int_equal(machine_injected, 0);
	/* and one that meets Socle itself */
	nmi_stops();
	fake_nmi(&frame);
	assert_int_equal(machine_vcpu->request, REQUEST_MONITOR_NMI);
	EXIT_NOW(.reason = EXIT_PREEMPTION_TIMER);
	EXIT_NOW(.reason = EXIT_PREEMPTION_TIMER);
	assert_non_null(strstr(said, "stopped by an NMI on cpu 0"));
	assert_true(machine_in_l2());
}

static void without_a_monitor_nmis_are_l1s(void **state UNUSED)
{
	EXIT_NOW(AN_NMI);
	assert_int_equal(machine_pending() & 0xff, VEC_NMI);
}

static void ports_are_written_on_request_alone(void **state UNUSED)
{
	scratch = 1;
	assert_non_null(
		strstr(type("io 2ff 5\r"), options.monitor_write ? "io 2ff 5" : "error: say monitor-write"));
	assert_int_equal(scratch, options.monitor_write ? 5 : 1);
	assert_non_null(strstr(type("io 80.w\r"), "io 80: 4461"));
	posted = posted_size = 0;
	type("io 80.w 1234\r");
	assert_int_equal(posted, options.monitor_write ? 0x1234 : 0);
	assert_int_equal(posted_size, options.monitor_write ? 2 : 0);
	type("io 80.l 12345678\r");
	assert_int_equal(posted, options.monitor_write ? 0x12345678 : 0);
	assert_int_equal(posted_size, options.monitor_write ? 4 : 0);
}

/* What L1's own WRMSR would do, and nothing else. */
static void msrs_are_written_as_l1_would(void **state UNUSED)
{
	if (!options.monitor_write) {
		type("msr c0000080 501\r");
		said_is("error: msr c0000080: say monitor-write=on");
		assert_int_equal(machine_field(VMCS_guest_efer), 0x500);
		return;
	}
	assert_non_null(strstr(type("msr c0000080 501\r"), "\r\nmsr c0000080: 501\r\n"));
	assert_int_equal(machine_field(VMCS_guest_efer), 0x501);
	/* paging is on */
	assert_non_null(strstr(type("msr c0000080 1\r"), "error: msr c0000080: a WRMSR of L1's"));
	assert_int_equal(machine_field(VMCS_guest_efer), 0x501);
	assert_non_null(strstr(type("msr 277 7\r"), "msr 277: 7"));
	assert_int_equal(machine_field(VMCS_guest_pat), 7);
	assert_non_null(strstr(type("msr 277 2\r"), "is #GP"));
	/* one that does not exit */
	assert_non_null(strstr(type("msr c0000082 123456789abcdef0\r"), "123456789abcdef0"));
	assert_non_null(strstr(type("msr 10 5\r"), "error: msr 10: the TSC and"));
	assert_non_null(strstr(type("msr 3b 5\r"), "error: msr 3b: the TSC and"));
	assert_non_null(strstr(type("msr 800 5\r"), "error: msr 800: the TSC and"));
	assert_non_null(strstr(type("msr 8ff 5\r"), "error: msr 8ff: the TSC and"));
	assert_non_null(strstr(type("msr 277 7 7\r"), "error: msr NUMBER [VALUE]"));
	assert_non_null(strstr(type("msr 277 g\r"), "error: msr NUMBER [VALUE]"));
	run_l2_with(~0ull);
	assert_non_null(strstr(type("msr c0000080 500\r"), "error: msr c0000080: L2 runs"));
}

#define WITH(test) MACHINE_TEST_BEFORE(test, "monitor=com2", plug)

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_line_becomes_words),
		cmocka_unit_test(earlier_lines_come_back),
		cmocka_unit_test(what_is_not_whole_is_refused),
		cmocka_unit_test(numbers),
		WITH(guests_do_not_have_the_port),
		MACHINE_TEST_BEFORE(without_it_nothing_is_intercepted, "monitor=off", plug),
		WITH(l0s_timer_is_not_l1s_exit),
		WITH(a_short_timer_is_l1s),
		WITH(a_timer_of_0_is_l1s),
		WITH(a_long_timer_is_l1s_to_the_tick),
		WITH(what_is_left_is_saved),
		WITH(l0s_time_goes_on_over_l1s_exits),
		WITH(l0s_time_goes_on_over_l1s_timer),
		WITH(tab_completes),
		WITH(commands_look_at_l1),
		WITH(commands_look_at_l2),
		WITH(fields_are_decoded),
		WITH(exits_are_decoded),
		WITH(exits_have_rates),
		WITH(a_stop_is_no_time_of_the_rates),
		WITH(why_tells_the_last_refusal),
		WITH(broken_rules_are_marked),
		WITH(tables_are_walked),
		WITH(the_last_exits_are_listed),
		MACHINE_TEST_BEFORE(the_trace_is_dumped, "monitor=com2 trace=4K", plug),
		WITH(without_trace_nothing_is_dumped),
		WITH(the_log_is_shown),
		WITH(what_is_said_wrongly_is_refused),
		WITH(stop_holds_until_go),
		WITH(ports_are_written_on_request_alone),
		WITH(msrs_are_written_as_l1_would),
		MACHINE_TEST_BEFORE(msrs_are_written_as_l1_would, "monitor=com2 monitor-write=on", plug),
		MACHINE_TEST_BEFORE(an_nmi_stops_the_machine, "monitor=com2 nmi=monitor", plug),
		MACHINE_TEST_BEFORE(without_a_monitor_nmis_are_l1s, "nmi=monitor", plug),
		WITH(without_a_monitor_nmis_are_l1s),
		MACHINE_TEST_BEFORE(ports_are_written_on_request_alone, "monitor=0x2f8,9600 monitor-write=on",
				    plug),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
