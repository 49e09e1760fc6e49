/* SPDX-License-Identifier: MIT */
/*
 * A serial port for the monitor or gdb: what it may not be, and what is said then. L1 keeps a port that
 * nobody got. SDM: "I/O-Bitmap Addresses".
 */
#include "tests/unit/cmocka_all.h"

#include "kernel/msr.h"
#include "tests/unit/machine.h"
#include "tests/unit/uart_support.h"
#include "vmx/hw/caps.h"
#include "vmx/l1/ports.h"

static void is_said(const char *text)
{
	if (!strstr(fake_log(), text))
		fail_msg("not said: %s", text);
}

static void it_is_hidden(void **state UNUSED)
{
	assert_true(ports_wanted());
}

static void another_has_it(void **state UNUSED)
{
	is_said("=: that port is the console's, the monitor's, gdb's or the trace's; name another one");
}

static void nobody_answers(void **state UNUSED)
{
	is_said("gdb=: no serial port answers there");
	assert_false(ports_wanted());
}

static void processor_without_a_saved_timer(void)
{
	uart_plug();
	fake_msr_set(MSR_IA32_VMX_EXIT_CTLS,
		     fake_msr_get(MSR_IA32_VMX_EXIT_CTLS) & ~((u64)EXIT_SAVE_PREEMPTION_TIMER << 32));
	fake_msr_set(MSR_IA32_VMX_TRUE_EXIT_CTLS,
		     fake_msr_get(MSR_IA32_VMX_TRUE_EXIT_CTLS) & ~((u64)EXIT_SAVE_PREEMPTION_TIMER << 32));
}

static void nothing_polls(void **state UNUSED)
{
	is_said("gdb=: the processor has no VMX-preemption timer whose value is saved");
	assert_false(ports_wanted());
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		MACHINE_TEST_BEFORE(it_is_hidden, "gdb=com2", uart_plug),
		MACHINE_TEST_BEFORE(another_has_it, "gdb=com2 monitor=com2", uart_plug),
		MACHINE_TEST(nobody_answers, "gdb=com2"),
		MACHINE_TEST_BEFORE(nothing_polls, "gdb=com2", processor_without_a_saved_timer),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
