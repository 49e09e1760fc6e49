/* SPDX-License-Identifier: MIT */
/*
 * EPT violations and misconfigurations that L1 may want: held, told when L1 leaves them as they are, and
 * forgotten when it mends them or an L2 runs. What a paragraph says is paragraph_test.c's.
 */
#include "tests/unit/cmocka_all.h"

#include "kernel/hw/cpu.h"
#include "kernel/msr.h"
#include "kernel/pace.h"
#include "kernel/x86.h"
#include "tests/unit/ept_support.h"
#include "vmx/hw/caps.h"
#include "vmx/nested/ept/ept.h"
#include "vmx/nested/explain/held.h"

#define LEFT ", which has not entered L2 again\n"
#define AGAIN ", the same 1000 times in a row\n"
#define WANTED ", which may want it\n"
#define PAGE BASE

static unsigned int told(const char *what)
{
	unsigned int count = 0;

	for (const char *at = fake_log(); (at = strstr(at, what)); at++)
		count++;
	return count;
}

static unsigned int told_any(void)
{
	return told("cpu 0: L2 at ");
}

/* L2 runs on tables whose pages are not there. */
static void start(void)
{
	ept_make(EPT_RWX, EPT_RWX);
	ept_fill_table(P_PT, FRAMES, 0);
	ept_run(0, 0);
}

static void violate(u64 gpa)
{
	fake_pass_time();
	EXIT_NOW(.reason = EXIT_EPT_VIOLATION, .qualification = EPTV_WRITE | TRANSLATED,
		 .guest_physical = gpa, .guest_linear = 0x1234567);
	assert_false(machine_in_l2());
}

static void quiet(void)
{
	fake_pass_time();
	EXIT_NOW(.reason = EXIT_PREEMPTION_TIMER);
}

/* The control is vmcs01's, while L1 has VMX operation. */
static void the_timer_is_on_in_vmx_operation(void **state UNUSED)
{
	u32 rate = fake_msr_get(MSR_IA32_VMX_MISC) & VMX_MISC_TIMER_RATE;

	assert_false(machine_field01(VMCS_pin_controls) & PIN_PREEMPTION_TIMER);
	start();
	assert_true(machine_field01(VMCS_pin_controls) & PIN_PREEMPTION_TIMER);
	assert_false(machine_field01(VMCS_exit_controls) & EXIT_SAVE_PREEMPTION_TIMER);
	assert_int_equal(machine_field01(VMCS_preemption_timer_value), 0x80000000u >> rate);
	assert_false(machine_field(VMCS_pin_controls) & PIN_PREEMPTION_TIMER);
	violate(PAGE);
	assert_int_equal(l1_vmxoff(), 0);
	assert_false(machine_field01(VMCS_pin_controls) & PIN_PREEMPTION_TIMER);
	l1_start_vmx();
	assert_true(machine_field01(VMCS_pin_controls) & PIN_PREEMPTION_TIMER);
}

static void the_timer_stays_off(void **state UNUSED)
{
	u64 before = machine_field01(VMCS_preemption_timer_value);

	start();
	assert_false(machine_field01(VMCS_pin_controls) & PIN_PREEMPTION_TIMER);
	assert_int_equal(machine_field01(VMCS_preemption_timer_value), before);
}

static void without_timer(void)
{
	u64 pin = fake_msr_get(MSR_IA32_VMX_TRUE_PINBASED_CTLS);

	fake_msr_set(MSR_IA32_VMX_TRUE_PINBASED_CTLS, pin & ~((u64)PIN_PREEMPTION_TIMER << 32));
	pin = fake_msr_get(MSR_IA32_VMX_PINBASED_CTLS);
	fake_msr_set(MSR_IA32_VMX_PINBASED_CTLS, pin & ~((u64)PIN_PREEMPTION_TIMER << 32));
}

static void l1_is_quiet(void **state UNUSED)
{
	start();
	violate(PAGE + 0x1000);
	assert_int_equal(told_any(), 0);
	quiet();
	assert_int_equal(told("EPT violation, exit reason 48 to L1" LEFT), 1);
	assert_int_equal(told("  access write of L2's physical 40001000, linear 1234567\n"), 1);
	assert_int_equal(told("; level 2: "), 1);
	assert_int_equal(told("; level 1: 501000\n"), 1);
	assert_int_equal(told("rule   the last entry is present"), 1);
	/* once; and it is no refusal more */
	quiet();
	assert_int_equal(told_any(), 1);
	assert_int_equal(machine_vcpu->nested.explain.untold, 0);
	ept_resume();
	violate(PAGE);
	quiet();
	assert_int_equal(told_any(), 1);
}

/* The paragraph is of the tables as they are when it is written. */
/* Else an idle L1 would push the last real exits out of the report of a crash. */
static void quiet_exits_leave_no_trace(void **state UNUSED)
{
	start();
	violate(PAGE);
	for (unsigned int i = 0; i < 2 * TRACE_COUNT; i++)
		quiet();
	assert_int_equal(vcpu_trace(machine_vcpu, 0)->reason, EXIT_EPT_VIOLATION);
	for (u32 i = 1; i < TRACE_COUNT; i++)
		assert_true(vcpu_trace(machine_vcpu, i)->reason != EXIT_PREEMPTION_TIMER ||
			    !vcpu_trace(machine_vcpu, i)->exit_tsc);
}

static void l1_has_mended_it(void **state UNUSED)
{
	start();
	violate(PAGE);
	l1_write64(P_PT, FRAMES | EPT_RWX | WB);
	quiet();
	assert_int_equal(told_any(), 0);
	/* what has been mended is not looked at again */
	l1_write64(P_PT, 0);
	quiet();
	assert_int_equal(told_any(), 0);
}

/* "Who only looks" sets no flag, and a flag that is missing is no fault. */
static void a_look_sets_no_flag(void **state UNUSED)
{
	ept_make(EPT_RWX, EPT_RWX);
	ept_fill_table(P_PT, FRAMES, 0);
	ept_run(EPTP_AD, 0);
	violate(PAGE);
	l1_write64(P_PT, FRAMES | EPT_RWX | WB);
	l1_write64(P_PD, P_PT | EPT_RWX);
	quiet();
	assert_int_equal(told_any(), 0);
	assert_int_equal(l1_read64(P_PT), FRAMES | EPT_RWX | WB);
	assert_int_equal(l1_read64(P_PD), P_PT | EPT_RWX);
}

static void the_rule_is_the_one_that_is_broken_now(void **state UNUSED)
{
	start();
	violate(PAGE);
	l1_write64(P_PT, FRAMES | EPT_READ | WB);
	quiet();
	assert_int_equal(told("rule   all entries of the walk allow the access"), 1);
	assert_int_equal(told("EPT violation"), 1);
	/* but not of an exit that L1 has not had */
	ept_resume();
	violate(PAGE + 0x1000);
	l1_write64(P_PT + 8, FRAMES | EPT_WRITE | WB);
	quiet();
	assert_int_equal(told_any(), 1);
}

static void an_l2_has_run_since(void **state UNUSED)
{
	start();
	violate(PAGE);
	ept_resume();
	EXIT_NOW(.reason = EXIT_CPUID);
	assert_false(machine_in_l2());
	quiet();
	assert_int_equal(l1_vmxoff(), 0);
	assert_int_equal(told_any(), 0);
}

/* KVM executes VMCLEAR where it moves a vCPU to another CPU; and another VMCS is nobody's. */
static void the_vmcs_is_left(void **state UNUSED)
{
	start();
	violate(PAGE);
	l1_load_vmcs(1);
	quiet();
	assert_int_equal(told_any(), 0);
	assert_int_equal(l1_memory_insn(EXIT_VMPTRLD, M_VMCS(0)), 0);
	assert_int_equal(l1_memory_insn(EXIT_VMCLEAR, M_VMCS(0)), 0);
	quiet();
	assert_int_equal(l1_vmxoff(), 0);
	assert_int_equal(told_any(), 0);
}

/* Nor is a VMCS at the beginning of memory, whose L2 has never run. */
static void nothing_has_been_held(void **state UNUSED)
{
	l1_start_vmx();
	l1_write32(0, VMCS12_REVISION);
	assert_int_equal(l1_memory_insn(EXIT_VMPTRLD, 0), 0);
	quiet();
	assert_int_equal(l1_vmxoff(), 0);
	assert_int_equal(told_any(), 0);
}

static void vmx_operation_ends(void **state UNUSED)
{
	start();
	violate(PAGE);
	assert_int_equal(l1_vmxoff(), 0);
	assert_int_equal(told("exit reason 48 to L1" LEFT), 1);
}

/* The EPT pointer is the one that passed the checks, whatever stands in the VMCS by now. */
static void the_pointer_is_the_entrys(void **state UNUSED)
{
	start();
	violate(PAGE);
	W(ept_pointer, ~0ull);
	quiet();
	assert_int_equal(told("exit reason 48 to L1" LEFT), 1);
	assert_int_equal(told("walk   EPT pointer 11001e; level 4: "), 1);
}

static void the_same_a_thousand_times(void **state UNUSED)
{
	start();
	for (unsigned int i = 1; i < HELD_TIMES; i++) {
		violate(PAGE);
		ept_resume();
	}
	assert_int_equal(told_any(), 0);
	violate(PAGE);
	assert_int_equal(told("exit reason 48 to L1" AGAIN), 1);
	assert_int_equal(told("linear 1234567\n"), 1);
	quiet();
	assert_int_equal(told_any(), 1);
	assert_int_equal(machine_vcpu->nested.explain.untold, 0);
}

/* Another address, or another instruction, or another exit in between, begins the row anew. */
static void not_the_same(void **state UNUSED)
{
	start();
	for (unsigned int i = 0; i < 2 * HELD_TIMES; i++) {
		violate(PAGE + i % 2 * PAGE_SIZE);
		ept_resume();
	}
	for (unsigned int i = 0; i < 2 * HELD_TIMES; i++) {
		machine_set_field(VMCS_guest_rip, 0x400000 + i % 2);
		violate(PAGE);
		ept_resume();
	}
	for (unsigned int i = 0; i < HELD_TIMES + 1; i++) {
		violate(PAGE);
		ept_resume();
		EXIT_NOW(.reason = EXIT_CPUID);
		ept_resume();
	}
	assert_int_equal(told_any(), 0);
}

/* Each way for an entry to be bad; Linux' KVM has MMIO behind one with reserved bits. */
static void a_misconfiguration_is_held(void **state UNUSED)
{
	static const u64 bad[] = { FRAMES | EPT_RWX | 7 << EPT_MEMTYPE_SHIFT, BIT(51) | FRAMES | EPT_RWX | WB,
				   FRAMES | EPT_WRITE | WB };

	start();
	for (unsigned int i = 0; i < ARRAY_SIZE(bad); i++) {
		l1_write64(P_PT, bad[i]);
		violate(PAGE);
		assert_int_equal(told_any(), i);
		quiet();
		assert_int_equal(told("EPT misconfiguration, exit reason 49 to L1" LEFT), i + 1);
		ept_resume();
	}
}

static void all_are_told_at_once(void **state UNUSED)
{
	start();
	violate(PAGE);
	assert_int_equal(told("exit reason 48 to L1" WANTED), 1);
	quiet();
	assert_int_equal(l1_memory_insn(EXIT_VMCLEAR, M_VMCS(0)), 0);
	assert_int_equal(told_any(), 1);
}

static void nothing_is_told(void **state UNUSED)
{
	start();
	violate(PAGE);
	assert_int_equal(l1_vmxoff(), 0);
	assert_int_equal(told_any(), 0);
}

/* COM2 has its scratch register, no input, and always room for a character; channel 2 of the PIT is up. */
#define COM2 0x2f8
#define SCRATCH 7
static u8 scratch;

static bool port_in(u16 port, unsigned int size UNUSED, u32 *value)
{
	*value = port == COM2 + SCRATCH ? scratch : 0x60;
	return true;
}

static bool port_out(u16 port, unsigned int size UNUSED, u32 value)
{
	if (port == COM2 + SCRATCH)
		scratch = (u8)value;
	return true;
}

static void plug(void)
{
	fake_port_in = port_in;
	fake_port_out = port_out;
}

/* Where the monitor has the timer on: that one stays as it is, and comes fifty times. */
static void the_monitors_timer_is_looked_at_for_a_second(void **state UNUSED)
{
	u64 ticks = machine_field01(VMCS_preemption_timer_value);

	start();
	assert_true(machine_field01(VMCS_exit_controls) & EXIT_SAVE_PREEMPTION_TIMER);
	assert_int_equal(machine_field01(VMCS_preemption_timer_value), ticks);
	violate(PAGE);
	for (unsigned int i = 0; i < 49; i++)
		quiet();
	assert_int_equal(told_any(), 0);
	quiet();
	assert_int_equal(told("exit reason 48 to L1" LEFT), 1);
	/* each one that is held has its own second */
	ept_resume();
	l1_write64(P_PT, FRAMES | EPT_READ | WB);
	violate(PAGE);
	for (unsigned int i = 0; i < 49; i++)
		quiet();
	assert_int_equal(told_any(), 1);
	quiet();
	assert_int_equal(told_any(), 2);
}

static void l1_ends_by_a_triple_fault(void **state UNUSED)
{
	start();
	violate(PAGE);
	/* Nothing goes on behind it. */
	machine_vcpu->exit_reason = EXIT_TRIPLE_FAULT;
	assert_int_equal(exit_triple_fault(machine_vcpu), OUTCOME_STOP);
	assert_int_equal(told("exit reason 48 to L1" LEFT), 1);
	assert_true(strstr(fake_log(), LEFT) < strstr(fake_log(), "triple fault of L1"));
}

/* What waits for another CPU's line, or comes too early, is said by the next look. */
static void what_cannot_be_said_now_is_said_later(void **state UNUSED)
{
	u64 own = 0;

	pace_init();
	start();
	violate(PAGE);
	assert_true(pace_allows(&own));
	machine_vcpu->nested.explain.next = own;
	EXIT_NOW(.reason = EXIT_PREEMPTION_TIMER);
	assert_int_equal(told_any(), 0);
	quiet();
	assert_int_equal(told("exit reason 48 to L1" LEFT), 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		MACHINE_TEST(the_timer_is_on_in_vmx_operation, ""),
		MACHINE_TEST_BEFORE(the_timer_stays_off, "", without_timer),
		MACHINE_TEST(the_timer_stays_off, "explain=all"),
		MACHINE_TEST(the_timer_stays_off, "explain=off"),
		MACHINE_TEST_BOTH(l1_is_quiet),
		MACHINE_TEST(l1_is_quiet, "trace=4K"),
		MACHINE_TEST(quiet_exits_leave_no_trace, ""),
		MACHINE_TEST(l1_has_mended_it, ""),
		MACHINE_TEST(a_look_sets_no_flag, ""),
		MACHINE_TEST(the_rule_is_the_one_that_is_broken_now, ""),
		MACHINE_TEST_BOTH(an_l2_has_run_since),
		MACHINE_TEST_BOTH(the_vmcs_is_left),
		MACHINE_TEST(nothing_has_been_held, ""),
		MACHINE_TEST(vmx_operation_ends, ""),
		MACHINE_TEST_BOTH(the_pointer_is_the_entrys),
		MACHINE_TEST(the_same_a_thousand_times, ""),
		MACHINE_TEST(not_the_same, ""),
		MACHINE_TEST(a_misconfiguration_is_held, ""),
		MACHINE_TEST(all_are_told_at_once, "explain=all"),
		MACHINE_TEST(nothing_is_told, "explain=off"),
		MACHINE_TEST_BEFORE(the_monitors_timer_is_looked_at_for_a_second, "monitor=com2", plug),
		MACHINE_TEST(l1_ends_by_a_triple_fault, ""),
		MACHINE_TEST(what_cannot_be_said_now_is_said_later, ""),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
