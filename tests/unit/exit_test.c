/* SPDX-License-Identifier: MIT */
/*
 * L2's exits that L0 handles itself: what it emulates asks L1's controls again, and takes nothing from L2.
 * SDM: "VMX Non-Root Operation", "EPTP Switching".
 */
#include "tests/unit/cmocka_all.h"

#include "kernel/cpuid.h"
#include "kernel/msr.h"
#include "kernel/x86.h"
#include "tests/unit/l2_support.h"
#include "vmx/exit.h"

/* Instructions that exit on newer processors whatever the controls say: #UD for L1, L1's exit if L2 has them.
 */
static void instructions_newer_than_socle(void **state UNUSED)
{
	static const u32 reasons[] = { EXIT_SEAMCALL, EXIT_TDCALL, 79, 84, 85, 0xffff };

	for (size_t i = 0; i < ARRAY_SIZE(reasons); i++) {
		EXIT_NOW(.reason = reasons[i]);
		assert_int_equal(machine_pending() & 0xff, VEC_UD);
	}
	EXIT_NOW(.reason = EXIT_CPUID);
	l1_run_l2();
	for (size_t i = 0; i < ARRAY_SIZE(reasons); i++) {
		EXIT_NOW(.reason = reasons[i]);
		assert_false(machine_in_l2());
		assert_int_equal(R(exit_reason), reasons[i]);
		assert_int_equal(l1_enter(EXIT_VMRESUME), 0);
	}
}

static void processor_with_cet(void)
{
	fake_msr_set(MSR_IA32_VMX_CR4_FIXED1, fake_msr_get(MSR_IA32_VMX_CR4_FIXED1) | CR4_CET | CR4_LA57);
}

/* Bits of CR4 that L1's processor does not have are reserved for L2 too. */
static void hidden_bits_of_cr4_are_reserved_for_l2(void **state UNUSED)
{
	static const u64 hidden[] = { CR4_CET, CR4_LA57 };
	u64 cr4;

	l1_run_l2();
	cr4 = machine_field(VMCS_guest_cr4);
	for (size_t i = 0; i < ARRAY_SIZE(hidden); i++) {
		assert_true(machine_field(VMCS_cr4_guest_host_mask) & hidden[i]);
		assert_false(machine_field(VMCS_cr4_read_shadow) & hidden[i]);
		machine_vcpu->gpr[GPR_RBX] = cr4 | hidden[i];
		EXIT_NOW(.reason = EXIT_CR_ACCESS, .qualification = QUAL_MOV_TO(4, GPR_RBX));
		assert_true(machine_in_l2());
		assert_int_equal(machine_pending() & 0xff, VEC_GP);
		assert_int_equal(machine_field(VMCS_guest_cr4), cr4);
	}
	/* What L1 keeps for itself is its own exit. */
	l2_v12()->cr4_guest_host_mask = CR4_CET;
	machine_vcpu->gpr[GPR_RBX] = cr4 | CR4_CET;
	EXIT_NOW(.reason = EXIT_CR_ACCESS, .qualification = QUAL_MOV_TO(4, GPR_RBX));
	assert_false(machine_in_l2());
}

static void processor_with_perfmon_and_mpx(void)
{
	fake_cpuid_set(CPUID_LEAF_PERFMON, 0, 2 | 4 << 8, 0, 0, 3);
	fake_msr_set(MSR_IA32_PERF_GLOBAL_CTRL, 0);
	fake_msr_set(MSR_IA32_BNDCFGS, 0);
	fake_msr_set(MSR_IA32_VMX_TRUE_EXIT_CTLS,
		     fake_msr_get(MSR_IA32_VMX_TRUE_EXIT_CTLS) | (u64)EXIT_CLEAR_BNDCFGS << 32);
}

/* What an entry loads and an exit clears is L2's to change in between: exits that L0 handles alone do
 * neither. */
static void msrs_of_l2_survive_l0s_own_exits(void **state UNUSED)
{
	l1_start_vmx();
	l1_load_vmcs(0);
	l1_write_valid_vmcs();
	W(entry_controls, R(entry_controls) | ENTRY_LOAD_PERF_GLOBAL);
	W(exit_controls, R(exit_controls) | EXIT_LOAD_PERF_GLOBAL | EXIT_CLEAR_BNDCFGS);
	W(guest_perf_global_ctrl, 3);
	W(host_perf_global_ctrl, 8);
	assert_int_equal(l1_enter(EXIT_VMLAUNCH), 0);
	assert_int_equal(fake_msr_get(MSR_IA32_PERF_GLOBAL_CTRL), 3);
	fake_msr_set(MSR_IA32_PERF_GLOBAL_CTRL, 1);
	fake_msr_set(MSR_IA32_BNDCFGS, 0x1003);
	EXIT_NOW(.reason = EXIT_EPT_VIOLATION, .guest_physical = M_SPARE, .qualification = EPTV_READ);
	assert_true(machine_in_l2());
	assert_false(machine_field(VMCS_entry_controls) & ENTRY_LOAD_PERF_GLOBAL);
	assert_false(machine_field(VMCS_exit_controls) & EXIT_CLEAR_BNDCFGS);
	assert_int_equal(fake_msr_get(MSR_IA32_PERF_GLOBAL_CTRL), 1);
	assert_int_equal(fake_msr_get(MSR_IA32_BNDCFGS), 0x1003);
	EXIT_NOW(.reason = EXIT_CPUID);
	assert_int_equal(fake_msr_get(MSR_IA32_PERF_GLOBAL_CTRL), 8);
	assert_int_equal(fake_msr_get(MSR_IA32_BNDCFGS), 0);
}

static void an_exception_of_l0s_making_asks_l1(void **state UNUSED)
{
	l1_run_l2();
	/* MOV to CR4 with a reserved bit, intercepted by L0's own wish: #GP(0). */
	machine_vcpu->gpr[GPR_RBX] = BIT(31);
	l2_v12()->exception_bitmap = 0;
	EXIT_NOW(.reason = EXIT_CR_ACCESS, .qualification = QUAL_MOV_TO(4, GPR_RBX));
	assert_true(machine_in_l2());
	assert_int_equal(machine_pending(),
			 INTR_INFO_VALID | INTR_TYPE_HARD_EXCEPTION << 8 | INTR_INFO_ERROR_CODE | VEC_GP);
	assert_int_equal(machine_field(VMCS_guest_rip), 0x400000);
	l2_v12()->exception_bitmap = BIT(VEC_GP);
	EXIT_NOW(.reason = EXIT_CR_ACCESS, .qualification = QUAL_MOV_TO(4, GPR_RBX));
	assert_false(machine_in_l2());
	assert_int_equal(R(exit_reason), EXIT_EXCEPTION_NMI);
	assert_int_equal(R(exit_intr_info),
			 INTR_INFO_VALID | INTR_TYPE_HARD_EXCEPTION << 8 | INTR_INFO_ERROR_CODE | VEC_GP);
	assert_int_equal(R(guest_rip), 0x400000);
}

static void emulation_skips_and_honours_mtf(void **state UNUSED)
{
	l1_run_l2();
	machine_vcpu->gpr[GPR_RBX] = CR4_PAE | CR4_VMXE | CR4_PGE;
	machine_set_field(VMCS_guest_interruptibility, INTERRUPTIBILITY_MOV_SS);
	EXIT_NOW(.reason = EXIT_CR_ACCESS, .qualification = QUAL_MOV_TO(4, GPR_RBX));
	assert_true(machine_in_l2());
	assert_int_equal(machine_field(VMCS_guest_cr4), CR4_PAE | CR4_VMXE | CR4_PGE);
	assert_int_equal(machine_field(VMCS_guest_rip), 0x400003);
	assert_int_equal(machine_field(VMCS_guest_interruptibility), 0);
	machine_vcpu->gpr[GPR_RBX] = CR4_PAE | CR4_VMXE;
	machine_set_field(VMCS_guest_rflags, RFLAGS_FIXED1 | RFLAGS_TF);
	l2_set_proc(PROC_MTF);
	EXIT_NOW(.reason = EXIT_CR_ACCESS, .qualification = QUAL_MOV_TO(4, GPR_RBX));
	assert_false(machine_in_l2());
	assert_int_equal(R(exit_reason), EXIT_MTF);
	assert_int_equal(R(guest_rip), 0x400006);
	assert_int_equal(R(guest_cr4), CR4_PAE | CR4_VMXE);
	assert_int_equal(R(guest_pending_debug), PENDING_DEBUG_BS);
}

/* The debug call for resources, by L1: all that VMX operation takes is given back. */
enum { CALL_CHECKSUM = 5, CALL_RESOURCE = 6, RESOURCES_OF_VMX = 7 };

static u64 ask(u64 call, u64 index)
{
	machine_vcpu->gpr[GPR_RAX] = DEBUG_CALL_MAGIC;
	machine_vcpu->gpr[GPR_RBX] = call;
	machine_vcpu->gpr[GPR_RCX] = index;
	EXIT_NOW(.reason = EXIT_VMCALL);
	return machine_vcpu->gpr[GPR_RAX];
}

static void vmxoff_cancels_everything(void **state UNUSED)
{
	l2_run_pae();
	EXIT_NOW(.reason = EXIT_CPUID);
	W(proc2_controls, PROC2_EPT | PROC2_UNRESTRICTED_GUEST | PROC2_VPID);
	W(vpid, 7);
	assert_int_equal(l1_enter(EXIT_VMRESUME), 0);
	EXIT_NOW(.reason = EXIT_CPUID);
	assert_int_equal(ask(CALL_RESOURCE, 3), 1); /* VPIDs */
	assert_int_equal(ask(CALL_RESOURCE, 0), 1); /* active VMCSs */
	assert_int_equal(ask(CALL_RESOURCE, 1), 1); /* EPT02s */
	assert_int_not_equal(ask(CALL_RESOURCE, 2), 0);
	assert_int_equal(l1_vmxoff(), 0);
	for (unsigned int i = 0; i < RESOURCES_OF_VMX; i++)
		assert_int_equal(ask(CALL_RESOURCE, i), 0);
	assert_true(ask(CALL_RESOURCE, 100) == ~0ull);
	for (unsigned int i = 0; i < NESTED_VMCS_COUNT; i++)
		assert_true(machine_vcpu->nested.slots[i].gpa == NO_VMCS);
	assert_null(machine_vcpu->nested.current);
	assert_int_equal(fake_current_vmcs(), machine_vcpu->vmcs01.region.v);
}

/* From ring 0 only, and no piece beyond the image's. */
static void the_audit_is_for_l1s_kernel(void **state UNUSED)
{
	ask(CALL_CHECKSUM, 0);
	assert_true(ask(CALL_CHECKSUM, 1 << 20) == ~0ull);
	machine_set_field(VMCS_guest_ss_ar, machine_field(VMCS_guest_ss_ar) | AR_DPL);
	for (u64 call = CALL_CHECKSUM; call <= CALL_RESOURCE; call++) {
		assert_int_equal(ask(call, 0), DEBUG_CALL_MAGIC);
		assert_int_equal(machine_pending() & INTR_INFO_VECTOR, VEC_UD);
	}
}

/* A person asks for the exits; what the register caches did is for tests that ask for it. */
static void counters_are_printed_as_asked(void **state UNUSED)
{
	enum { CALL_PRINT = 1, CALL_PRINT_ALL = 7 };

	EXIT_NOW(.reason = EXIT_CPUID);
	ask(CALL_PRINT, 0);
	assert_non_null(strstr(fake_log(), "exits L1"));
	assert_null(strstr(fake_log(), "registers"));
	assert_null(strstr(fake_log(), "VMX on"));
	ask(CALL_PRINT_ALL, 0);
	assert_non_null(strstr(fake_log(), "registers"));
	assert_non_null(strstr(fake_log(), "cpu 0: VMX on"));
}

/* The counters of nested VMX by their order, a COUNT=1 build's, and calls that there are not. */
static void counters_are_asked_for_one_by_one(void **state UNUSED)
{
	enum { CALL_REGISTER = 2, CALL_NESTED = 3, CALL_HARDWARE = 8 };
	const u64 *first = (const u64 *)&machine_vcpu->nested.counters;

	l1_run_l2();
	EXIT_NOW(.reason = EXIT_CPUID);
	for (u64 i = 0; i < sizeof(machine_vcpu->nested.counters) / sizeof(u64); i++)
		assert_int_equal(ask(CALL_NESTED, i), first[i]);
	assert_true(ask(CALL_NESTED, sizeof(machine_vcpu->nested.counters) / sizeof(u64)) == ~0ull);
	assert_true(ask(CALL_HARDWARE, 1000) == ~0ull);
	assert_true(ask(CALL_REGISTER, REG_COUNT) == ~0ull);
	assert_true(ask(CALL_REGISTER, REG_RIP) != ~0ull);
	ask(1000, 0);
	assert_int_equal(machine_pending() & INTR_INFO_VECTOR, VEC_UD);
}

/* L1's own exceptions, where L0 alone intercepts them: L1 has them as they came. SDM "Resuming Guest Software
 * after Handling an Exception": the IRET that faulted had unblocked NMIs. */
static void exceptions_are_given_back(void **state UNUSED)
{
	EXIT_NOW(.reason = EXIT_EXCEPTION_NMI, .intr_error_code = 0x18,
		 .intr_info = INTR_INFO_VALID | INTR_TYPE_HARD_EXCEPTION << INTR_INFO_TYPE_SHIFT |
			      INTR_INFO_ERROR_CODE | INTR_INFO_NMI_UNBLOCKING | VEC_GP);
	assert_int_equal(machine_pending() & 0xff, VEC_GP);
	assert_int_equal(machine_field(VMCS_entry_exception_error_code), 0x18);
	assert_true(machine_field(VMCS_guest_interruptibility) & INTERRUPTIBILITY_NMI);
	EXIT_NOW(.reason = EXIT_EXCEPTION_NMI, .length = 1,
		 .intr_info = INTR_INFO_VALID | INTR_TYPE_SOFT_EXCEPTION << INTR_INFO_TYPE_SHIFT | VEC_BP);
	assert_int_equal(machine_pending(),
			 INTR_INFO_VALID | INTR_TYPE_SOFT_EXCEPTION << INTR_INFO_TYPE_SHIFT | VEC_BP);
	assert_int_equal(machine_field(VMCS_entry_instruction_length), 1);
}

/* L1 may switch EPTs by VMFUNC of L2's without an exit. */
static void vmfunc_switches_epts(void **state UNUSED)
{
	u64 list = M_SPARE + 0x20000, second = P_EPT + 0x10000, before;

	l2_run_pae();
	l2_v12()->proc2_controls |= PROC2_VMFUNC;
	l2_v12()->vm_function_controls = 1;
	l2_v12()->eptp_list_addr = list;
	before = machine_field(VMCS_ept_pointer);
	/* what lies behind the list is no part of it */
	l1_write64(list + 512 * 8, second | 3 << EPTP_WALK_SHIFT | MEMTYPE_WB);
	l1_write64(list + 511 * 8, second | 3 << EPTP_WALK_SHIFT | MEMTYPE_WB);
	l1_write64(list + 8, second | 3 << EPTP_WALK_SHIFT | MEMTYPE_WB);
	machine_vcpu->gpr[GPR_RAX] = 0;
	machine_vcpu->gpr[GPR_RCX] = 1;
	EXIT_NOW(.reason = EXIT_VMFUNC);
	assert_true(machine_in_l2());
	assert_int_not_equal(machine_field(VMCS_ept_pointer), before);
	/* A bad entry of the list, and an index beyond it: exits. */
	machine_vcpu->gpr[GPR_RCX] = 2;
	EXIT_NOW(.reason = EXIT_VMFUNC);
	assert_false(machine_in_l2());
	assert_int_equal(R(exit_reason), EXIT_VMFUNC);
	assert_int_equal(l1_enter(EXIT_VMRESUME), 0);
	machine_vcpu->gpr[GPR_RCX] = 511;
	EXIT_NOW(.reason = EXIT_VMFUNC);
	assert_true(machine_in_l2());
	machine_vcpu->gpr[GPR_RCX] = 512;
	EXIT_NOW(.reason = EXIT_VMFUNC);
	assert_false(machine_in_l2());
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		MACHINE_TEST_BOTH(instructions_newer_than_socle),
		MACHINE_TEST_BEFORE(hidden_bits_of_cr4_are_reserved_for_l2, "", processor_with_cet),
		MACHINE_TEST_BEFORE(msrs_of_l2_survive_l0s_own_exits, "", processor_with_perfmon_and_mpx),
		MACHINE_TEST(an_exception_of_l0s_making_asks_l1, "intercept=cr"),
		MACHINE_TEST(emulation_skips_and_honours_mtf, "intercept=cr"),
		MACHINE_TEST_BOTH(vmxoff_cancels_everything),
		MACHINE_TEST(the_audit_is_for_l1s_kernel, ""),
		MACHINE_TEST(counters_are_printed_as_asked, ""),
		MACHINE_TEST(counters_are_asked_for_one_by_one, ""),
		MACHINE_TEST(exceptions_are_given_back, ""),
		MACHINE_TEST(vmfunc_switches_epts, ""),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
