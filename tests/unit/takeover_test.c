/* SPDX-License-Identifier: MIT */
/*
 * What L1 takes over from L2 at an exit, and what it keeps of its own at an entry that fails; what an exit
 * saves by its controls; a 32-bit L1. SDM: "Saving Guest State", "Loading Host State", "VM-Entry Failures
 * During or After Loading Guest State", "VMX Aborts".
 */
#include "tests/unit/cmocka_all.h"

#include "kernel/cpuid.h"
#include "kernel/msr.h"
#include "kernel/x86.h"
#include "tests/unit/l2_support.h"

#define PAT_OF_L1 0x0606060606060606ull
#define PAT_OF_L2 0x0404040404040404ull
#define P_PDPTES (M_SPARE + 0x30000)
#define FAILED_GUEST (EXIT_REASON_ENTRY_FAILURE | EXIT_ENTRY_FAIL_GUEST)
#define FAILED_MSR (EXIT_REASON_ENTRY_FAILURE | EXIT_ENTRY_FAIL_MSR)
#define NMI_INFO (INTR_INFO_VALID | INTR_TYPE_NMI << INTR_INFO_TYPE_SHIFT | VEC_NMI)

static void prepare(void)
{
	l1_start_vmx();
	l1_load_vmcs(0);
	l1_write_valid_vmcs();
}

/* ---- saved by the controls ---- */

/* SDM: an exit stores LMA into "IA-32e mode guest", where IA32_VMX_MISC says so: L1's word, and vmcs02's. */
static void lma_in_the_entry_controls(void **state UNUSED)
{
	u64 all12 = caps12.misc, all = vmx_caps.misc, entry;

	prepare();
	W(entry_controls, R(entry_controls) | ENTRY_LOAD_PAT);
	entry = R(entry_controls);
	for (unsigned int n = 0; n < 4; n++) {
		bool told = n & 1, stores = n & 2;

		caps12.misc = (all12 & ~VMX_MISC_STORES_LMA) | (told ? VMX_MISC_STORES_LMA : 0);
		vmx_caps.misc = (all & ~VMX_MISC_STORES_LMA) | (stores ? VMX_MISC_STORES_LMA : 0);
		W(entry_controls, entry);
		W(guest_efer, EFER_LMA | EFER_LME);
		W(guest_cr4, CR4_VMXE | CR4_PAE);
		W(guest_cs_ar, 0xa09b);
		assert_int_equal(l1_enter(n ? EXIT_VMRESUME : EXIT_VMLAUNCH), 0);
		assert_true(machine_in_l2());
		assert_int_equal(machine_field(VMCS_entry_controls) & ENTRY_IA32E_GUEST, ENTRY_IA32E_GUEST);
		/* L2 leaves IA-32e mode, and the processor stores what it has of it */
		machine_set_field(VMCS_guest_efer, 0);
		machine_set_field(VMCS_guest_cs_ar, 0xc09b);
		if (stores)
			machine_set_field(VMCS_entry_controls,
					  machine_field(VMCS_entry_controls) & ~(u64)ENTRY_IA32E_GUEST);
		EXIT_NOW(.reason = EXIT_CPUID);
		assert_int_equal(R(entry_controls), told ? entry & ~(u64)ENTRY_IA32E_GUEST : entry);
		/* and L1 sends it back */
		W(entry_controls, entry);
		W(guest_efer, EFER_LMA | EFER_LME);
		W(guest_cs_ar, 0xa09b);
		assert_int_equal(l1_enter(EXIT_VMRESUME), 0);
		assert_true(machine_in_l2());
		assert_int_equal(machine_field(VMCS_entry_controls) & ENTRY_IA32E_GUEST, ENTRY_IA32E_GUEST);
		EXIT_NOW(.reason = EXIT_CPUID);
		W(guest_efer, 0);
		W(guest_cs_ar, 0xc09b);
		W(entry_controls, entry & ~(u64)ENTRY_IA32E_GUEST);
		W(guest_cr4, CR4_VMXE);
		assert_int_equal(l1_enter(EXIT_VMRESUME), 0);
		assert_true(machine_in_l2());
		assert_int_equal(machine_field(VMCS_entry_controls) & ENTRY_IA32E_GUEST, 0);
		/* L2 enters IA-32e mode by itself */
		machine_set_field(VMCS_guest_efer, EFER_LMA | EFER_LME);
		machine_set_field(VMCS_guest_cs_ar, 0xa09b);
		if (stores)
			machine_set_field(VMCS_entry_controls,
					  machine_field(VMCS_entry_controls) | ENTRY_IA32E_GUEST);
		EXIT_NOW(.reason = EXIT_CPUID);
		assert_int_equal(R(entry_controls), told ? entry : entry & ~(u64)ENTRY_IA32E_GUEST);
	}
}

static void the_guest_interrupt_status(void **state UNUSED)
{
	prepare();
	W(guest_intr_status, 0x1122);
	W(virtual_apic_addr, P_STORE);
	for (unsigned int on = 0; on < 2; on++) {
		W(pin_controls, R(pin_controls) | PIN_EXTERNAL_INTERRUPT);
		W(proc_controls, R(proc_controls) | PROC_TPR_SHADOW);
		W(proc2_controls, on ? PROC2_VIRTUAL_INTERRUPT : 0);
		assert_int_equal(l1_enter(on ? EXIT_VMRESUME : EXIT_VMLAUNCH), 0);
		assert_true(machine_in_l2());
		machine_set_field(VMCS_guest_intr_status, 0x3344);
		EXIT_NOW(.reason = EXIT_CPUID);
		assert_int_equal(R(guest_intr_status), on ? 0x3344 : 0x1122);
	}
}

/* With "NMI exiting" alone NMIs stay blocked as long as L2 runs; what else blocks is what the exit found. */
static void blocking_that_lasts(void **state UNUSED)
{
	prepare();
	W(pin_controls, caps12.pin.allowed0 | PIN_NMI_EXITING);
	W(guest_interruptibility, INTERRUPTIBILITY_NMI);
	assert_int_equal(l1_enter(EXIT_VMLAUNCH), 0);
	machine_set_field(VMCS_guest_interruptibility, INTERRUPTIBILITY_STI);
	EXIT_NOW(.reason = EXIT_CPUID);
	assert_int_equal(R(guest_interruptibility), INTERRUPTIBILITY_NMI | INTERRUPTIBILITY_STI);
	assert_int_equal(machine_field(VMCS_guest_interruptibility), INTERRUPTIBILITY_NMI);
}

/* L2's blocking by STI or MOV SS is not L1's. */
static void other_blocking_stays_l2s(void **state UNUSED)
{
	prepare();
	assert_int_equal(l1_enter(EXIT_VMLAUNCH), 0);
	machine_set_field(VMCS_guest_interruptibility, INTERRUPTIBILITY_STI);
	EXIT_NOW(.reason = EXIT_CPUID);
	assert_int_equal(machine_field(VMCS_guest_interruptibility), 0);
}

/* ---- L1's own state afterwards ---- */

/* SDM "Updating Non-Register State": active, nothing pending, whatever vmcs01 held. */
static void nothing_is_pending_behind_an_exit(void **state UNUSED)
{
	prepare();
	machine_set_field(VMCS_guest_activity_state, ACTIVITY_HLT);
	machine_set_field(VMCS_guest_pending_debug, BIT(14));
	assert_int_equal(l1_enter(EXIT_VMLAUNCH), 0);
	EXIT_NOW(.reason = EXIT_CPUID);
	assert_int_equal(machine_field01(VMCS_guest_activity_state), ACTIVITY_ACTIVE);
	assert_int_equal(machine_field01(VMCS_guest_pending_debug), 0);
}

/* A processor in shutdown has neither blocking nor pending debug exceptions that an entry would refuse. */
static void an_abort_leaves_a_state_that_can_be_entered(void **state UNUSED)
{
	prepare();
	l1_write64(P_STORE, (u64)1 << 32);
	W(exit_msr_store_addr, P_STORE);
	W(exit_msr_store_count, 1);
	machine_set_field(VMCS_guest_interruptibility, INTERRUPTIBILITY_STI);
	machine_set_field(VMCS_guest_pending_debug, BIT(14));
	assert_int_equal(l1_enter(EXIT_VMLAUNCH), 0);
	EXIT_NOW(.reason = EXIT_CPUID);
	l2_assert_aborted(VMX_ABORT_STORE_MSR);
	assert_int_equal(machine_field01(VMCS_guest_interruptibility), 0);
	assert_int_equal(machine_field01(VMCS_guest_pending_debug), 0);
}

static void processor_with_perfmon_and_mpx(void)
{
	fake_cpuid_set(CPUID_LEAF_PERFMON, 0, 0x08300404, 0, 0, 0x3);
	fake_cpuid_set(CPUID_LEAF_EXTENDED_FEATURES, 0, 0, BIT(14), 0, 0);
	fake_msr_set(MSR_IA32_PERF_GLOBAL_CTRL, 0x3);
	fake_msr_set(MSR_IA32_BNDCFGS, 0x5);
}

/* Without the controls an exit leaves these MSRs alone. */
static void msrs_that_an_exit_leaves_alone(void **state UNUSED)
{
	l1_run_l2();
	EXIT_NOW(.reason = EXIT_CPUID);
	assert_int_equal(fake_msr_get(MSR_IA32_PERF_GLOBAL_CTRL), 0x3);
	assert_int_equal(fake_msr_get(MSR_IA32_BNDCFGS), 0x5);
}

/*
 * What an exit does not load L1 takes over from L2. An entry that fails in the MSR list has loaded L2's
 * state; one that fails before has not, whoever found it.
 */
static void what_l1_takes_over(void **state UNUSED)
{
	enum how { EXITS, BY_LIST, BY_CHECK, BY_PROCESSOR };

	prepare();
	W(entry_controls, R(entry_controls) | ENTRY_LOAD_PAT);
	W(guest_pat, PAT_OF_L2);
	W(entry_msr_load_addr, P_ENTRY);
	l2_put_msr(P_ENTRY, 0, MSR_IA32_SYSENTER_ESP, 1, 0);
	for (unsigned int how = EXITS; how <= BY_PROCESSOR; how++) {
		u64 reason = how == EXITS ? EXIT_CPUID : how == BY_LIST ? FAILED_MSR : FAILED_GUEST;

		machine_set_field(VMCS_guest_pat, PAT_OF_L1);
		W(entry_msr_load_count, how == BY_LIST);
		W(guest_rflags, how == BY_CHECK ? 0 : RFLAGS_FIXED1);
		assert_int_equal(l1_enter(how == EXITS ? EXIT_VMLAUNCH : EXIT_VMRESUME), 0);
		if (how == EXITS)
			EXIT_NOW(.reason = EXIT_CPUID);
		if (how == BY_PROCESSOR)
			EXIT_NOW(.reason = FAILED_GUEST);
		assert_false(machine_in_l2());
		assert_int_equal(R(exit_reason), reason);
		assert_int_equal(machine_field(VMCS_guest_pat), how <= BY_LIST ? PAT_OF_L2 : PAT_OF_L1);
	}
}

/* SDM: a failed entry leaves NMI blocking as it was; blocking by STI ends with the instruction. */
static void blocking_behind_a_failed_entry(void **state UNUSED)
{
	static const u64 before[] = { 0, INTERRUPTIBILITY_STI, INTERRUPTIBILITY_NMI,
				      INTERRUPTIBILITY_NMI | INTERRUPTIBILITY_STI };

	prepare();
	W(guest_rflags, 0);
	for (size_t i = 0; i < ARRAY_SIZE(before); i++) {
		machine_set_field(VMCS_guest_interruptibility, before[i]);
		assert_int_equal(l1_enter(EXIT_VMLAUNCH), 0);
		assert_int_equal(R(exit_reason), FAILED_GUEST);
		assert_int_equal(machine_field(VMCS_guest_interruptibility),
				 before[i] & INTERRUPTIBILITY_NMI);
	}
}

/* The processor refuses vmcs02: what L1 injected L1 keeps, what L0 held for L2 is L1's; and it is counted. */
static void events_of_a_refused_entry(void **state UNUSED)
{
	enum { INJECTED, HELD, NOTHING };

	prepare();
	machine_refusal = VMXERR_ENTRY_CONTROLS;
	for (unsigned int n = INJECTED; n <= NOTHING; n++) {
		u64 failures = machine_vcpu->nested.counters.entry_failures;
		/* without its valid bit it is no event */
		u64 event = n == INJECTED ? NMI_INFO : NMI_INFO & ~INTR_INFO_VALID;
		u32 injected;

		W(entry_intr_info, event);
		if (n == HELD) {
			machine_set_field(VMCS_guest_interruptibility, INTERRUPTIBILITY_NMI);
			EXIT_NOW(NMI_EXIT);
		}
		machine_set_field(VMCS_guest_interruptibility, 0);
		machine_refusals = 1;
		EXIT_NOW(.reason = EXIT_VMLAUNCH);
		EXIT_NOW(.reason = EXIT_CPUID);
		injected = machine_injected;
		assert_false(machine_in_l2());
		assert_int_equal(R(vm_instruction_error), VMXERR_ENTRY_CONTROLS);
		assert_int_equal(machine_vcpu->nested.counters.entry_failures, failures + 1);
		assert_int_equal(R(entry_intr_info), event);
		assert_int_equal(injected, n == HELD ? NMI_INFO : 0);
	}
}

/* ---- a 32-bit L1 with PAE paging, and an L2 of its own mode ---- */

static void run_32_bit(u64 efer)
{
	machine_set_field(VMCS_guest_pdpte0, 0x2000 | PTE_P);
	machine_set_field(VMCS_guest_efer, 0);
	machine_set_field(VMCS_guest_cs_ar, 0xc09b);
	machine_set_field(VMCS_entry_controls, machine_field(VMCS_entry_controls) & ~(u64)ENTRY_IA32E_GUEST);
	prepare();
	l1_write64(P_PDPTES, 0x2000 | PTE_P);
	W(host_cr3, P_PDPTES);
	W(host_efer, 0);
	W(host_rip, 0x300000);
	W(exit_controls, R(exit_controls) & ~(u64)(EXIT_HOST_64 | EXIT_LOAD_EFER));
	W(entry_controls, (R(entry_controls) & ~(u64)ENTRY_IA32E_GUEST) | ENTRY_LOAD_EFER);
	W(guest_efer, efer);
	W(guest_cr4, CR4_VMXE);
	W(guest_cs_ar, 0xc09b);
	l2_v12()->vmcs_link_pointer = ~0ull; /* of which this L1 writes one half */
}

static void efer_of_a_32_bit_l1(void **state UNUSED)
{
	run_32_bit(EFER_NXE);
	assert_int_equal(l1_enter(EXIT_VMLAUNCH), 0);
	assert_true(machine_in_l2());
	EXIT_NOW(.reason = EXIT_CPUID);
	assert_false(machine_in_l2() || machine_vcpu->nested.aborted);
	assert_int_equal(machine_field(VMCS_guest_rip), 0x300000);
	assert_int_equal(machine_field(VMCS_guest_efer), EFER_NXE);
	assert_int_equal(machine_field(VMCS_guest_pdpte0), 0x2000 | PTE_P);
	/* L2 without paging may have set LME: LMA and LME are the host's */
	l2_v12()->host_cr3 = P_PDPTES;
	assert_int_equal(l1_enter(EXIT_VMRESUME), 0);
	assert_true(machine_in_l2());
	machine_set_field(VMCS_guest_efer, EFER_LME | EFER_NXE);
	EXIT_NOW(.reason = EXIT_CPUID);
	assert_false(machine_vcpu->nested.aborted);
	assert_int_equal(machine_field(VMCS_guest_efer), EFER_NXE);
}

/* ---- VMXON and invalidations whose operand faults do nothing ---- */

static void faulting_operands(void **state UNUSED)
{
	static const u32 reasons[] = { EXIT_VMXON, EXIT_INVEPT, EXIT_INVVPID, EXIT_VMCLEAR };
	const u32 info = 2u << 7 | 3u << 15 | 1u << 22 | 1u << 27 | (u32)GPR_RCX << 28;

	/* bits that VMXON does not ask for */
	machine_vcpu->l1.feature_control |= BIT(20);
	l1_write32(M_VMXON, VMCS12_REVISION);
	for (size_t i = 0; i < ARRAY_SIZE(reasons); i++) {
		l1_write64(0x2000 + 2 * 8, 0);
		machine_vcpu->gpr[GPR_RCX] = INVEPT_ALL;
		EXIT_NOW(.reason = reasons[i], .qualification = 0x80001000, .info = info);
		assert_int_equal(machine_pending() & 0xff, VEC_PF);
		assert_int_equal(machine_field(VMCS_guest_rip), 0x200000 + (i ? 3 : 0));
		assert_int_equal(machine_vcpu->nested.vmxon, i > 0);
		machine_set_field(VMCS_entry_intr_info, 0);
		if (i == 0)
			assert_int_equal(l1_memory_insn(EXIT_VMXON, M_VMXON), 0);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		MACHINE_TEST(lma_in_the_entry_controls, "shadow-vmcs=off"),
		MACHINE_TEST_BOTH(the_guest_interrupt_status),
		MACHINE_TEST_BOTH(blocking_that_lasts),
		MACHINE_TEST_BOTH(other_blocking_stays_l2s),
		MACHINE_TEST_BOTH(nothing_is_pending_behind_an_exit),
		MACHINE_TEST_BOTH(an_abort_leaves_a_state_that_can_be_entered),
		MACHINE_TEST_BEFORE(msrs_that_an_exit_leaves_alone, "", processor_with_perfmon_and_mpx),
		MACHINE_TEST_BOTH(what_l1_takes_over),
		MACHINE_TEST_BOTH(blocking_behind_a_failed_entry),
		MACHINE_TEST_BOTH(events_of_a_refused_entry),
		MACHINE_TEST(efer_of_a_32_bit_l1, "shadow-vmcs=off"),
		MACHINE_TEST(faulting_operands, ""),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
