/* SPDX-License-Identifier: MIT */
/*
 * What of an exit L1 reads in each field, by the exit's reason; the resume flag of an EPT violation that L0
 * met; whose an exit is where a mode or a neighbour of a field decides. SDM: "Recording VM-Exit Information
 * and Updating VM-Entry Control Fields", "Saving RIP, RSP, RFLAGS, and SSP", "Instructions That Cause VM
 * Exits Conditionally".
 */
#include "tests/unit/cmocka_all.h"

#include "kernel/x86.h"
#include "tests/unit/l2_support.h"
#include "vmx/l1/ports.h"

#define UNDEFINED_OPCODE (INTR_INFO_VALID | INTR_TYPE_HARD_EXCEPTION << INTR_INFO_TYPE_SHIFT | VEC_UD)
#define PROTECTION                                                                                           \
	(INTR_INFO_VALID | INTR_INFO_ERROR_CODE | INTR_TYPE_HARD_EXCEPTION << INTR_INFO_TYPE_SHIFT | VEC_GP)
#define PAGE_FAULT                                                                                           \
	(INTR_INFO_VALID | INTR_INFO_ERROR_CODE | INTR_TYPE_HARD_EXCEPTION << INTR_INFO_TYPE_SHIFT | VEC_PF)
#define INTERRUPT (INTR_INFO_VALID | 0x30)

/* Which fields an exit defines. */
enum { Q = 1, LENGTH = 2, INFO = 4, LINEAR = 8, EVENT = 16, CODE = 32 };

static const struct {
	u32 reason, defines;
	u64 qualification;
	u32 event;
} exits[] = {
	{ EXIT_EXCEPTION_NMI, Q | LENGTH | EVENT, 0x55, UNDEFINED_OPCODE },
	{ EXIT_EXCEPTION_NMI, Q | LENGTH | EVENT | CODE, 0x55, PROTECTION },
	{ EXIT_EXTERNAL_INTERRUPT, EVENT, 0x55, INTERRUPT },
	{ EXIT_SIPI, Q, 0x55, INTERRUPT },
	{ EXIT_INTERRUPT_WINDOW, 0, 0x55, INTERRUPT },
	{ EXIT_NMI_WINDOW, 0, 0x55, INTERRUPT },
	{ EXIT_TASK_SWITCH, Q | LENGTH, 0x55, INTERRUPT },
	{ EXIT_CPUID, LENGTH, 0x55, INTERRUPT },
	{ EXIT_HLT, LENGTH, 0x55, INTERRUPT },
	{ EXIT_INVLPG, Q | LENGTH, 0x55, INTERRUPT },
	{ EXIT_RDTSC, LENGTH, 0x55, INTERRUPT },
	{ EXIT_VMCALL, LENGTH, 0x55, INTERRUPT },
	{ EXIT_VMCLEAR, Q | LENGTH | INFO, 0x55, PROTECTION },
	{ EXIT_VMPTRLD, Q | LENGTH | INFO, 0x55, PROTECTION },
	{ EXIT_VMPTRST, Q | LENGTH | INFO, 0x55, PROTECTION },
	{ EXIT_VMREAD, Q | LENGTH | INFO, 0x55, PROTECTION },
	{ EXIT_VMWRITE, Q | LENGTH | INFO, 0x55, PROTECTION },
	{ EXIT_VMXON, Q | LENGTH | INFO, 0x55, PROTECTION },
	{ EXIT_CR_ACCESS, Q | LENGTH | LINEAR, QUAL_MOV_TO(3, GPR_RBX), PROTECTION },
	{ EXIT_CR_ACCESS, Q | LENGTH | LINEAR, QUAL_LMSW(CR0_TS), PROTECTION },
	{ EXIT_DR_ACCESS, Q | LENGTH, 0x55, PROTECTION },
	{ EXIT_IO, Q | LENGTH | INFO | LINEAR, 0x550010, PROTECTION },
	{ EXIT_IO, Q | LENGTH, 0x550000, PROTECTION },
	{ EXIT_RDMSR, LENGTH, 0x55, PROTECTION },
	{ EXIT_WRMSR, LENGTH, 0x55, PROTECTION },
	{ EXIT_MWAIT, Q | LENGTH, 0x1, PROTECTION },
	{ EXIT_MTF, 0, 0, PROTECTION },
	{ EXIT_PAUSE, LENGTH, 0x55, PROTECTION },
	{ EXIT_APIC_ACCESS, Q | LENGTH, 0x55, PROTECTION },
	{ EXIT_VIRTUALIZED_EOI, Q, 0x55, PROTECTION },
	{ EXIT_GDTR_IDTR, Q | LENGTH | INFO, 0x55, PROTECTION },
	{ EXIT_LDTR_TR, Q | LENGTH | INFO, 0x55, PROTECTION },
	{ EXIT_INVEPT, Q | LENGTH | INFO, 0x55, PROTECTION },
	{ EXIT_RDTSCP, LENGTH, 0x55, PROTECTION },
	{ EXIT_PREEMPTION_TIMER, 0, 0x55, PROTECTION },
	{ EXIT_INVVPID, Q | LENGTH | INFO, 0x55, PROTECTION },
	{ EXIT_APIC_WRITE, Q, 0x55, PROTECTION },
	{ EXIT_RDRAND, LENGTH | INFO, 0, PROTECTION },
	{ EXIT_INVPCID, Q | LENGTH | INFO, 0x55, PROTECTION },
	{ EXIT_RDSEED, LENGTH | INFO, 0, PROTECTION },
};

static bool keeps_length(u32 reason)
{
	return reason == EXIT_EXTERNAL_INTERRUPT || reason == EXIT_SIPI || reason == EXIT_INTERRUPT_WINDOW ||
	       reason == EXIT_NMI_WINDOW || reason == EXIT_MTF || reason == EXIT_PREEMPTION_TIMER;
}

static void want_everything(void)
{
	l1_start_vmx();
	l1_load_vmcs(0);
	l1_write_valid_vmcs();
	W(pin_controls, caps12.pin.allowed0 | PIN_EXTERNAL_INTERRUPT | PIN_NMI_EXITING | PIN_VIRTUAL_NMIS |
				PIN_PREEMPTION_TIMER);
	W(proc_controls, caps12.proc.allowed0 | PROC_SECONDARY | PROC_INTERRUPT_WINDOW | PROC_NMI_WINDOW |
				 PROC_HLT_EXITING | PROC_INVLPG_EXITING | PROC_MWAIT_EXITING |
				 PROC_RDTSC_EXITING | PROC_CR3_LOAD_EXITING | PROC_MOV_DR_EXITING |
				 PROC_UNCONDITIONAL_IO | PROC_MTF | PROC_PAUSE_EXITING);
	W(proc2_controls, PROC2_DESC_TABLE_EXITING | PROC2_RDTSCP | PROC2_INVPCID | PROC2_RDRAND_EXITING |
				  PROC2_RDSEED_EXITING);
	W(exception_bitmap, BIT(VEC_UD) | BIT(VEC_GP));
	W(cr0_guest_host_mask, CR0_TS);
	assert_int_equal(l1_enter(EXIT_VMLAUNCH), 0);
}

/* `waits`: an NMI that has met L0 is L1's, so that no exit is reflected the short way. */
static void look_at_each_reason(bool waits)
{
	want_everything();
	for (size_t i = 0; i < ARRAY_SIZE(exits); i++) {
		struct vmcs12 *v12 = l2_v12_to_write();
		u32 defines = exits[i].defines;

		v12->exit_qualification = 0x1111;
		v12->exit_instruction_length = 0x11;
		v12->exit_instruction_info = 0x2222;
		v12->guest_linear_address = 0x3333;
		v12->guest_physical_address = 0x4444;
		v12->exit_intr_info = 0x5555;
		v12->exit_intr_error_code = 0x6666;
		machine_vcpu->nmi_pending = waits;
		EXIT_NOW(.reason = exits[i].reason, .qualification = exits[i].qualification, .length = 7,
			 .info = 0x80000888, .guest_linear = 0x9999, .guest_physical = 0xaaaa,
			 .intr_info = exits[i].event, .intr_error_code = 0xbb);
		if (machine_in_l2())
			fail_msg("reason %u", exits[i].reason);
		assert_int_equal(R(exit_reason), exits[i].reason);
		assert_int_equal(R(exit_qualification), defines & Q ? exits[i].qualification : 0);
		if (defines & LENGTH)
			assert_int_equal(R(exit_instruction_length), 7);
		else if (keeps_length(exits[i].reason))
			assert_int_equal(R(exit_instruction_length), 0x11);
		assert_int_equal(R(exit_instruction_info), defines & INFO ? 0x80000888 : 0x2222);
		assert_int_equal(R(guest_linear_address), defines & LINEAR ? 0x9999 : 0x3333);
		assert_int_equal(R(guest_physical_address), 0x4444);
		assert_int_equal(R(exit_intr_info), defines & EVENT ? exits[i].event : 0);
		assert_int_equal(R(exit_intr_error_code), defines & CODE ? 0xbb : 0x6666);
		/* the NMI has become L1's; its handler ends before L1 goes on */
		assert_false(machine_vcpu->nmi_pending);
		machine_set_field(VMCS_guest_interruptibility, 0);
		assert_int_equal(l1_enter(EXIT_VMRESUME), 0);
	}
}

static void each_reason_defines_its_fields(void **state UNUSED)
{
	look_at_each_reason(false);
}

static void each_reason_defines_them_beside_an_nmi(void **state UNUSED)
{
	look_at_each_reason(true);
}

static void an_ept_violation_has_two_addresses(void **state UNUSED)
{
	l2_run_pae();
	l1_write64(P_EPT + 0x1000 + 3 * 8, 0);
	l2_v12_to_write()->exit_instruction_info = 0x2222;
	EXIT_NOW(.reason = EXIT_EPT_VIOLATION,
		 .qualification = EPTV_READ | EPTV_LINEAR_VALID | EPTV_TRANSLATED, .info = 0x888,
		 .guest_linear = 0x9999, .guest_physical = 0xc0001234, .intr_info = PROTECTION);
	assert_int_equal(R(exit_reason), EXIT_EPT_VIOLATION);
	assert_int_equal(R(guest_linear_address), 0x9999);
	assert_int_equal(R(guest_physical_address), 0xc0001234);
	assert_int_equal(R(exit_instruction_info), 0x2222);
	assert_int_equal(R(exit_intr_info), 0);
}

/* The error code of the broken-off event has a meaning only with the event and its bit. */
static void error_codes_of_a_delivery(void **state UNUSED)
{
	static const struct {
		u32 info;
		bool has_code;
	} rows[] = {
		{ PROTECTION, true },
		{ UNDEFINED_OPCODE, false },
		{ INTR_INFO_ERROR_CODE, false },
		{ 0, false },
	};

	want_everything();
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		l2_v12_to_write()->idt_vectoring_error_code = 0x77;
		EXIT_NOW(.reason = EXIT_APIC_ACCESS, .vectoring_info = rows[i].info,
			 .vectoring_error_code = 0x99);
		assert_int_equal(R(idt_vectoring_info), rows[i].info);
		assert_int_equal(R(idt_vectoring_error_code), rows[i].has_code ? 0x99 : 0x77);
		assert_int_equal(l1_enter(EXIT_VMRESUME), 0);
	}
}

/* An instruction that L0 emulates meets what is wrong in EPT12: RF is 1, as the processor saves it. */
static void the_resume_flag_of_an_emulated_access(void **state UNUSED)
{
	static const struct {
		u64 entry;
		u32 reason;
	} rows[] = {
		{ 0, EXIT_EPT_VIOLATION },
		{ EPT_WRITE | EPT_LEAF, EXIT_EPT_MISCONFIG },
		{ 3ull << 30 | EPT_RWX | EPT_LEAF | MEMTYPE_WB << EPT_MEMTYPE_SHIFT, EXIT_PML_FULL },
	};

	l2_run_pae();
	EXIT_NOW(.reason = EXIT_CPUID);
	assert_int_equal(R(guest_rflags) & RFLAGS_RF, 0);
	W(ept_pointer, R(ept_pointer) | EPTP_AD);
	W(proc2_controls, R(proc2_controls) | PROC2_PML);
	W(pml_address, P_LOAD);
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		l1_write64(P_EPT + 0x1000 + 3 * 8, rows[i].entry);
		W(guest_pml_index, i == 2 ? 600 : 10);
		W(guest_rflags, RFLAGS_FIXED1 | RFLAGS_IF);
		assert_int_equal(l1_invalidate(EXIT_INVEPT, INVEPT_ALL, 0, 0), 0);
		assert_int_equal(l1_enter(EXIT_VMRESUME), 0);
		machine_vcpu->gpr[GPR_RBX] = 0xc0000000;
		EXIT_NOW(.reason = EXIT_CR_ACCESS, .qualification = QUAL_MOV_TO(3, GPR_RBX));
		assert_int_equal(R(exit_reason), rows[i].reason);
		assert_int_equal(R(guest_rflags), RFLAGS_FIXED1 | RFLAGS_IF | RFLAGS_RF);
		if (rows[i].reason == EXIT_EPT_MISCONFIG)
			continue;
		/* the processor's own exit has it, or not */
		W(guest_rflags, RFLAGS_FIXED1);
		assert_int_equal(l1_enter(EXIT_VMRESUME), 0);
		EXIT_NOW(.reason = EXIT_EPT_VIOLATION, .guest_physical = 0xc0000000,
			 .qualification = EPTV_WRITE | EPTV_LINEAR_VALID | EPTV_TRANSLATED);
		assert_int_equal(R(exit_reason), rows[i].reason);
		assert_int_equal(R(guest_rflags) & RFLAGS_RF, 0);
	}
}

/* ---- whose it is ---- */

static bool wants(u32 reason, u64 qualification)
{
	return nested_l1_wants(machine_exit_in_hand(reason, qualification));
}

/* SDM LMSW: every combination of mask, shadow and source in the four bits that it writes. */
static void lmsw_by_each_bit(void **state UNUSED)
{
	l1_run_l2();
	for (unsigned int n = 0; n < 0x1000; n++) {
		u64 mask = n & 0xf, shadow = n >> 4 & 0xf, source = n >> 8;
		bool exits_to_l1 = (mask & source & ~shadow & 1) || ((source ^ shadow) & mask & 0xe);

		l2_v12_to_write()->cr0_guest_host_mask = mask | 0xfff0;
		l2_v12_to_write()->cr0_read_shadow = shadow;
		if (wants(EXIT_CR_ACCESS, QUAL_LMSW(source | (n & 1 ? 0xfff0 : 0))) != exits_to_l1)
			fail_msg("%x", n);
	}
}

/* An exit that nobody knows yet is L1's. */
static void a_reason_of_the_future(void **state UNUSED)
{
	l1_run_l2();
	EXIT_NOW(.reason = EXIT_REASON_COUNT);
	assert_false(machine_in_l2());
	assert_int_equal(R(exit_reason), EXIT_REASON_COUNT);
}

/* SDM "Monitor Trap Flag": behind an instruction that L0 emulated, and RF is as the instruction leaves it. */
static void no_resume_flag_behind_an_instruction(void **state UNUSED)
{
	l1_run_l2();
	EXIT_NOW(.reason = EXIT_CPUID);
	W(proc_controls, R(proc_controls) | PROC_MTF);
	assert_int_equal(l1_enter(EXIT_VMRESUME), 0);
	machine_vcpu->gpr[GPR_RBX] = CR4_PAE | CR4_VMXE;
	EXIT_NOW(.reason = EXIT_CR_ACCESS, .qualification = QUAL_MOV_TO(4, GPR_RBX));
	assert_int_equal(R(exit_reason), EXIT_MTF);
	assert_int_equal(R(guest_rflags) & RFLAGS_RF, 0);
}

/* Outside 64-bit mode a register operand has 32 bits. */
static void operands_by_mode(void **state UNUSED)
{
	u64 *rbx = &machine_vcpu->gpr[GPR_RBX];

	l1_run_l2();
	for (unsigned int wide = 1; wide < 2; wide--) {
		machine_set_field(VMCS_guest_efer, wide ? EFER_LMA | EFER_LME : 0);
		machine_set_field(VMCS_guest_cs_ar, wide ? 0xa09b : 0xc09b);
		l2_set_proc(PROC_CR3_LOAD_EXITING);
		l2_v12_to_write()->cr3_target_count = 1;
		l2_v12_to_write()->cr3_target0 = 0x1000;
		l2_v12_to_write()->proc2_controls = PROC2_VMCS_SHADOWING;
		l2_v12_to_write()->vmread_bitmap = P_VMREAD;
		*rbx = 0x1000;
		assert_false(wants(EXIT_CR_ACCESS, QUAL_MOV_TO(3, GPR_RBX)));
		*rbx = 0x700001000;
		assert_int_equal(wants(EXIT_CR_ACCESS, QUAL_MOV_TO(3, GPR_RBX)), wide);
		*rbx = 0x2000;
		assert_true(wants(EXIT_CR_ACCESS, QUAL_MOV_TO(3, GPR_RBX)));
		*rbx = 0x700000000 | VMCS_guest_rip;
		machine_exit_in_hand(EXIT_VMREAD, 0);
		machine_set_field(VMCS_exit_instruction_info, 1u << 10 | (u32)GPR_RBX << 28);
		assert_int_equal(wants(EXIT_VMREAD, 0), wide);
	}
}

/* SDM "Exceptions": bit 2 of the exception bitmap is not about NMIs. */
static void the_bitmap_is_not_about_nmis(void **state UNUSED)
{
	l1_run_l2();
	EXIT_NOW(.reason = EXIT_CPUID);
	W(exception_bitmap, ~0u);
	assert_int_equal(l1_enter(EXIT_VMRESUME), 0);
	EXIT_NOW(NMI_EXIT);
	assert_true(machine_in_l2());
	assert_int_equal(machine_pending() & 0xff, VEC_NMI);
}

/* Other bits of the exception bitmap say nothing about page faults. */
static void a_page_fault_by_its_own_bit(void **state UNUSED)
{
	l1_run_l2();
	l2_v12_to_write()->exception_bitmap = ~BIT(VEC_PF) & 0xffffffff;
	assert_false(nested_wants_exception(l2_v12(), VEC_PF, 2));
	l2_v12_to_write()->exception_bitmap = BIT(VEC_PF);
	assert_true(nested_wants_exception(l2_v12(), VEC_PF, 2));
}

/* ---- what L0 does itself ---- */

/* An exception that L0 took for itself in the delivery of another one. */
static void two_exceptions_under_l0s_wish(void **state UNUSED)
{
	l1_run_l2();
	EXIT_NOW(.reason = EXIT_EXCEPTION_NMI, .intr_info = PAGE_FAULT, .qualification = 0x1234,
		 .vectoring_info = PAGE_FAULT);
	assert_true(machine_in_l2());
	assert_int_equal(machine_pending() & 0xff, VEC_DF);
}

/* An instruction that touches two pages that are not there finds both. */
static void two_absent_pages(void **state UNUSED)
{
	l1_run_l2();
	for (u64 n = 1; n <= 2; n++) {
		EXIT_NOW(.reason = EXIT_EPT_VIOLATION, .guest_physical = M_WINDOW + n * 0x3000,
			 .qualification = EPTV_WRITE | EPTV_LINEAR_VALID | EPTV_TRANSLATED);
		assert_int_equal(nested_resources(machine_vcpu).steps, n);
	}
	EXIT_NOW(.reason = EXIT_MTF);
	assert_int_equal(nested_resources(machine_vcpu).steps, 0);
}

static bool take(struct vcpu *vcpu UNUSED, const struct port_range *range UNUSED, struct port_access *access)
{
	access->value = 0x77;
	return true;
}

static void want_port(void)
{
	ports_add(&(const struct port_range){ 0xb004, 2, "test", take, NULL });
}

/* Only RDMSR and WRMSR open a word of the MSR bitmap: RCX is a register like others elsewhere. */
static void rcx_at_an_io_exit(void **state UNUSED)
{
	l1_run_l2();
	EXIT_NOW(.reason = EXIT_CPUID);
	W(proc_controls, R(proc_controls) | PROC_MSR_BITMAPS);
	W(msr_bitmap, P_MSR);
	assert_int_equal(l1_enter(EXIT_VMRESUME), 0);
	machine_vcpu->gpr[GPR_RCX] = 0x174;
	machine_vcpu->gpr[GPR_RAX] = 0;
	EXIT_NOW(.reason = EXIT_IO, .qualification = 0xb004ull << 16 | BIT(3), .length = 1);
	assert_true(machine_in_l2());
	assert_int_equal(machine_vcpu->gpr[GPR_RAX], 0x77);
	assert_int_equal(machine_field(VMCS_guest_rip), 0x400001);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		MACHINE_TEST_BOTH(each_reason_defines_its_fields),
		MACHINE_TEST_BOTH(each_reason_defines_them_beside_an_nmi),
		/* no exit is a plain one then */
		MACHINE_TEST(each_reason_defines_its_fields, "trace=on"),
		MACHINE_TEST_BOTH(an_ept_violation_has_two_addresses),
		MACHINE_TEST(error_codes_of_a_delivery, "shadow-vmcs=off"),
		MACHINE_TEST(the_resume_flag_of_an_emulated_access, "intercept=cr"),
		MACHINE_TEST(lmsw_by_each_bit, "shadow-vmcs=off"),
		MACHINE_TEST(a_reason_of_the_future, ""),
		MACHINE_TEST(no_resume_flag_behind_an_instruction, "intercept=cr"),
		MACHINE_TEST(operands_by_mode, "shadow-vmcs=off"),
		MACHINE_TEST_BOTH(the_bitmap_is_not_about_nmis),
		MACHINE_TEST(a_page_fault_by_its_own_bit, "shadow-vmcs=off"),
		MACHINE_TEST(two_exceptions_under_l0s_wish, "intercept=pf"),
		MACHINE_TEST(two_absent_pages, ""),
		MACHINE_TEST_BEFORE(rcx_at_an_io_exit, "", want_port),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
