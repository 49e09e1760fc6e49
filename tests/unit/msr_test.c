/* SPDX-License-Identifier: MIT */
/*
 * What L1 could do to the processor that L0 stands on, by MSRs, XCR0 and Socle's own call: features whose
 * faults would be L0's, decoders laid over memory, entries of L1 that fail late. SDM volume 4; volume 3,
 * "VM-Entry Failures During or After Loading Guest State".
 */
#include "tests/unit/machine.h"

#include "kernel/hw/cpu.h"
#include "kernel/msr.h"
#include "kernel/x86.h"
#include "tests/unit/cmocka_all.h"
#include "vmx/exit.h"

#define HARD_CODE(vector) (INTR_INFO_VALID | INTR_INFO_ERROR_CODE | INTR_TYPE_HARD_EXCEPTION << 8 | (vector))
#define FAILED(reason) ((reason) | EXIT_REASON_ENTRY_FAILURE)
#define CPL_3 0xc0f3u

static u32 wrmsr_of(u32 index, u64 value)
{
	machine_vcpu->gpr[GPR_RCX] = index;
	machine_vcpu->gpr[GPR_RAX] = (u32)value;
	machine_vcpu->gpr[GPR_RDX] = value >> 32;
	EXIT_NOW(.reason = EXIT_WRMSR);
	return machine_pending();
}

static void with_uc_lock_disable(void)
{
	fake_msr_set(MSR_MEMORY_CTRL, BIT(29) | MEMORY_CTRL_UC_LOCK_DISABLE);
	fake_msr_set(MSR_IA32_CORE_CAPABILITIES, BIT(5) | CORE_CAP_UC_LOCK_DISABLE);
}

/* With it and CR0.CD, which are both L1's, each locked instruction of L0's would fault. */
static void locks_of_l0_never_fault(void **state UNUSED)
{
	assert_int_equal(fake_msr_get(MSR_MEMORY_CTRL), BIT(29));
	assert_int_equal(wrmsr_of(MSR_MEMORY_CTRL, MEMORY_CTRL_UC_LOCK_DISABLE), HARD_CODE(VEC_GP));
	assert_int_equal(fake_msr_get(MSR_MEMORY_CTRL), BIT(29));
	assert_int_equal(wrmsr_of(MSR_MEMORY_CTRL, 0), 0);
	assert_int_equal(fake_msr_get(MSR_MEMORY_CTRL), 0);
	assert_int_equal(wrmsr_of(MSR_MEMORY_CTRL, BIT(29)), 0);
	machine_vcpu->gpr[GPR_RCX] = MSR_IA32_CORE_CAPABILITIES;
	EXIT_NOW(.reason = EXIT_RDMSR);
	assert_int_equal(machine_vcpu->gpr[GPR_RAX], BIT(5));
}

static void without_memory_ctrl(void **state UNUSED)
{
	assert_int_equal(wrmsr_of(MSR_MEMORY_CTRL, BIT(29)), HARD_CODE(VEC_GP));
}

/* L0 takes L1's RAM for RAM, and its own memory for its own. */
static void the_apic_is_not_laid_over_memory(void **state UNUSED)
{
	static const u64 memory[] = { 0,
				      0x100000,
				      M_WINDOW - PAGE_SIZE,
				      M_WINDOW,
				      M_RAM_END - PAGE_SIZE,
				      0xc0000, /* the firmware's ROM */
				      0xff000,
				      0xff000000,
				      0xfffff000 };
	u64 base = 0xfee00000 | APIC_BASE_BSP | BIT(11);

	fake_msr_set(MSR_IA32_APIC_BASE, base);
	for (size_t i = 0; i < ARRAY_SIZE(memory); i++) {
		assert_int_equal(wrmsr_of(MSR_IA32_APIC_BASE, memory[i] | BIT(11)), HARD_CODE(VEC_GP));
		assert_int_equal(fake_msr_get(MSR_IA32_APIC_BASE), base);
	}
	assert_int_equal(wrmsr_of(MSR_IA32_APIC_BASE, M_RAM_END | BIT(11)), 0);
	assert_int_equal(wrmsr_of(MSR_IA32_APIC_BASE, 0xfee00000), 0);
	/* where the firmware left it, it may stay, whatever the memory map says */
	fake_msr_set(MSR_IA32_APIC_BASE, 0x100000 | BIT(11));
	assert_int_equal(wrmsr_of(MSR_IA32_APIC_BASE, 0x100000 | BIT(11) | BIT(10)), 0);
}

static const u32 hidden[] = { 0x150, 0x1f4, 0x1f5, 0x2a0, 0x2a7, 0x2f4, 0x2f5, 0x1400, 0x1401 };

static void with_range_registers(void)
{
	fake_msr_set(MSR_TRACE_HUB_STH_ACPIBAR_BASE, 0xfd800000);
	for (size_t i = 0; i < ARRAY_SIZE(hidden); i++)
		fake_msr_set(hidden[i], 5);
}

static void nothing_is_laid_over_memory(void **state UNUSED)
{
	assert_int_equal(wrmsr_of(MSR_TRACE_HUB_STH_ACPIBAR_BASE, M_WINDOW), HARD_CODE(VEC_GP));
	assert_int_equal(fake_msr_get(MSR_TRACE_HUB_STH_ACPIBAR_BASE), 0xfd800000);
	for (size_t i = 0; i < ARRAY_SIZE(hidden); i++) {
		assert_int_equal(wrmsr_of(hidden[i], M_WINDOW | 1), HARD_CODE(VEC_GP));
		assert_int_equal(fake_msr_get(hidden[i]), 5);
	}
}

/* ---- entries of L1 that fail late ---- */

/* L1 has set a bit that the processor lost afterwards: the entry that failed is done again, without it. */
static void a_lost_bit_of_debugctl_is_mended(void **state UNUSED)
{
	EXIT_NOW(.reason = EXIT_CPUID);
	machine_set_field(VMCS_guest_debugctl, DEBUGCTL_RTM | DEBUGCTL_BTF);
	machine_vcpu->pending = (struct event){ .vector = VEC_UD, .type = INTR_TYPE_HARD_EXCEPTION };
	machine_vcpu->pending_valid = true;
	fake_debugctl_reserved |= DEBUGCTL_RTM;
	EXIT_NOW(.reason = FAILED(EXIT_ENTRY_FAIL_GUEST));
	assert_int_equal(machine_field01(VMCS_guest_debugctl), DEBUGCTL_BTF);
	assert_int_equal(machine_pending() & INTR_INFO_VECTOR, VEC_UD);
	assert_int_equal(fake_msr_get(MSR_IA32_DEBUGCTL), 0);
}

static void what_is_not_l1s_is_a_panic(void **state UNUSED)
{
	EXIT_NOW(.reason = EXIT_CPUID);
	machine_set_field(VMCS_guest_debugctl, DEBUGCTL_BTF);
	assert_true(fake_panics(EXIT_NOW(.reason = FAILED(EXIT_ENTRY_FAIL_GUEST))));
	assert_non_null(strstr(fake_log(), "VM entry of L1 failed late: reason 33"));
}

static void a_machine_check_of_the_entry_is_l1s(void **state UNUSED)
{
	fake_msr_set(MSR_IA32_MCG_STATUS, MCG_STATUS_RIPV | BIT(2));
	EXIT_NOW(.reason = FAILED(EXIT_ENTRY_FAIL_MCE));
	assert_int_equal(machine_pending(), INTR_INFO_VALID | INTR_TYPE_HARD_EXCEPTION << 8 | VEC_MC);
}

static void a_machine_check_of_l0s_is_not(void **state UNUSED)
{
	fake_msr_set(MSR_IA32_MCG_STATUS, MCG_STATUS_RIPV | MCG_STATUS_EIPV | BIT(2));
	assert_true(fake_panics(EXIT_NOW(.reason = FAILED(EXIT_ENTRY_FAIL_MCE))));
}

/* ---- XSETBV ---- */

static u32 xsetbv_of(u64 value)
{
	machine_vcpu->gpr[GPR_RCX] = 0;
	machine_vcpu->gpr[GPR_RAX] = value;
	machine_vcpu->gpr[GPR_RDX] = 0;
	EXIT_NOW(.reason = EXIT_XSETBV);
	return machine_pending();
}

static void with_avx(void)
{
	fake_cpuid_set(CPUID_LEAF_XSAVE, 0, XCR0_X87 | XCR0_SSE | XCR0_AVX, 0, 0, 0);
}

/* A rule newer than Socle is L1's #GP. */
static void what_the_processor_refuses_is_l1s_fault(void **state UNUSED)
{
	assert_int_equal(xsetbv_of(XCR0_X87 | XCR0_SSE), 0);
	fake_xcr0_refused = XCR0_AVX;
	assert_int_equal(xsetbv_of(XCR0_X87 | XCR0_SSE | XCR0_AVX), HARD_CODE(VEC_GP));
	assert_int_equal(xgetbv(0), XCR0_X87 | XCR0_SSE);
}

/* In ring 3, and in virtual-8086 mode, where the stack segment says ring 3 as well. */
static void programs_get_gp(void)
{
	u64 rflags = machine_field(VMCS_guest_rflags);

	machine_set_field(VMCS_guest_ss_ar, CPL_3);
	assert_int_equal(xsetbv_of(XCR0_X87), HARD_CODE(VEC_GP));
	machine_set_field(VMCS_guest_rflags, rflags | RFLAGS_VM);
	machine_set_field(VMCS_guest_ss_ar, 0xf3);
	assert_int_equal(xsetbv_of(XCR0_X87), HARD_CODE(VEC_GP));
	machine_set_field(VMCS_guest_rflags, rflags);
	machine_set_field(VMCS_guest_ss_ar, 0xc093);
}

/* Where a processor exits before it looks at the privilege level. */
static void xsetbv_is_ring_0s(void **state UNUSED)
{
	u64 reason;

	assert_int_equal(xsetbv_of(XCR0_X87 | XCR0_SSE), 0);
	programs_get_gp();
	l1_run_l2();
	programs_get_gp();
	assert_true(machine_in_l2());
	machine_set_field(VMCS_guest_ss_ar, 0xc093);
	xsetbv_of(XCR0_X87);
	assert_false(machine_in_l2());
	assert_int_equal(l1_vmread(VMCS_exit_reason, &reason), 0);
	assert_int_equal(reason, EXIT_XSETBV);
	assert_int_equal(xgetbv(0), XCR0_X87 | XCR0_SSE);
}

/* ---- the debug call ---- */

static u32 debug_call_of(u32 number)
{
	machine_vcpu->gpr[GPR_RAX] = DEBUG_CALL_MAGIC;
	machine_vcpu->gpr[GPR_RBX] = number;
	machine_vcpu->gpr[GPR_RCX] = 0;
	EXIT_NOW(.reason = EXIT_VMCALL);
	return machine_pending() & INTR_INFO_VECTOR;
}

static void the_debug_call_is_ring_0s(void **state UNUSED)
{
	size_t length = strlen(fake_log());

	machine_set_field(VMCS_guest_ss_ar, CPL_3);
	for (u32 number = 0; number < 6; number++)
		assert_int_equal(debug_call_of(number), VEC_UD);
	assert_int_equal(strlen(fake_log()), length);
	assert_int_equal(machine_vcpu->gpr[GPR_RAX], DEBUG_CALL_MAGIC);
	machine_set_field(VMCS_guest_ss_ar, 0xc093);
	assert_int_equal(debug_call_of(1), 0);
	assert_true(strlen(fake_log()) > length);
}

static void an_option_gives_it_to_programs(void **state UNUSED)
{
	machine_set_field(VMCS_guest_ss_ar, CPL_3);
	assert_int_equal(debug_call_of(1), 0);
	assert_int_equal(debug_call_of(2), 0);
	assert_int_equal(debug_call_of(4), VEC_UD);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		MACHINE_TEST_BEFORE(locks_of_l0_never_fault, "", with_uc_lock_disable),
		MACHINE_TEST(without_memory_ctrl, ""),
		MACHINE_TEST(the_apic_is_not_laid_over_memory, ""),
		MACHINE_TEST_BEFORE(nothing_is_laid_over_memory, "", with_range_registers),
		MACHINE_TEST(a_lost_bit_of_debugctl_is_mended, ""),
		MACHINE_TEST(what_is_not_l1s_is_a_panic, ""),
		MACHINE_TEST(a_machine_check_of_the_entry_is_l1s, ""),
		MACHINE_TEST(a_machine_check_of_l0s_is_not, ""),
		MACHINE_TEST_BEFORE(what_the_processor_refuses_is_l1s_fault, "", with_avx),
		MACHINE_TEST_BEFORE(xsetbv_is_ring_0s, "", with_avx),
		MACHINE_TEST(the_debug_call_is_ring_0s, ""),
		MACHINE_TEST(an_option_gives_it_to_programs, "counters=on"),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
