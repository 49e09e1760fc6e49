/* SPDX-License-Identifier: MIT */
/*
 * Whose an exit of L2's is: nested_l1_wants(), the predicates with what nobody but L1 can have asked for.
 * SDM: "VMX Non-Root Operation".
 */
#include "tests/unit/cmocka_all.h"

#include "kernel/msr.h"
#include "kernel/x86.h"
#include "tests/unit/l2_support.h"

/* Does L1 want this exit of the L2 that is about to run? Nothing is changed. */
static bool wants(u32 reason, u64 qualification)
{
	return nested_l1_wants(machine_exit_in_hand(reason, qualification));
}

static void cr0_and_cr4_by_mask_and_shadow(void **state UNUSED)
{
	u64 *rbx = &machine_vcpu->gpr[GPR_RBX];

	l1_run_l2();
	l2_v12()->cr0_guest_host_mask = CR0_TS | CR0_NW;
	l2_v12()->cr0_read_shadow = CR0_NW;
	l2_v12()->cr4_guest_host_mask = CR4_VMXE;
	l2_v12()->cr4_read_shadow = CR4_VMXE;
	*rbx = CR0_NW | CR0_PE | CR0_WP;
	assert_false(wants(EXIT_CR_ACCESS, QUAL_MOV_TO(0, GPR_RBX)));
	*rbx = CR0_PE;
	assert_true(wants(EXIT_CR_ACCESS, QUAL_MOV_TO(0, GPR_RBX)));
	*rbx = CR0_NW | CR0_TS;
	assert_true(wants(EXIT_CR_ACCESS, QUAL_MOV_TO(0, GPR_RBX)));
	*rbx = CR4_VMXE | CR4_PAE;
	assert_false(wants(EXIT_CR_ACCESS, QUAL_MOV_TO(4, GPR_RBX)));
	*rbx = CR4_PAE;
	assert_true(wants(EXIT_CR_ACCESS, QUAL_MOV_TO(4, GPR_RBX)));
	/* CLTS: TS in mask and shadow. */
	assert_false(wants(EXIT_CR_ACCESS, QUAL_CLTS));
	l2_v12()->cr0_read_shadow = CR0_TS;
	assert_true(wants(EXIT_CR_ACCESS, QUAL_CLTS));
	l2_v12()->cr0_guest_host_mask = 0;
	assert_false(wants(EXIT_CR_ACCESS, QUAL_CLTS));
}

/* One that neither asks for is L1's; with L0's wish it is L0's, unless L1 asks. */
static void the_timer_by_control_and_wish(void **state UNUSED)
{
	l1_run_l2();
	for (u32 n = 0; n < 4; n++) {
		machine_vcpu->wish.timer_ticks = n & 1 ? 1000 : 0;
		l2_v12()->pin_controls = caps12.pin.allowed0 | (n & 2 ? PIN_PREEMPTION_TIMER : 0);
		assert_int_equal(wants(EXIT_PREEMPTION_TIMER, 0), n != 1);
	}
	machine_vcpu->wish.timer_ticks = 0;
}

static void lmsw_by_its_own_rule(void **state UNUSED)
{
	l1_run_l2();
	l2_v12()->cr0_guest_host_mask = CR0_PE;
	l2_v12()->cr0_read_shadow = 0;
	assert_true(wants(EXIT_CR_ACCESS, QUAL_LMSW(1)));
	assert_false(wants(EXIT_CR_ACCESS, QUAL_LMSW(0)));
	/* It cannot clear PE: a set shadow is not written. */
	l2_v12()->cr0_read_shadow = CR0_PE;
	assert_false(wants(EXIT_CR_ACCESS, QUAL_LMSW(0)));
	assert_false(wants(EXIT_CR_ACCESS, QUAL_LMSW(1)));
	l2_v12()->cr0_guest_host_mask = CR0_TS;
	l2_v12()->cr0_read_shadow = CR0_TS;
	assert_true(wants(EXIT_CR_ACCESS, QUAL_LMSW(0)));
	assert_false(wants(EXIT_CR_ACCESS, QUAL_LMSW(8)));
}

static void cr3_by_controls_and_targets(void **state UNUSED)
{
	l1_run_l2();
	machine_vcpu->gpr[GPR_RBX] = 0x7000;
	l2_set_proc(0);
	assert_false(wants(EXIT_CR_ACCESS, QUAL_MOV_TO(3, GPR_RBX)));
	assert_false(wants(EXIT_CR_ACCESS, QUAL_MOV_FROM(3, GPR_RBX)));
	l2_set_proc(PROC_CR3_LOAD_EXITING | PROC_CR3_STORE_EXITING);
	assert_true(wants(EXIT_CR_ACCESS, QUAL_MOV_TO(3, GPR_RBX)));
	assert_true(wants(EXIT_CR_ACCESS, QUAL_MOV_FROM(3, GPR_RBX)));
	l2_v12()->cr3_target2 = 0x7000;
	l2_v12()->cr3_target_count = 2;
	assert_true(wants(EXIT_CR_ACCESS, QUAL_MOV_TO(3, GPR_RBX)));
	l2_v12()->cr3_target_count = 3;
	assert_false(wants(EXIT_CR_ACCESS, QUAL_MOV_TO(3, GPR_RBX)));
}

static void cr8_by_controls(void **state UNUSED)
{
	l1_run_l2();
	l2_set_proc(PROC_CR8_LOAD_EXITING);
	assert_true(wants(EXIT_CR_ACCESS, QUAL_MOV_TO(8, GPR_RBX)));
	l2_set_proc(PROC_CR8_STORE_EXITING);
	assert_true(wants(EXIT_CR_ACCESS, QUAL_MOV_FROM(8, GPR_RBX)));
}

/* Every MSR of both ranges at its own bit; beyond them always. */
static void msrs_by_bitmap(void **state UNUSED)
{
	static const struct {
		u32 msr;
		u32 byte, bit;
	} at[] = {
		{ 0, 0, 0 },
		{ 7, 0, 7 },
		{ 8, 1, 0 },
		{ 0x1fff, 0x3ff, 7 },
		{ 0xc0000000, 0x400, 0 },
		{ 0xc0001fff, 0x7ff, 7 },
	};

	l1_run_l2();
	l2_set_proc(PROC_MSR_BITMAPS);
	l2_v12()->msr_bitmap = P_MSR;
	for (size_t i = 0; i < ARRAY_SIZE(at); i++) {
		machine_vcpu->gpr[GPR_RCX] = 0xffffffff00000000 | at[i].msr;
		for (u32 write = 0; write < 2; write++) {
			u8 *byte = &fake_memory[P_MSR + write * 0x800 + at[i].byte];

			assert_false(wants(write ? EXIT_WRMSR : EXIT_RDMSR, 0));
			*byte = (u8)(1u << at[i].bit);
			assert_true(wants(write ? EXIT_WRMSR : EXIT_RDMSR, 0));
			assert_false(wants(write ? EXIT_RDMSR : EXIT_WRMSR, 0));
			*byte = 0;
		}
	}
	machine_vcpu->gpr[GPR_RCX] = 0x2000;
	assert_true(wants(EXIT_RDMSR, 0));
	machine_vcpu->gpr[GPR_RCX] = 0xc0002000;
	assert_true(wants(EXIT_WRMSR, 0));
	machine_vcpu->gpr[GPR_RCX] = 0xbfffffff;
	assert_true(wants(EXIT_WRMSR, 0));
	l2_set_proc(0);
	machine_vcpu->gpr[GPR_RCX] = 0;
	assert_true(wants(EXIT_RDMSR, 0));
}

static void exceptions_by_bitmap_and_pfec(void **state UNUSED)
{
	l1_run_l2();
	for (u32 vector = 0; vector < 32; vector++) {
		if (vector == VEC_NMI || vector == VEC_PF)
			continue;
		machine_set_field(VMCS_exit_intr_info,
				  INTR_INFO_VALID | INTR_TYPE_HARD_EXCEPTION << 8 | vector);
		l2_v12()->exception_bitmap = BIT(vector);
		assert_true(wants(EXIT_EXCEPTION_NMI, 0));
		l2_v12()->exception_bitmap = ~BIT(vector);
		assert_false(wants(EXIT_EXCEPTION_NMI, 0));
	}
	machine_set_field(VMCS_exit_intr_info,
			  INTR_INFO_VALID | INTR_TYPE_HARD_EXCEPTION << 8 | INTR_INFO_ERROR_CODE | VEC_PF);
	for (u32 n = 0; n < 2 * 4 * 4 * 4; n++) {
		u32 pfec = n & 3, mask = (n >> 2) & 3, match = (n >> 4) & 3;
		bool eb = n >> 6;

		l2_v12()->exception_bitmap = eb ? BIT(VEC_PF) : 0;
		l2_v12()->pf_mask = mask;
		l2_v12()->pf_match = match;
		machine_set_field(VMCS_exit_intr_error_code, pfec);
		assert_int_equal(wants(EXIT_EXCEPTION_NMI, 0), ((pfec & mask) == match) == eb);
	}
}

static void vmcs_accesses_by_shadowing(void **state UNUSED)
{
	l1_run_l2();
	machine_set_field(VMCS_exit_instruction_info, 1u << 10 | GPR_RCX << 28);
	machine_vcpu->gpr[GPR_RCX] = VMCS_guest_rip;
	l2_v12()->proc2_controls = 0;
	assert_true(wants(EXIT_VMREAD, 0));
	l2_v12()->proc2_controls = PROC2_VMCS_SHADOWING;
	l2_v12()->vmread_bitmap = P_VMREAD;
	l2_v12()->vmwrite_bitmap = P_VMWRITE;
	assert_false(wants(EXIT_VMREAD, 0));
	assert_false(wants(EXIT_VMWRITE, 0));
	fake_memory[P_VMREAD + VMCS_guest_rip / 8] = (u8)BIT(VMCS_guest_rip % 8);
	assert_true(wants(EXIT_VMREAD, 0));
	assert_false(wants(EXIT_VMWRITE, 0));
	fake_memory[P_VMWRITE + VMCS_guest_rip / 8] = (u8)BIT(VMCS_guest_rip % 8);
	assert_true(wants(EXIT_VMWRITE, 0));
	machine_vcpu->gpr[GPR_RCX] = 0x8000;
	assert_true(wants(EXIT_VMREAD, 0));
	machine_vcpu->gpr[GPR_RCX] = BIT(40);
	assert_true(wants(EXIT_VMREAD, 0));
}

static void vmfunc_by_its_controls(void **state UNUSED)
{
	l1_run_l2();
	l2_v12()->vm_function_controls = 1;
	machine_vcpu->gpr[GPR_RAX] = 0;
	assert_false(wants(EXIT_VMFUNC, 0));
	machine_vcpu->gpr[GPR_RAX] = 1;
	assert_true(wants(EXIT_VMFUNC, 0));
	machine_vcpu->gpr[GPR_RAX] = 64;
	assert_true(wants(EXIT_VMFUNC, 0));
	l2_v12()->vm_function_controls = 0;
	machine_vcpu->gpr[GPR_RAX] = 0;
	assert_true(wants(EXIT_VMFUNC, 0));
}

static void unconditional_exits_are_l1s(void **state UNUSED)
{
	static const u32 reasons[] = { EXIT_CPUID,
				       EXIT_INVD,
				       EXIT_VMCALL,
				       EXIT_VMCLEAR,
				       EXIT_VMLAUNCH,
				       EXIT_VMPTRLD,
				       EXIT_VMPTRST,
				       EXIT_VMRESUME,
				       EXIT_VMXOFF,
				       EXIT_VMXON,
				       EXIT_INVEPT,
				       EXIT_INVVPID,
				       EXIT_XSETBV,
				       EXIT_TASK_SWITCH,
				       EXIT_TRIPLE_FAULT,
				       EXIT_INIT,
				       EXIT_SIPI,
				       EXIT_GETSEC,
				       EXIT_TPR_BELOW_THRESHOLD,
				       EXIT_APIC_ACCESS,
				       EXIT_HLT,
				       EXIT_IO,
				       79 };

	l1_run_l2();
	for (size_t i = 0; i < ARRAY_SIZE(reasons); i++)
		assert_true(wants(reasons[i], 0));
	l2_set_proc(0);
	assert_false(wants(EXIT_MTF, 0));
	assert_false(wants(EXIT_NMI_WINDOW, 0));
	l2_set_proc(PROC_MTF | PROC_NMI_WINDOW);
	assert_true(wants(EXIT_MTF, 0));
	assert_true(wants(EXIT_NMI_WINDOW, 0));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		MACHINE_TEST(cr0_and_cr4_by_mask_and_shadow, ""),
		MACHINE_TEST(the_timer_by_control_and_wish, ""),
		MACHINE_TEST(lmsw_by_its_own_rule, ""),
		MACHINE_TEST(cr3_by_controls_and_targets, ""),
		MACHINE_TEST(cr8_by_controls, ""),
		MACHINE_TEST(msrs_by_bitmap, ""),
		MACHINE_TEST(exceptions_by_bitmap_and_pfec, ""),
		MACHINE_TEST(vmcs_accesses_by_shadowing, ""),
		MACHINE_TEST(vmfunc_by_its_controls, ""),
		MACHINE_TEST(unconditional_exits_are_l1s, ""),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
