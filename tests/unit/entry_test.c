/* SPDX-License-Identifier: MIT */
/*
 * VM entries as a whole, beyond the single rule: what the processor has, what an entry loads, what hardware
 * finds late. SDM: "VM Entries".
 */
#include "tests/unit/cmocka_all.h"

#include "kernel/cpuid.h"
#include "kernel/msr.h"
#include "kernel/x86.h"
#include "tests/unit/l2_support.h"
#include "vmx/l1/exit_cr.h"

static void processor_with_metrics(void)
{
	fake_cpuid_set(CPUID_LEAF_FEATURES, 0, 0x606a0, 0, CPUID_1_ECX_VMX | CPUID_1_ECX_PDCM, 0);
	fake_cpuid_set(CPUID_LEAF_PERFMON, 0, 0x08300405, 0, 0x8, 0x2);
	fake_msr_set(MSR_IA32_PERF_CAPABILITIES, PERF_CAP_METRICS);
	fake_msr_set(MSR_IA32_PERF_GLOBAL_CTRL, 0);
}

/* SDM "IA32_PERF_GLOBAL_CTRL": fixed counters by number or, from version 5 on, by mask; bit 48 for the
 * metrics. */
static void all_counters_may_be_loaded(void **state UNUSED)
{
	static const struct {
		u64 value;
		int outcome;
	} cases[] = {
		{ BIT(48) | 0xbull << 32 | 0xf, 0 },
		{ BIT(34), VMXERR_ENTRY_HOST_STATE },
		{ BIT(4), VMXERR_ENTRY_HOST_STATE },
		{ BIT(49), VMXERR_ENTRY_HOST_STATE },
	};

	l1_start_vmx();
	l1_load_vmcs(0);
	l1_write_valid_vmcs();
	W(exit_controls, R(exit_controls) | EXIT_LOAD_PERF_GLOBAL);
	for (size_t i = ARRAY_SIZE(cases); i-- > 0;) {
		W(host_perf_global_ctrl, cases[i].value);
		assert_int_equal(l1_enter(EXIT_VMLAUNCH), cases[i].outcome);
	}
}

/* L2 left in virtual-8086 mode: without the flag its segments are checked as those of another mode. */
static void segments_are_checked_when_v86_ends(void **state UNUSED)
{
	l1_start_vmx();
	l1_load_vmcs(0);
	l1_write_valid_vmcs();
	W(entry_controls, R(entry_controls) & ~(u64)ENTRY_IA32E_GUEST);
	W(guest_efer, 0);
	W(guest_cr4, CR4_VMXE);
	W(guest_cs_ar, 0xc09b);
	assert_int_equal(l1_enter(EXIT_VMLAUNCH), 0);
	EXIT_NOW(.reason = EXIT_EPT_VIOLATION, .guest_physical = M_SPARE, .qualification = EPTV_READ);
	machine_set_field(VMCS_guest_rflags, RFLAGS_FIXED1 | RFLAGS_VM);
	for (unsigned int n = 0; n < 6; n++) {
		machine_set_field(VMCS_guest_es_selector + 2 * n, 0x100);
		machine_set_field(VMCS_guest_es_base + 2 * n, 0x1000);
		machine_set_field(VMCS_guest_es_limit + 2 * n, 0xffff);
		machine_set_field(VMCS_guest_es_ar + 2 * n, 0xf3);
	}
	EXIT_NOW(.reason = EXIT_CPUID);
	assert_false(machine_in_l2());
	W(guest_rflags, RFLAGS_FIXED1);
	l1_enter(EXIT_VMRESUME);
	assert_false(machine_in_l2());
	assert_int_equal(R(exit_reason), EXIT_REASON_ENTRY_FAILURE | EXIT_ENTRY_FAIL_GUEST);
}

static void a_late_failure_of_hardware_is_reflected(void **state UNUSED)
{
	l1_run_l2();
	EXIT_NOW(.reason = EXIT_ENTRY_FAIL_GUEST | EXIT_REASON_ENTRY_FAILURE, .qualification = 4);
	assert_false(machine_in_l2());
	assert_int_equal(machine_field(VMCS_guest_rip), 0x300000);
	assert_true(R(exit_reason) == (EXIT_ENTRY_FAIL_GUEST | EXIT_REASON_ENTRY_FAILURE));
	assert_int_equal(R(exit_qualification), 4);
	/* The VMLAUNCH never happened. */
	assert_int_equal(l1_enter(EXIT_VMRESUME), VMXERR_VMRESUME_NOT_LAUNCHED);
}

/* GUEST_CR3 is right after every entry, also into HLT: L1 reads back what it wrote. */
static void cr3_reaches_vmcs02_in_hlt_too(void **state UNUSED)
{
	l1_run_l2();
	for (unsigned int n = 0; n < 4; n++) {
		EXIT_NOW(.reason = EXIT_CPUID);
		W(guest_cr3, 0x10000 + n * 0x1000);
		W(guest_activity_state, n % 2 ? ACTIVITY_HLT : ACTIVITY_ACTIVE);
		assert_int_equal(l1_enter(EXIT_VMRESUME), 0);
		assert_int_equal(machine_field(VMCS_guest_cr3), 0x10000 + n * 0x1000);
		EXIT_NOW(.reason = EXIT_EXTERNAL_INTERRUPT, .intr_info = INTR_INFO_VALID | 0x30);
		assert_false(machine_in_l2());
		assert_int_equal(R(guest_cr3), 0x10000 + n * 0x1000);
		assert_int_equal(l1_enter(EXIT_VMRESUME), 0);
	}
}

/*
 * SDM "Loading Guest Control Registers, Debug Registers, and MSRs": what is not loaded of CR0, and the fixed
 * bits of DR7, in vmcs02 and in what L1 finds saved, however early L2 ends.
 */
static void fields_that_are_not_loaded(void **state UNUSED)
{
	enum { RUNS, NMI, INIT, LIST };
	const u64 reserved = GENMASK(28, 19) | BIT(17) | GENMASK(15, 6);
	u64 cr0;

	l1_start_vmx();
	l1_load_vmcs(0);
	l1_write_valid_vmcs();
	cr0 = (R(guest_cr0) & ~(CR0_CD | CR0_NW)) | CR0_ET;
	W(pin_controls, R(pin_controls) | PIN_NMI_EXITING | PIN_VIRTUAL_NMIS);
	W(entry_controls, R(entry_controls) | ENTRY_LOAD_DEBUG);
	W(exit_controls, R(exit_controls) | EXIT_SAVE_DEBUG);
	for (unsigned int how = RUNS; how <= LIST; how++) {
		struct vcpu *vcpu = machine_vcpu;

		W(guest_cr0, (cr0 & ~CR0_ET) | reserved | CR0_CD);
		W(guest_dr7, 0x1f000);
		W(host_cr0, R(host_cr0) | reserved);
		W(entry_msr_load_count, how == LIST);
		W(entry_msr_load_addr, P_ENTRY);
		l1_write64(P_ENTRY, BIT(32));
		vcpu->nmi_pending = how == NMI;
		vcpu->nested.init_pending = how == INIT;
		vcpu_set_reg(vcpu, REG_INTERRUPTIBILITY, how == NMI ? INTERRUPTIBILITY_NMI : 0);
		assert_int_equal(l1_enter(how == RUNS ? EXIT_VMLAUNCH : EXIT_VMRESUME), 0);
		if (how == RUNS) {
			assert_true(machine_in_l2());
			assert_int_equal(machine_field(VMCS_guest_cr0), cr0);
			assert_int_equal(machine_field(VMCS_guest_dr7), 0x12400);
			EXIT_NOW(.reason = EXIT_CPUID);
		}
		assert_false(machine_in_l2());
		assert_int_equal(cr_l1_cr0(vcpu) & (reserved | CR0_CD | CR0_ET), CR0_ET);
		if (how == LIST)
			continue;
		assert_int_equal(R(guest_cr0), cr0);
		assert_int_equal(R(guest_dr7), 0x12400);
	}
}

/* What state L1 has not touched must still fit, when it changes the controls that decide how that is read. */
static void control_words_are_checked_against_the_state(void **state UNUSED)
{
	u64 entry, exit;

	l1_run_l2();
	EXIT_NOW(.reason = EXIT_CPUID);
	entry = R(entry_controls) & ~ENTRY_LOAD_PAT;
	exit = R(exit_controls);
	W(entry_controls, entry);
	W(exit_controls, exit & ~EXIT_HOST_64);
	assert_int_equal(l1_enter(EXIT_VMRESUME), VMXERR_ENTRY_HOST_STATE);
	W(exit_controls, exit);
	assert_int_equal(l1_enter(EXIT_VMRESUME), 0);
	assert_true(machine_in_l2());
	EXIT_NOW(.reason = EXIT_CPUID);
	W(guest_pat, 2); /* no memory type, and not loaded */
	assert_int_equal(l1_enter(EXIT_VMRESUME), 0);
	assert_true(machine_in_l2());
	EXIT_NOW(.reason = EXIT_CPUID);
	W(entry_controls, entry | ENTRY_LOAD_PAT);
	l1_enter(EXIT_VMRESUME);
	assert_false(machine_in_l2());
	assert_int_equal(R(exit_reason), EXIT_REASON_ENTRY_FAILURE | EXIT_ENTRY_FAIL_GUEST);
	W(entry_controls, entry);
	assert_int_equal(l1_enter(EXIT_VMRESUME), 0);
	assert_true(machine_in_l2());
}

/* Bits of the pending debug exceptions that only some processors have. */
static void pending_debug_bits_of_the_processor(void **state UNUSED)
{
	static const u64 bits[] = { BIT(11), BIT(16) | BIT(12) };

	l1_start_vmx();
	l1_load_vmcs(0);
	l1_write_valid_vmcs();
	for (size_t i = 0; i < ARRAY_SIZE(bits); i++) {
		W(guest_pending_debug, bits[i]);
		l1_enter(EXIT_VMLAUNCH);
		assert_false(machine_in_l2());
		assert_int_equal(R(exit_reason), EXIT_REASON_ENTRY_FAILURE | EXIT_ENTRY_FAIL_GUEST);
	}
	W(guest_pending_debug, 0);
	assert_int_equal(l1_enter(EXIT_VMLAUNCH), 0);
	assert_true(machine_in_l2());
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		MACHINE_TEST_BOTH(a_late_failure_of_hardware_is_reflected),
		MACHINE_TEST_BEFORE(all_counters_may_be_loaded, "", processor_with_metrics),
		MACHINE_TEST_BOTH(segments_are_checked_when_v86_ends),
		MACHINE_TEST_BOTH(cr3_reaches_vmcs02_in_hlt_too),
		MACHINE_TEST_BOTH(fields_that_are_not_loaded),
		MACHINE_TEST(fields_that_are_not_loaded, "intercept=cr"),
		MACHINE_TEST_BOTH(control_words_are_checked_against_the_state),
		MACHINE_TEST_BOTH(pending_debug_bits_of_the_processor),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
