/* SPDX-License-Identifier: MIT */
/*
 * VM entries that fail: what they say, what they leave of L2 and of L1's registers; the counters that a
 * processor has; a held INIT before an entry. SDM: "VM Entries", "VM-Entry Failures During or After Loading
 * Guest State".
 */
#include "tests/unit/cmocka_all.h"

#include <string.h>

#include "kernel/cpuid.h"
#include "kernel/msr.h"
#include "kernel/x86.h"
#include "tests/unit/l2_support.h"

#define FAILED_GUEST (EXIT_REASON_ENTRY_FAILURE | EXIT_ENTRY_FAIL_GUEST)
#define FAILED_MSR (EXIT_REASON_ENTRY_FAILURE | EXIT_ENTRY_FAIL_MSR)

static void prepare(void)
{
	l1_start_vmx();
	l1_load_vmcs(0);
	l1_write_valid_vmcs();
}

static void processor_with_counters(void)
{
	fake_cpuid_set(CPUID_LEAF_FEATURES, 0, 0x606a0, 0, CPUID_1_ECX_VMX | CPUID_1_ECX_PDCM, 0);
	fake_cpuid_set(CPUID_LEAF_PERFMON, 0, 0x08300404, 0, 0, 0x3);
	fake_msr_set(MSR_IA32_PERF_CAPABILITIES, 0);
	fake_msr_set(MSR_IA32_PERF_GLOBAL_CTRL, 0x3);
}

/* SDM "Architectural Performance Monitoring": the highest value that each kind of processor lets L1 load. */
static void the_counters_of_a_processor(void **state UNUSED)
{
	static const struct {
		u32 eax, ecx, edx, features;
		u64 capabilities, valid;
	} processors[] = {
		{ 0xff300401, 0, 0x3, CPUID_1_ECX_PDCM, 0, 0 },
		{ 0xff300402, 0xff, 0x3, CPUID_1_ECX_PDCM, 0, 0x70000000full },
		{ 0xff300204, 0xff, 0x4, CPUID_1_ECX_PDCM, 0, 0xf00000003ull },
		{ 0xff300405, 0x8, 0x3, CPUID_1_ECX_PDCM, 0, 0xf0000000full },
		{ 0xff300405, 0x10000, 0x3, CPUID_1_ECX_PDCM, 0, 0x70000000full },
		{ 0xff300404, 0, 0x3, CPUID_1_ECX_PDCM, PERF_CAP_METRICS, BIT(48) | 0x70000000full },
		{ 0xff300404, 0, 0x3, CPUID_1_ECX_PDCM, ~PERF_CAP_METRICS, 0x70000000full },
		{ 0xff300404, 0, 0x3, 0, PERF_CAP_METRICS, 0x70000000full },
		{ 0xff302004, 0, 0x3, 0, 0, 0x7ffffffffull },
	};

	prepare();
	for (size_t i = 0; i < ARRAY_SIZE(processors); i++) {
		u64 valid = processors[i].valid;

		fake_cpuid_set(CPUID_LEAF_FEATURES, 0, 0x606a0, 0, CPUID_1_ECX_VMX | processors[i].features,
			       0);
		fake_cpuid_set(CPUID_LEAF_PERFMON, 0, processors[i].eax, 0, processors[i].ecx,
			       processors[i].edx);
		fake_msr_set(MSR_IA32_PERF_CAPABILITIES, processors[i].capabilities);
		W(entry_controls, R(entry_controls) | ENTRY_LOAD_PERF_GLOBAL);
		for (unsigned int bit = 0; bit < 64; bit++) {
			if (valid & BIT(bit))
				continue;
			W(guest_perf_global_ctrl, BIT(bit));
			assert_int_equal(l1_enter(EXIT_VMLAUNCH), 0);
			assert_int_equal(R(exit_reason), FAILED_GUEST);
		}
		W(guest_perf_global_ctrl, 0);
		W(entry_controls, R(entry_controls) & ~(u64)ENTRY_LOAD_PERF_GLOBAL);
		W(exit_controls, R(exit_controls) | EXIT_LOAD_PERF_GLOBAL);
		W(host_perf_global_ctrl, valid);
		W(guest_rflags, 0); /* the next check after the host's */
		assert_int_equal(l1_enter(EXIT_VMLAUNCH), 0);
		assert_int_equal(R(exit_reason), FAILED_GUEST);
		assert_int_equal(fake_msr_get(MSR_IA32_PERF_GLOBAL_CTRL), valid);
		W(guest_rflags, RFLAGS_FIXED1);
		W(exit_controls, R(exit_controls) & ~(u64)EXIT_LOAD_PERF_GLOBAL);
	}
	W(entry_controls, R(entry_controls) | ENTRY_LOAD_PERF_GLOBAL);
	W(guest_perf_global_ctrl, 0x5);
	assert_int_equal(l1_enter(EXIT_VMLAUNCH), 0);
	assert_true(machine_in_l2());
	assert_int_equal(fake_msr_get(MSR_IA32_PERF_GLOBAL_CTRL), 0x5);
}

/* Without the control the entry leaves the MSR as it is. */
static void counters_are_loaded_by_the_control_alone(void **state UNUSED)
{
	prepare();
	W(guest_perf_global_ctrl, 0x5);
	assert_int_equal(l1_enter(EXIT_VMLAUNCH), 0);
	assert_int_equal(fake_msr_get(MSR_IA32_PERF_GLOBAL_CTRL), 0x3);
	EXIT_NOW(.reason = EXIT_CPUID);
	W(guest_perf_global_ctrl, 0x1);
	W(entry_controls, R(entry_controls) | ENTRY_LOAD_PERF_GLOBAL);
	/* at each entry, whatever L1 has changed meanwhile */
	for (unsigned int n = 0; n < 4; n++) {
		fake_msr_set(MSR_IA32_PERF_GLOBAL_CTRL, 0x3);
		assert_int_equal(l1_enter(EXIT_VMRESUME), 0);
		assert_true(machine_in_l2());
		assert_int_equal(fake_msr_get(MSR_IA32_PERF_GLOBAL_CTRL), 0x1);
		EXIT_NOW(.reason = EXIT_CPUID);
	}
}

/* Two bits of the pending debug exceptions exist where CPUID says so. */
static void pending_debug_bits_by_cpuid(void **state UNUSED)
{
	static const struct {
		u32 ebx, ecx;
		u64 pending;
		bool fails;
	} cases[] = {
		{ CPUID_7_EBX_RTM, 0, BIT(11), true },
		{ (u32)~CPUID_7_EBX_RTM, (u32)~CPUID_7_ECX_BUS_LOCK_DETECT, BIT(11), true },
		{ 0, CPUID_7_ECX_BUS_LOCK_DETECT, BIT(16) | BIT(12), true },
		{ (u32)~CPUID_7_EBX_RTM, (u32)~CPUID_7_ECX_BUS_LOCK_DETECT, BIT(16) | BIT(12), true },
		{ 0, CPUID_7_ECX_BUS_LOCK_DETECT, BIT(11), false },
		{ CPUID_7_EBX_RTM, 0, BIT(16) | BIT(12), false },
	};

	prepare();
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		fake_cpuid_set(CPUID_LEAF_EXTENDED_FEATURES, 0, 0, cases[i].ebx, cases[i].ecx, 0);
		W(guest_pending_debug, cases[i].pending);
		assert_int_equal(l1_enter(i < 5 ? EXIT_VMLAUNCH : EXIT_VMRESUME), 0);
		assert_int_equal(machine_in_l2(), !cases[i].fails);
		if (machine_in_l2())
			EXIT_NOW(.reason = EXIT_CPUID);
		else
			assert_int_equal(R(exit_reason), FAILED_GUEST);
	}
}

/* Each failure says its stage, rule, field and value, once; an entry that is made says nothing. */
static void failures_are_named(void **state UNUSED)
{
	static const struct {
		u32 field;
		u64 value;
		int outcome;
		u64 reason;
		const char *said;
	} cases[] = {
		{ VMCS_cr3_target_count, 5, VMXERR_ENTRY_CONTROLS, 0,
		  "VM-instruction error 7, control fields" },
		{ VMCS_host_cr4, 0, VMXERR_ENTRY_HOST_STATE, 0, "VM-instruction error 8, host-state fields" },
		{ VMCS_guest_rflags, 0, 0, FAILED_GUEST, "exit reason 33, qualification 0, guest state" },
		{ VMCS_entry_msr_load_count, 2, 0, FAILED_MSR,
		  "exit reason 34, qualification 2, VM-entry MSR-load list" },
	};

	prepare();
	W(entry_msr_load_addr, P_ENTRY);
	l2_put_msr(P_ENTRY, 0, MSR_IA32_SYSENTER_ESP, 0, 0x1234);
	l2_put_msr(P_ENTRY, 1, MSR_IA32_SYSENTER_ESP, 1, 0);
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		u64 before;

		l1_vmread(cases[i].field, &before);
		fake_log_clear();
		assert_int_equal(l1_vmwrite(cases[i].field, cases[i].value), 0);
		assert_int_equal(l1_enter(EXIT_VMLAUNCH), cases[i].outcome);
		if (cases[i].reason)
			assert_int_equal(R(exit_reason), cases[i].reason);
		assert_int_equal(machine_vcpu->nested.counters.entry_failures, i + 1);
		assert_non_null(strstr(fake_log(), "VMLAUNCH at 0x"));
		assert_non_null(strstr(strstr(fake_log(), "VMLAUNCH at 0x"), cases[i].said));
		assert_int_equal(l1_vmwrite(cases[i].field, before), 0);
	}
	assert_int_equal(l1_enter(EXIT_VMLAUNCH), 0);
	assert_true(machine_in_l2());
	assert_int_equal(machine_vcpu->nested.counters.entry_failures, ARRAY_SIZE(cases));
}

/* SDM: a failed entry saves no guest state. What L2 left and L1 has not read is still L2's after the list. */
static void a_failed_list_leaves_l2s_state(void **state UNUSED)
{
	prepare();
	W(entry_msr_load_addr, P_ENTRY);
	l2_put_msr(P_ENTRY, 0, MSR_IA32_GS_BASE, 0, 0x5000);
	l2_put_msr(P_ENTRY, 1, MSR_IA32_GS_BASE, 1, 0);
	assert_int_equal(l1_enter(EXIT_VMLAUNCH), 0);
	machine_set_field(VMCS_guest_gs_base, 0x7000);
	EXIT_NOW(.reason = EXIT_CPUID);
	W(entry_msr_load_count, 2);
	assert_int_equal(l1_enter(EXIT_VMRESUME), 0);
	assert_int_equal(R(exit_reason), FAILED_MSR);
	assert_int_equal(R(guest_gs_base), 0x7000);
	W(entry_msr_load_count, 0);
	assert_int_equal(l1_enter(EXIT_VMRESUME), 0);
	assert_int_equal(machine_field(VMCS_guest_gs_base), 0x7000);
}

static void make_v86(void)
{
	machine_set_field(VMCS_guest_rflags, RFLAGS_FIXED1 | RFLAGS_VM);
	for (unsigned int n = 0; n < 6; n++) {
		machine_set_field(VMCS_guest_es_selector + 2 * n, 0x100);
		machine_set_field(VMCS_guest_es_base + 2 * n, 0x1000);
		machine_set_field(VMCS_guest_es_limit + 2 * n, 0xffff);
		machine_set_field(VMCS_guest_es_ar + 2 * n, 0xf3);
	}
}

/* The segments that L2 left are what the mode that it left is checked against. */
static void l2_goes_to_v86_by_itself(void **state UNUSED)
{
	prepare();
	W(entry_controls, R(entry_controls) & ~(u64)ENTRY_IA32E_GUEST);
	W(guest_efer, 0);
	W(guest_cr4, CR4_VMXE);
	W(guest_cs_ar, 0xc09b);
	assert_int_equal(l1_enter(EXIT_VMLAUNCH), 0);
	make_v86();
	EXIT_NOW(.reason = EXIT_CPUID);
	assert_int_equal(l1_enter(EXIT_VMRESUME), 0);
	assert_true(machine_in_l2());
	EXIT_NOW(.reason = EXIT_CPUID);
	W(guest_es_limit, 0x1ffff);
	assert_int_equal(l1_enter(EXIT_VMRESUME), 0);
	assert_int_equal(R(exit_reason), FAILED_GUEST);
}

/* L1 sets RFLAGS.VM alone: the segments are not those of the mode. */
static void l1_makes_l2_v86(void **state UNUSED)
{
	prepare();
	W(entry_controls, R(entry_controls) & ~(u64)ENTRY_IA32E_GUEST);
	W(guest_efer, 0);
	W(guest_cr4, CR4_VMXE);
	W(guest_cs_ar, 0xc09b);
	assert_int_equal(l1_enter(EXIT_VMLAUNCH), 0);
	EXIT_NOW(.reason = EXIT_CPUID);
	W(guest_rflags, RFLAGS_FIXED1 | RFLAGS_VM);
	assert_int_equal(l1_enter(EXIT_VMRESUME), 0);
	assert_int_equal(R(exit_reason), FAILED_GUEST);
}

/* SDM VMLAUNCH: VMfailInvalid if the current VMCS is a shadow VMCS. */
static void a_shadow_vmcs_is_not_entered(void **state UNUSED)
{
	l1_start_vmx();
	l1_write32(M_VMCS(1), VMCS12_REVISION | VMCS_SHADOW_INDICATOR);
	assert_int_equal(l1_memory_insn(EXIT_VMCLEAR, M_VMCS(1)), 0);
	assert_int_equal(l1_memory_insn(EXIT_VMPTRLD, M_VMCS(1)), 0);
	l1_write_valid_vmcs();
	assert_int_equal(l1_enter(EXIT_VMLAUNCH), L1_FAIL_INVALID);
	assert_int_equal(l1_enter(EXIT_VMRESUME), L1_FAIL_INVALID);
}

/* SDM "VM Exits Induced by the TPR Threshold": directly after the entry, before an INIT. */
static void the_threshold_outranks_an_init(void **state UNUSED)
{
	prepare();
	W(proc_controls, R(proc_controls) | PROC_TPR_SHADOW);
	W(proc2_controls, PROC2_APIC_ACCESS);
	W(virtual_apic_addr, P_STORE);
	W(apic_access_addr, P_LOAD);
	l1_write32(P_STORE + VTPR_OFFSET, 0x40);
	W(tpr_threshold, 4);
	assert_int_equal(l1_enter(EXIT_VMLAUNCH), 0);
	EXIT_NOW(.reason = EXIT_CPUID);
	l1_write32(P_STORE + VTPR_OFFSET, 0x30);
	EXIT_NOW(.reason = EXIT_INIT);
	assert_int_equal(l1_enter(EXIT_VMRESUME), 0);
	assert_true(machine_in_l2());
	EXIT_NOW(.reason = EXIT_TPR_BELOW_THRESHOLD);
	assert_int_equal(R(exit_reason), EXIT_TPR_BELOW_THRESHOLD);
	l1_write32(P_STORE + VTPR_OFFSET, 0x40);
	assert_int_equal(l1_enter(EXIT_VMRESUME), 0);
	assert_int_equal(R(exit_reason), EXIT_INIT);
}

/* With virtual-interrupt delivery there is no exit by the threshold, and the INIT is the first. */
static void no_threshold_with_virtual_interrupts(void **state UNUSED)
{
	prepare();
	W(pin_controls, R(pin_controls) | PIN_EXTERNAL_INTERRUPT);
	W(proc_controls, R(proc_controls) | PROC_TPR_SHADOW);
	W(proc2_controls, PROC2_APIC_ACCESS | PROC2_VIRTUAL_INTERRUPT);
	W(virtual_apic_addr, P_STORE);
	W(apic_access_addr, P_LOAD);
	l1_write32(P_STORE + VTPR_OFFSET, 0x30);
	W(tpr_threshold, 4);
	EXIT_NOW(.reason = EXIT_INIT);
	assert_int_equal(l1_enter(EXIT_VMLAUNCH), 0);
	assert_false(machine_in_l2());
	assert_int_equal(R(exit_reason), EXIT_INIT);
}

/* A pending MTF VM exit is injected into no IDT, and gives way to the INIT. */
static void an_injected_mtf_gives_way_to_an_init(void **state UNUSED)
{
	prepare();
	W(entry_intr_info, INTR_INFO_VALID | INTR_TYPE_OTHER << INTR_INFO_TYPE_SHIFT);
	EXIT_NOW(.reason = EXIT_INIT);
	assert_int_equal(l1_enter(EXIT_VMLAUNCH), 0);
	assert_false(machine_in_l2());
	assert_int_equal(R(exit_reason), EXIT_INIT);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		MACHINE_TEST_BEFORE(the_counters_of_a_processor, "", processor_with_counters),
		MACHINE_TEST_BEFORE(counters_are_loaded_by_the_control_alone, "", processor_with_counters),
		MACHINE_TEST(pending_debug_bits_by_cpuid, ""),
		MACHINE_TEST(failures_are_named, "explain=all"),
		MACHINE_TEST_BOTH(a_failed_list_leaves_l2s_state),
		MACHINE_TEST_BOTH(l2_goes_to_v86_by_itself),
		MACHINE_TEST_BOTH(l1_makes_l2_v86),
		MACHINE_TEST_BOTH(a_shadow_vmcs_is_not_entered),
		MACHINE_TEST_BOTH(the_threshold_outranks_an_init),
		MACHINE_TEST_BOTH(no_threshold_with_virtual_interrupts),
		MACHINE_TEST_BOTH(an_injected_mtf_gives_way_to_an_init),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
