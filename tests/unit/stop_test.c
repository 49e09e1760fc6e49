/* SPDX-License-Identifier: MIT */
/*
 * The machine stops: what is told of the exit in hand and of the exits before it, after L1's triple fault and
 * where a VM entry fails or an exit comes that nobody asked for.
 */
#include "tests/unit/cmocka_all.h"

#include <string.h>

#include "kernel/msr.h"
#include "kernel/x86.h"
#include "tests/unit/machine.h"

static bool says(const char *text)
{
	return strstr(fake_log(), text) != NULL;
}

static void a_triple_fault_stops_with_the_last_exits(void **state UNUSED)
{
	u64 value;

	l1_start_vmx();
	l1_load_vmcs(0);
	assert_int_equal(l1_vmread(VMCS_guest_rip, &value), 0);
	assert_int_equal(l1_vmwrite(0x4ffe, 0), VMXERR_UNSUPPORTED_FIELD);
	machine_vcpu->gpr[GPR_RCX] = MSR_IA32_FEATURE_CONTROL;
	EXIT_NOW(.reason = EXIT_RDMSR, .length = 2);
	EXIT_NOW(.reason = EXIT_IO, .qualification = 0xcf8u << 16 | 3, .length = 1);
	EXIT_NOW(.reason = EXIT_IO, .qualification = 0x80u << 16 | BIT(3), .length = 1);
	assert_true(fake_panics(EXIT_NOW(.reason = EXIT_TRIPLE_FAULT)));
	assert_true(says("CPU 0: triple fault of L1; the machine stops"));
	assert_true(says("CPU 0, vmcs01 current, exit TRIPLE_FAULT (2), L1 ran in VMX operation"));
	assert_true(says("  -1: L1 TRIPLE_FAULT rip "));
	assert_true(says("  -2: L1 IO"));
	assert_true(says(" IN port 80, 1 bytes tsc "));
	assert_true(says(" OUT port cf8, 4 bytes tsc "));
	assert_true(says(" MSR 3a tsc "));
	assert_true(says(" field 4ffe ? tsc "));
	assert_true(says(" field 681e guest_rip tsc "));
	assert_true(says("halted"));
}

static void an_entry_that_fails_is_a_panic(void **state UNUSED)
{
	machine_refusals = 1;
	machine_refusal = VMXERR_ENTRY_CONTROLS;
	assert_true(fake_panics(EXIT_NOW(.reason = EXIT_CPUID)));
	assert_true(says("VM entry of L1: VM-instruction error 7"));
}

static void an_exit_that_nobody_asked_for(void **state UNUSED)
{
	assert_true(fake_panics(EXIT_NOW(.reason = EXIT_INVLPG, .qualification = 0x1234)));
	assert_true(says("exit that nobody asked for: INVLPG (e), qualification 1234"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		MACHINE_TEST(a_triple_fault_stops_with_the_last_exits, "on-stop=halt shadow-vmcs=off"),
		MACHINE_TEST(an_entry_that_fails_is_a_panic, ""),
		MACHINE_TEST(an_exit_that_nobody_asked_for, ""),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
