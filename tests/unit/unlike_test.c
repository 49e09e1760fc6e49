/* SPDX-License-Identifier: MIT */
/*
 * Processors of one machine that are not alike: what all have is what is used, what cannot be shared leaves
 * one out with a line that says what differs, and L1 is told each CPU's own rate of the preemption timer.
 */
#include "tests/unit/cmocka_all.h"

#include "kernel/msr.h"
#include "tests/unit/machine.h"
#include "vmx/hw/caps.h"
#include "vmx/hw/vmx.h"
#include "vmx/l1/vm.h"

static struct vmx_caps before;

static void flip(u32 msr, u64 bits)
{
	before = vmx_caps;
	fake_msr_set(msr, fake_msr_get(msr) ^ bits);
}

static void assert_left_out(const char *word)
{
	assert_false(caps_join());
	assert_memory_equal(&vmx_caps, &before, sizeof(before));
	if (!strstr(fake_log(), "is left out") || !strstr(fake_log(), word))
		fail_msg("no '%s' in: %s", word, fake_log());
}

static void alike_ones_say_nothing(void **state UNUSED)
{
	size_t said = strlen(fake_log());

	before = vmx_caps;
	assert_true(caps_join());
	assert_memory_equal(&vmx_caps, &before, sizeof(before));
	assert_int_equal(strlen(fake_log()), said);
}

static void what_one_lacks_is_nobodys(void **state UNUSED)
{
	flip(MSR_IA32_VMX_PROCBASED_CTLS2, (u64)PROC2_VMCS_SHADOWING << 32);
	assert_true(vmx_caps.has_shadow_vmcs);
	assert_true(caps_join());
	assert_false(vmx_caps.has_shadow_vmcs);
	assert_int_equal(vmx_caps.proc2.allowed1, before.proc2.allowed1 & ~PROC2_VMCS_SHADOWING);
	assert_non_null(strstr(fake_log(), "IA32_VMX_PROCBASED_CTLS2 is"));
	assert_non_null(strstr(fake_log(), "(bits 400000000000)"));
	flip(MSR_IA32_VMX_EPT_VPID_CAP, EPT_CAP_1G);
	assert_true(caps_join());
	assert_false(vmx_caps.has_ept_1g);
	/* one that has more, as the first now is, changes nothing */
	flip(MSR_IA32_VMX_EPT_VPID_CAP, EPT_CAP_1G);
	assert_true(caps_join());
	assert_memory_equal(&vmx_caps, &before, sizeof(before));
	/* what one must have all must have */
	flip(MSR_IA32_VMX_TRUE_PROCBASED_CTLS, PROC_HLT_EXITING);
	assert_true(caps_join());
	assert_int_equal(vmx_caps.proc.allowed0, before.proc.allowed0 | PROC_HLT_EXITING);
	flip(MSR_IA32_VMX_CR0_FIXED0, BIT(29));
	assert_true(caps_join());
	assert_int_equal(vmx_caps.cr0_fixed0, before.cr0_fixed0 | BIT(29));
	/* numbers */
	fake_msr_set(MSR_IA32_VMX_MISC, fake_msr_get(MSR_IA32_VMX_MISC) & ~VMX_MISC_CR3_TARGETS_MASK);
	assert_true(caps_join());
	assert_int_equal(VMX_MISC_CR3_TARGETS(vmx_caps.misc), 0);
	fake_debugctl_reserved |= BIT(1);
	assert_true(vmx_caps.debugctl_valid & BIT(1));
	assert_true(caps_join());
	assert_false(vmx_caps.debugctl_valid & BIT(1));
}

static void who_cannot_share_is_left_out(void **state UNUSED)
{
	flip(MSR_IA32_VMX_BASIC, 1);
	assert_left_out("IA32_VMX_BASIC is");
	assert_non_null(strstr(fake_log(), "bits 1 differ"));
	flip(MSR_IA32_VMX_BASIC, 1 | BIT(40));
	assert_left_out("bits 10000000000 differ");
	flip(MSR_IA32_VMX_BASIC, BIT(40));
	/* what Socle itself needs */
	flip(MSR_IA32_VMX_PROCBASED_CTLS2, (u64)PROC2_UNRESTRICTED_GUEST << 32);
	assert_left_out("unrestricted guest");
	flip(MSR_IA32_VMX_PROCBASED_CTLS2, (u64)PROC2_UNRESTRICTED_GUEST << 32);
	flip(MSR_IA32_VMX_MISC, VMX_MISC_ACTIVITY(ACTIVITY_WAIT_FOR_SIPI));
	assert_left_out("wait-for-SIPI");
	flip(MSR_IA32_VMX_MISC, VMX_MISC_ACTIVITY(ACTIVITY_WAIT_FOR_SIPI));
	/* one must have what another cannot */
	assert_false(vmx_caps.pin.allowed0 & PIN_POSTED_INTERRUPTS);
	flip(MSR_IA32_VMX_TRUE_PINBASED_CTLS, (u64)PIN_POSTED_INTERRUPTS << 32);
	assert_true(caps_join());
	flip(MSR_IA32_VMX_TRUE_PINBASED_CTLS, (u64)PIN_POSTED_INTERRUPTS << 32 | PIN_POSTED_INTERRUPTS);
	assert_left_out("IA32_VMX_TRUE_PINBASED_CTLS");
}

static u64 misc_of_l1(void)
{
	machine_vcpu->gpr[GPR_RCX] = MSR_IA32_VMX_MISC;
	EXIT_NOW(.reason = EXIT_RDMSR, .length = 2);
	assert_int_equal(machine_pending(), 0);
	return machine_vcpu->gpr[GPR_RDX] << 32 | machine_vcpu->gpr[GPR_RAX];
}

static void the_timer_counts_at_each_ones_rate(void **state UNUSED)
{
	u64 first = misc_of_l1();

	assert_int_equal(first & VMX_MISC_TIMER_RATE, fake_msr_get(MSR_IA32_VMX_MISC) & VMX_MISC_TIMER_RATE);
	flip(MSR_IA32_VMX_MISC, 2);
	assert_true(caps_join());
	assert_memory_equal(&vmx_caps, &before, sizeof(before));
	assert_null(strstr(fake_log(), "IA32_VMX_MISC is"));
	assert_int_equal(misc_of_l1(), first ^ 2);
}

/* A field that one lacks is used on none; an MSR that one has is intercepted on all. */
static void fields_and_msrs_of_all(void **state UNUSED)
{
	const u8 *bitmap = vm.msr_bitmap01;

	assert_true(vmcs_field_exists(VMCS_pml_address));
	fake_remove_field(VMCS_pml_address);
	vm_probe_cpu(false);
	assert_false(vmcs_field_exists(VMCS_pml_address));
	/* one that the next processor has again is not L1's: one before it lacks it */
	fake_restore_field(VMCS_pml_address);
	vm_probe_cpu(false);
	assert_false(vmcs_field_exists(VMCS_pml_address));
	fake_remove_field(VMCS_pml_address);
	assert_ptr_equal(vm.msr_bitmap01, bitmap);
	assert_int_equal(bitmap[0x150 / 8], 0);
	fake_msr_set(0x150, 1);
	vm_probe_cpu(false);
	assert_int_equal(bitmap[0x150 / 8], 1);
	assert_int_equal(bitmap[0x800 + 0x150 / 8], 1);
	fake_msr_remove(0x150);
	vm_probe_cpu(false);
	assert_int_equal(bitmap[0x150 / 8], 1);
	vm_probe_cpu(true);
	assert_false(vmcs_field_exists(VMCS_pml_address));
	assert_true(vmcs_field_exists(VMCS_guest_rip));
	/* the register cache asks nobody whether its own are there */
	fake_remove_field(VMCS_guest_tr_ar);
	assert_true(fake_panics(vm_probe_cpu(false)));
	assert_non_null(strstr(fake_log(), "no VMCS field guest_tr_ar"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		MACHINE_TEST(alike_ones_say_nothing, ""),
		MACHINE_TEST(what_one_lacks_is_nobodys, ""),
		MACHINE_TEST(who_cannot_share_is_left_out, ""),
		MACHINE_TEST(the_timer_counts_at_each_ones_rate, ""),
		MACHINE_TEST(fields_and_msrs_of_all, ""),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
