/* SPDX-License-Identifier: MIT */
/*
 * A serial port that L1 and the monitor share: what L1 has of its UART, who gets what is typed, and what
 * stands on the terminal.
 */
#include "tests/unit/cmocka_all.h"

#include <string.h>

#include "drivers/uart.h"
#include "tests/unit/l2_support.h"
#include "tests/unit/uart16550.h"

#define BASE 0x3f8
#define U uart16550
#define KEY 1 /* Ctrl-A */

static void plug(void)
{
	uart16550_plug(BASE);
}

/* The port is Socle's console. */
static void plug_console(void)
{
	plug();
	assert_true(uart_init(&(const struct uart_place){ .base = BASE, .baud = 115200 }));
}

static u8 l1_in(u32 n)
{
	machine_vcpu->gpr[GPR_RAX] = 0;
	EXIT_NOW(.reason = EXIT_IO, .qualification = (u64)(BASE + n) << 16 | BIT(3), .length = 1);
	return (u8)machine_vcpu->gpr[GPR_RAX];
}

static void l1_out(u32 n, u8 value)
{
	machine_vcpu->gpr[GPR_RAX] = value;
	EXIT_NOW(.reason = EXIT_IO, .qualification = (u64)(BASE + n) << 16, .length = 1);
}

static void l1_says(const char *text)
{
	for (; *text; text++)
		l1_out(UART_DATA, (u8)*text);
}

static void type(const char *text)
{
	for (; *text; text++)
		assert_true(uart16550_type((u8)*text, 0));
}

/* Socle's time comes. */
static void tick(void)
{
	EXIT_NOW(.reason = EXIT_PREEMPTION_TIMER);
	EXIT_NOW(.reason = EXIT_PREEMPTION_TIMER);
}

static const char *terminal(void)
{
	U.out[U.out_length] = '\0';
	return U.out;
}

static void clear_terminal(void)
{
	U.out_length = 0;
}

static void l1_reads(const char *text)
{
	for (; *text; text++) {
		assert_int_equal(l1_in(UART_LSR) & UART_LSR_DATA_READY, UART_LSR_DATA_READY);
		assert_int_equal(l1_in(UART_DATA), (u8)*text);
	}
	assert_int_equal(l1_in(UART_LSR), 0x60);
}

/* ---- L1's UART ---- */

static void settings_are_the_hardwares(void **state UNUSED)
{
	l1_out(UART_LCR, 0x83);
	l1_out(UART_DATA, 0x34);
	l1_out(UART_IER, 0x12);
	assert_int_equal(U.divisor, 0x1234);
	assert_int_equal(l1_in(UART_DATA), 0x34);
	assert_int_equal(l1_in(UART_IER), 0x12);
	l1_out(UART_LCR, 0x1b);
	assert_int_equal(U.lcr, 0x1b);
	assert_int_equal(l1_in(UART_LCR), 0x1b);
	l1_out(UART_IER, 0x05);
	assert_int_equal(U.ier, 0x05);
	l1_out(UART_MCR, 0x0b);
	assert_int_equal(U.mcr, 0x0b);
	assert_int_equal(l1_in(UART_MCR), 0x0b);
	l1_out(UART_SCRATCH, 0xa5);
	assert_int_equal(l1_in(UART_SCRATCH), 0xa5);
	l1_out(UART_FCR, 0);
	assert_int_equal(l1_in(UART_IIR), 0x01);
	l1_out(UART_FCR, 1);
	assert_int_equal(l1_in(UART_IIR), 0xc1);
	/* a driver that asks whether "sent" interrupts */
	l1_out(UART_IER, 0x02);
	assert_int_equal(l1_in(UART_IIR), 0xc2);
	assert_int_equal(l1_in(UART_IIR), 0xc1);
}

static void l1_in_loopback_has_its_own(void **state UNUSED)
{
	l1_out(UART_MCR, UART_MCR_LOOP);
	for (int i = 0; i < 3; i++) {
		l1_out(UART_DATA, KEY);
		tick();
		assert_int_equal(l1_in(UART_LSR), 0x61);
		assert_int_equal(l1_in(UART_DATA), KEY);
	}
	l1_out(UART_MCR, 0);
	l1_says("x");
	assert_string_equal(terminal(), "x");
}

/* A word's access is two bytes' on an eight-bit device. */
static void wide_accesses(void **state UNUSED)
{
	l1_out(UART_IER, 0x05);
	machine_vcpu->gpr[GPR_RAX] = 0;
	EXIT_NOW(.reason = EXIT_IO, .qualification = (u64)(BASE + 5) << 16 | BIT(3) | 1, .length = 1);
	assert_int_equal(machine_vcpu->gpr[GPR_RAX], 0xb060);
	machine_vcpu->gpr[GPR_RAX] = 0x0700 | 'w';
	EXIT_NOW(.reason = EXIT_IO, .qualification = (u64)BASE << 16 | 1, .length = 1);
	assert_int_equal(U.ier, 7);
	assert_string_equal(terminal(), "w");
}

/* ---- what is typed ---- */

static void l1_reads_what_is_typed(void **state UNUSED)
{
	assert_int_equal(l1_in(UART_LSR), 0x60);
	type("abc");
	l1_reads("abc");
	/* what Socle has taken is L1's all the same */
	type("def");
	tick();
	assert_int_equal(U.count, 0);
	type("g");
	l1_reads("defg");
	/* without a look at the status */
	type("hi");
	tick();
	assert_int_equal(l1_in(UART_DATA), 'h');
	assert_int_equal(l1_in(UART_DATA), 'i');
}

/* L0's read has cleared the UART's interrupt: L1 gets one, its IIR and IER are as if nobody had read. */
static void l1_is_interrupted_for_what_socle_took(void **state UNUSED)
{
	u32 before;

	l1_out(UART_IER, 1);
	type("x");
	assert_true(U.line);
	before = U.raised;
	tick();
	assert_int_equal(U.count, 0);
	assert_true(U.line);
	assert_int_equal(U.raised, before + 1);
	assert_int_equal(l1_in(UART_IER), 1);
	assert_int_equal(l1_in(UART_IIR), 0xc4);
	assert_int_equal(l1_in(UART_IIR), 0xc4);
	l1_reads("x");
	assert_int_equal(l1_in(UART_IIR), 0xc1);
	assert_false(U.line);
	assert_int_equal(U.ier, 1);
	/* and one that has enabled "sent" too, and was told of it */
	l1_out(UART_IER, 3);
	assert_int_equal(l1_in(UART_IIR), 0xc2);
	assert_false(U.line);
	type("y");
	before = U.raised;
	tick();
	assert_true(U.line && U.raised > before);
	assert_int_equal(l1_in(UART_IIR), 0xc4);
	l1_reads("y");
}

/* It reads the status for its transmitter's sake, with interrupts off, and expects the interrupt afterwards.
 */
static void a_look_at_the_status_loses_no_interrupt(void **state UNUSED)
{
	l1_out(UART_IER, 1);
	type("x");
	assert_int_equal(l1_in(UART_LSR), 0x61);
	assert_true(U.line);
	l1_out(UART_IER, 0);
	assert_false(U.line);
	assert_int_equal(l1_in(UART_LSR), 0x61);
	l1_out(UART_IER, 1);
	assert_true(U.line);
	assert_int_equal(l1_in(UART_IIR), 0xc4);
	l1_reads("x");
	assert_false(U.line);
}

static void errors_come_with_their_byte(void **state UNUSED)
{
	l1_out(UART_IER, 4);
	assert_true(uart16550_type('a', 0));
	assert_true(uart16550_type(0, 0x10)); /* a break */
	tick();
	assert_int_equal(l1_in(UART_IIR), 0xc1);
	assert_int_equal(l1_in(UART_LSR), 0x61);
	assert_int_equal(l1_in(UART_DATA), 'a');
	assert_int_equal(l1_in(UART_IIR), 0xc6);
	assert_int_equal(l1_in(UART_LSR), 0x71);
	assert_int_equal(l1_in(UART_LSR), 0x61);
	assert_int_equal(l1_in(UART_DATA), 0);
	/* Socle's own sending reads the register */
	for (int i = 0; i < 17; i++)
		uart16550_type('o', 0);
	uart_write("socle: x\n", 9);
	assert_int_equal(l1_in(UART_LSR), 0x63);
	assert_int_equal(l1_in(UART_LSR), 0x61);
}

static void l1_clears_its_receiver(void **state UNUSED)
{
	type("abc");
	tick();
	l1_out(UART_FCR, 3);
	assert_int_equal(l1_in(UART_LSR), 0x60);
	type("d\x01");
	tick();
	l1_out(UART_FCR, 0);
	assert_int_equal(l1_in(UART_LSR), 0x60);
	/* the key counts, though L1 does not get it any more */
	type("\x01");
	tick();
	type("\x01");
	tick();
	assert_non_null(strstr(terminal(), "the keyboard is the monitor's"));
}

/* More than anybody reads. */
static void a_queue_that_is_full_is_an_overrun(void **state UNUSED)
{
	for (int i = 0; i < 7; i++) {
		type("0123456789");
		tick();
	}
	assert_int_equal(l1_in(UART_LSR), 0x63);
	for (int i = 0; i < 64; i++)
		assert_int_equal(l1_in(UART_DATA), '0' + i % 10);
	assert_int_equal(l1_in(UART_LSR), 0x60);
}

static void l2_has_the_same(void **state UNUSED)
{
	l1_run_l2();
	type("ab");
	tick();
	assert_true(machine_in_l2());
	l1_reads("ab");
	l1_says("L2\n");
	assert_true(machine_in_l2());
	assert_string_equal(terminal(), "L2\n");
}

/* ---- the key ---- */

static void switch_over(void)
{
	type("\x01\x01\x01");
	tick();
}

static void three_keys_switch(void **state UNUSED)
{
	l1_out(UART_IER, 5);
	switch_over();
	assert_non_null(strstr(terminal(), "socle: the keyboard is the monitor's; Ctrl-A three times"));
	assert_non_null(strstr(terminal(), "running> "));
	clear_terminal();
	type("regs\r");
	/* neither interrupted nor told */
	assert_false(U.line);
	assert_int_equal(l1_in(UART_IER), 5);
	assert_int_equal(l1_in(UART_IIR), 0xc1);
	assert_int_equal(l1_in(UART_LSR), 0x60);
	tick();
	assert_non_null(strstr(terminal(), "L1, which runs"));
	assert_int_equal(l1_in(UART_LSR), 0x60);
	clear_terminal();
	switch_over();
	assert_non_null(strstr(terminal(), "socle: the keyboard is L1's"));
	type("z");
	assert_true(U.line);
	assert_int_equal(l1_in(UART_IIR), 0xc4);
	l1_reads("z");
}

/* One or two are L1's, when it is known that they are no more. */
static void fewer_keys_are_l1s(void **state UNUSED)
{
	type("\x01");
	tick();
	assert_int_equal(l1_in(UART_LSR), 0x60);
	type("\x01");
	assert_int_equal(l1_in(UART_IIR), 0xc1);
	type("b");
	l1_reads("\x01\x01"
		 "b");
	type("\x01"
	     "a\x01\x01");
	tick();
	l1_reads("\x01"
		 "a");
	type("c");
	l1_reads("\x01\x01"
		 "c");
	assert_null(strstr(terminal(), "keyboard"));
}

static void another_key(void **state UNUSED)
{
	type("\x01\x01\x01");
	l1_reads("\x01\x01\x01");
	type("\x18\x18\x18");
	tick();
	assert_non_null(strstr(terminal(), "Ctrl-X three times"));
}

/* L1 can read the port as often as it likes: what is the monitor's stays. */
static void l1_cannot_read_the_monitors(void **state UNUSED)
{
	switch_over();
	clear_terminal();
	type("nonsense");
	for (int i = 0; i < 20; i++)
		assert_int_equal(l1_in(UART_LSR), 0x60);
	type("\r");
	for (int i = 0; i < 4; i++)
		assert_int_equal(l1_in(UART_DATA), 0);
	l1_out(UART_FCR, 7);
	tick();
	assert_non_null(strstr(terminal(), "error: no command nonsense"));
}

#define AN_NMI .reason = EXIT_EXCEPTION_NMI, .intr_info = INTR_INFO_VALID | INTR_TYPE_NMI << 8 | VEC_NMI

/* Whoever had it: the machine stands still, and somebody is to say what comes. */
static void a_stop_takes_the_keyboard(void **state UNUSED)
{
	type("go\r");
	EXIT_NOW(AN_NMI);
	assert_int_equal(machine_pending(), 0);
	assert_non_null(strstr(terminal(), "socle: stopped by an NMI on cpu 0\r\nstopped> go\r\n"));
	assert_null(strstr(terminal(), "the keyboard is"));
	assert_int_equal(l1_in(UART_LSR), 0x60);
	clear_terminal();
	type("cpus\r");
	tick();
	assert_non_null(strstr(terminal(), "cpu 0: apic-id 0 L1"));
	/* no prompt where nobody can type */
	clear_terminal();
	type("cpus\r\x01\x01\x01");
	tick();
	assert_non_null(strstr(terminal(), "cpu 0: apic-id 0 L1"));
	assert_null(strstr(strstr(terminal(), "cpu 0: "), "running> "));
	type("x");
	l1_reads("x");
}

/* L1 fetches it from the UART while nobody of Socle's has time. */
static void more_than_a_line_is_no_line(void **state UNUSED)
{
	switch_over();
	for (int i = 0; i < 200; i++) {
		type((const char[]){ "cpus"[i % 4], 0 });
		assert_int_equal(l1_in(UART_LSR), 0x60);
	}
	type("\r");
	tick();
	tick();
	type("\r");
	clear_terminal();
	tick();
	tick();
	assert_non_null(strstr(terminal(), "error: the line was too long, or not all of it arrived"));
	clear_terminal();
	type("cpus\r");
	tick();
	assert_non_null(strstr(terminal(), "cpu 0: apic-id 0"));
}

/* ---- what is sent ---- */

static void socle_speaks_as_the_port_was(void **state UNUSED)
{
	/* half a divisor */
	l1_out(UART_LCR, 0x83);
	l1_out(UART_DATA, 0x80);
	uart_write("socle: one\n", 11);
	assert_int_equal(U.divisor, 0x80);
	assert_int_equal(U.lcr, 0x83);
	l1_out(UART_DATA, 1);
	l1_out(UART_LCR, 0x43); /* a break */
	uart_write("socle: two\n", 11);
	assert_int_equal(U.lcr, 0x43);
	l1_out(UART_LCR, 0x03);
	l1_out(UART_MCR, 0x1b);
	uart_write("socle: three\n", 13);
	assert_int_equal(U.mcr, 0x1b);
	assert_int_equal(U.count, 0);
	assert_int_equal(U.wrong, 0);
	assert_string_equal(terminal(), "socle: one\r\nsocle: two\r\nsocle: three\r\n");
	/* and is asked with DLAB set */
	l1_out(UART_MCR, 0);
	l1_out(UART_LCR, 0x83);
	l1_out(UART_DATA, 0x60);
	switch_over();
	assert_non_null(strstr(terminal(), "the monitor's"));
	assert_int_equal(U.lcr, 0x83);
	assert_int_equal(U.divisor, 0x60);
	assert_int_equal(U.count, 0);
	/* what stands in the divisor has not been typed */
	assert_null(strchr(terminal(), '`'));
	assert_int_equal(U.wrong, 0);
}

/* A new speed of L1's is Socle's too. */
static void socle_follows_l1s_speed(void **state UNUSED)
{
	l1_out(UART_LCR, 0x83);
	l1_out(UART_DATA, 6);
	l1_out(UART_LCR, 0x03);
	U.speed = 6;
	l1_out(UART_LCR, 0x83);
	uart_write("socle: x\n", 9);
	assert_int_equal(U.wrong, 0);
}

static void no_line_is_torn(void **state UNUSED)
{
	l1_says("one");
	uart_write("socle: x\n", 9);
	l1_says(" line\r\n");
	assert_string_equal(terminal(), "one\r\nsocle: x\r\none line\r\n");
	clear_terminal();
	uart_write("socle: y\n", 9);
	l1_says("two\n\r");
	uart_write("socle: z\n", 9);
	assert_string_equal(terminal(), "socle: y\r\ntwo\n\rsocle: z\r\n");
	clear_terminal();
	/* between the carriage return and the line feed, which is not sent twice */
	l1_says("three\r");
	uart_write("socle: z\n", 9);
	l1_says("\nfour\n\r");
	assert_string_equal(terminal(), "three\r\r\nsocle: z\r\nfour\n\r");
	clear_terminal();
	/* one that begins again by a carriage return */
	l1_says("50 %\r");
	uart_write("socle: z\n", 9);
	l1_says("99 %\r\n");
	assert_string_equal(terminal(), "50 %\r\r\nsocle: z\r\n99 %\r\n");
	clear_terminal();
	/* one that is too long is not known any more */
	for (int i = 0; i < 200; i++)
		l1_says(".");
	uart_write("socle: z\n", 9);
	clear_terminal();
	l1_says("\nfive\n");
	assert_string_equal(terminal(), "\nfive\n");
}

/* L1 writes while somebody types: its line is its own, and the next key shows again what was typed. */
static void the_prompt_comes_back(void **state UNUSED)
{
	switch_over();
	type("cp");
	tick();
	clear_terminal();
	l1_says("hello\r\n");
	type("u");
	tick();
	assert_string_equal(terminal(), "\r\nhello\r\nrunning> cpu");
	uart_write("socle: x\n", 9);
	l1_says("wor");
	clear_terminal();
	type("s\r");
	tick();
	assert_non_null(strstr(terminal(), "\r\nrunning> cpus\r\n"));
	assert_non_null(strstr(terminal(), "cpu 0: apic-id 0"));
	clear_terminal();
	l1_says("ld\n");
	assert_string_equal(terminal(), "\r\nworld\n");
}

/* L1's access while Socle sends finds the port's own state: DLAB is L1's again. */
static void nothing_is_left_of_socles_turn(void **state UNUSED)
{
	l1_out(UART_LCR, 0x83);
	switch_over();
	type("help\r");
	tick();
	assert_int_equal(l1_in(UART_LCR), 0x83);
	assert_int_equal(l1_in(UART_DATA), 1);
	l1_out(UART_LCR, 0x03);
	assert_int_equal(l1_in(UART_IER), 0);
	assert_int_equal(U.wrong, 0);
}

#define WITH(test) MACHINE_TEST_BEFORE(test, "monitor=com1", plug_console)

int main(void)
{
	const struct CMUnitTest tests[] = {
		WITH(settings_are_the_hardwares),
		WITH(l1_in_loopback_has_its_own),
		WITH(wide_accesses),
		WITH(l1_reads_what_is_typed),
		WITH(l1_is_interrupted_for_what_socle_took),
		WITH(a_look_at_the_status_loses_no_interrupt),
		WITH(errors_come_with_their_byte),
		WITH(l1_clears_its_receiver),
		WITH(a_queue_that_is_full_is_an_overrun),
		WITH(l2_has_the_same),
		WITH(three_keys_switch),
		WITH(fewer_keys_are_l1s),
		MACHINE_TEST_BEFORE(another_key, "monitor=com1,shared monitor-key=x", plug),
		WITH(l1_cannot_read_the_monitors),
		WITH(more_than_a_line_is_no_line),
		MACHINE_TEST_BEFORE(a_stop_takes_the_keyboard, "monitor=com1 nmi=monitor", plug_console),
		WITH(socle_speaks_as_the_port_was),
		WITH(socle_follows_l1s_speed),
		WITH(no_line_is_torn),
		WITH(the_prompt_comes_back),
		WITH(nothing_is_left_of_socles_turn),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
