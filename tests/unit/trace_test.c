/* SPDX-License-Identifier: MIT */
/*
 * What Socle records while it runs: the exit trace, event by event, and what is left of it when the ring has
 * gone round; the log in memory; how both are read by the debug call, by the monitor and in a crash report.
 */
#include "tests/unit/cmocka_all.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kernel/cmdline.h"
#include "kernel/log_ring.h"
#include "kernel/x86.h"
#include "tests/unit/l2_support.h"
#include "tests/unit/uart_support.h"
#include "vmx/crash.h"
#include "vmx/exit.h"
#include "vmx/guest/exit_trace.h"
#include "vmx/guest/guest_mem.h"
#include "vmx/l1/exit_cpu.h"

#define EVENTS 64u /* of trace=4K */

/* The event that came so many exits ago; that of the exit in hand, which the test has just made, is 0. */
static const struct trace_event *event(u64 back)
{
	return vcpu_trace(machine_vcpu, (u32)back);
}

/* ---- the log in memory ---- */

static struct log_ring ring;

static void the_log_begins_with_its_first_line(void **state UNUSED)
{
	char text[64];
	u64 position = 0;

	log_ring_add(&ring, "one\ntwo\n", 8);
	assert_int_equal(log_ring_read(&ring, &position, text, 5), 5);
	assert_memory_equal(text, "one\nt", 5);
	assert_int_equal(log_ring_read(&ring, &position, text, sizeof(text)), 3);
	assert_int_equal(log_ring_read(&ring, &position, text, sizeof(text)), 0);
	log_ring_add(&ring, "3\n", 2);
	assert_int_equal(log_ring_read(&ring, &position, text, sizeof(text)), 2);
	assert_int_equal(position, 10);
	position = 1000;
	assert_int_equal(log_ring_read(&ring, &position, text, sizeof(text)), 0);
}

/* From the first whole line on that is still there, each once. */
static void check_lines(unsigned int count)
{
	static char text[LOG_RING_SIZE + 1];
	u64 position = 0;
	size_t length = log_ring_read(&ring, &position, text, LOG_RING_SIZE);
	unsigned long next;

	text[length] = 0;
	assert_int_equal(position, ring.end);
	assert_true(length > LOG_RING_SIZE - 32);
	assert_memory_equal(text, "line ", 5);
	next = strtoul(text + 5, NULL, 10);
	for (const char *c = text; *c; c = strchr(c, '\n') + 1)
		assert_int_equal(strtoul(c + 5, NULL, 10), next++);
	assert_int_equal(next, count);
}

static void the_log_forgets_whole_lines(void **state UNUSED)
{
	char line[32];

	for (unsigned int i = 0; i < 5000; i++) {
		int n = snprintf(line, sizeof(line), "line %u\n", i);

		log_ring_add(&ring, line, (size_t)n);
		/* a little more than there is room for, and much more */
		if (i == 2000 || i == 4999)
			check_lines(i + 1);
	}
}

/* ---- events ---- */

static void each_exit_is_an_event(void **state UNUSED)
{
	const struct trace_event *e;
	u64 before = exit_trace_end(machine_vcpu), end, rip = machine_field(VMCS_guest_rip);

	machine_vcpu->gpr[GPR_RAX] = 7;
	machine_vcpu->gpr[GPR_RCX] = 1;
	EXIT_NOW(.reason = EXIT_CPUID, .length = 2);
	assert_int_equal(exit_trace_end(machine_vcpu), before + 1);
	e = event(0);
	assert_int_equal(e->reason, EXIT_CPUID);
	assert_int_equal(e->level, 1);
	assert_int_equal(e->flags, 0);
	assert_int_equal(e->rip, rip);
	assert_int_equal((u32)e->detail, 7);
	assert_int_equal(e->subject, 1);
	assert_true(e->vmcs12 == NO_VMCS && !e->vectoring);
	assert_true(e->exit_tsc && e->entry_tsc > e->exit_tsc);
	machine_vcpu->gpr[GPR_RAX] = 0x89abcdef;
	machine_vcpu->gpr[GPR_RDX] = 0x1234567;
	machine_vcpu->gpr[GPR_RCX] = 0x10000000;
	EXIT_NOW(.reason = EXIT_WRMSR, .length = 2);
	assert_int_equal(event(0)->subject, 0x10000000);
	assert_int_equal(event(0)->detail, 0x0123456789abcdef);
	assert_true(event(0)->exit_tsc > event(1)->entry_tsc);
	/* the exit in hand is no complete event yet */
	end = exit_trace_end(machine_vcpu);
	assert_int_equal(exit_trace_get(machine_vcpu, end - 1, 9, &e), 1);
	assert_int_equal(e->number, end - 1);
	assert_ptr_equal(e, event(1));
	assert_int_equal(exit_trace_get(machine_vcpu, end, 9, &e), 0);
}

/* As it is read out when the exit that follows is in hand: what ran next. */
static u32 flags_read_out(u64 back)
{
	const struct trace_event *e;

	assert_int_equal(exit_trace_get(machine_vcpu, exit_trace_end(machine_vcpu) - back, 1, &e), 1);
	return e->flags;
}

/* VMREAD and VMWRITE have their field, an entry of L2 what runs next, L2's exit whose it was. */
static void both_levels_are_told_apart(void **state UNUSED)
{
	u64 value;

	l1_start_vmx();
	l1_load_vmcs(0);
	assert_int_equal(event(0)->reason, EXIT_VMPTRLD);
	assert_true(event(0)->vmcs12 == NO_VMCS);
	l1_write_valid_vmcs();
	assert_int_equal(event(0)->reason, EXIT_VMWRITE);
	assert_int_equal(event(0)->vmcs12, M_VMCS(0));
	assert_int_equal(l1_vmread(VMCS_host_pat, &value), 0);
	assert_int_equal(event(0)->subject, VMCS_host_pat);
	assert_int_equal(l1_enter(EXIT_VMLAUNCH), 0);
	assert_int_equal(event(0)->level, 1);
	EXIT_NOW(.reason = EXIT_CPUID, .length = 2);
	assert_false(machine_in_l2());
	assert_int_equal(event(0)->level, 2);
	assert_int_equal(event(0)->vmcs12, M_VMCS(0));
	assert_int_equal(flags_read_out(1), TRACE_THEN_L2);
	EXIT_NOW(.reason = EXIT_CPUID, .length = 2);
	assert_int_equal(flags_read_out(1), TRACE_TO_L1);
	assert_int_equal(flags_read_out(2), TRACE_THEN_L2);
}

static void addresses_and_events_are_in_it(void **state UNUSED)
{
	l2_run_pae();
	EXIT_NOW(.reason = EXIT_EPT_VIOLATION, .qualification = EPTV_READ, .guest_physical = 0x40001000,
		 .vectoring_info = INTR_INFO_VALID | 0x21);
	assert_int_equal(event(0)->detail, 0x40001000);
	assert_int_equal(event(0)->subject, EPTV_READ);
	assert_int_equal(event(0)->vectoring, INTR_INFO_VALID | 0x21);
	/* where that event was, when the ring has gone round */
	for (u64 i = 1; i < EVENTS; i++)
		EXIT_NOW(.reason = EXIT_EPT_VIOLATION, .qualification = EPTV_READ,
			 .guest_physical = 0x40001000);
	/* L0's own: L2 goes on, also where what follows stands at the ring's beginning */
	for (u64 i = 1; i < EVENTS - 1; i++)
		assert_int_equal(flags_read_out(i), TRACE_THEN_L2);
	EXIT_NOW(.reason = EXIT_EXTERNAL_INTERRUPT, .intr_info = INTR_INFO_VALID | 0x30);
	assert_int_equal(event(0)->vectoring, 0);
	EXIT_NOW(NMI_EXIT);
	assert_int_equal(event(0)->detail, INTR_INFO_VALID | INTR_TYPE_NMI << 8 | VEC_NMI);
}

/* What an entry has consumed is gone, whoever looks at the exit behind it. */
static void an_event_is_delivered_once(void **state UNUSED)
{
	machine_vcpu->gpr[GPR_RCX] = 0x10000000;
	EXIT_NOW(.reason = EXIT_RDMSR, .length = 2);
	assert_int_equal(machine_pending() & 0xff, VEC_GP);
	EXIT_NOW(.reason = EXIT_CPUID, .length = 2);
	assert_int_equal(machine_pending(), 0);
	assert_int_equal(event(0)->reason, EXIT_CPUID);
	assert_true(event(1)->reason == EXIT_RDMSR && event(1)->entry_tsc > event(1)->exit_tsc);
}

static void an_entry_that_fails_is_marked(void **state UNUSED)
{
	l1_run_l2();
	EXIT_NOW(.reason = EXIT_ENTRY_FAIL_GUEST | (u32)EXIT_REASON_ENTRY_FAILURE);
	assert_int_equal(event(0)->reason, EXIT_ENTRY_FAIL_GUEST);
	EXIT_NOW(.reason = EXIT_CPUID, .length = 2);
	assert_int_equal(flags_read_out(1), TRACE_ENTRY_FAILURE | TRACE_TO_L1);
}

static void the_ring_goes_round(void **state UNUSED)
{
	const struct trace_event *e;
	u64 end, first;

	assert_int_equal(exit_trace_first(machine_vcpu), 0);
	for (u64 i = 0; i < 3 * EVENTS; i++) {
		machine_vcpu->gpr[GPR_RCX] = i;
		EXIT_NOW(.reason = EXIT_CPUID, .length = 2);
	}
	end = exit_trace_end(machine_vcpu);
	first = exit_trace_first(machine_vcpu);
	assert_int_equal(end - first, EVENTS - 1);
	for (u64 i = first; i < end; i++) {
		assert_int_equal(exit_trace_get(machine_vcpu, i, 1, &e), 1);
		assert_int_equal(e->number, i);
		assert_int_equal(e->subject, 3 * EVENTS - 1 - (end - i));
	}
	assert_int_equal(exit_trace_get(machine_vcpu, first - 1, 1, &e), 0);
}

static void off_records_nothing(void **state UNUSED)
{
	EXIT_NOW(.reason = EXIT_CPUID, .length = 2);
	assert_int_equal(exit_trace_end(machine_vcpu), 0);
	assert_int_equal(machine_vcpu->looks | machine_vcpu->vmcs->traced, 0);
	assert_false(exit_trace_set(machine_vcpu, true));
	assert_int_equal(machine_vcpu->looks | machine_vcpu->vmcs->traced, 0);
}

/* ---- the debug call ---- */

enum { READ_LOG, READ_HEAD, READ_TRACE, CONTROL, NO_SUCH };
#define BUFFER 0x30000

/* Bytes that were written to BUFFER; ~0: #UD. */
static u64 call(u64 what, u64 *position, u64 to)
{
	machine_vcpu->gpr[GPR_RAX] = DEBUG_CALL_MAGIC;
	machine_vcpu->gpr[GPR_RBX] = 9;
	machine_vcpu->gpr[GPR_RCX] = what;
	machine_vcpu->gpr[GPR_RSI] = *position;
	machine_vcpu->gpr[GPR_RDI] = to;
	EXIT_NOW(.reason = EXIT_VMCALL, .length = 3);
	*position = machine_vcpu->gpr[GPR_RSI];
	return machine_pending() ? ~0ull : machine_vcpu->gpr[GPR_RAX];
}

static void fetch(void *to, size_t length)
{
	assert_true(guest_mem_read(machine_vcpu, GPA(BUFFER), to, length));
}

static void l1_reads_the_log(void **state UNUSED)
{
	char text[2048] = "";
	u64 position = 0, length;

	log_info("a line of its own");
	length = call(READ_LOG, &position, BUFFER);
	assert_true(length && length < sizeof(text) && position == length);
	fetch(text, length);
	assert_non_null(strstr(text, "a line of its own"));
	assert_int_equal(call(READ_LOG, &position, BUFFER), 0);
}

static void l1_reads_the_trace(void **state UNUSED)
{
	struct trace_event page[EVENTS];
	u64 position = 0, before, end, pieces = 0, control = 0;
	char head[TRACE_LINE_SIZE] = "";
	const struct trace_event *call_event;

	for (u64 i = 0; i < EVENTS + 10; i++) {
		machine_vcpu->gpr[GPR_RCX] = i;
		EXIT_NOW(.reason = EXIT_CPUID, .length = 2);
	}
	before = exit_trace_end(machine_vcpu);
	assert_int_equal(call(CONTROL, &control, 0), 1);
	end = exit_trace_end(machine_vcpu);
	/* the last CPUID, and not the call */
	assert_int_equal(end, before + 1);
	fetch(head, call(READ_HEAD, &position, BUFFER));
	assert_non_null(strstr(head, "trace: form 1 build-id bbbb"));
	assert_int_equal(call(READ_HEAD, &position, BUFFER), 0);
	position = 0;
	for (u64 next = end - EVENTS + 1, length; (length = call(READ_TRACE, &position, BUFFER)); pieces++) {
		fetch(page, length);
		for (u64 i = 0; i < length / sizeof(*page); i++) {
			assert_int_equal(page[i].number, next++);
			assert_int_equal(page[i].subject, EVENTS + 10 - (end - page[i].number));
		}
		assert_int_equal(position, next);
	}
	/* the ring's end is in between */
	assert_int_equal(pieces, 2);
	assert_int_equal(position, end);
	assert_int_equal(exit_trace_end(machine_vcpu), end);
	control = 1;
	assert_int_equal(call(CONTROL, &control, 0), 1);
	EXIT_NOW(.reason = EXIT_CPUID, .length = 2);
	/* the last one before the pause is there, and the call itself, with which it goes on */
	assert_int_equal(exit_trace_get(machine_vcpu, end - 1, 1, &call_event), 1);
	assert_int_equal(call_event->reason, EXIT_CPUID);
	assert_int_equal(call_event->subject, EVENTS + 9);
	assert_int_equal(exit_trace_end(machine_vcpu), end + 1);
	assert_int_equal(exit_trace_get(machine_vcpu, end, 1, &call_event), 1);
	assert_int_equal(call_event->reason, EXIT_VMCALL);
	assert_true(call_event->entry_tsc > call_event->exit_tsc);
	position = ~0ull;
	assert_int_equal(call(READ_TRACE, &position, BUFFER), 0);
}

/* A buffer that is not there is a page fault of the VMCALL's, and nothing has changed. */
static void a_buffer_that_faults(void **state UNUSED)
{
	u64 position = 0, rip = machine_field(VMCS_guest_rip);

	EXIT_NOW(.reason = EXIT_CPUID, .length = 2);
	rip = machine_field(VMCS_guest_rip);
	assert_true(call(READ_TRACE, &position, 0x8000000000) == ~0ull);
	assert_int_equal(machine_vcpu->gpr[GPR_RAX], DEBUG_CALL_MAGIC);
	assert_int_equal(position, 0);
	assert_int_equal(machine_field(VMCS_guest_rip), rip);
}

static void only_these_can_be_read(void **state UNUSED)
{
	u64 position = 0;

	assert_true(call(NO_SUCH, &position, BUFFER) == ~0ull);
	machine_set_field(VMCS_guest_ss_ar, machine_field(VMCS_guest_ss_ar) | AR_DPL);
	assert_true(call(READ_LOG, &position, BUFFER) == ~0ull);
}

static void without_a_ring_there_is_nothing(void **state UNUSED)
{
	u64 position = 0;

	assert_int_equal(call(READ_TRACE, &position, BUFFER), 0);
	assert_int_equal(call(CONTROL, &position, 0), 0);
}

/* ---- as text ---- */

static void a_line_has_all_of_it(void **state UNUSED)
{
	unsigned long long words[8];
	char line[TRACE_LINE_SIZE];
	unsigned int cpu;

	EXIT_NOW(.reason = EXIT_CPUID, .length = 2);
	EXIT_NOW(.reason = EXIT_CPUID, .length = 2);
	exit_trace_line(machine_vcpu, exit_trace_end(machine_vcpu) - 1, line);
	assert_int_equal(sscanf(line, "trace: %u %llx %llx %llx %llx %llx %llx %llx %llx", &cpu, &words[0],
				&words[1], &words[2], &words[3], &words[4], &words[5], &words[6], &words[7]),
			 9);
	assert_int_equal(cpu, 0);
	assert_memory_equal(words, event(1), sizeof(words));
}

static void a_panic_tells_it(void **state UNUSED)
{
	EXIT_NOW(.reason = EXIT_CPUID, .length = 2);
	fake_stack[5] = 0xfeedface;
	fake_cpu.stack_top = (u64)(fake_stack + 8);
	assert_true(fake_panics(EXIT_NOW(.reason = EXIT_HLT)));
	assert_non_null(strstr(fake_log(), "exit that nobody asked for: HLT"));
	crash_report();
	crash_stack();
	assert_non_null(strstr(fake_log(), "build id bbbb"));
	assert_non_null(strstr(fake_log(), "CPU 0, vmcs01 current, exit HLT (c), L1 ran"));
	assert_non_null(strstr(fake_log(), "-2: L1 CPUID rip "));
	assert_non_null(strstr(fake_log(), "trace: form 1 build-id bbbb"));
	assert_non_null(strstr(fake_log(), "trace: 0 1000a0000000"));
	assert_non_null(strstr(fake_log(), "L0: rip 1234 rsp "));
	assert_non_null(strstr(fake_log(), ": 0 feedface 0 0"));
	/* a stack that is not this CPU's own */
	fake_stack[5] = 0xdeadbeef;
	fake_cpu.stack_top = (u64)fake_stack - sizeof(u64);
	crash_stack();
	assert_null(strstr(fake_log(), "deadbeef"));
}

static void while_l2_runs_a_stop_tells_of_l1(void **state UNUSED)
{
	l1_run_l2();
	crash_report();
	assert_non_null(strstr(fake_log(), "vmcs02 current"));
	assert_non_null(strstr(fake_log(), "  L1: rip "));
}

/* ---- live ---- */

/* The events in `text`, of which `from` is the first, come in order, none twice. Returns the one behind them.
 */
static u32 told_in_order(const char *text, u32 from)
{
	for (; (text = strstr(text, "trace: 0 ")); text++)
		assert_int_equal((u32)strtoull(text + 9, NULL, 16), from++);
	return from;
}

/* All that is new, or what the time allows; each event once; what the ring has lost is said. */
static void it_goes_out_live(void **state UNUSED)
{
	u32 told = 0;

	uart_type("");
	for (unsigned int i = 0; i < 3; i++)
		EXIT_NOW(.reason = EXIT_CPUID, .length = 2);
	EXIT_NOW(.reason = EXIT_PREEMPTION_TIMER);
	if (strncmp(uart_said, "trace: form 1 build-id ", 23))
		fail_msg("%s", uart_said);
	assert_non_null(strstr(uart_said, "trace: 0 "));
	for (unsigned int i = 0; i < 20; i++) {
		told = told_in_order(uart_said, told);
		uart_type("");
		EXIT_NOW(.reason = EXIT_PREEMPTION_TIMER);
		assert_null(strstr(uart_said, "form"));
		assert_null(strstr(uart_said, "dropped"));
	}
	told = told_in_order(uart_said, told);
	assert_int_equal(told, exit_trace_end(machine_vcpu));
	for (unsigned int i = 0; i < 100; i++)
		EXIT_NOW(.reason = EXIT_CPUID, .length = 2);
	uart_type("");
	EXIT_NOW(.reason = EXIT_PREEMPTION_TIMER);
	if (strncmp(uart_said, "trace: dropped cpu 0 events ", 28))
		fail_msg("%s", uart_said);
	assert_int_equal(atoi(uart_said + 28), exit_trace_first(machine_vcpu) - told);
	told = (u32)exit_trace_first(machine_vcpu);
	assert_true(told_in_order(uart_said, told) > told);
	/* the port is L1's no more */
	machine_vcpu->gpr[GPR_RAX] = 0;
	EXIT_NOW(.reason = EXIT_IO, .qualification = (u64)UART_PORT << 16 | BIT(3), .length = 1);
	assert_int_equal(machine_vcpu->gpr[GPR_RAX], 0xff);
}

static void it_stays_at_home(void **state UNUSED)
{
	uart_type("");
	EXIT_NOW(.reason = EXIT_CPUID, .length = 2);
	assert_int_equal(machine_vcpu->wish.timer_ticks, 0);
	assert_string_equal(uart_said, "");
}

#define WITH(test) MACHINE_TEST(test, "trace=4K")

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_log_begins_with_its_first_line),
		cmocka_unit_test(the_log_forgets_whole_lines),
		WITH(each_exit_is_an_event),
		WITH(both_levels_are_told_apart),
		WITH(addresses_and_events_are_in_it),
		WITH(an_event_is_delivered_once),
		WITH(an_entry_that_fails_is_marked),
		WITH(the_ring_goes_round),
		MACHINE_TEST(off_records_nothing, "trace=off"),
		WITH(l1_reads_the_log),
		WITH(l1_reads_the_trace),
		WITH(a_buffer_that_faults),
		WITH(only_these_can_be_read),
		MACHINE_TEST(without_a_ring_there_is_nothing, ""),
		MACHINE_TEST_BEFORE(it_goes_out_live, "trace=4K trace-port=com2", uart_plug),
		MACHINE_TEST_BEFORE(it_stays_at_home, "trace=off trace-port=com2", uart_plug),
		WITH(a_line_has_all_of_it),
		WITH(a_panic_tells_it),
		WITH(while_l2_runs_a_stop_tells_of_l1),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
