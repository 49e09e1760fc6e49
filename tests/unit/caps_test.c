/* SPDX-License-Identifier: MIT */
/*
 * What L1 is told of VMX: no more than the processor has, in MSRs that agree with one another and with what
 * the entry checks accept; and features of L1's that have few lines of their own: #VE, controls that make
 * instructions exit. SDM: appendix "VMX Capability Reporting Facility"; "Virtualization Exceptions".
 */
#include "tests/unit/cmocka_all.h"

#include "kernel/msr.h"
#include "kernel/x86.h"
#include "tests/unit/machine.h"
#include "vmx/exit.h"

#define W(field, value) assert_int_equal(l1_vmwrite(VMCS_##field, value), 0)

/* RDMSR by L1. False: #GP(0). */
static bool l1_rdmsr(u32 msr, u64 *value)
{
	machine_vcpu->gpr[GPR_RCX] = msr;
	machine_vcpu->gpr[GPR_RAX] = machine_vcpu->gpr[GPR_RDX] = ~0ull;
	EXIT_NOW(.reason = EXIT_RDMSR, .length = 2);
	if (machine_pending()) {
		assert_int_equal(machine_pending() & 0xff, VEC_GP);
		return false;
	}
	assert_int_equal(machine_vcpu->gpr[GPR_RAX] >> 32 | machine_vcpu->gpr[GPR_RDX] >> 32, 0);
	*value = machine_vcpu->gpr[GPR_RDX] << 32 | machine_vcpu->gpr[GPR_RAX];
	return true;
}

static u64 rdmsr_l1(u32 msr)
{
	u64 value = 0;

	if (!l1_rdmsr(msr, &value))
		fail_msg("MSR %x", msr);
	return value;
}

static void no_more_than_the_processor_has(void **state UNUSED)
{
	static const u32 controls[] = { MSR_IA32_VMX_PROCBASED_CTLS2, MSR_IA32_VMX_TRUE_PINBASED_CTLS,
					MSR_IA32_VMX_TRUE_PROCBASED_CTLS, MSR_IA32_VMX_TRUE_EXIT_CTLS,
					MSR_IA32_VMX_TRUE_ENTRY_CTLS };

	for (size_t i = 0; i < ARRAY_SIZE(controls); i++) {
		u64 ours = rdmsr_l1(controls[i]), real = fake_msr_get(controls[i]);

		assert_int_equal((ours & ~real) >> 32, 0);
		/* what must be 1 may be 1 */
		assert_int_equal((u32)ours & ~(u32)(ours >> 32), 0);
		assert_int_equal((u32)real & ~(u32)ours, 0);
	}
	assert_int_equal(rdmsr_l1(MSR_IA32_VMX_EPT_VPID_CAP) & ~fake_msr_get(MSR_IA32_VMX_EPT_VPID_CAP), 0);
	assert_int_equal(rdmsr_l1(MSR_IA32_VMX_VMFUNC) & ~fake_msr_get(MSR_IA32_VMX_VMFUNC), 0);
	assert_int_equal(rdmsr_l1(MSR_IA32_VMX_MISC) & ~fake_msr_get(MSR_IA32_VMX_MISC), 0);
	assert_int_equal(rdmsr_l1(MSR_IA32_VMX_CR4_FIXED1) & ~fake_msr_get(MSR_IA32_VMX_CR4_FIXED1), 0);
	assert_int_equal(rdmsr_l1(MSR_IA32_VMX_CR0_FIXED0), fake_msr_get(MSR_IA32_VMX_CR0_FIXED0));
	assert_int_equal(rdmsr_l1(MSR_IA32_VMX_CR0_FIXED1), fake_msr_get(MSR_IA32_VMX_CR0_FIXED1));
	assert_int_equal(rdmsr_l1(MSR_IA32_VMX_CR4_FIXED0), fake_msr_get(MSR_IA32_VMX_CR4_FIXED0));
}

static void basic_is_socles_own(void **state UNUSED)
{
	u64 basic = rdmsr_l1(MSR_IA32_VMX_BASIC);

	assert_int_equal((u32)basic, VMCS12_REVISION);
	assert_int_equal(basic & BIT(31), 0);
	assert_int_equal((basic >> 32) & 0x1fff, PAGE_SIZE);
	assert_int_equal((basic >> 50) & 15, MEMTYPE_WB);
	assert_int_equal(rdmsr_l1(MSR_IA32_VMX_VMCS_ENUM), vmcs12_enum());
}

/* The plain MSRs say the same with the default1 class fixed. */
static void plain_and_true_controls_agree(void **state UNUSED)
{
	static const struct {
		u32 plain, exact, default1;
	} pairs[] = {
		{ MSR_IA32_VMX_PINBASED_CTLS, MSR_IA32_VMX_TRUE_PINBASED_CTLS, 0x16 },
		{ MSR_IA32_VMX_PROCBASED_CTLS, MSR_IA32_VMX_TRUE_PROCBASED_CTLS, 0x0401e172 },
		{ MSR_IA32_VMX_EXIT_CTLS, MSR_IA32_VMX_TRUE_EXIT_CTLS, 0x36dff },
		{ MSR_IA32_VMX_ENTRY_CTLS, MSR_IA32_VMX_TRUE_ENTRY_CTLS, 0x11ff },
	};

	for (size_t i = 0; i < ARRAY_SIZE(pairs); i++) {
		u64 plain = rdmsr_l1(pairs[i].plain), exact = rdmsr_l1(pairs[i].exact);

		assert_int_equal(plain >> 32, exact >> 32);
		assert_int_equal((u32)plain, (u32)exact | pairs[i].default1);
		assert_int_equal(pairs[i].default1 & ~(u32)(exact >> 32), 0);
	}
}

static void others_fault_and_none_can_be_written(void **state UNUSED)
{
	u64 value;

	assert_false(l1_rdmsr(MSR_IA32_VMX_PROCBASED_CTLS3, &value));
	assert_false(l1_rdmsr(MSR_IA32_VMX_EXIT_CTLS2, &value));
	for (u32 msr = MSR_IA32_VMX_FIRST; msr <= MSR_IA32_VMX_LAST; msr++) {
		machine_vcpu->gpr[GPR_RCX] = msr;
		EXIT_NOW(.reason = EXIT_WRMSR, .length = 2);
		assert_int_equal(machine_pending() & 0xff, VEC_GP);
	}
}

static void write_debugctl(u64 value)
{
	machine_vcpu->gpr[GPR_RCX] = MSR_IA32_DEBUGCTL;
	machine_vcpu->gpr[GPR_RAX] = value;
	machine_vcpu->gpr[GPR_RDX] = 0;
	EXIT_NOW(.reason = EXIT_WRMSR, .length = 2);
}

/* SDM: "IA32_DEBUGCTL": bit 2 is reserved without bus-lock detection; L0 writes it into the VMCS only. */
static void bus_lock_detection_is_reserved_without_it(void **state UNUSED)
{
	struct cpuid_regs seven = cpuid(CPUID_LEAF_EXTENDED_FEATURES, 0);

	fake_cpuid_set(CPUID_LEAF_EXTENDED_FEATURES, 0, seven.eax, seven.ebx,
		       seven.ecx & ~(u32)CPUID_7_ECX_BUS_LOCK_DETECT, seven.edx);
	write_debugctl(DEBUGCTL_BLD);
	assert_int_equal(machine_pending() & 0xff, VEC_GP);
	write_debugctl(DEBUGCTL_BTF);
	assert_int_equal(machine_pending(), 0);
	assert_int_equal(machine_field01(VMCS_guest_debugctl), DEBUGCTL_BTF);
	fake_cpuid_set(CPUID_LEAF_EXTENDED_FEATURES, 0, seven.eax, seven.ebx,
		       seven.ecx | (u32)CPUID_7_ECX_BUS_LOCK_DETECT, seven.edx);
	write_debugctl(DEBUGCTL_BLD);
	assert_int_equal(machine_pending(), 0);
	assert_int_equal(machine_field01(VMCS_guest_debugctl), DEBUGCTL_BLD);
}

static void processor_without_bts(void)
{
	fake_debugctl_reserved |= DEBUGCTL_BTS | DEBUGCTL_FREEZE_IN_SMM;
}

/* What the processor refuses must not come into the VMCS by an MSR list or a bitmap's race: the entry would
 * fail. */
static void bits_that_the_processor_lacks_stay_out_of_the_vmcs(void **state UNUSED)
{
	static const u64 bad[] = { DEBUGCTL_BTS, DEBUGCTL_FREEZE_IN_SMM, DEBUGCTL_BTS | DEBUGCTL_BTF };

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		write_debugctl(bad[i]);
		assert_int_equal(machine_pending() & 0xff, VEC_GP);
		assert_int_equal(machine_field01(VMCS_guest_debugctl), 0);
	}
	/* one that was there until L1 took it away */
	fake_debugctl_reserved |= DEBUGCTL_RTM;
	write_debugctl(DEBUGCTL_RTM);
	assert_int_equal(machine_pending() & 0xff, VEC_GP);
	assert_int_equal(machine_field01(VMCS_guest_debugctl), 0);
	write_debugctl(DEBUGCTL_BTF | DEBUGCTL_LBR);
	assert_int_equal(machine_pending(), 0);
	assert_int_equal(machine_field01(VMCS_guest_debugctl), DEBUGCTL_BTF | DEBUGCTL_LBR);
}

static void an_old_processor(void)
{
	fake_msr_set(MSR_IA32_VMX_PROCBASED_CTLS2,
		     0x000000ea00000000);			/* EPT, RDTSCP, VPID, WBINVD, unrestricted */
	fake_msr_set(MSR_IA32_VMX_EPT_VPID_CAP, 0xf0106114141); /* no A/D flags, no 1 GiB pages */
	fake_msr_set(MSR_IA32_VMX_MISC, 0x401e5);		/* VMWRITE only where it is allowed */
	fake_msr_remove(MSR_IA32_VMX_VMFUNC);
}

static void an_old_processor_has_less(void **state UNUSED)
{
	u64 value;

	assert_false(l1_rdmsr(MSR_IA32_VMX_VMFUNC, &value));
	assert_int_equal(rdmsr_l1(MSR_IA32_VMX_PROCBASED_CTLS2) >> 32, 0xea);
	assert_int_equal(rdmsr_l1(MSR_IA32_VMX_EPT_VPID_CAP) & (BIT(17) | BIT(21)), 0);
	l1_run_l2();
	EXIT_NOW(.reason = EXIT_CPUID);
	assert_false(machine_in_l2());
}

/* Each control that may be 1, alone: what the entry checks accept is what the MSRs say. */
static void advertised_controls_are_accepted(void **state UNUSED)
{
	l1_start_vmx();
	l1_load_vmcs(0);
	l1_write_valid_vmcs();
	for (unsigned int bit = 0; bit < 32; bit++) {
		bool may = caps12.pin.allowed1 & BIT(bit);

		W(pin_controls, caps12.pin.allowed0 | BIT(bit) | (bit == 5 ? PIN_NMI_EXITING : 0));
		l1_enter(EXIT_VMLAUNCH);
		if (!may)
			assert_int_equal(machine_vcpu->nested.failure.field, V12_pin_controls);
		if (machine_in_l2()) {
			assert_true(may);
			EXIT_NOW(.reason = EXIT_CPUID);
			assert_int_equal(l1_memory_insn(EXIT_VMCLEAR, M_VMCS(0)), 0);
			assert_int_equal(l1_memory_insn(EXIT_VMPTRLD, M_VMCS(0)), 0);
		} else {
			/* posted interrupts need more than their own bit */
			assert_true(!may || BIT(bit) == PIN_POSTED_INTERRUPTS);
		}
	}
}

/* ---- exits that only a control of L1's brings about ---- */

static void instruction_exits_go_to_l1(void **state UNUSED)
{
	static const struct {
		u32 reason, proc, proc2;
	} rows[] = {
		{ EXIT_HLT, PROC_HLT_EXITING, 0 },
		{ EXIT_INVLPG, PROC_INVLPG_EXITING, 0 },
		{ EXIT_RDPMC, PROC_RDPMC_EXITING, 0 },
		{ EXIT_RDTSC, PROC_RDTSC_EXITING, 0 },
		{ EXIT_RDTSCP, PROC_RDTSC_EXITING, PROC2_RDTSCP },
		{ EXIT_MWAIT, PROC_MWAIT_EXITING, 0 },
		{ EXIT_MONITOR, PROC_MONITOR_EXITING, 0 },
		{ EXIT_PAUSE, PROC_PAUSE_EXITING, 0 },
		{ EXIT_DR_ACCESS, PROC_MOV_DR_EXITING, 0 },
		{ EXIT_IO, PROC_UNCONDITIONAL_IO, 0 },
		{ EXIT_INTERRUPT_WINDOW, PROC_INTERRUPT_WINDOW, 0 },
		{ EXIT_INVPCID, PROC_INVLPG_EXITING, PROC2_INVPCID },
		{ EXIT_GDTR_IDTR, 0, PROC2_DESC_TABLE_EXITING },
		{ EXIT_LDTR_TR, 0, PROC2_DESC_TABLE_EXITING },
		{ EXIT_WBINVD, 0, PROC2_WBINVD_EXITING },
		{ EXIT_RDRAND, 0, PROC2_RDRAND_EXITING },
		{ EXIT_RDSEED, 0, PROC2_RDSEED_EXITING },
		{ EXIT_EXTERNAL_INTERRUPT, 0, 0 },
		{ EXIT_PREEMPTION_TIMER, 0, 0 },
		{ EXIT_XSAVES, 0, PROC2_XSAVES },
	};

	l1_start_vmx();
	l1_load_vmcs(0);
	l1_write_valid_vmcs();
	W(pin_controls, caps12.pin.allowed0 | PIN_EXTERNAL_INTERRUPT | PIN_PREEMPTION_TIMER);
	W(xss_exit_bitmap, 1);
	machine_vcpu->gpr[GPR_RAX] = 1;
	assert_int_equal(l1_enter(EXIT_VMLAUNCH), 0);
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		u64 value;

		EXIT_NOW(.reason = EXIT_CPUID);
		W(proc_controls,
		  caps12.proc.allowed0 | PROC_SECONDARY | (rows[i].proc & caps12.proc.allowed1));
		W(proc2_controls, rows[i].proc2 & caps12.proc2.allowed1);
		assert_int_equal(l1_enter(EXIT_VMRESUME), 0);
		machine_vcpu->gpr[GPR_RAX] = 1;
		EXIT_NOW(.reason = rows[i].reason, .qualification = 0x600000,
			 .intr_info = INTR_INFO_VALID | 0x33);
		if (machine_in_l2())
			fail_msg("reason %u", rows[i].reason);
		assert_int_equal(l1_vmread(VMCS_exit_reason, &value), 0);
		assert_int_equal(value, rows[i].reason);
		assert_int_equal(l1_enter(EXIT_VMRESUME), 0);
	}
}

/* ---- #VE ---- */

#define P_EPT (M_SPARE + 0x10000)
#define P_VE (M_SPARE + 0x20000)
#define VIOLATION(gpa)                                                                                       \
	EXIT_NOW(.reason = EXIT_EPT_VIOLATION,                                                               \
		 .qualification = EPTV_WRITE | EPTV_LINEAR_VALID | EPTV_TRANSLATED, .guest_physical = (gpa), \
		 .guest_linear = 0x1234)

static void violations_become_ve(void **state UNUSED)
{
	u64 value;

	assert_true(caps12.proc2.allowed1 & PROC2_VE);
	l1_start_vmx();
	l1_load_vmcs(0);
	l1_write_valid_vmcs();
	l1_write64(P_EPT, (P_EPT + 0x1000) | EPT_RWX);
	l1_write64(P_EPT + 0x1000, 0 | EPT_RWX | EPT_LEAF | MEMTYPE_WB << EPT_MEMTYPE_SHIFT);
	W(ept_pointer, P_EPT | 3 << EPTP_WALK_SHIFT | MEMTYPE_WB);
	W(proc2_controls, PROC2_EPT | PROC2_VE);
	W(ve_info_addr, P_VE);
	assert_int_equal(l1_enter(EXIT_VMLAUNCH), 0);
	VIOLATION(0x40005000);
	assert_true(machine_in_l2());
	assert_int_equal(machine_pending(), INTR_INFO_VALID | INTR_TYPE_HARD_EXCEPTION << 8 | VEC_VE);
	assert_int_equal(l1_read64(P_VE), EXIT_EPT_VIOLATION | 0xffffffff00000000);
	assert_int_equal(l1_read64(P_VE + 16), 0x1234);
	assert_int_equal(l1_read64(P_VE + 24), 0x40005000);
	/* of which L1 hears nothing, and so nobody is told of an exit of L1's */
	assert_null(strstr(fake_log(), "EPT violation, exit reason 48"));
	/* busy: an exit */
	VIOLATION(0x40006000);
	assert_false(machine_in_l2());
	assert_non_null(strstr(fake_log(), "EPT violation, exit reason 48"));
	assert_int_equal(l1_vmread(VMCS_exit_reason, &value), 0);
	assert_int_equal(value, EXIT_EPT_VIOLATION);
	/* suppressed by the entry: an exit */
	l1_write64(P_VE, 0);
	l1_write64(P_EPT + 0x1008, EPT_SUPPRESS_VE);
	assert_int_equal(l1_enter(EXIT_VMRESUME), 0);
	VIOLATION(0x40006000);
	assert_false(machine_in_l2());
	assert_int_equal(l1_read64(P_VE), 0);
	/* L1 intercepts #VE */
	l1_write64(P_EPT + 0x1008, 0);
	W(exception_bitmap, BIT(VEC_VE));
	assert_int_equal(l1_enter(EXIT_VMRESUME), 0);
	VIOLATION(0x40006000);
	assert_false(machine_in_l2());
	assert_int_equal(l1_vmread(VMCS_exit_reason, &value), 0);
	assert_int_equal(value, EXIT_EXCEPTION_NMI);
}

/* L2 without EPT12 touches L0's window: the instruction is stepped over a page of ones. */
static void absent_memory_of_l2_is_stepped(void **state UNUSED)
{
	l1_run_l2();
	VIOLATION(M_WINDOW + 0x3000);
	assert_true(machine_in_l2());
	assert_true(machine_field(VMCS_proc_controls) & PROC_MTF);
	EXIT_NOW(.reason = EXIT_MTF);
	assert_true(machine_in_l2());
	assert_false(machine_field(VMCS_proc_controls) & PROC_MTF);
	/* and the window is what it was */
	VIOLATION(M_WINDOW + 0x3000);
	EXIT_NOW(.reason = EXIT_CPUID);
	assert_false(machine_in_l2());
	assert_false(fake_get(machine_vcpu->nested.current->vmcs02.region.v, VMCS_proc_controls) & PROC_MTF);
}

static void processor_with_52_bits(void)
{
	fake_cpuid_set(0x80000008, 0, 0x3034, 0, 0, 0);
}

/* Where not even that can be: #GP, which with the event under delivery may make a double fault, or replaces
 * it. */
static void absent_memory_in_a_delivery_of_l2(void **state UNUSED)
{
	const u32 hard = INTR_INFO_VALID | INTR_TYPE_HARD_EXCEPTION << INTR_INFO_TYPE_SHIFT;
	const struct {
		u32 vectoring, vector;
	} cases[] = {
		{ hard | VEC_DE, VEC_DF },
		{ INTR_INFO_VALID | 0x30, VEC_GP },
		{ 0, VEC_GP },
	};

	l1_run_l2();
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		EXIT_NOW(.reason = EXIT_EPT_VIOLATION, .qualification = EPTV_READ, .guest_physical = BIT(50),
			 .vectoring_info = cases[i].vectoring);
		assert_true(machine_in_l2());
		assert_int_equal(machine_pending(), hard | INTR_INFO_ERROR_CODE | cases[i].vector);
	}
}

/* ---- the level ---- */

static u64 l1_cpuid(u32 leaf)
{
	machine_vcpu->gpr[GPR_RAX] = leaf;
	machine_vcpu->gpr[GPR_RCX] = 0;
	EXIT_NOW(.reason = EXIT_CPUID, .length = 2);
	return machine_vcpu->gpr[GPR_RAX];
}

/* How often Socle asks one below for its counters when L1 asks for them. */
static u32 forwarded_calls(void)
{
	u32 before = fake_vmcalls;

	machine_vcpu->gpr[GPR_RAX] = DEBUG_CALL_MAGIC;
	machine_vcpu->gpr[GPR_RBX] = 1;
	EXIT_NOW(.reason = EXIT_VMCALL, .length = 3);
	return fake_vmcalls - before;
}

static void the_lowest_is_level_0(void **state UNUSED)
{
	assert_int_equal(l1_cpuid(CPUID_LEAF_LEVEL), 0);
	assert_int_equal(forwarded_calls(), 0);
}

static void on_the_third_socle(void)
{
	fake_cpuid_set(CPUID_LEAF_HYPERVISOR, 0, CPUID_LEAF_LEVEL, 0x6c636f53, 0x636f5365, 0x2020656c);
	fake_cpuid_set(CPUID_LEAF_LEVEL, 0, 2, 0, 0, 0);
}

static void a_level_is_one_more_than_that_below(void **state UNUSED)
{
	assert_int_equal(l1_cpuid(CPUID_LEAF_HYPERVISOR), CPUID_LEAF_LEVEL);
	assert_int_equal(l1_cpuid(CPUID_LEAF_LEVEL), 3);
	assert_int_equal(forwarded_calls(), 1);
}

static void on_another_hypervisor(void)
{
	fake_cpuid_set(CPUID_LEAF_HYPERVISOR, 0, CPUID_LEAF_LEVEL, 0x4b4d564b, 0x564b4d56, 0x4d);
	fake_cpuid_set(CPUID_LEAF_LEVEL, 0, 2, 0, 0, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		MACHINE_TEST(no_more_than_the_processor_has, ""),
		MACHINE_TEST(basic_is_socles_own, ""),
		MACHINE_TEST(plain_and_true_controls_agree, ""),
		MACHINE_TEST(others_fault_and_none_can_be_written, ""),
		MACHINE_TEST(bus_lock_detection_is_reserved_without_it, ""),
		MACHINE_TEST_BEFORE(bits_that_the_processor_lacks_stay_out_of_the_vmcs, "",
				    processor_without_bts),
		MACHINE_TEST_BEFORE(an_old_processor_has_less, "", an_old_processor),
		MACHINE_TEST(advertised_controls_are_accepted, "shadow-vmcs=off"),
		MACHINE_TEST_BOTH(instruction_exits_go_to_l1),
		MACHINE_TEST(violations_become_ve, "explain=all shadow-vmcs=on"),
		MACHINE_TEST(violations_become_ve, "explain=all shadow-vmcs=off"),
		MACHINE_TEST_BOTH(absent_memory_of_l2_is_stepped),
		MACHINE_TEST_BEFORE(absent_memory_in_a_delivery_of_l2, "", processor_with_52_bits),
		MACHINE_TEST(the_lowest_is_level_0, ""),
		MACHINE_TEST_BEFORE(the_lowest_is_level_0, "cpus=1", on_another_hypervisor),
		MACHINE_TEST_BEFORE(a_level_is_one_more_than_that_below, "", on_the_third_socle),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
