/* SPDX-License-Identifier: MIT */
/*
 * L1's host state after an exit, and the VMX aborts that end in L1's shutdown. SDM: "Loading Host State",
 * "VMX Aborts".
 */
#include "tests/unit/cmocka_all.h"

#include "kernel/msr.h"
#include "kernel/x86.h"
#include "tests/unit/l2_support.h"
#include "vmx/nested/entry/host_prepare.h"

static void host_state_is_loaded(void **state UNUSED)
{
	l1_start_vmx();
	l1_load_vmcs(0);
	l1_write_valid_vmcs();
	W(host_fs_base, 0x1111);
	W(host_gs_base, 0x2222);
	W(host_fs_selector, 0x28);
	W(host_gdtr_base, 0x3333000);
	W(host_idtr_base, 0x4444000);
	W(host_tr_base, 0x5555000);
	W(host_sysenter_eip, 0x6666);
	W(host_cr3, 0x1018);
	W(exit_controls, caps12.exit.allowed0 | EXIT_HOST_64 | EXIT_LOAD_EFER | EXIT_LOAD_PAT);
	W(host_pat, 0x0606060606060606);
	assert_int_equal(l1_enter(EXIT_VMLAUNCH), 0);
	machine_set_field(VMCS_guest_rflags, 0x246);
	EXIT_NOW(.reason = EXIT_CPUID);
	assert_int_equal(machine_field(VMCS_guest_rip), 0x300000);
	assert_int_equal(machine_field(VMCS_guest_rsp), 0x310000);
	assert_int_equal(machine_field(VMCS_guest_rflags), 2);
	assert_int_equal(machine_field(VMCS_guest_cr3), 0x1018);
	assert_int_equal(machine_field(VMCS_guest_fs_base), 0x1111);
	assert_int_equal(machine_field(VMCS_guest_gs_base), 0x2222);
	assert_int_equal(machine_field(VMCS_guest_fs_selector), 0x28);
	assert_int_equal(machine_field(VMCS_guest_fs_ar), 0xc093);
	assert_int_equal(machine_field(VMCS_guest_gs_ar), AR_UNUSABLE);
	assert_int_equal(machine_field(VMCS_guest_cs_ar), 0xa09b);
	assert_int_equal(machine_field(VMCS_guest_ldtr_ar), AR_UNUSABLE);
	assert_int_equal(machine_field(VMCS_guest_tr_ar), 0x8b);
	assert_int_equal(machine_field(VMCS_guest_tr_limit), 0x67);
	assert_int_equal(machine_field(VMCS_guest_gdtr_base), 0x3333000);
	assert_int_equal(machine_field(VMCS_guest_gdtr_limit), 0xffff);
	assert_int_equal(machine_field(VMCS_guest_idtr_base), 0x4444000);
	assert_int_equal(machine_field(VMCS_guest_tr_base), 0x5555000);
	assert_int_equal(machine_field(VMCS_guest_sysenter_eip), 0x6666);
	assert_int_equal(machine_field(VMCS_guest_dr7), DR7_RESET);
	assert_int_equal(machine_field(VMCS_guest_debugctl), 0);
	assert_int_equal(machine_field(VMCS_guest_efer), EFER_LME | EFER_LMA);
	assert_true(machine_field(VMCS_guest_pat) == 0x0606060606060606);
	assert_int_equal(machine_field(VMCS_guest_interruptibility), 0);
	assert_int_equal(machine_field(VMCS_guest_activity_state), 0);
}

/* Rights and control registers, which the entry has worked out, follow each VMWRITE of host state. */
static void host_state_is_worked_out_again(void **state UNUSED)
{
	l1_run_l2();
	EXIT_NOW(.reason = EXIT_CPUID);
	assert_int_equal(machine_field(VMCS_guest_gs_ar), AR_UNUSABLE);
	for (u64 i = 0; i < 2; i++) {
		u64 selector = i ? 0 : 0x30, cr4 = R(host_cr4) ^ CR4_TSD;

		W(host_gs_selector, selector);
		W(host_cr4, cr4);
		assert_int_equal(l1_enter(EXIT_VMRESUME), 0);
		EXIT_NOW(.reason = EXIT_CPUID);
		assert_int_equal(machine_field(VMCS_guest_gs_ar), selector ? 0xc093 : AR_UNUSABLE);
		assert_int_equal(machine_field(VMCS_guest_cr4), cr4);
	}
}

/* SDM: CR0.CD and NW "are not modified" by an exit: L1 finds what L2 left, not what was there at the entry.
 */
static void the_cache_bits_are_as_l2_left_them(void **state UNUSED)
{
	u64 cr0 = read_cr0() & ~(u64)(CR0_CD | CR0_NW);

	l1_run_l2();
	EXIT_NOW(.reason = EXIT_CPUID);
	for (u64 i = 0; i < 2; i++) {
		write_cr0(cr0 | (i ? 0 : CR0_CD | CR0_NW));
		W(host_cr4, R(host_cr4) ^ CR4_TSD); /* the host state is worked out again */
		assert_int_equal(l1_enter(EXIT_VMRESUME), 0);
		write_cr0(cr0 | (i ? CR0_CD | CR0_NW : 0));
		EXIT_NOW(.reason = EXIT_CPUID);
		assert_int_equal(machine_field(VMCS_guest_cr0) & (CR0_CD | CR0_NW), i ? CR0_CD | CR0_NW : 0);
	}
	write_cr0(cr0);
}

/* L2 went to IA-32e mode by itself, which the controls of a 32-bit host could not say. */
static void long_mode_over_a_32_bit_host_aborts(void **state UNUSED)
{
	l1_run_l2();
	l2_v12()->exit_controls &= ~EXIT_HOST_64;
	EXIT_NOW(.reason = EXIT_CPUID);
	l2_assert_aborted(VMX_ABORT_HOST_LONG_MODE);
}

/* A host with bad PDPTEs: what vmcs01 had there before may be anything, and is entered for the shutdown. */
static void an_aborted_cpu_can_be_entered(void **state UNUSED)
{
	l1_run_l2();
	l2_v12()->exit_controls = (l2_v12()->exit_controls & ~(EXIT_HOST_64 | EXIT_LOAD_EFER));
	l2_v12()->host_cr3 = P_EPT;
	l1_write64(P_EPT, ~0ull);
	machine_set_field(VMCS_guest_efer, 0);
	for (u32 n = 0; n < 4; n++)
		fake_set(machine_vcpu->vmcs01.region.v, VMCS_guest_pdpte0 + 2 * n, ~0ull);
	EXIT_NOW(.reason = EXIT_CPUID);
	l2_assert_aborted(VMX_ABORT_HOST_PDPTE);
	for (u32 n = 0; n < 4; n++)
		assert_int_equal(machine_field01(VMCS_guest_pdpte0 + 2 * n), 0);
}

/* The same memory behind a host in 32-bit paging: nobody looks for PDPTEs there. */
static void a_host_without_pae_has_no_pdptes(void **state UNUSED)
{
	l1_run_l2();
	l2_v12()->exit_controls = (l2_v12()->exit_controls & ~(EXIT_HOST_64 | EXIT_LOAD_EFER));
	l2_v12()->host_cr3 = P_EPT;
	l2_v12_to_write()->host_cr4 = CR4_VMXE | CR4_PSE;
	host_state_prepare(machine_vcpu->nested.current);
	l1_write64(P_EPT, ~0ull);
	machine_set_field(VMCS_guest_efer, 0);
	EXIT_NOW(.reason = EXIT_CPUID);
	assert_false(machine_in_l2() || machine_vcpu->nested.aborted);
	assert_int_equal(machine_field(VMCS_guest_cr4), CR4_VMXE | CR4_PSE);
}

/* SDM "VMX Aborts": only a reset wakes the processor, whatever activity state an exit has saved. */
static void nothing_wakes_an_aborted_cpu(void **state UNUSED)
{
	l2_prepare_lists(0, 1, 0);
	l2_put_msr(P_STORE, 0, MSR_IA32_SMBASE, 0, 0);
	assert_int_equal(l1_enter(EXIT_VMLAUNCH), 0);
	EXIT_NOW(.reason = EXIT_CPUID);
	machine_set_field(VMCS_guest_activity_state, ACTIVITY_ACTIVE);
	EXIT_NOW(.reason = EXIT_INIT);
	assert_int_equal(machine_field(VMCS_guest_activity_state), ACTIVITY_SHUTDOWN);
	machine_set_field(VMCS_guest_activity_state, ACTIVITY_ACTIVE);
	EXIT_NOW(.reason = EXIT_EXCEPTION_NMI,
		 .intr_info = INTR_INFO_VALID | INTR_TYPE_NMI << INTR_INFO_TYPE_SHIFT | VEC_NMI);
	assert_int_equal(machine_field(VMCS_guest_activity_state), ACTIVITY_SHUTDOWN);
	assert_int_equal(machine_injected, 0);
	machine_set_field(VMCS_guest_activity_state, ACTIVITY_ACTIVE);
	EXIT_NOW(.reason = EXIT_PREEMPTION_TIMER);
	assert_int_equal(machine_field(VMCS_guest_activity_state), ACTIVITY_SHUTDOWN);
	assert_false(machine_field01(VMCS_pin_controls) & PIN_PREEMPTION_TIMER);
}

/* SDM "Loading Host Control Registers, Debug Registers, and MSRs": without "load IA32_EFER" LME and LMA are
 * those of the host's address-space size, and the other bits stay as L2 has them. */
static void efer_that_is_not_loaded(void **state UNUSED)
{
	static const u64 of_l2[] = { 0, EFER_LME, EFER_SCE };

	l2_run_pae();
	EXIT_NOW(.reason = EXIT_CPUID);
	W(exit_controls, R(exit_controls) & ~(u64)EXIT_LOAD_EFER);
	for (size_t i = 0; i < ARRAY_SIZE(of_l2); i++) {
		assert_int_equal(l1_enter(EXIT_VMRESUME), 0);
		assert_true(machine_in_l2());
		machine_set_field(VMCS_guest_efer, of_l2[i]);
		EXIT_NOW(.reason = EXIT_CPUID);
		assert_int_equal(machine_field(VMCS_guest_efer), of_l2[i] | EFER_LME | EFER_LMA);
		W(guest_efer, 0);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		MACHINE_TEST_BOTH(host_state_is_loaded),
		MACHINE_TEST_BOTH(host_state_is_worked_out_again),
		MACHINE_TEST_BOTH(efer_that_is_not_loaded),
		MACHINE_TEST(the_cache_bits_are_as_l2_left_them, ""),
		MACHINE_TEST(long_mode_over_a_32_bit_host_aborts, ""),
		MACHINE_TEST_BOTH(an_aborted_cpu_can_be_entered),
		MACHINE_TEST_BOTH(a_host_without_pae_has_no_pdptes),
		MACHINE_TEST_BOTH(nothing_wakes_an_aborted_cpu),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
