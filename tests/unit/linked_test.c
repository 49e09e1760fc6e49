/* SPDX-License-Identifier: MIT */
/*
 * VMREAD and VMWRITE of an L2 whose L1 shadows VMCSs for it: on the VMCS that vmcs12's link pointer names, be
 * it active on this CPU or in memory only; and the order of their checks. SDM: "VMREAD", "VMWRITE".
 */
#include "tests/unit/cmocka_all.h"

#include "kernel/x86.h"
#include "tests/unit/machine.h"

enum { P_BITMAPS = M_SPARE, SHADOW = 1 };

#define UNMAPPED 0x7f0000000000
#define INFO_MEMORY_RCX (INFO_MEMORY | (u32)GPR_RCX << 28)
#define NO_FIELD 0x4ffe

static void load_shadow(void)
{
	l1_write32(M_VMCS(SHADOW), VMCS12_REVISION | VMCS_SHADOW_INDICATOR);
	assert_int_equal(l1_memory_insn(EXIT_VMPTRLD, M_VMCS(SHADOW)), 0);
}

/* The shadow VMCS has its values; L2 runs, and may access all fields. */
static void run_linked_l2(bool active)
{
	l1_start_vmx();
	assert_int_equal(l1_memory_insn(EXIT_VMCLEAR, M_VMCS(SHADOW)), 0);
	load_shadow();
	assert_int_equal(l1_vmwrite(VMCS_guest_rip, 0x1122334455667788), 0);
	assert_int_equal(l1_vmwrite(VMCS_tsc_offset, 0x99aabbccddeeff00), 0);
	if (!active)
		assert_int_equal(l1_memory_insn(EXIT_VMCLEAR, M_VMCS(SHADOW)), 0);
	l1_load_vmcs(0);
	l1_write_valid_vmcs();
	assert_int_equal(l1_vmwrite(VMCS_proc2_controls, PROC2_VMCS_SHADOWING), 0);
	assert_int_equal(l1_vmwrite(VMCS_vmread_bitmap, P_BITMAPS), 0);
	assert_int_equal(l1_vmwrite(VMCS_vmwrite_bitmap, P_BITMAPS + 0x1000), 0);
	assert_int_equal(l1_vmwrite(VMCS_vmcs_link_pointer, M_VMCS(SHADOW)), 0);
	assert_int_equal(l1_enter(EXIT_VMLAUNCH), 0);
	assert_true(machine_in_l2());
}

static u64 l2_read(u64 field)
{
	u64 value;

	assert_int_equal(l1_vmread(field, &value), 0);
	assert_true(machine_in_l2());
	return value;
}

static void accesses(bool active)
{
	u64 value, open;

	run_linked_l2(active);
	open = machine_vcpu->nested.use.open;
	assert_int_equal(l2_read(VMCS_guest_rip), 0x1122334455667788);
	assert_int_equal(l2_read(VMCS_tsc_offset), 0x99aabbccddeeff00);
	assert_int_equal(l2_read(VMCS_tsc_offset + 1), 0x99aabbcc);
	assert_int_equal(l1_vmwrite(VMCS_guest_rip, 0xfedc), 0);
	assert_int_equal(l1_vmwrite(VMCS_tsc_offset + 1, 0x12345677), 0);
	assert_int_equal(l1_vmwrite(VMCS_tsc_offset + 1, 0x12345678), 0);
	assert_int_equal(l1_vmwrite(VMCS_guest_es_selector, 0xabcd4321), 0);
	assert_true(machine_in_l2());
	assert_int_equal(l2_read(VMCS_guest_rip), 0xfedc);
	assert_int_equal(l2_read(VMCS_tsc_offset), 0x12345678ddeeff00);
	assert_int_equal(l2_read(VMCS_guest_es_selector), 0x4321);
	/* opens no row of L1's own shadow VMCS */
	assert_true(machine_vcpu->nested.use.open == open);
	/* in L2's memory */
	machine_vcpu->gpr[GPR_RCX] = VMCS_guest_rip;
	EXIT_NOW(.reason = EXIT_VMREAD, .qualification = M_SPARE + 0x5008, .info = INFO_MEMORY_RCX);
	assert_int_equal(l1_read64(M_SPARE + 0x5008), 0xfedc);
	l1_write64(M_SPARE + 0x5008, 0x777);
	EXIT_NOW(.reason = EXIT_VMWRITE, .qualification = M_SPARE + 0x5008, .info = INFO_MEMORY_RCX);
	assert_int_equal(l2_read(VMCS_guest_rip), 0x777);
	/* vmcs12 is another one, and L1 finds what L2 wrote */
	EXIT_NOW(.reason = EXIT_CPUID);
	assert_false(machine_in_l2());
	assert_int_equal(l1_vmread(VMCS_guest_rip, &value), 0);
	assert_int_not_equal(value, 0x777);
	load_shadow();
	assert_int_equal(l1_vmread(VMCS_guest_rip, &value), 0);
	assert_int_equal(value, 0x777);
}

static void in_memory(void **state UNUSED)
{
	accesses(false);
}

static void active_here(void **state UNUSED)
{
	accesses(true);
}

static int faulting(u32 reason, u64 field)
{
	u32 injected;

	machine_vcpu->gpr[GPR_RCX] = field;
	machine_set_field(VMCS_guest_rflags, RFLAGS_FIXED1);
	EXIT_NOW(.reason = reason, .qualification = UNMAPPED, .info = INFO_MEMORY_RCX);
	injected = machine_pending();
	if (injected)
		return L1_FAULT(injected & INTR_INFO_VECTOR);
	return machine_field(VMCS_guest_rflags) & RFLAGS_CF ? L1_FAIL_INVALID
	       : machine_field(VMCS_guest_rflags) & RFLAGS_ZF
		       ? (int)machine_vcpu->nested.current->v12.vm_instruction_error
		       : 0;
}

/* The field comes before the operand in memory, of VMREAD and VMWRITE, of L1's and of L2's. */
static void the_field_before_the_operand(void **state UNUSED)
{
	l1_start_vmx();
	assert_int_equal(faulting(EXIT_VMREAD, VMCS_guest_rip), L1_FAIL_INVALID);
	assert_int_equal(faulting(EXIT_VMWRITE, VMCS_guest_rip), L1_FAIL_INVALID);
	l1_load_vmcs(0);
	assert_int_equal(faulting(EXIT_VMREAD, NO_FIELD), VMXERR_UNSUPPORTED_FIELD);
	assert_int_equal(faulting(EXIT_VMREAD, VMCS_guest_rip), L1_FAULT(VEC_PF));
	assert_int_equal(faulting(EXIT_VMWRITE, NO_FIELD), VMXERR_UNSUPPORTED_FIELD);
	assert_int_equal(faulting(EXIT_VMWRITE, BIT(15) | VMCS_guest_rip), VMXERR_UNSUPPORTED_FIELD);
	assert_int_equal(faulting(EXIT_VMWRITE, VMCS_guest_rip), L1_FAULT(VEC_PF));
}

static void the_same_of_l2(void **state UNUSED)
{
	run_linked_l2(false);
	assert_int_equal(faulting(EXIT_VMREAD, NO_FIELD), VMXERR_UNSUPPORTED_FIELD);
	assert_int_equal(faulting(EXIT_VMWRITE, NO_FIELD), VMXERR_UNSUPPORTED_FIELD);
	assert_int_equal(faulting(EXIT_VMWRITE, VMCS_guest_rip), L1_FAULT(VEC_PF));
	assert_true(machine_in_l2());
}

/* No link: VMfailInvalid, whatever the rest. */
static void without_a_link(void **state UNUSED)
{
	u64 value;

	run_linked_l2(false);
	EXIT_NOW(.reason = EXIT_CPUID);
	assert_int_equal(l1_vmwrite(VMCS_vmcs_link_pointer, ~0ull), 0);
	assert_int_equal(l1_enter(EXIT_VMRESUME), 0);
	assert_int_equal(l1_vmread(VMCS_guest_rip, &value), L1_FAIL_INVALID);
	assert_int_equal(l1_vmwrite(VMCS_guest_rip, 1), L1_FAIL_INVALID);
	assert_int_equal(faulting(EXIT_VMREAD, VMCS_guest_rip), L1_FAIL_INVALID);
	assert_int_equal(faulting(EXIT_VMWRITE, NO_FIELD), L1_FAIL_INVALID);
	assert_true(machine_in_l2());
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		MACHINE_TEST_BOTH(in_memory),
		MACHINE_TEST_BOTH(active_here),
		MACHINE_TEST_BOTH(the_field_before_the_operand),
		MACHINE_TEST_BOTH(the_same_of_l2),
		MACHINE_TEST_BOTH(without_a_link),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
