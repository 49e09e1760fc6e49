/* SPDX-License-Identifier: MIT */
/*
 * L1 in VMX root operation: who may enter it and what it changes, instructions in modes and on processors
 * that lack something, and where the VMCSs of many L2s are kept. SDM: "VMX Instruction Reference",
 * "Restrictions on VMX Operation".
 */
#include "tests/unit/cmocka_all.h"

#include <string.h>

#include "kernel/hw/cpu.h"
#include "kernel/msr.h"
#include "kernel/x86.h"
#include "tests/unit/l2_support.h"

#define P_LIST (M_SPARE + 0x20000)
/* what VMREAD and VMWRITE of a register are */
#define INFO_RBX_RCX (1u << 10 | (u32)GPR_RBX << 3 | (u32)GPR_RCX << 28)

static void mov_to_cr(unsigned int cr, u64 value)
{
	machine_vcpu->gpr[GPR_RBX] = value;
	EXIT_NOW(.reason = EXIT_CR_ACCESS, .qualification = QUAL_MOV_TO(cr, GPR_RBX));
}

static int vmxon(void)
{
	l1_write32(M_VMXON, VMCS12_REVISION);
	return l1_memory_insn(EXIT_VMXON, M_VMXON);
}

/* SDM VMXON: #UD by mode and CR4.VMXE, #GP(0) by privilege, fixed bits and IA32_FEATURE_CONTROL. */
static void who_may_execute_vmxon(void **state UNUSED)
{
	static const u64 controls[] = { 0, FEATURE_CONTROL_LOCKED, FEATURE_CONTROL_VMX };
	u64 cr0 = machine_field(VMCS_guest_cr0), cr4 = machine_field(VMCS_guest_cr4);
	u64 rflags = machine_field(VMCS_guest_rflags), control = machine_vcpu->l1.feature_control;

	mov_to_cr(4, cr4 & ~CR4_VMXE);
	assert_int_equal(vmxon(), L1_FAULT(VEC_UD));
	mov_to_cr(4, cr4 | CR4_VMXE);
	machine_set_field(VMCS_guest_rflags, rflags | RFLAGS_VM);
	assert_int_equal(vmxon(), L1_FAULT(VEC_UD));
	machine_set_field(VMCS_guest_rflags, rflags);
	machine_set_field(VMCS_guest_cs_ar, 0xc09b);
	assert_int_equal(vmxon(), L1_FAULT(VEC_UD));
	machine_set_field(VMCS_guest_cs_ar, 0xa09b);
	machine_set_field(VMCS_guest_ss_ar, 0xc0f3);
	assert_int_equal(vmxon(), L1_FAULT(VEC_GP));
	machine_set_field(VMCS_guest_ss_ar, 0xc093);
	mov_to_cr(0, cr0 & ~CR0_NE);
	assert_int_equal(vmxon(), L1_FAULT(VEC_GP));
	mov_to_cr(0, cr0);
	for (size_t i = 0; i < ARRAY_SIZE(controls); i++) {
		machine_vcpu->l1.feature_control = controls[i];
		assert_int_equal(vmxon(), L1_FAULT(VEC_GP));
	}
	machine_vcpu->l1.feature_control = control;
	/* a region that does not begin a page, whatever is there */
	l1_write32(M_VMXON + 8, VMCS12_REVISION);
	assert_int_equal(l1_memory_insn(EXIT_VMXON, M_VMXON + 8), L1_FAIL_INVALID);
	assert_int_equal(vmxon(), 0);
}

static void real_mode_has_no_vmxon(void **state UNUSED)
{
	machine_set_field(VMCS_guest_efer, 0);
	machine_set_field(VMCS_guest_cr0, CR0_NE | CR0_ET);
	machine_set_field(VMCS_cr0_read_shadow, machine_vcpu->l1.cr0_shadow = CR0_NE | CR0_ET);
	assert_int_equal(vmxon(), L1_FAULT(VEC_UD));
}

/* The fixed bits are L0's to guard in VMX operation, and only there. */
static void fixed_bits_are_watched_in_vmx_operation(void **state UNUSED)
{
	u64 cr0 = machine_field01(VMCS_cr0_guest_host_mask), cr4 = machine_field01(VMCS_cr4_guest_host_mask);
	const u64 fixed = CR0_PE | CR0_PG | CR0_NE;

	assert_int_equal(vmxon(), 0);
	assert_int_equal(machine_field01(VMCS_cr0_guest_host_mask) & fixed, fixed);
	assert_true(machine_field01(VMCS_cr4_guest_host_mask) & CR4_VMXE);
	assert_int_equal(l1_vmxoff(), 0);
	assert_int_equal(machine_field01(VMCS_cr0_guest_host_mask), cr0);
	assert_int_equal(machine_field01(VMCS_cr4_guest_host_mask), cr4);
	assert_false(machine_field01(VMCS_proc2_controls) & PROC2_VMCS_SHADOWING);
	assert_true(machine_field01(VMCS_vmcs_link_pointer) == ~0ull);
}

static void flags_of_an_outcome(void **state UNUSED)
{
	assert_int_equal(vmxon(), 0);
	machine_set_field(VMCS_guest_rflags, RFLAGS_FIXED1 | RFLAGS_IF | RFLAGS_ARITH);
	l1_load_vmcs(0);
	assert_int_equal(machine_field(VMCS_guest_rflags), RFLAGS_FIXED1 | RFLAGS_IF);
}

/* VMCALL alone exits before the processor looks at the mode. */
static void vmcall_by_mode(void **state UNUSED)
{
	u64 rflags = machine_field(VMCS_guest_rflags);

	assert_int_equal(vmxon(), 0);
	l1_load_vmcs(0);
	machine_set_field(VMCS_guest_cs_ar, 0xc09b);
	assert_int_equal(l1_enter(EXIT_VMCALL), L1_FAULT(VEC_UD));
	machine_set_field(VMCS_guest_cs_ar, 0xa09b);
	machine_set_field(VMCS_guest_rflags, rflags | RFLAGS_VM);
	assert_int_equal(l1_enter(EXIT_VMCALL), L1_FAULT(VEC_UD));
	machine_set_field(VMCS_guest_rflags, rflags);
	assert_int_equal(l1_enter(EXIT_VMCALL), VMXERR_VMCALL_IN_ROOT);
	machine_set_field(VMCS_guest_cs_ar, 0xc09b);
	machine_set_field(VMCS_guest_efer, 0);
	assert_int_equal(l1_enter(EXIT_VMCALL), VMXERR_VMCALL_IN_ROOT);
}

static void vmfunc_of_l1s_is_undefined(void **state UNUSED)
{
	assert_int_equal(vmxon(), 0);
	l1_load_vmcs(0);
	EXIT_NOW(.reason = EXIT_VMFUNC);
	assert_int_equal(machine_pending() & 0xff, VEC_UD);
}

/* A page fault of an operand is a page fault, with CR2. */
static void an_operand_that_faults(void **state UNUSED)
{
	assert_int_equal(vmxon(), 0);
	l1_write64(0x2000 + 2 * 8, 0);
	EXIT_NOW(.reason = EXIT_VMPTRLD, .qualification = 0x80001000,
		 .info = 2u << 7 | 3u << 15 | 1u << 22 | 1u << 27);
	assert_int_equal(machine_pending(), INTR_INFO_VALID | INTR_INFO_ERROR_CODE |
						    INTR_TYPE_HARD_EXCEPTION << INTR_INFO_TYPE_SHIFT |
						    VEC_PF);
	assert_int_equal(read_cr2(), 0x80001000);
	/* one that is to be written, and not canonical */
	EXIT_NOW(.reason = EXIT_VMPTRST, .qualification = BIT(47),
		 .info = 2u << 7 | 3u << 15 | 1u << 22 | 1u << 27);
	assert_int_equal(machine_pending() & (INTR_INFO_VALID | INTR_INFO_VECTOR), INTR_INFO_VALID | VEC_GP);
}

/* VMXOFF makes each VMCS inactive, and counts none twice. */
static void nothing_is_active_behind_vmxoff(void **state UNUSED)
{
	l1_start_vmx();
	for (unsigned int n = 0; n < 3; n++)
		l1_load_vmcs(n);
	assert_int_equal(l1_vmxoff(), 0);
	for (size_t i = 0; i < NESTED_BUCKET_COUNT; i++)
		assert_int_equal(machine_vcpu->nested.bucket_count[i], 0);
}

/* ---- processors that lack something ---- */

static void instructions_by_capability(void **state UNUSED)
{
	const u64 all = caps12.ept_vpid;
	u64 count;

	l1_run_l2();
	EXIT_NOW(.reason = EXIT_CPUID);
	W(vpid, 5);
	W(proc2_controls, PROC2_VPID);
	assert_int_equal(l1_enter(EXIT_VMRESUME), 0);
	EXIT_NOW(.reason = EXIT_CPUID);
	caps12.ept_vpid = all & ~EPT_CAP_INVEPT;
	assert_int_equal(l1_invalidate(EXIT_INVEPT, INVEPT_ALL, 0, 0), L1_FAULT(VEC_UD));
	caps12.ept_vpid = all & ~VPID_CAP_INVVPID;
	assert_int_equal(l1_invalidate(EXIT_INVVPID, INVVPID_ALL, 0, 0), L1_FAULT(VEC_UD));
	for (u64 type = INVEPT_SINGLE; type <= INVEPT_ALL; type++) {
		caps12.ept_vpid = all & ~(u64)EPT_CAP_INVEPT_TYPE(type);
		for (u64 other = 0; other <= 3; other++)
			assert_int_equal(l1_invalidate(EXIT_INVEPT, other, 0x101e, 0),
					 other == (3 ^ type) ? 0 : VMXERR_INVALID_OPERAND);
	}
	for (u64 type = 0; type <= INVVPID_RETAIN_GLOBALS; type++) {
		caps12.ept_vpid = all & ~(u64)VPID_CAP_INVVPID_TYPE(type);
		for (u64 other = 0; other <= 5; other++)
			assert_int_equal(l1_invalidate(EXIT_INVVPID, other, 5, 0x1000),
					 other != type && other <= 3 ? 0 : VMXERR_INVALID_OPERAND);
	}
	caps12.ept_vpid = all;
	W(vpid, 6);
	assert_int_equal(l1_enter(EXIT_VMRESUME), 0);
	EXIT_NOW(.reason = EXIT_CPUID);
	count = fake_invvpid_count;
	assert_int_equal(l1_invalidate(EXIT_INVVPID, INVVPID_SINGLE, 6, 0), 0);
	assert_int_equal(fake_invvpid_count, count + 1);
	assert_int_equal(l1_invalidate(EXIT_INVVPID, INVVPID_SINGLE, 7, 0), 0);
	assert_int_equal(fake_invvpid_count, count + 1);
}

/* SDM VMPTRLD: a shadow VMCS's revision only where there is VMCS shadowing. */
static void shadow_revisions_by_capability(void **state UNUSED)
{
	u32 all = caps12.proc2.allowed1;

	assert_int_equal(vmxon(), 0);
	l1_load_vmcs(0);
	l1_write32(M_VMCS(1), VMCS12_REVISION | VMCS_SHADOW_INDICATOR);
	caps12.proc2.allowed1 = all & ~(u32)PROC2_VMCS_SHADOWING;
	assert_int_equal(l1_memory_insn(EXIT_VMPTRLD, M_VMCS(1)), VMXERR_VMPTRLD_REVISION);
	caps12.proc2.allowed1 = all | (u32)PROC2_VMCS_SHADOWING;
	assert_int_equal(l1_memory_insn(EXIT_VMPTRLD, M_VMCS(1)), 0);
}

/* SDM VMWRITE: exit information is read-only but where IA32_VMX_MISC says otherwise. */
static void read_only_fields_by_capability(void **state UNUSED)
{
	assert_int_equal(vmxon(), 0);
	l1_load_vmcs(0);
	W(exit_qualification, 0x55);
	assert_int_equal(R(exit_qualification), 0x55);
	caps12.misc &= ~(u64)VMX_MISC_VMWRITE_ANY;
	assert_int_equal(l1_vmwrite(VMCS_exit_qualification, 1), VMXERR_READ_ONLY_FIELD);
	W(guest_rip, 0x66);
	W(host_rip, 0x77);
	W(exception_bitmap, 0x88);
	assert_int_equal(R(guest_rip), 0x66);
	assert_int_equal(R(host_rip), 0x77);
}

/* SDM "EPTP Switching": 512 entries; the index is stored where there is #VE, whatever the control is. */
static void the_index_of_a_switch(void **state UNUSED)
{
	u32 all = caps12.proc2.allowed1;

	l2_run_pae();
	EXIT_NOW(.reason = EXIT_CPUID);
	for (unsigned int i = 0; i < 600; i++)
		l1_write64(P_LIST + 8 * i, R(ept_pointer));
	W(proc2_controls, R(proc2_controls) | PROC2_VMFUNC);
	W(vm_function_controls, 1);
	W(eptp_list_addr, P_LIST);
	for (unsigned int ve = 0; ve < 2; ve++) {
		caps12.proc2.allowed1 = (all & ~(u32)PROC2_VE) | (ve ? (u32)PROC2_VE : 0);
		l2_v12()->eptp_index = 0x77;
		assert_int_equal(l1_enter(EXIT_VMRESUME), 0);
		machine_vcpu->gpr[GPR_RAX] = 0;
		machine_vcpu->gpr[GPR_RCX] = 511;
		EXIT_NOW(.reason = EXIT_VMFUNC);
		assert_true(machine_in_l2());
		assert_int_equal(l2_v12()->eptp_index, ve ? 511 : 0x77);
		machine_vcpu->gpr[GPR_RCX] = 512;
		EXIT_NOW(.reason = EXIT_VMFUNC);
		assert_false(machine_in_l2());
		assert_int_equal(R(exit_reason), EXIT_VMFUNC);
	}
}

/* ---- 32-bit L1 ---- */

static void operands_of_a_32_bit_l1(void **state UNUSED)
{
	/* PAE paging with the tables that there are */
	machine_set_field(VMCS_guest_pdpte0, 0x2000 | PTE_P);
	machine_set_field(VMCS_guest_efer, 0);
	machine_set_field(VMCS_guest_cs_ar, 0xc09b);
	assert_int_equal(vmxon(), 0);
	l1_load_vmcs(0);
	machine_vcpu->gpr[GPR_RCX] = 0xffffffff00000000ull | VMCS_host_rip;
	machine_vcpu->gpr[GPR_RBX] = 0x1122334455667788;
	EXIT_NOW(.reason = EXIT_VMWRITE, .info = INFO_RBX_RCX);
	assert_int_equal(l2_v12()->host_rip, 0x55667788);
	l2_v12()->host_rip = 0x99aabbccddeeff00;
	EXIT_NOW(.reason = EXIT_VMREAD, .info = INFO_RBX_RCX);
	assert_int_equal(machine_vcpu->gpr[GPR_RBX], 0xddeeff00);
}

/* ---- slots ---- */

/* VMCLEAR of one VMCS leaves another current. */
static void vmclear_leaves_the_current_vmcs(void **state UNUSED)
{
	u64 current;

	assert_int_equal(vmxon(), 0);
	l1_load_vmcs(0);
	l1_load_vmcs(1);
	assert_int_equal(l1_memory_insn(EXIT_VMCLEAR, M_VMCS(0)), 0);
	assert_int_equal(l1_vmptrst(&current), 0);
	assert_int_equal(current, M_VMCS(1));
}

/* What L1 has scribbled into a region becomes values of the fields' widths. */
static void scribbles_become_fields(void **state UNUSED)
{
	assert_int_equal(vmxon(), 0);
	memset(fake_memory + M_VMCS(0), 0xee, PAGE_SIZE);
	l1_load_vmcs(0);
	memset(fake_memory + M_VMCS(0) + 8, 0xee, PAGE_SIZE - 8);
	assert_int_equal(l1_memory_insn(EXIT_VMCLEAR, M_VMCS(1)), 0);
	memset(fake_memory + M_VMCS(2), 0xee, PAGE_SIZE);
	l1_write32(M_VMCS(2), VMCS12_REVISION);
	assert_int_equal(l1_memory_insn(EXIT_VMPTRLD, M_VMCS(2)), 0);
	assert_int_equal(R(guest_es_selector), 0xeeee);
	assert_int_equal(R(exception_bitmap), 0xeeeeeeee);
	assert_int_equal(l1_enter(EXIT_VMLAUNCH), VMXERR_VMLAUNCH_NOT_CLEAR);
}

static void an_l2_goes_to_memory_as_it_is(void **state UNUSED)
{
	l1_run_l2();
	machine_set_field(VMCS_guest_gs_base, 0x123000);
	machine_set_field(VMCS_guest_rsp, 0x456000);
	EXIT_NOW(.reason = EXIT_CPUID);
	assert_int_equal(l1_memory_insn(EXIT_VMCLEAR, M_VMCS(0)), 0);
	assert_int_equal(l1_vmxoff(), 0);
	assert_int_equal(vmxon(), 0);
	assert_int_equal(l1_memory_insn(EXIT_VMPTRLD, M_VMCS(0)), 0);
	assert_int_equal(R(guest_gs_base), 0x123000);
	assert_int_equal(R(guest_rsp), 0x456000);
}

/* The page at address 0 is a page like others, and nobody's but who names it. */
static void a_vmcs_at_address_0(void **state UNUSED)
{
	static const u8 zeros[PAGE_SIZE];

	assert_int_equal(vmxon(), 0);
	for (unsigned int n = 0; n < NESTED_VMCS_COUNT + 2; n++)
		l1_load_vmcs(n);
	assert_int_equal(l1_vmxoff(), 0);
	assert_memory_equal(fake_memory, zeros, PAGE_SIZE);
	assert_int_equal(vmxon(), 0);
	l1_write32(0, VMCS12_REVISION);
	memset(fake_memory + 8, 0x11, PAGE_SIZE - 8);
	assert_int_equal(l1_memory_insn(EXIT_VMPTRLD, 0), 0);
	assert_int_equal(R(host_rip), 0x1111111111111111);
	assert_int_equal(l1_memory_insn(EXIT_VMCLEAR, 0), 0);
	assert_int_equal(nested_resources(machine_vcpu).active_vmcs, 0);
}

static u64 evictions(void)
{
	return machine_vcpu->nested.counters.slot_evictions;
}

/* A free slot before the one that was current least lately, and never the current one. */
static void which_vmcs_gives_way(void **state UNUSED)
{
	assert_int_equal(vmxon(), 0);
	for (unsigned int n = 0; n < NESTED_VMCS_COUNT; n++)
		l1_load_vmcs(n);
	assert_int_equal(evictions(), 0);
	assert_int_equal(nested_resources(machine_vcpu).active_vmcs, NESTED_VMCS_COUNT);
	assert_int_equal(l1_memory_insn(EXIT_VMCLEAR, M_VMCS(NESTED_VMCS_COUNT - 1)), 0);
	l1_load_vmcs(NESTED_VMCS_COUNT);
	assert_int_equal(evictions(), 0);
	assert_int_equal(l1_memory_insn(EXIT_VMPTRLD, M_VMCS(0)), 0);
	assert_int_equal(l1_memory_insn(EXIT_VMPTRLD, M_VMCS(2)), 0);
	l1_load_vmcs(NESTED_VMCS_COUNT + 1);
	assert_int_equal(evictions(), 1);
	assert_null(slot_find(machine_vcpu, M_VMCS(1)));
	assert_non_null(slot_find(machine_vcpu, M_VMCS(0)));
	l1_load_vmcs(NESTED_VMCS_COUNT + 2);
	assert_int_equal(evictions(), 2);
	assert_null(slot_find(machine_vcpu, M_VMCS(3)));
	assert_non_null(slot_find(machine_vcpu, M_VMCS(2)));
	assert_int_equal(nested_resources(machine_vcpu).active_vmcs, NESTED_VMCS_COUNT);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		MACHINE_TEST(who_may_execute_vmxon, ""),
		MACHINE_TEST(real_mode_has_no_vmxon, ""),
		MACHINE_TEST_BOTH(fixed_bits_are_watched_in_vmx_operation),
		MACHINE_TEST(flags_of_an_outcome, ""),
		MACHINE_TEST(vmcall_by_mode, ""),
		MACHINE_TEST(vmfunc_of_l1s_is_undefined, ""),
		MACHINE_TEST(an_operand_that_faults, ""),
		MACHINE_TEST_BOTH(nothing_is_active_behind_vmxoff),
		MACHINE_TEST(instructions_by_capability, ""),
		MACHINE_TEST_BOTH(shadow_revisions_by_capability),
		MACHINE_TEST(read_only_fields_by_capability, "shadow-vmcs=off"),
		MACHINE_TEST(the_index_of_a_switch, "shadow-vmcs=off"),
		MACHINE_TEST(operands_of_a_32_bit_l1, ""),
		MACHINE_TEST_BOTH(vmclear_leaves_the_current_vmcs),
		MACHINE_TEST_BOTH(scribbles_become_fields),
		MACHINE_TEST_BOTH(an_l2_goes_to_memory_as_it_is),
		MACHINE_TEST_BOTH(a_vmcs_at_address_0),
		MACHINE_TEST_BOTH(which_vmcs_gives_way),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
