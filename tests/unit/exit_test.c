/* SPDX-License-Identifier: MIT */
/*
 * L2's exits: whose they are (the predicates over vmcs12), what L1 reads afterwards, L1's host state, the MSR
 * lists, VMX aborts, events that L0 holds. SDM: "VMX Non-Root Operation", "VM Exits", "VMX Aborts".
 */
#include "tests/unit/cmocka_all.h"

#include "kernel/cpuid.h"
#include "kernel/hw/cpu.h"
#include "kernel/msr.h"
#include "kernel/x86.h"
#include "tests/unit/machine.h"
#include "vmx/guest_mem.h"

#define W(field, value) assert_int_equal(l1_vmwrite(VMCS_##field, value), 0)
#define R(field)                                                                                             \
	({                                                                                                   \
		u64 value_;                                                                                  \
		assert_int_equal(l1_vmread(VMCS_##field, &value_), 0);                                       \
		value_;                                                                                      \
	})

enum {
	P_IO_A = M_SPARE,
	P_IO_B = M_SPARE + 0x1000,
	P_MSR = M_SPARE + 0x2000,
	P_STORE = M_SPARE + 0x3000,
	P_LOAD = M_SPARE + 0x4000,
	P_ENTRY = M_SPARE + 0x5000,
	P_VMREAD = M_SPARE + 0x6000,
	P_VMWRITE = M_SPARE + 0x7000,
	P_EPT = M_SPARE + 0x10000
};

static struct vmcs12 *v12(void)
{
	return &machine_vcpu->nested.current->v12;
}

/* Does L1 want this exit of the L2 that is about to run? Nothing is changed. */
static bool wants(u32 reason, u64 qualification)
{
	return nested_l1_wants(machine_exit_in_hand(reason, qualification));
}

static void set_proc(u64 bits)
{
	v12()->proc_controls = caps12.proc.allowed0 | PROC_SECONDARY | bits;
}

/* ---- predicates ---- */

#define QUAL_MOV_TO(cr, gpr) ((cr) | (u64)(gpr) << 8)
#define QUAL_MOV_FROM(cr, gpr) ((cr) | 1u << 4 | (u64)(gpr) << 8)
#define QUAL_CLTS (2u << 4)
#define QUAL_LMSW(source) (3u << 4 | (u64)(source) << 16)

static void cr0_and_cr4_by_mask_and_shadow(void **state UNUSED)
{
	u64 *rbx = &machine_vcpu->gpr[GPR_RBX];

	l1_run_l2();
	v12()->cr0_guest_host_mask = CR0_TS | CR0_NW;
	v12()->cr0_read_shadow = CR0_NW;
	v12()->cr4_guest_host_mask = CR4_VMXE;
	v12()->cr4_read_shadow = CR4_VMXE;
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
	v12()->cr0_read_shadow = CR0_TS;
	assert_true(wants(EXIT_CR_ACCESS, QUAL_CLTS));
	v12()->cr0_guest_host_mask = 0;
	assert_false(wants(EXIT_CR_ACCESS, QUAL_CLTS));
}

static void lmsw_by_its_own_rule(void **state UNUSED)
{
	l1_run_l2();
	v12()->cr0_guest_host_mask = CR0_PE;
	v12()->cr0_read_shadow = 0;
	assert_true(wants(EXIT_CR_ACCESS, QUAL_LMSW(1)));
	assert_false(wants(EXIT_CR_ACCESS, QUAL_LMSW(0)));
	/* It cannot clear PE: a set shadow is not written. */
	v12()->cr0_read_shadow = CR0_PE;
	assert_false(wants(EXIT_CR_ACCESS, QUAL_LMSW(0)));
	assert_false(wants(EXIT_CR_ACCESS, QUAL_LMSW(1)));
	v12()->cr0_guest_host_mask = CR0_TS;
	v12()->cr0_read_shadow = CR0_TS;
	assert_true(wants(EXIT_CR_ACCESS, QUAL_LMSW(0)));
	assert_false(wants(EXIT_CR_ACCESS, QUAL_LMSW(8)));
}

static void cr3_by_controls_and_targets(void **state UNUSED)
{
	l1_run_l2();
	machine_vcpu->gpr[GPR_RBX] = 0x7000;
	set_proc(0);
	assert_false(wants(EXIT_CR_ACCESS, QUAL_MOV_TO(3, GPR_RBX)));
	assert_false(wants(EXIT_CR_ACCESS, QUAL_MOV_FROM(3, GPR_RBX)));
	set_proc(PROC_CR3_LOAD_EXITING | PROC_CR3_STORE_EXITING);
	assert_true(wants(EXIT_CR_ACCESS, QUAL_MOV_TO(3, GPR_RBX)));
	assert_true(wants(EXIT_CR_ACCESS, QUAL_MOV_FROM(3, GPR_RBX)));
	v12()->cr3_target2 = 0x7000;
	v12()->cr3_target_count = 2;
	assert_true(wants(EXIT_CR_ACCESS, QUAL_MOV_TO(3, GPR_RBX)));
	v12()->cr3_target_count = 3;
	assert_false(wants(EXIT_CR_ACCESS, QUAL_MOV_TO(3, GPR_RBX)));
}

static void cr8_by_controls(void **state UNUSED)
{
	l1_run_l2();
	set_proc(PROC_CR8_LOAD_EXITING);
	assert_true(wants(EXIT_CR_ACCESS, QUAL_MOV_TO(8, GPR_RBX)));
	set_proc(PROC_CR8_STORE_EXITING);
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
	set_proc(PROC_MSR_BITMAPS);
	v12()->msr_bitmap = P_MSR;
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
	set_proc(0);
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
		v12()->exception_bitmap = BIT(vector);
		assert_true(wants(EXIT_EXCEPTION_NMI, 0));
		v12()->exception_bitmap = ~BIT(vector);
		assert_false(wants(EXIT_EXCEPTION_NMI, 0));
	}
	machine_set_field(VMCS_exit_intr_info,
			  INTR_INFO_VALID | INTR_TYPE_HARD_EXCEPTION << 8 | INTR_INFO_ERROR_CODE | VEC_PF);
	for (u32 n = 0; n < 2 * 4 * 4 * 4; n++) {
		u32 pfec = n & 3, mask = (n >> 2) & 3, match = (n >> 4) & 3;
		bool eb = n >> 6;

		v12()->exception_bitmap = eb ? BIT(VEC_PF) : 0;
		v12()->pf_mask = mask;
		v12()->pf_match = match;
		machine_set_field(VMCS_exit_intr_error_code, pfec);
		assert_int_equal(wants(EXIT_EXCEPTION_NMI, 0), ((pfec & mask) == match) == eb);
	}
}

static void vmcs_accesses_by_shadowing(void **state UNUSED)
{
	l1_run_l2();
	machine_set_field(VMCS_exit_instruction_info, 1u << 10 | GPR_RCX << 28);
	machine_vcpu->gpr[GPR_RCX] = VMCS_guest_rip;
	v12()->proc2_controls = 0;
	assert_true(wants(EXIT_VMREAD, 0));
	v12()->proc2_controls = PROC2_VMCS_SHADOWING;
	v12()->vmread_bitmap = P_VMREAD;
	v12()->vmwrite_bitmap = P_VMWRITE;
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
	v12()->vm_function_controls = 1;
	machine_vcpu->gpr[GPR_RAX] = 0;
	assert_false(wants(EXIT_VMFUNC, 0));
	machine_vcpu->gpr[GPR_RAX] = 1;
	assert_true(wants(EXIT_VMFUNC, 0));
	machine_vcpu->gpr[GPR_RAX] = 64;
	assert_true(wants(EXIT_VMFUNC, 0));
	v12()->vm_function_controls = 0;
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
	set_proc(0);
	assert_false(wants(EXIT_MTF, 0));
	assert_false(wants(EXIT_NMI_WINDOW, 0));
	set_proc(PROC_MTF | PROC_NMI_WINDOW);
	assert_true(wants(EXIT_MTF, 0));
	assert_true(wants(EXIT_NMI_WINDOW, 0));
}

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
	v12()->cr4_guest_host_mask = CR4_CET;
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

static void processor_with_metrics(void)
{
	fake_cpuid_set(CPUID_LEAF_FEATURES, 0, 0x606a0, 0, CPUID_1_ECX_VMX | CPUID_1_ECX_PDCM, 0);
	fake_cpuid_set(CPUID_LEAF_PERFMON, 0, 0x08300405, 0, 0x8, 0x2);
	fake_msr_set(MSR_IA32_PERF_CAPABILITIES, PERF_CAP_METRICS);
	fake_msr_set(MSR_IA32_PERF_GLOBAL_CTRL, 0);
}

/* SDM "IA32_PERF_GLOBAL_CTRL": fixed counters by number or, from version 5 on, by mask; bit 48 for the
 * metrics. */
static void all_counters_may_be_loaded(void **state UNUSED)
{
	static const struct {
		u64 value;
		int outcome;
	} cases[] = {
		{ BIT(48) | 0xbull << 32 | 0xf, 0 },
		{ BIT(34), VMXERR_ENTRY_HOST_STATE },
		{ BIT(4), VMXERR_ENTRY_HOST_STATE },
		{ BIT(49), VMXERR_ENTRY_HOST_STATE },
	};

	l1_start_vmx();
	l1_load_vmcs(0);
	l1_write_valid_vmcs();
	W(exit_controls, R(exit_controls) | EXIT_LOAD_PERF_GLOBAL);
	for (size_t i = ARRAY_SIZE(cases); i-- > 0;) {
		W(host_perf_global_ctrl, cases[i].value);
		assert_int_equal(l1_enter(EXIT_VMLAUNCH), cases[i].outcome);
	}
}

static void processor_without_rtm_debugging(void)
{
	fake_debugctl_reserved |= DEBUGCTL_RTM;
}

/* SDM "Loading MSRs": after the checks on guest state, whatever bit of IA32_DEBUGCTL is at fault. */
static void msr_list_waits_for_debugctl(void **state UNUSED)
{
	l1_start_vmx();
	l1_load_vmcs(0);
	l1_write_valid_vmcs();
	W(entry_controls, R(entry_controls) | ENTRY_LOAD_DEBUG);
	W(guest_debugctl, DEBUGCTL_RTM);
	W(entry_msr_load_count, 1);
	W(entry_msr_load_addr, M_SPARE);
	l1_write64(M_SPARE, MSR_IA32_LSTAR);
	l1_write64(M_SPARE + 8, 0x1234);
	fake_msr_set(MSR_IA32_LSTAR, 1);
	l1_enter(EXIT_VMLAUNCH);
	assert_false(machine_in_l2());
	assert_int_equal(R(exit_reason), EXIT_REASON_ENTRY_FAILURE | EXIT_ENTRY_FAIL_GUEST);
	assert_int_equal(fake_msr_get(MSR_IA32_LSTAR), 1);
}

/* L2 left in virtual-8086 mode: without the flag its segments are checked as those of another mode. */
static void segments_are_checked_when_v86_ends(void **state UNUSED)
{
	l1_start_vmx();
	l1_load_vmcs(0);
	l1_write_valid_vmcs();
	W(entry_controls, R(entry_controls) & ~(u64)ENTRY_IA32E_GUEST);
	W(guest_efer, 0);
	W(guest_cr4, CR4_VMXE);
	W(guest_cs_ar, 0xc09b);
	assert_int_equal(l1_enter(EXIT_VMLAUNCH), 0);
	EXIT_NOW(.reason = EXIT_EPT_VIOLATION, .guest_physical = M_SPARE, .qualification = EPTV_READ);
	machine_set_field(VMCS_guest_rflags, RFLAGS_FIXED1 | RFLAGS_VM);
	for (unsigned int n = 0; n < 6; n++) {
		machine_set_field(VMCS_guest_es_selector + 2 * n, 0x100);
		machine_set_field(VMCS_guest_es_base + 2 * n, 0x1000);
		machine_set_field(VMCS_guest_es_limit + 2 * n, 0xffff);
		machine_set_field(VMCS_guest_es_ar + 2 * n, 0xf3);
	}
	EXIT_NOW(.reason = EXIT_CPUID);
	assert_false(machine_in_l2());
	W(guest_rflags, RFLAGS_FIXED1);
	l1_enter(EXIT_VMRESUME);
	assert_false(machine_in_l2());
	assert_int_equal(R(exit_reason), EXIT_REASON_ENTRY_FAILURE | EXIT_ENTRY_FAIL_GUEST);
}

/* ---- what L1 reads ---- */

static void exit_information_reaches_l1(void **state UNUSED)
{
	l1_run_l2();
	machine_set_field(VMCS_guest_rip, 0x401234);
	machine_set_field(VMCS_guest_rsp, 0x411234);
	machine_set_field(VMCS_guest_rflags, 0x246);
	machine_set_field(VMCS_guest_fs_base, 0x55aa);
	machine_set_field(VMCS_guest_gdtr_limit, 0x7f);
	EXIT_NOW(.reason = EXIT_IO, .qualification = 0x3f80008, .length = 2, .info = 0x123,
		 .guest_linear = 0x999);
	assert_false(machine_in_l2());
	assert_int_equal(R(exit_reason), EXIT_IO);
	assert_int_equal(R(exit_qualification), 0x3f80008);
	assert_int_equal(R(exit_instruction_length), 2);
	assert_int_equal(R(exit_instruction_info), 0x123);
	assert_int_equal(R(guest_linear_address), 0x999);
	assert_int_equal(R(exit_intr_info), 0);
	assert_int_equal(R(idt_vectoring_info), 0);
	assert_int_equal(R(guest_rip), 0x401234);
	assert_int_equal(R(guest_rsp), 0x411234);
	assert_int_equal(R(guest_rflags), 0x246);
	assert_int_equal(R(guest_fs_base), 0x55aa);
	assert_int_equal(R(guest_gdtr_limit), 0x7f);
	assert_int_equal(machine_vcpu->exits_reflected[EXIT_IO], 1);
}

/* Every field of guest state that an exit saves is what the processor left in vmcs02. */
static void all_guest_state_is_saved(void **state UNUSED)
{
	u64 expected[VMCS12_FIELD_COUNT];

	l1_run_l2();
	for (unsigned int row = 0; row < VMCS12_FIELD_COUNT; row++) {
		const struct vmcs12_field *f = &vmcs12_fields[row];

		expected[row] = vmcs12_mask_width(f->encoding, 0x1000 + row * 8);
		if (f->flow == FLOW_COPY && row != V12_guest_smbase && row != V12_guest_rflags &&
		    row != V12_guest_cs_ar && row != V12_guest_ss_ar && row != V12_guest_interruptibility &&
		    row != V12_guest_activity_state)
			machine_set_field(f->encoding, expected[row]);
		else
			expected[row] = ~0ull;
	}
	EXIT_NOW(.reason = EXIT_CPUID);
	assert_false(machine_in_l2());
	for (unsigned int row = 0; row < VMCS12_FIELD_COUNT; row++) {
		u64 value;

		if (expected[row] == ~0ull || vmcs12_find(vmcs12_fields[row].encoding) < 0)
			continue;
		assert_int_equal(l1_vmread(vmcs12_fields[row].encoding, &value), 0);
		if (value != expected[row])
			fail_msg("%s: %llx", vmcs12_fields[row].name, (unsigned long long)value);
	}
}

/* CVE-2022-2196: what L2 taught the branch predictor is kept from L1, which counts on its VM exit for that.
 */
static void processor_with_ibpb(void)
{
	fake_cpuid_set(7, 0, 0, 0x009c27ab, 0x0000001c, CPUID_7_EDX_IBRS);
	fake_msr_set(MSR_IA32_PRED_CMD, 0);
}

static bool barrier_after_an_exit(void)
{
	fake_msr_set(MSR_IA32_PRED_CMD, 0);
	EXIT_NOW(.reason = EXIT_CPUID);
	assert_false(machine_in_l2());
	return fake_msr_get(MSR_IA32_PRED_CMD) == PRED_CMD_IBPB;
}

static void a_predictor_barrier_follows_l2(void **state UNUSED)
{
	l1_run_l2();
	assert_true(barrier_after_an_exit());
	/* none for L1's own exits */
	assert_false(barrier_after_an_exit());
}

static void no_predictor_barrier_by_option(void **state UNUSED)
{
	l1_run_l2();
	assert_false(barrier_after_an_exit());
}

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

static void vectoring_reaches_l1(void **state UNUSED)
{
	u32 info = INTR_INFO_VALID | INTR_TYPE_HARD_EXCEPTION << 8 | INTR_INFO_ERROR_CODE | VEC_GP;

	l1_run_l2();
	EXIT_NOW(.reason = EXIT_TASK_SWITCH, .vectoring_info = info, .vectoring_error_code = 0x18);
	assert_false(machine_in_l2());
	assert_int_equal(R(idt_vectoring_info), info);
	assert_int_equal(R(idt_vectoring_error_code), 0x18);
	assert_int_equal(machine_pending(), 0);
}

/* An exit that L0 handles itself: the event that it broke off is delivered again, with its length. */
static void vectoring_survives_l0s_own_exits(void **state UNUSED)
{
	u32 info = INTR_INFO_VALID | INTR_TYPE_SOFT_INTERRUPT << 8 | 0x80;

	l1_run_l2();
	EXIT_NOW(.reason = EXIT_EPT_VIOLATION,
		 .qualification = EPTV_WRITE | EPTV_LINEAR_VALID | EPTV_TRANSLATED,
		 .guest_physical = 0xfd0000000, .vectoring_info = info, .length = 2);
	assert_true(machine_in_l2());
	assert_int_equal(machine_pending(), info);
	assert_int_equal(machine_field(VMCS_entry_instruction_length), 2);
}

static void nmi_blocking_is_taken_back_for_an_nmi_delivered_again(void **state UNUSED)
{
	u32 info = INTR_INFO_VALID | INTR_TYPE_NMI << 8 | VEC_NMI;

	l1_run_l2();
	machine_set_field(VMCS_guest_interruptibility, INTERRUPTIBILITY_NMI);
	EXIT_NOW(.reason = EXIT_EPT_VIOLATION, .qualification = EPTV_WRITE, .guest_physical = 0xfd0000000,
		 .vectoring_info = info);
	assert_true(machine_in_l2());
	assert_int_equal(machine_pending(), info);
	assert_int_equal(machine_field(VMCS_guest_interruptibility) & INTERRUPTIBILITY_NMI, 0);
}

/* ---- MSR lists ---- */

static void put_msr(u64 list, unsigned int n, u32 msr, u32 reserved, u64 value)
{
	l1_write64(list + n * 16, (u64)reserved << 32 | msr);
	l1_write64(list + n * 16 + 8, value);
}

static void prepare_lists(u64 entry, u64 store, u64 load)
{
	l1_start_vmx();
	l1_load_vmcs(0);
	l1_write_valid_vmcs();
	W(entry_msr_load_addr, P_ENTRY);
	W(entry_msr_load_count, entry);
	W(exit_msr_store_addr, P_STORE);
	W(exit_msr_store_count, store);
	W(exit_msr_load_addr, P_LOAD);
	W(exit_msr_load_count, load);
}

static void msr_lists_load_and_store(void **state UNUSED)
{
	prepare_lists(2, 1, 1);
	put_msr(P_ENTRY, 0, MSR_IA32_LSTAR, 0, 0x1111);
	put_msr(P_ENTRY, 1, MSR_IA32_STAR, 0, 0x2222);
	put_msr(P_STORE, 0, MSR_IA32_LSTAR, 0, 0);
	put_msr(P_LOAD, 0, MSR_IA32_LSTAR, 0, 0x3333);
	assert_int_equal(l1_enter(EXIT_VMLAUNCH), 0);
	assert_true(machine_in_l2());
	assert_int_equal(fake_msr_get(MSR_IA32_LSTAR), 0x1111);
	assert_int_equal(fake_msr_get(MSR_IA32_STAR), 0x2222);
	fake_msr_set(MSR_IA32_LSTAR, 0x4444);
	EXIT_NOW(.reason = EXIT_CPUID);
	assert_int_equal(l1_read64(P_STORE + 8), 0x4444);
	assert_int_equal(fake_msr_get(MSR_IA32_LSTAR), 0x3333);
	assert_int_equal(fake_msr_get(MSR_IA32_STAR), 0x2222);
}

static void entry_list_fails_with_its_index(void **state UNUSED)
{
	static const struct {
		u32 msr, reserved;
		u64 value;
	} bad[] = {
		{ MSR_IA32_LSTAR, 1, 0 }, /* reserved bits */
		{ MSR_IA32_FS_BASE, 0, 0 },
		{ MSR_IA32_GS_BASE, 0, 0 },
		{ 0x808, 0, 0 }, /* x2APIC */
		{ MSR_IA32_SMM_MONITOR_CTL, 0, 0 },
		{ MSR_IA32_BIOS_UPDT_TRIG, 0, 0 },
		{ MSR_IA32_LSTAR, 0, BIT(47) }, /* WRMSR would fault */
		{ 0x12345, 0, 0 },
	};

	prepare_lists(3, 0, 0);
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		put_msr(P_ENTRY, 0, MSR_IA32_STAR, 0, 7);
		put_msr(P_ENTRY, 1, bad[i].msr, bad[i].reserved, bad[i].value);
		put_msr(P_ENTRY, 2, MSR_IA32_STAR, 0, 9);
		assert_int_equal(l1_enter(EXIT_VMLAUNCH), 0);
		assert_false(machine_in_l2());
		assert_int_equal(machine_field(VMCS_guest_rip), 0x300000);
		assert_true(R(exit_reason) == (EXIT_ENTRY_FAIL_MSR | EXIT_REASON_ENTRY_FAILURE));
		assert_int_equal(R(exit_qualification), 2);
		assert_int_equal(fake_msr_get(MSR_IA32_STAR), 7);
	}
}

/* SDM: VM entry leaves CR0.CD and NW alone, and so does the exit of an entry that fails behind the checks. */
static void cd_stays_l1s_over_a_failed_list(void **state UNUSED)
{
	prepare_lists(1, 0, 0);
	put_msr(P_ENTRY, 0, 0x12345, 0, 0);
	W(guest_cr0, R(guest_cr0) | CR0_CD);
	assert_int_equal(l1_enter(EXIT_VMLAUNCH), 0);
	assert_false(machine_in_l2());
	assert_true(R(exit_reason) == (EXIT_ENTRY_FAIL_MSR | EXIT_REASON_ENTRY_FAILURE));
	assert_int_equal(machine_field(VMCS_guest_cr0) & CR0_CD, 0);
	assert_int_equal(R(guest_cr0) & CR0_CD, CR0_CD);
}

static void list_beyond_the_limit_fails_there(void **state UNUSED)
{
	prepare_lists(513, 0, 0);
	for (unsigned int n = 0; n < 513; n++)
		put_msr(P_ENTRY, n, MSR_IA32_STAR, 0, n);
	assert_int_equal(l1_enter(EXIT_VMLAUNCH), 0);
	assert_false(machine_in_l2());
	assert_int_equal(R(exit_qualification), 513);
}

static void assert_aborted(u32 indicator)
{
	u32 found;

	assert_false(machine_in_l2());
	memcpy(&found, fake_memory + M_VMCS(0) + 4, sizeof(found));
	assert_int_equal(found, indicator);
	assert_int_equal(machine_field(VMCS_guest_activity_state), ACTIVITY_SHUTDOWN);
	assert_int_equal(fake_current_vmcs(), machine_vcpu->vmcs01.region.v);
}

static void a_bad_store_list_aborts(void **state UNUSED)
{
	prepare_lists(0, 1, 0);
	put_msr(P_STORE, 0, MSR_IA32_SMBASE, 0, 0);
	assert_int_equal(l1_enter(EXIT_VMLAUNCH), 0);
	EXIT_NOW(.reason = EXIT_CPUID);
	assert_aborted(VMX_ABORT_STORE_MSR);
}

static void a_bad_load_list_aborts(void **state UNUSED)
{
	prepare_lists(0, 0, 1);
	put_msr(P_LOAD, 0, MSR_IA32_FS_BASE, 0, 0);
	assert_int_equal(l1_enter(EXIT_VMLAUNCH), 0);
	EXIT_NOW(.reason = EXIT_CPUID);
	assert_aborted(VMX_ABORT_LOAD_MSR);
}

/* L2 went to IA-32e mode by itself, which the controls of a 32-bit host could not say. */
static void long_mode_over_a_32_bit_host_aborts(void **state UNUSED)
{
	l1_run_l2();
	v12()->exit_controls &= ~EXIT_HOST_64;
	EXIT_NOW(.reason = EXIT_CPUID);
	assert_aborted(VMX_ABORT_HOST_LONG_MODE);
}

/* A host with bad PDPTEs: what vmcs01 had there before may be anything, and is entered for the shutdown. */
static void an_aborted_cpu_can_be_entered(void **state UNUSED)
{
	l1_run_l2();
	v12()->exit_controls = (v12()->exit_controls & ~(EXIT_HOST_64 | EXIT_LOAD_EFER));
	v12()->host_cr3 = P_EPT;
	l1_write64(P_EPT, ~0ull);
	machine_set_field(VMCS_guest_efer, 0);
	for (u32 n = 0; n < 4; n++)
		fake_set(machine_vcpu->vmcs01.region.v, VMCS_guest_pdpte0 + 2 * n, ~0ull);
	EXIT_NOW(.reason = EXIT_CPUID);
	assert_aborted(VMX_ABORT_HOST_PDPTE);
	for (u32 n = 0; n < 4; n++)
		assert_int_equal(machine_field01(VMCS_guest_pdpte0 + 2 * n), 0);
}

/* SDM "VMX Aborts": only a reset wakes the processor, whatever activity state an exit has saved. */
static void nothing_wakes_an_aborted_cpu(void **state UNUSED)
{
	prepare_lists(0, 1, 0);
	put_msr(P_STORE, 0, MSR_IA32_SMBASE, 0, 0);
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
}

/* ---- L0's emulation for L2, and events that it finds ---- */

static void an_exception_of_l0s_making_asks_l1(void **state UNUSED)
{
	l1_run_l2();
	/* MOV to CR4 with a reserved bit, intercepted by L0's own wish: #GP(0). */
	machine_vcpu->gpr[GPR_RBX] = BIT(31);
	v12()->exception_bitmap = 0;
	EXIT_NOW(.reason = EXIT_CR_ACCESS, .qualification = QUAL_MOV_TO(4, GPR_RBX));
	assert_true(machine_in_l2());
	assert_int_equal(machine_pending(),
			 INTR_INFO_VALID | INTR_TYPE_HARD_EXCEPTION << 8 | INTR_INFO_ERROR_CODE | VEC_GP);
	assert_int_equal(machine_field(VMCS_guest_rip), 0x400000);
	v12()->exception_bitmap = BIT(VEC_GP);
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
	set_proc(PROC_MTF);
	EXIT_NOW(.reason = EXIT_CR_ACCESS, .qualification = QUAL_MOV_TO(4, GPR_RBX));
	assert_false(machine_in_l2());
	assert_int_equal(R(exit_reason), EXIT_MTF);
	assert_int_equal(R(guest_rip), 0x400006);
	assert_int_equal(R(guest_cr4), CR4_PAE | CR4_VMXE);
	assert_int_equal(R(guest_pending_debug), PENDING_DEBUG_BS);
}

/* PAE with EPT12: L2 reloads its PDPTEs by MOV to CR3, then anything reflects; L1 sees the new ones. */
static void run_pae_l2(void)
{
	l1_start_vmx();
	l1_load_vmcs(0);
	l1_write_valid_vmcs();
	/* EPT12: identity, 1 GiB pages. */
	l1_write64(P_EPT, (P_EPT + 0x1000) | EPT_RWX);
	for (u64 i = 0; i < 4; i++)
		l1_write64(P_EPT + 0x1000 + i * 8,
			   i << 30 | EPT_RWX | EPT_LEAF | MEMTYPE_WB << EPT_MEMTYPE_SHIFT);
	W(ept_pointer, P_EPT | 3 << EPTP_WALK_SHIFT | MEMTYPE_WB);
	W(proc2_controls, PROC2_EPT | PROC2_UNRESTRICTED_GUEST);
	W(entry_controls, caps12.entry.allowed0 | ENTRY_LOAD_EFER);
	W(guest_efer, 0);
	W(guest_cs_ar, 0xc09b);
	W(guest_cr3, M_SPARE);
	W(guest_pdpte0, 0x1001);
	assert_int_equal(l1_enter(EXIT_VMLAUNCH), 0);
	assert_true(machine_in_l2());
}

static void new_pdptes_survive_a_reflected_exit(void **state UNUSED)
{
	run_pae_l2();
	for (u64 i = 0; i < 4; i++)
		l1_write64(M_SPARE + 0x40 + i * 8, (0x5000 + i * 0x1000) | 1);
	machine_vcpu->gpr[GPR_RBX] = M_SPARE + 0x40;
	set_proc(PROC_MTF);
	EXIT_NOW(.reason = EXIT_CR_ACCESS, .qualification = QUAL_MOV_TO(3, GPR_RBX));
	assert_false(machine_in_l2());
	assert_int_equal(R(exit_reason), EXIT_MTF);
	assert_int_equal(R(guest_cr3), M_SPARE + 0x40);
	assert_int_equal(R(guest_pdpte0), 0x5001);
	assert_int_equal(R(guest_pdpte3), 0x8001);
	assert_int_equal(l1_enter(EXIT_VMRESUME), 0);
	assert_int_equal(machine_field(VMCS_guest_pdpte2), 0x7001);
}

/* SDM "Page-Directory-Pointer-Table Registers": PAE, PGE, PSE and SMEP load them, SMAP and TSD do not. */
static void pdptes_load_by_these_bits_of_cr4(void **state UNUSED)
{
	static const struct {
		u64 bit;
		bool loads;
	} rows[] = { { CR4_SMAP, false },
		     { CR4_TSD, false },
		     { CR4_SMEP, true },
		     { CR4_PSE, true },
		     { CR4_PGE, true } };

	run_pae_l2();
	for (u64 i = 0; i < ARRAY_SIZE(rows); i++) {
		u64 before = machine_field(VMCS_guest_pdpte0), now = (0x10000 + i * 0x1000) | 1;

		l1_write64(M_SPARE, now);
		machine_vcpu->gpr[GPR_RBX] = machine_field(VMCS_guest_cr4) ^ rows[i].bit;
		EXIT_NOW(.reason = EXIT_CR_ACCESS, .qualification = QUAL_MOV_TO(4, GPR_RBX));
		assert_true(machine_in_l2());
		assert_int_equal(machine_pending(), 0);
		assert_int_equal(machine_field(VMCS_guest_cr4), machine_vcpu->gpr[GPR_RBX]);
		assert_int_equal(machine_field(VMCS_guest_pdpte0), rows[i].loads ? now : before);
	}
}

static void a_reserved_bit_in_a_pdpte_changes_nothing(void **state UNUSED)
{
	run_pae_l2();
	l1_write64(M_SPARE + 0x40, 0x5003);
	machine_vcpu->gpr[GPR_RBX] = M_SPARE + 0x40;
	EXIT_NOW(.reason = EXIT_CR_ACCESS, .qualification = QUAL_MOV_TO(3, GPR_RBX));
	assert_true(machine_in_l2());
	assert_int_equal(machine_pending() & 0xff, VEC_GP);
	assert_int_equal(machine_field(VMCS_guest_cr3), M_SPARE);
	assert_int_equal(machine_field(VMCS_guest_pdpte0), 0x1001);
}

/* CR3 may name what is no RAM: PDPTEs in ROM count as they stand, those in absent memory are ones. */
static void pdptes_may_lie_in_rom(void **state UNUSED)
{
	run_pae_l2();
	l1_write64(0xffffffe0, 0x6001);
	machine_vcpu->gpr[GPR_RBX] = 0xffffffff;
	EXIT_NOW(.reason = EXIT_CR_ACCESS, .qualification = QUAL_MOV_TO(3, GPR_RBX));
	assert_true(machine_in_l2());
	assert_int_equal(machine_pending(), 0);
	assert_int_equal(machine_field(VMCS_guest_pdpte0), 0x6001);
	machine_vcpu->gpr[GPR_RBX] = 0xfe000000;
	EXIT_NOW(.reason = EXIT_CR_ACCESS, .qualification = QUAL_MOV_TO(3, GPR_RBX));
	assert_int_equal(machine_pending() & 0xff, VEC_GP);
	assert_int_equal(machine_field(VMCS_guest_pdpte0), 0x6001);
}

/* The end of such an address is 0 in 64 bits: still no ROM. */
static void the_last_address_is_no_rom(void **state UNUSED)
{
	u64 value = 0;

	assert_false(guest_mem_read(machine_vcpu, GPA(~7ull), &value, sizeof(value)));
	assert_true(value == ~0ull);
}

static void an_unmapped_pdpte_page_is_l1s_violation(void **state UNUSED)
{
	run_pae_l2();
	machine_vcpu->gpr[GPR_RBX] = 0xc0000000;
	l1_write64(P_EPT + 0x1000 + 3 * 8, 0);
	EXIT_NOW(.reason = EXIT_CR_ACCESS, .qualification = QUAL_MOV_TO(3, GPR_RBX));
	assert_false(machine_in_l2());
	assert_int_equal(R(exit_reason), EXIT_EPT_VIOLATION);
	assert_int_equal(R(guest_physical_address), 0xc0000000);
	assert_int_equal(R(exit_qualification) & 0x1bf, EPTV_READ);
	assert_int_equal(R(guest_cr3), M_SPARE);
	assert_int_equal(R(guest_rip), 0x400000);
}

/* ---- NMIs, INIT ---- */

static void an_nmi_exits_to_l1_if_it_wants(void **state UNUSED)
{
	l1_start_vmx();
	l1_load_vmcs(0);
	l1_write_valid_vmcs();
	W(pin_controls, caps12.pin.allowed0 | PIN_NMI_EXITING);
	assert_int_equal(l1_enter(EXIT_VMLAUNCH), 0);
	EXIT_NOW(.reason = EXIT_EXCEPTION_NMI, .intr_info = INTR_INFO_VALID | INTR_TYPE_NMI << 8 | VEC_NMI);
	assert_false(machine_in_l2());
	assert_int_equal(R(exit_reason), EXIT_EXCEPTION_NMI);
	assert_int_equal(R(exit_intr_info), INTR_INFO_VALID | INTR_TYPE_NMI << 8 | VEC_NMI);
}

static void an_nmi_is_l2s_if_l1_does_not_want_it(void **state UNUSED)
{
	l1_run_l2();
	EXIT_NOW(.reason = EXIT_EXCEPTION_NMI, .intr_info = INTR_INFO_VALID | INTR_TYPE_NMI << 8 | VEC_NMI);
	assert_true(machine_in_l2());
	assert_int_equal(machine_pending(), INTR_INFO_VALID | INTR_TYPE_NMI << 8 | VEC_NMI);
	/* Another one while the first blocks: it waits for the window. */
	EXIT_NOW(.reason = EXIT_EXCEPTION_NMI, .intr_info = INTR_INFO_VALID | INTR_TYPE_NMI << 8 | VEC_NMI);
	machine_set_field(VMCS_guest_interruptibility, INTERRUPTIBILITY_NMI);
	EXIT_NOW(.reason = EXIT_EXCEPTION_NMI, .intr_info = INTR_INFO_VALID | INTR_TYPE_NMI << 8 | VEC_NMI);
	assert_true(machine_field(VMCS_proc_controls) & PROC_NMI_WINDOW);
	assert_int_equal(machine_pending(), 0);
	machine_set_field(VMCS_guest_interruptibility, 0);
	EXIT_NOW(.reason = EXIT_NMI_WINDOW);
	assert_true(machine_in_l2());
	assert_int_equal(machine_pending() & 0xff, VEC_NMI);
}

static void an_nmi_that_met_l0_is_not_lost(void **state UNUSED)
{
	l1_run_l2();
	machine_vcpu->request = REQUEST_NMI;
	EXIT_NOW(.reason = EXIT_EXTERNAL_INTERRUPT, .intr_info = INTR_INFO_VALID | 0x30);
	/* Delivered to L2 at the entry that was about to happen. */
	assert_int_equal(machine_injected & 0xff, VEC_NMI);
}

/* An NMI that L0 holds waits with an L2 that waits for a SIPI; behind its exit it is L1's. */
static void an_nmi_waits_with_wait_for_sipi(void **state UNUSED)
{
	l1_start_vmx();
	l1_load_vmcs(0);
	l1_write_valid_vmcs();
	W(pin_controls, caps12.pin.allowed0 | PIN_NMI_EXITING | PIN_VIRTUAL_NMIS);
	W(guest_activity_state, ACTIVITY_WAIT_FOR_SIPI);
	machine_set_field(VMCS_guest_interruptibility, INTERRUPTIBILITY_NMI);
	EXIT_NOW(.reason = EXIT_EXCEPTION_NMI, .intr_info = INTR_INFO_VALID | INTR_TYPE_NMI << 8 | VEC_NMI);
	assert_true(machine_vcpu->nmi_pending);
	assert_int_equal(l1_enter(EXIT_VMLAUNCH), 0);
	assert_true(machine_in_l2() && machine_vcpu->nmi_pending);
	assert_int_equal(machine_pending(), 0);
	EXIT_NOW(.reason = EXIT_SIPI, .qualification = 0x9a);
	assert_int_equal(R(exit_reason), EXIT_SIPI);
	assert_int_equal(R(guest_activity_state), ACTIVITY_WAIT_FOR_SIPI);
}

#define NMI_EXIT .reason = EXIT_EXCEPTION_NMI, .intr_info = INTR_INFO_VALID | INTR_TYPE_NMI << 8 | VEC_NMI

/* A processor that opens the NMI window while STI blocks would do it for ever. */
static void an_nmi_window_behind_sti_is_open(void **state UNUSED)
{
	machine_set_field(VMCS_guest_interruptibility, INTERRUPTIBILITY_STI);
	EXIT_NOW(NMI_EXIT);
	assert_int_equal(machine_pending(), 0);
	assert_true(machine_field(VMCS_proc_controls) & PROC_NMI_WINDOW);
	EXIT_NOW(.reason = EXIT_NMI_WINDOW);
	assert_int_equal(machine_pending() & 0xff, VEC_NMI);
	assert_int_equal(machine_field(VMCS_guest_interruptibility), 0);
	EXIT_NOW(.reason = EXIT_CPUID);
	l1_run_l2();
	EXIT_NOW(.reason = EXIT_CPUID);
	W(pin_controls, caps12.pin.allowed0 | PIN_NMI_EXITING | PIN_VIRTUAL_NMIS);
	W(guest_rflags, RFLAGS_FIXED1 | RFLAGS_IF);
	W(guest_interruptibility, INTERRUPTIBILITY_STI);
	assert_int_equal(l1_enter(EXIT_VMRESUME), 0);
	EXIT_NOW(NMI_EXIT);
	assert_true(machine_in_l2());
	EXIT_NOW(.reason = EXIT_NMI_WINDOW);
	assert_int_equal(R(exit_reason), EXIT_EXCEPTION_NMI);
	assert_int_equal(R(guest_interruptibility), INTERRUPTIBILITY_STI);
}

/* SDM "Other Causes of VM Exits": the exit takes priority over NMIs; the NMI that L0 holds is L1's own next.
 */
static void the_nmi_window_comes_before_an_nmi(void **state UNUSED)
{
	l1_start_vmx();
	l1_load_vmcs(0);
	l1_write_valid_vmcs();
	W(pin_controls, caps12.pin.allowed0 | PIN_NMI_EXITING | PIN_VIRTUAL_NMIS);
	W(proc_controls, R(proc_controls) | PROC_NMI_WINDOW);
	W(entry_intr_info, INTR_INFO_VALID | INTR_TYPE_HARD_EXCEPTION << INTR_INFO_TYPE_SHIFT | VEC_UD);
	machine_set_field(VMCS_guest_interruptibility, INTERRUPTIBILITY_NMI);
	EXIT_NOW(NMI_EXIT);
	assert_int_equal(l1_enter(EXIT_VMLAUNCH), 0);
	assert_true(machine_in_l2() && machine_vcpu->nmi_pending);
	EXIT_NOW(.reason = EXIT_NMI_WINDOW);
	assert_int_equal(machine_vcpu->nested.current->v12.exit_reason, EXIT_NMI_WINDOW);
	assert_int_equal(machine_pending() & 0xff, VEC_NMI);
}

/* SDM "Monitor Trap Flag": MTF VM exits take priority over what is lower than debug traps, as NMIs are. */
static void a_pending_mtf_comes_before_an_nmi(void **state UNUSED)
{
	l1_start_vmx();
	l1_load_vmcs(0);
	l1_write_valid_vmcs();
	W(pin_controls, caps12.pin.allowed0 | PIN_NMI_EXITING | PIN_VIRTUAL_NMIS);
	W(entry_intr_info, INTR_INFO_VALID | INTR_TYPE_OTHER << INTR_INFO_TYPE_SHIFT);
	W(guest_interruptibility, INTERRUPTIBILITY_NMI);
	machine_set_field(VMCS_guest_interruptibility, INTERRUPTIBILITY_NMI);
	EXIT_NOW(NMI_EXIT);
	assert_int_equal(l1_enter(EXIT_VMLAUNCH), 0);
	assert_true(machine_in_l2() && machine_vcpu->nmi_pending);
	assert_int_equal(machine_pending(), INTR_INFO_VALID | INTR_TYPE_OTHER << INTR_INFO_TYPE_SHIFT);
	EXIT_NOW(.reason = EXIT_MTF);
	assert_int_equal(R(exit_reason), EXIT_MTF);
}

/*
 * An NMI that L0 holds ends L2 before the processor has entered it. SDM: entries and exits leave CR0.CD and
 * NW alone, and those of the guest's field are not checked: here a pair that MOV to CR0 would refuse.
 */
static void an_nmi_at_the_entry_leaves_cd_and_nw_alone(void **state UNUSED)
{
	u64 cr0 = read_cr0();

	l1_start_vmx();
	l1_load_vmcs(0);
	l1_write_valid_vmcs();
	W(pin_controls, caps12.pin.allowed0 | PIN_NMI_EXITING | PIN_VIRTUAL_NMIS);
	W(guest_cr0, R(guest_cr0) | CR0_NW);
	machine_set_field(VMCS_guest_interruptibility, INTERRUPTIBILITY_NMI);
	EXIT_NOW(NMI_EXIT);
	assert_true(machine_vcpu->nmi_pending);
	assert_int_equal(l1_enter(EXIT_VMLAUNCH), 0);
	assert_false(machine_in_l2());
	assert_int_equal(R(exit_reason), EXIT_EXCEPTION_NMI);
	assert_int_equal(read_cr0(), cr0);
	assert_int_equal(machine_field(VMCS_guest_cr0) & (CR0_CD | CR0_NW), 0);
	assert_int_equal(R(guest_cr0) & (CR0_CD | CR0_NW), 0);
}

/* SDM "Handling Multiple NMIs": what faults in an NMI's delivery finds NMIs blocked. */
static void a_fault_in_an_nmis_delivery_leaves_nmis_blocked(void **state UNUSED)
{
	machine_set_field(VMCS_guest_interruptibility, INTERRUPTIBILITY_NMI);
	EXIT_NOW(.reason = EXIT_EXCEPTION_NMI,
		 .intr_info = INTR_INFO_VALID | INTR_INFO_ERROR_CODE |
			      INTR_TYPE_HARD_EXCEPTION << INTR_INFO_TYPE_SHIFT | VEC_PF,
		 .vectoring_info = INTR_INFO_VALID | INTR_TYPE_NMI << INTR_INFO_TYPE_SHIFT | VEC_NMI);
	assert_int_equal(machine_pending() & 0xff, VEC_PF);
	assert_int_equal(machine_field(VMCS_guest_interruptibility), INTERRUPTIBILITY_NMI);
}

/* SDM "Blocking of NMIs": with "NMI exiting" alone, that by an injected NMI too outlasts L2's IRETs. */
static void an_injected_nmi_blocks_until_l2_ends(void **state UNUSED)
{
	l1_start_vmx();
	l1_load_vmcs(0);
	l1_write_valid_vmcs();
	W(pin_controls, caps12.pin.allowed0 | PIN_NMI_EXITING);
	W(entry_intr_info, INTR_INFO_VALID | INTR_TYPE_NMI << INTR_INFO_TYPE_SHIFT | VEC_NMI);
	assert_int_equal(l1_enter(EXIT_VMLAUNCH), 0);
	assert_true(machine_in_l2());
	/* L2 has returned from its handler. */
	machine_set_field(VMCS_guest_interruptibility, 0);
	EXIT_NOW(NMI_EXIT);
	assert_true(machine_in_l2() && machine_vcpu->nmi_pending);
	assert_false(machine_field(VMCS_proc_controls) & PROC_NMI_WINDOW);
	machine_set_field(VMCS_guest_interruptibility, 0);
	EXIT_NOW(.reason = EXIT_CPUID);
	assert_int_equal(R(exit_reason), EXIT_CPUID);
	assert_int_equal(R(guest_interruptibility), INTERRUPTIBILITY_NMI);
	assert_int_equal(machine_field(VMCS_guest_interruptibility), INTERRUPTIBILITY_NMI);
	assert_true(machine_vcpu->nmi_pending);
	/* Without that, and not blocked, the next L2 is ended by it. */
	W(guest_interruptibility, 0);
	assert_int_equal(l1_enter(EXIT_VMRESUME), 0);
	assert_int_equal(R(exit_reason), EXIT_EXCEPTION_NMI);
}

static void init_ends_l2(void **state UNUSED)
{
	l1_run_l2();
	EXIT_NOW(.reason = EXIT_INIT);
	assert_false(machine_in_l2());
	assert_int_equal(R(exit_reason), EXIT_INIT);
}

static void init_in_root_waits_for_the_next_entry(void **state UNUSED)
{
	l1_start_vmx();
	l1_load_vmcs(0);
	l1_write_valid_vmcs();
	EXIT_NOW(.reason = EXIT_INIT);
	assert_true(machine_vcpu->nested.init_pending);
	assert_int_equal(l1_enter(EXIT_VMLAUNCH), 0);
	assert_false(machine_in_l2());
	assert_int_equal(R(exit_reason), EXIT_INIT);
	assert_int_equal(R(guest_rip), 0x400000);
	EXIT_NOW(.reason = EXIT_INIT);
	assert_int_equal(l1_vmxoff(), 0);
	assert_int_equal(machine_field(VMCS_guest_rip), 0xfff0);
}

/* An AP waits at once, and has its INIT state when the SIPI comes. */
static void an_ap_is_reset_by_init_and_sipi(void **state UNUSED)
{
	fake_msr_set(MSR_IA32_APIC_BASE, 0xfee00800);
	machine_vcpu->gpr[GPR_RBX] = 0x1234;
	machine_set_field(VMCS_guest_interruptibility, INTERRUPTIBILITY_STI);
	EXIT_NOW(.reason = EXIT_INIT);
	assert_int_equal(machine_field(VMCS_guest_activity_state), ACTIVITY_WAIT_FOR_SIPI);
	assert_int_equal(machine_field(VMCS_guest_interruptibility), 0);
	EXIT_NOW(.reason = EXIT_SIPI, .qualification = 0x9a);
	assert_int_equal(machine_field(VMCS_guest_activity_state), ACTIVITY_ACTIVE);
	assert_int_equal(machine_field(VMCS_guest_cs_selector), 0x9a00);
	assert_int_equal(machine_field(VMCS_guest_cs_base), 0x9a000);
	assert_int_equal(machine_field(VMCS_guest_rip), 0);
	assert_int_equal(machine_field(VMCS_guest_rflags), RFLAGS_FIXED1);
	assert_int_equal(machine_field(VMCS_guest_efer), 0);
	assert_int_equal(machine_vcpu->gpr[GPR_RBX], 0);
}

/* SDM "Event Injection": delivered as part of VM entry; the INIT comes at the boundary behind it. */
static void a_held_init_waits_for_the_injected_event(void **state UNUSED)
{
	l1_start_vmx();
	l1_load_vmcs(0);
	l1_write_valid_vmcs();
	W(entry_intr_info, INTR_INFO_VALID | INTR_TYPE_HARD_EXCEPTION << INTR_INFO_TYPE_SHIFT | VEC_UD);
	EXIT_NOW(.reason = EXIT_INIT);
	assert_int_equal(l1_enter(EXIT_VMLAUNCH), 0);
	assert_true(machine_in_l2() && machine_vcpu->nested.init_pending);
	assert_true(machine_field(VMCS_proc_controls) & PROC_MTF);
	EXIT_NOW(.reason = EXIT_MTF);
	assert_false(machine_in_l2());
	assert_int_equal(R(exit_reason), EXIT_INIT);
	assert_int_equal(R(idt_vectoring_info) & INTR_INFO_VALID, 0);
	assert_false(machine_vcpu->nested.init_pending);
	/* The flag was L0's own: the next entry is without it. */
	assert_int_equal(l1_enter(EXIT_VMRESUME), 0);
	assert_true(machine_in_l2());
	assert_false(machine_field(VMCS_proc_controls) & PROC_MTF);
}

/* In HLT the exit finds L2 as it was; wait-for-SIPI blocks INITs. */
static void a_held_init_and_the_activity_states(void **state UNUSED)
{
	l1_start_vmx();
	l1_load_vmcs(0);
	l1_write_valid_vmcs();
	W(guest_activity_state, ACTIVITY_HLT);
	EXIT_NOW(.reason = EXIT_INIT);
	assert_int_equal(l1_enter(EXIT_VMLAUNCH), 0);
	assert_int_equal(R(exit_reason), EXIT_INIT);
	assert_int_equal(R(guest_activity_state), ACTIVITY_HLT);
	W(guest_activity_state, ACTIVITY_WAIT_FOR_SIPI);
	EXIT_NOW(.reason = EXIT_INIT);
	assert_int_equal(l1_enter(EXIT_VMRESUME), 0);
	assert_true(machine_in_l2());
	EXIT_NOW(.reason = EXIT_SIPI, .qualification = 0x9a);
	assert_int_equal(R(exit_reason), EXIT_SIPI);
	W(guest_activity_state, ACTIVITY_ACTIVE);
	assert_int_equal(l1_enter(EXIT_VMRESUME), 0);
	assert_int_equal(R(exit_reason), EXIT_INIT);
}

static void a_late_failure_of_hardware_is_reflected(void **state UNUSED)
{
	l1_run_l2();
	EXIT_NOW(.reason = EXIT_ENTRY_FAIL_GUEST | EXIT_REASON_ENTRY_FAILURE, .qualification = 4);
	assert_false(machine_in_l2());
	assert_int_equal(machine_field(VMCS_guest_rip), 0x300000);
	assert_true(R(exit_reason) == (EXIT_ENTRY_FAIL_GUEST | EXIT_REASON_ENTRY_FAILURE));
	assert_int_equal(R(exit_qualification), 4);
	/* The VMLAUNCH never happened. */
	assert_int_equal(l1_enter(EXIT_VMRESUME), VMXERR_VMRESUME_NOT_LAUNCHED);
}

/* A triple fault while L0 combines two exceptions: L1's exit, no vectoring information. */
static void exceptions_combine(void **state UNUSED)
{
	enum { HELD = 0xffff };
	static const struct {
		u8 first_type, first, second;
		u32 bitmap;
		u32 reason, info; /* HELD: pending for L2 with this vector */
	} cases[] = {
		{ INTR_TYPE_HARD_EXCEPTION, VEC_GP, VEC_GP, 0, HELD, VEC_DF },
		{ INTR_TYPE_HARD_EXCEPTION, VEC_PF, VEC_GP, 0, HELD, VEC_DF },
		{ INTR_TYPE_HARD_EXCEPTION, VEC_UD, VEC_GP, 0, HELD, VEC_GP },
		{ INTR_TYPE_EXTERNAL, 0x30, VEC_GP, 0, HELD, VEC_GP },
		{ INTR_TYPE_HARD_EXCEPTION, VEC_GP, VEC_GP, 1u << VEC_DF, EXIT_EXCEPTION_NMI, VEC_DF },
		{ INTR_TYPE_HARD_EXCEPTION, VEC_GP, VEC_GP, 1u << VEC_GP, EXIT_EXCEPTION_NMI, VEC_GP },
		{ INTR_TYPE_HARD_EXCEPTION, VEC_DF, VEC_GP, 0, EXIT_TRIPLE_FAULT, 0 },
	};

	l1_run_l2();
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct event second = { .vector = cases[i].second,
					.type = INTR_TYPE_HARD_EXCEPTION,
					.has_error_code = true };

		if (!machine_in_l2())
			assert_int_equal(l1_enter(EXIT_VMRESUME), 0);
		v12()->exception_bitmap = cases[i].bitmap;
		machine_vcpu->pending =
			(struct event){ .vector = cases[i].first, .type = cases[i].first_type };
		machine_vcpu->pending_valid = true;
		nested_exception(machine_vcpu, &second, 0);
		if (cases[i].reason == HELD) {
			if (!machine_in_l2())
				fail_msg("case %zu", i);
			assert_int_equal(machine_vcpu->pending.vector, cases[i].info);
			machine_vcpu->pending_valid = false;
			continue;
		}
		if (machine_in_l2())
			fail_msg("case %zu", i);
		assert_int_equal(v12()->exit_reason, cases[i].reason);
		if (cases[i].reason == EXIT_EXCEPTION_NMI)
			assert_int_equal(v12()->exit_intr_info & 0xff, cases[i].info);
		regcache_flush(&machine_vcpu->vmcs->cache);
	}
}

/* GUEST_CR3 is right after every entry, also into HLT: L1 reads back what it wrote. */
static void cr3_reaches_vmcs02_in_hlt_too(void **state UNUSED)
{
	l1_run_l2();
	for (unsigned int n = 0; n < 4; n++) {
		EXIT_NOW(.reason = EXIT_CPUID);
		W(guest_cr3, 0x10000 + n * 0x1000);
		W(guest_activity_state, n % 2 ? ACTIVITY_HLT : ACTIVITY_ACTIVE);
		assert_int_equal(l1_enter(EXIT_VMRESUME), 0);
		assert_int_equal(machine_field(VMCS_guest_cr3), 0x10000 + n * 0x1000);
		EXIT_NOW(.reason = EXIT_EXTERNAL_INTERRUPT, .intr_info = INTR_INFO_VALID | 0x30);
		assert_false(machine_in_l2());
		assert_int_equal(R(guest_cr3), 0x10000 + n * 0x1000);
		assert_int_equal(l1_enter(EXIT_VMRESUME), 0);
	}
}

static void lma_and_preemption_timer_are_saved(void **state UNUSED)
{
	l1_start_vmx();
	l1_load_vmcs(0);
	l1_write_valid_vmcs();
	W(pin_controls, caps12.pin.allowed0 | PIN_PREEMPTION_TIMER);
	W(exit_controls, R(exit_controls) | EXIT_SAVE_PREEMPTION_TIMER | EXIT_SAVE_DEBUG | EXIT_SAVE_PAT);
	W(preemption_timer_value, 500);
	assert_int_equal(l1_enter(EXIT_VMLAUNCH), 0);
	assert_int_equal(machine_field(VMCS_preemption_timer_value), 500);
	machine_set_field(VMCS_preemption_timer_value, 123);
	machine_set_field(VMCS_guest_dr7, 0x455);
	machine_set_field(VMCS_guest_debugctl, 2);
	machine_set_field(VMCS_guest_pat, 0x0606060606060600);
	EXIT_NOW(.reason = EXIT_PREEMPTION_TIMER);
	assert_int_equal(R(preemption_timer_value), 123);
	assert_int_equal(R(guest_dr7), 0x455);
	assert_int_equal(R(guest_debugctl), 2);
	assert_true(R(guest_pat) == 0x0606060606060600);
	assert_true(R(entry_controls) & ENTRY_IA32E_GUEST);
}

static void vmxoff_cancels_everything(void **state UNUSED)
{
	l1_run_l2();
	EXIT_NOW(.reason = EXIT_CPUID);
	assert_int_equal(l1_vmxoff(), 0);
	for (unsigned int i = 0; i < NESTED_VMCS_COUNT; i++)
		assert_true(machine_vcpu->nested.slots[i].gpa == NO_VMCS);
	assert_null(machine_vcpu->nested.current);
	assert_int_equal(fake_current_vmcs(), machine_vcpu->vmcs01.region.v);
}

/* L1 may switch EPTs by VMFUNC of L2's without an exit. */
static void vmfunc_switches_epts(void **state UNUSED)
{
	u64 list = M_SPARE + 0x20000, second = P_EPT + 0x10000, before;

	run_pae_l2();
	v12()->proc2_controls |= PROC2_VMFUNC;
	v12()->vm_function_controls = 1;
	v12()->eptp_list_addr = list;
	before = machine_field(VMCS_ept_pointer);
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
	machine_vcpu->gpr[GPR_RCX] = 512;
	EXIT_NOW(.reason = EXIT_VMFUNC);
	assert_false(machine_in_l2());
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		MACHINE_TEST(cr0_and_cr4_by_mask_and_shadow, ""),
		MACHINE_TEST(lmsw_by_its_own_rule, ""),
		MACHINE_TEST(cr3_by_controls_and_targets, ""),
		MACHINE_TEST(cr8_by_controls, ""),
		MACHINE_TEST(msrs_by_bitmap, ""),
		MACHINE_TEST(exceptions_by_bitmap_and_pfec, ""),
		MACHINE_TEST(vmcs_accesses_by_shadowing, ""),
		MACHINE_TEST(vmfunc_by_its_controls, ""),
		MACHINE_TEST(unconditional_exits_are_l1s, ""),
		MACHINE_TEST_BOTH(instructions_newer_than_socle),
		MACHINE_TEST_BEFORE(hidden_bits_of_cr4_are_reserved_for_l2, "", processor_with_cet),
		MACHINE_TEST_BEFORE(msrs_of_l2_survive_l0s_own_exits, "", processor_with_perfmon_and_mpx),
		MACHINE_TEST_BOTH(exit_information_reaches_l1),
		MACHINE_TEST_BOTH(all_guest_state_is_saved),
		MACHINE_TEST_BEFORE(a_predictor_barrier_follows_l2, "", processor_with_ibpb),
		MACHINE_TEST_BEFORE(no_predictor_barrier_by_option, "ibpb=off", processor_with_ibpb),
		MACHINE_TEST_BOTH(host_state_is_loaded),
		MACHINE_TEST_BOTH(vectoring_reaches_l1),
		MACHINE_TEST_BOTH(vectoring_survives_l0s_own_exits),
		MACHINE_TEST_BOTH(nmi_blocking_is_taken_back_for_an_nmi_delivered_again),
		MACHINE_TEST_BOTH(msr_lists_load_and_store),
		MACHINE_TEST_BOTH(entry_list_fails_with_its_index),
		MACHINE_TEST_BOTH(cd_stays_l1s_over_a_failed_list),
		MACHINE_TEST_BOTH(list_beyond_the_limit_fails_there),
		MACHINE_TEST_BOTH(a_bad_store_list_aborts),
		MACHINE_TEST_BOTH(a_bad_load_list_aborts),
		MACHINE_TEST(long_mode_over_a_32_bit_host_aborts, ""),
		MACHINE_TEST_BOTH(an_aborted_cpu_can_be_entered),
		MACHINE_TEST(an_exception_of_l0s_making_asks_l1, "intercept=cr"),
		MACHINE_TEST(emulation_skips_and_honours_mtf, "intercept=cr"),
		MACHINE_TEST(pdptes_load_by_these_bits_of_cr4, "intercept=cr"),
		MACHINE_TEST(new_pdptes_survive_a_reflected_exit, "intercept=cr"),
		MACHINE_TEST(new_pdptes_survive_a_reflected_exit, "intercept=cr shadow-vmcs=off"),
		MACHINE_TEST(a_reserved_bit_in_a_pdpte_changes_nothing, "intercept=cr"),
		MACHINE_TEST(an_unmapped_pdpte_page_is_l1s_violation, "intercept=cr"),
		MACHINE_TEST(the_last_address_is_no_rom, ""),
		MACHINE_TEST(pdptes_may_lie_in_rom, "intercept=cr"),
		MACHINE_TEST_BOTH(an_nmi_exits_to_l1_if_it_wants),
		MACHINE_TEST_BOTH(an_nmi_is_l2s_if_l1_does_not_want_it),
		MACHINE_TEST_BOTH(an_nmi_that_met_l0_is_not_lost),
		MACHINE_TEST_BOTH(an_nmi_waits_with_wait_for_sipi),
		MACHINE_TEST_BOTH(an_nmi_window_behind_sti_is_open),
		MACHINE_TEST_BOTH(the_nmi_window_comes_before_an_nmi),
		MACHINE_TEST_BOTH(a_pending_mtf_comes_before_an_nmi),
		MACHINE_TEST_BOTH(an_nmi_at_the_entry_leaves_cd_and_nw_alone),
		MACHINE_TEST(a_fault_in_an_nmis_delivery_leaves_nmis_blocked, "intercept=pf"),
		MACHINE_TEST_BOTH(an_injected_nmi_blocks_until_l2_ends),
		MACHINE_TEST_BOTH(init_ends_l2),
		MACHINE_TEST_BOTH(init_in_root_waits_for_the_next_entry),
		MACHINE_TEST_BOTH(an_ap_is_reset_by_init_and_sipi),
		MACHINE_TEST_BOTH(a_held_init_waits_for_the_injected_event),
		MACHINE_TEST_BOTH(a_held_init_and_the_activity_states),
		MACHINE_TEST_BOTH(nothing_wakes_an_aborted_cpu),
		MACHINE_TEST_BOTH(a_late_failure_of_hardware_is_reflected),
		MACHINE_TEST(exceptions_combine, "shadow-vmcs=off"),
		MACHINE_TEST_BEFORE(all_counters_may_be_loaded, "", processor_with_metrics),
		MACHINE_TEST_BEFORE(msr_list_waits_for_debugctl, "", processor_without_rtm_debugging),
		MACHINE_TEST_BOTH(segments_are_checked_when_v86_ends),
		MACHINE_TEST_BOTH(cr3_reaches_vmcs02_in_hlt_too),
		MACHINE_TEST_BOTH(lma_and_preemption_timer_are_saved),
		MACHINE_TEST_BOTH(vmxoff_cancels_everything),
		MACHINE_TEST(vmfunc_switches_epts, ""),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
