/* SPDX-License-Identifier: MIT */
/*
 * The TPR of L2 where L0 looks after L1's threshold, since the processor refused it: when that is, what L2's
 * writes do, and which writes are none of it. SDM: "TPR Virtualization", "Virtualizing MSR-Based APIC
 * Accesses".
 */
#include "tests/unit/cmocka_all.h"

#include "kernel/msr.h"
#include "kernel/x86.h"
#include "tests/unit/l2_support.h"

#define P_VAPIC P_STORE
#define X2APIC_TPR 0x808

static void put_vtpr(u32 value)
{
	l1_write32(P_VAPIC + VTPR_OFFSET, value);
}

static u32 vtpr(void)
{
	return (u32)l1_read64(P_VAPIC + VTPR_OFFSET);
}

/* L2 with such controls, whose first entry the processor refuses. */
static void enter_refused(u64 proc, u64 proc2, u32 threshold)
{
	if (!machine_vcpu->nested.vmxon) {
		l1_start_vmx();
		l1_load_vmcs(0);
		l1_write_valid_vmcs();
	}
	W(pin_controls, R(pin_controls) | PIN_EXTERNAL_INTERRUPT);
	W(proc_controls, caps12.proc.allowed0 | PROC_SECONDARY | PROC_MSR_BITMAPS | proc);
	W(proc2_controls, proc2);
	W(virtual_apic_addr, P_VAPIC);
	W(apic_access_addr, P_LOAD);
	W(msr_bitmap, P_MSR);
	W(tpr_threshold, threshold);
	machine_refusal = VMXERR_ENTRY_CONTROLS;
	machine_refusals = 1;
	EXIT_NOW(.reason = machine_vcpu->nested.current->v12.launched ? EXIT_VMRESUME : EXIT_VMLAUNCH);
}

static void whose_threshold_it_is(void **state UNUSED)
{
	static const struct {
		u64 proc, proc2;
		bool l0s;
	} rows[] = {
		{ 0, 0, false },
		{ PROC_TPR_SHADOW, PROC2_APIC_ACCESS, false },
		{ PROC_TPR_SHADOW, PROC2_VIRTUAL_INTERRUPT, false },
		{ PROC_TPR_SHADOW, 0, true },
		{ PROC_TPR_SHADOW, PROC2_VIRTUAL_X2APIC, true },
	};

	put_vtpr(0xf0);
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		enter_refused(rows[i].proc, rows[i].proc2, rows[i].proc2 & PROC2_VIRTUAL_INTERRUPT ? 0 : 8);
		if (machine_in_l2() != rows[i].l0s)
			fail_msg("row %zu", i);
		if (!machine_in_l2()) {
			assert_int_equal(R(vm_instruction_error), VMXERR_ENTRY_CONTROLS);
			continue;
		}
		assert_int_equal(machine_field(VMCS_tpr_threshold), 0);
		assert_int_equal(machine_field(VMCS_proc_controls) & (PROC_TPR_SHADOW | PROC_SECONDARY),
				 PROC_TPR_SHADOW | PROC_SECONDARY);
		assert_true(machine_field(VMCS_proc_controls) & PROC_CR8_LOAD_EXITING);
		EXIT_NOW(.reason = EXIT_CPUID);
		assert_int_equal(l1_enter(EXIT_VMRESUME), 0);
		assert_int_equal(machine_field(VMCS_tpr_threshold), 8);
		assert_false(machine_field(VMCS_proc_controls) & PROC_CR8_LOAD_EXITING);
		EXIT_NOW(.reason = EXIT_CPUID);
	}
}

static void each_value_of_cr8(void **state UNUSED)
{
	static const u64 high[] = { 0, BIT(4), BIT(31), BIT(63) };

	put_vtpr(0xf0);
	enter_refused(PROC_TPR_SHADOW, 0, 8);
	assert_true(machine_in_l2());
	for (u64 n = 0; n < 64; n++) {
		u64 value = high[n / 16] | n % 16, rip = machine_field(VMCS_guest_rip);

		put_vtpr(0xf5);
		machine_vcpu->gpr[GPR_RAX] = 0x99;
		machine_vcpu->gpr[GPR_R15] = value;
		EXIT_NOW(.reason = EXIT_CR_ACCESS, .qualification = QUAL_MOV_TO(8, GPR_R15));
		if (value > 15) {
			assert_true(machine_in_l2());
			assert_int_equal(machine_pending() & 0xff, VEC_GP);
			assert_int_equal(vtpr(), 0xf5);
			assert_int_equal(machine_field(VMCS_guest_rip), rip);
			continue;
		}
		assert_int_equal(vtpr(), value << 4);
		assert_int_equal(machine_in_l2(), value >= 8);
		if (!machine_in_l2()) {
			assert_int_equal(R(exit_reason), EXIT_TPR_BELOW_THRESHOLD);
			assert_int_equal(R(guest_rip), rip + 3);
			put_vtpr(0xf0);
			enter_refused(PROC_TPR_SHADOW, 0, 8);
		} else {
			assert_int_equal(machine_field(VMCS_guest_rip), rip + 3);
		}
	}
}

static void write_msr(u32 msr, u64 rdx, u64 rax)
{
	machine_vcpu->gpr[GPR_RCX] = 0xabcd00000000ull | msr;
	machine_vcpu->gpr[GPR_RDX] = rdx;
	machine_vcpu->gpr[GPR_RAX] = rax;
	EXIT_NOW(.reason = EXIT_WRMSR, .length = 2);
}

static void the_x2apic_register(void **state UNUSED)
{
	put_vtpr(0xf0);
	enter_refused(PROC_TPR_SHADOW, PROC2_VIRTUAL_X2APIC, 8);
	assert_true(machine_in_l2());
	write_msr(X2APIC_TPR, 0, 0xffffffff00000085);
	assert_true(machine_in_l2());
	assert_int_equal(vtpr(), 0x85);
	assert_int_equal(machine_field(VMCS_guest_rip), 0x400002);
	/* reserved bits */
	write_msr(X2APIC_TPR, 0, 0x185);
	assert_int_equal(machine_pending() & 0xff, VEC_GP);
	write_msr(X2APIC_TPR, 1, 0x90);
	assert_int_equal(machine_pending() & 0xff, VEC_GP);
	assert_int_equal(vtpr(), 0x85);
	/* another register is none of it */
	put_vtpr(0xf0);
	write_msr(X2APIC_TPR + 3, 0, 0x10);
	assert_int_equal(vtpr(), 0xf0);
	if (!machine_in_l2())
		enter_refused(PROC_TPR_SHADOW, PROC2_VIRTUAL_X2APIC, 8);
	write_msr(X2APIC_TPR, 0, 0x7f);
	assert_false(machine_in_l2());
	assert_int_equal(R(exit_reason), EXIT_TPR_BELOW_THRESHOLD);
	assert_int_equal(vtpr(), 0x7f);
}

/* Without "virtualize x2APIC mode" the MSR is not the virtual TPR; and other control registers are none. */
static void what_is_not_the_tpr(void **state UNUSED)
{
	put_vtpr(0xf0);
	enter_refused(PROC_TPR_SHADOW, 0, 8);
	write_msr(X2APIC_TPR, 0, 0x10);
	assert_int_equal(vtpr(), 0xf0);
	if (!machine_in_l2())
		enter_refused(PROC_TPR_SHADOW, 0, 8);
	machine_vcpu->gpr[GPR_RBX] = CR4_PAE | CR4_VMXE;
	EXIT_NOW(.reason = EXIT_CR_ACCESS, .qualification = QUAL_MOV_TO(4, GPR_RBX));
	assert_true(machine_in_l2());
	assert_int_equal(vtpr(), 0xf0);
	assert_int_equal(machine_pending(), 0);
}

/* The threshold is L0's already: what the processor refuses is something else, and L1's VM entry fails. */
static void a_second_refusal_is_l1s(void **state UNUSED)
{
	put_vtpr(0xf0);
	enter_refused(PROC_TPR_SHADOW, 0, 8);
	assert_true(machine_in_l2());
	EXIT_NOW(.reason = EXIT_CPUID);
	machine_refusals = 2;
	EXIT_NOW(.reason = EXIT_VMRESUME);
	assert_false(machine_in_l2());
	assert_int_equal(R(vm_instruction_error), VMXERR_ENTRY_CONTROLS);
}

/* The TPR's word of the MSR bitmap was open before L0 took the TPR. */
static void an_open_word_closes_for_the_tpr(void **state UNUSED)
{
	u64 byte;

	put_vtpr(0xf0);
	enter_refused(PROC_TPR_SHADOW, PROC2_VIRTUAL_X2APIC, 8);
	EXIT_NOW(.reason = EXIT_CPUID);
	assert_int_equal(l1_enter(EXIT_VMRESUME), 0);
	byte = machine_field(VMCS_msr_bitmap) + 0x800 + X2APIC_TPR / 8;
	write_msr(X2APIC_TPR + 3, 0, 0);
	assert_false(fake_memory[byte] & BIT(X2APIC_TPR % 8));
	EXIT_NOW(.reason = EXIT_CPUID);
	machine_refusals = 1;
	EXIT_NOW(.reason = EXIT_VMRESUME);
	assert_true(machine_in_l2());
	assert_true(fake_memory[byte] & BIT(X2APIC_TPR % 8));
}

/* A page that is no memory: the write is dropped, and what the threshold is compared with reads as ones. */
static void a_page_that_is_no_memory(void **state UNUSED)
{
	enter_refused(PROC_TPR_SHADOW, 0, 0);
	EXIT_NOW(.reason = EXIT_CPUID);
	W(virtual_apic_addr, 0xfe000000);
	W(tpr_threshold, 8);
	assert_int_equal(l1_enter(EXIT_VMRESUME), 0);
	assert_true(machine_in_l2());
	machine_vcpu->gpr[GPR_R15] = 3;
	EXIT_NOW(.reason = EXIT_CR_ACCESS, .qualification = QUAL_MOV_TO(8, GPR_R15));
	assert_true(machine_in_l2());
	/* It is the virtual-APIC page alone whose absence makes the TPR L0's. */
	EXIT_NOW(.reason = EXIT_CPUID);
	W(virtual_apic_addr, P_VAPIC);
	put_vtpr(0xf0);
	W(pin_controls, R(pin_controls) | PIN_POSTED_INTERRUPTS);
	W(proc2_controls, PROC2_VIRTUAL_INTERRUPT);
	W(exit_controls, R(exit_controls) | EXIT_ACK_INTERRUPT);
	W(posted_intr_desc_addr, 0xfe000000);
	assert_int_equal(l1_enter(EXIT_VMRESUME), 0);
	assert_true(machine_in_l2());
	assert_false(machine_field(VMCS_proc_controls) & PROC_CR8_LOAD_EXITING);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		MACHINE_TEST(whose_threshold_it_is, "shadow-vmcs=off"),
		MACHINE_TEST(each_value_of_cr8, "shadow-vmcs=off"),
		MACHINE_TEST(the_x2apic_register, "shadow-vmcs=off"),
		MACHINE_TEST(a_second_refusal_is_l1s, "shadow-vmcs=off"),
		MACHINE_TEST(an_open_word_closes_for_the_tpr, "shadow-vmcs=off"),
		MACHINE_TEST(a_page_that_is_no_memory, "shadow-vmcs=off"),
		MACHINE_TEST(what_is_not_the_tpr, "intercept=cr shadow-vmcs=off"),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
