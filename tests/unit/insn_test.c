/* SPDX-License-Identifier: MIT */
/*
 * L1's VMX instructions from end to end, over the run loop: outcomes and error numbers in the SDM's order.
 * SDM: "VMX Instruction Reference", "VM Instruction Error Numbers".
 */
#include "tests/unit/cmocka_all.h"

#include "kernel/msr.h"
#include "kernel/x86.h"
#include "tests/unit/machine.h"

static void vmxon_wants_a_region(void **state UNUSED)
{
	assert_int_equal(l1_memory_insn(EXIT_VMCLEAR, M_VMCS(0)), L1_FAULT(VEC_UD));
	assert_int_equal(l1_memory_insn(EXIT_VMXON, M_VMXON), L1_FAIL_INVALID); /* no revision */
	l1_write32(M_VMXON, VMCS12_REVISION);
	assert_int_equal(l1_memory_insn(EXIT_VMXON, M_VMXON + 8), L1_FAIL_INVALID);
	assert_int_equal(l1_memory_insn(EXIT_VMXON, BIT(45)), L1_FAIL_INVALID);
	assert_int_equal(l1_memory_insn(EXIT_VMXON, M_VMXON), 0);
	assert_true(machine_vcpu->nested.vmxon);
	assert_int_equal(l1_vmxoff(), 0);
	assert_int_equal(l1_vmxoff(), L1_FAULT(VEC_UD));
}

static void no_current_vmcs_fails_invalid(void **state UNUSED)
{
	u64 value;

	l1_start_vmx();
	assert_int_equal(l1_memory_insn(EXIT_VMXON, M_VMXON), L1_FAIL_INVALID);
	assert_int_equal(l1_vmread(VMCS_guest_rip, &value), L1_FAIL_INVALID);
	assert_int_equal(l1_vmwrite(VMCS_guest_rip, 1), L1_FAIL_INVALID);
	assert_int_equal(l1_vmwrite(VMCS_host_rip, 1), L1_FAIL_INVALID);
	assert_int_equal(l1_enter(EXIT_VMLAUNCH), L1_FAIL_INVALID);
	assert_int_equal(l1_vmptrst(&value), 0);
	assert_true(value == ~0ull);
}

static void vmclear_and_vmptrld_number_their_errors(void **state UNUSED)
{
	u64 value;

	l1_start_vmx();
	l1_load_vmcs(0);
	assert_int_equal(l1_memory_insn(EXIT_VMXON, M_VMXON), VMXERR_VMXON_IN_ROOT);
	assert_int_equal(l1_memory_insn(EXIT_VMCLEAR, 4), VMXERR_VMCLEAR_ADDRESS);
	assert_int_equal(l1_memory_insn(EXIT_VMCLEAR, BIT(40)), VMXERR_VMCLEAR_ADDRESS);
	assert_int_equal(l1_memory_insn(EXIT_VMCLEAR, M_VMXON), VMXERR_VMCLEAR_VMXON_POINTER);
	assert_int_equal(l1_memory_insn(EXIT_VMPTRLD, 4), VMXERR_VMPTRLD_ADDRESS);
	assert_int_equal(l1_memory_insn(EXIT_VMPTRLD, M_VMXON), VMXERR_VMPTRLD_VMXON_POINTER);
	assert_int_equal(l1_memory_insn(EXIT_VMPTRLD, M_VMCS(1)), VMXERR_VMPTRLD_REVISION);
	assert_int_equal(l1_vmptrst(&value), 0);
	assert_int_equal(value, M_VMCS(0));
	assert_int_equal(l1_memory_insn(EXIT_VMCLEAR, M_VMCS(0)), 0);
	assert_int_equal(l1_vmptrst(&value), 0);
	assert_true(value == ~0ull);
}

static void fields_read_back_as_written(void **state UNUSED)
{
	l1_start_vmx();
	l1_load_vmcs(0);
	for (unsigned int row = 0; row < VMCS12_FIELD_COUNT; row++) {
		u32 encoding = vmcs12_fields[row].encoding;
		u64 value, pattern = 0x8123456789abcdefull ^ ((u64)row << 32 | row);

		if (vmcs12_find(encoding) < 0)
			continue;
		assert_int_equal(l1_vmwrite(encoding, pattern), 0);
		assert_int_equal(l1_vmread(encoding, &value), 0);
		assert_true(value == vmcs12_mask_width(encoding, pattern));
		if (VMCS_FIELD_WIDTH(encoding) != VMCS_WIDTH_64) {
			assert_int_equal(l1_vmread(encoding | 1, &value), VMXERR_UNSUPPORTED_FIELD);
			continue;
		}
		assert_int_equal(l1_vmread(encoding | 1, &value), 0);
		assert_true(value == pattern >> 32);
		assert_int_equal(l1_vmwrite(encoding | 1, 0x1ffffffff), 0);
		assert_int_equal(l1_vmread(encoding, &value), 0);
		assert_true(value == (0xffffffff00000000ull | (u32)pattern));
	}
}

static void with_memory(u32 reason, u64 encoding)
{
	machine_vcpu->gpr[GPR_RCX] = encoding;
	EXIT_NOW(.reason = reason, .qualification = M_SPARE, .info = INFO_MEMORY | GPR_RCX << 28);
	assert_int_equal(machine_field(VMCS_guest_rflags) & (RFLAGS_CF | RFLAGS_ZF), 0);
}

/* The long way, which has each field too. */
static void fields_read_back_by_memory_operands(void **state UNUSED)
{
	l1_start_vmx();
	l1_load_vmcs(0);
	for (unsigned int row = 0; row < VMCS12_FIELD_COUNT; row++) {
		u32 encoding = vmcs12_fields[row].encoding;
		u64 pattern = 0x8123456789abcdefull ^ ((u64)row << 32 | row);

		if (vmcs12_find(encoding) < 0)
			continue;
		l1_write64(M_SPARE, pattern);
		with_memory(EXIT_VMWRITE, encoding);
		l1_write64(M_SPARE, 0);
		with_memory(EXIT_VMREAD, encoding);
		assert_true(l1_read64(M_SPARE) == vmcs12_mask_width(encoding, pattern));
	}
}

/* What was written survives VMCLEAR, other VMCSs and VMPTRLD, in L1's memory. */
static void vmcs_lives_in_memory(void **state UNUSED)
{
	u64 value;

	l1_start_vmx();
	l1_load_vmcs(0);
	assert_int_equal(l1_vmwrite(VMCS_guest_rsp, 0x1111), 0);
	assert_int_equal(l1_vmwrite(VMCS_host_rsp, 0x2222), 0);
	l1_load_vmcs(1);
	assert_int_equal(l1_vmwrite(VMCS_guest_rsp, 0x3333), 0);
	assert_int_equal(l1_memory_insn(EXIT_VMCLEAR, M_VMCS(0)), 0);
	assert_int_equal(l1_memory_insn(EXIT_VMPTRLD, M_VMCS(0)), 0);
	assert_int_equal(l1_vmread(VMCS_guest_rsp, &value), 0);
	assert_int_equal(value, 0x1111);
	assert_int_equal(l1_vmread(VMCS_host_rsp, &value), 0);
	assert_int_equal(value, 0x2222);
	assert_int_equal(l1_memory_insn(EXIT_VMPTRLD, M_VMCS(1)), 0);
	assert_int_equal(l1_vmread(VMCS_guest_rsp, &value), 0);
	assert_int_equal(value, 0x3333);
	assert_int_equal(l1_vmxoff(), 0);
	l1_start_vmx();
	assert_int_equal(l1_memory_insn(EXIT_VMPTRLD, M_VMCS(1)), 0);
	assert_int_equal(l1_vmread(VMCS_guest_rsp, &value), 0);
	assert_int_equal(value, 0x3333);
}

static void clear_allowed(u32 msr, u32 controls)
{
	fake_msr_set(msr, fake_msr_get(msr) & ~((u64)controls << 32));
}

static void without_optional_fields(void)
{
	fake_remove_field(VMCS_guest_pml_index);
	fake_remove_field(VMCS_guest_intr_status);
	fake_remove_field(VMCS_preemption_timer_value);
	clear_allowed(MSR_IA32_VMX_PROCBASED_CTLS2, PROC2_PML | PROC2_VIRTUAL_INTERRUPT);
	clear_allowed(MSR_IA32_VMX_PINBASED_CTLS, PIN_PREEMPTION_TIMER);
	clear_allowed(MSR_IA32_VMX_TRUE_PINBASED_CTLS, PIN_PREEMPTION_TIMER);
}

static void without_tpr_threshold(void)
{
	fake_remove_field(VMCS_tpr_threshold);
}

/* A processor without PML, virtual interrupts and the timer shadows the other fields; one that lacks any
 * other field of the list shadows none. */
static void shadowing_without_optional_fields(void **state)
{
	vmcs_lives_in_memory(state);
	assert_true(machine_field(VMCS_proc2_controls) & PROC2_VMCS_SHADOWING);
}

/* L1 may set the controls all the same: the entry fails for it, and nobody looks for the fields before. */
static void a_control_without_its_field(void **state UNUSED)
{
	static const struct {
		u32 field;
		u64 bit;
	} controls[] = {
		{ VMCS_proc2_controls, PROC2_PML },
		{ VMCS_proc2_controls, PROC2_VIRTUAL_INTERRUPT },
		{ VMCS_pin_controls, PIN_PREEMPTION_TIMER },
	};

	l1_run_l2();
	for (size_t i = 0; i < ARRAY_SIZE(controls); i++) {
		u64 good;

		EXIT_NOW(.reason = EXIT_CPUID);
		assert_int_equal(l1_vmread(controls[i].field, &good), 0);
		assert_int_equal(l1_vmwrite(controls[i].field, good | controls[i].bit), 0);
		assert_int_equal(l1_enter(EXIT_VMRESUME), VMXERR_ENTRY_CONTROLS);
		assert_int_equal(l1_vmwrite(controls[i].field, good), 0);
		assert_int_equal(l1_enter(EXIT_VMRESUME), 0);
		assert_true(machine_in_l2());
	}
}

static void no_shadowing_without_its_fields(void **state)
{
	vmcs_lives_in_memory(state);
	assert_false(machine_field(VMCS_proc2_controls) & PROC2_VMCS_SHADOWING);
}

/* What a DEBUG=1 build holds the shadow VMCS against: exit information, and what an entry looks at. */
static void what_the_shadow_vmcs_must_hold(void **state UNUSED)
{
	const struct nested_vmcs *slot;
	bool used;

	l1_start_vmx();
	l1_load_vmcs(0);
	l1_write_valid_vmcs();
	slot = machine_vcpu->nested.current;
	used = machine_field(VMCS_proc2_controls) & PROC2_VMCS_SHADOWING;
	assert_int_equal(shadow_must_hold(machine_vcpu, slot, V12_exit_reason), used);
	assert_int_equal(shadow_must_hold(machine_vcpu, slot, V12_guest_rip), used);
	assert_false(shadow_must_hold(machine_vcpu, slot, V12_host_rip));
	assert_false(shadow_must_hold(machine_vcpu, slot, V12_tpr_threshold));
	assert_false(shadow_must_hold(machine_vcpu, slot, V12_entry_exception_error_code));
	machine_vcpu->nested.current->v12.proc_controls |= PROC_TPR_SHADOW;
	machine_vcpu->nested.current->v12.entry_intr_info = INTR_INFO_VALID;
	assert_int_equal(shadow_must_hold(machine_vcpu, slot, V12_tpr_threshold), used);
	assert_int_equal(shadow_must_hold(machine_vcpu, slot, V12_entry_exception_error_code), used);
	/* what is closed L1 has not written; nor, where all are to be fetched, does anybody know what it has
	 */
	machine_vcpu->nested.current->v12.proc_controls &= ~(u64)PROC_TPR_SHADOW;
	machine_vcpu->nested.use.open = 0;
	assert_int_equal(shadow_must_hold(machine_vcpu, slot, V12_tpr_threshold), used);
	machine_vcpu->nested.current->fetch_all = true;
	assert_false(shadow_must_hold(machine_vcpu, slot, V12_tpr_threshold));
	assert_int_equal(shadow_must_hold(machine_vcpu, slot, V12_guest_rip), used);
}

/* More VMCSs than slots: the oldest goes to memory and comes back. */
static void slots_are_evicted_and_come_back(void **state UNUSED)
{
	u64 value;

	l1_start_vmx();
	for (unsigned int n = 0; n < NESTED_VMCS_COUNT + 10; n++) {
		l1_load_vmcs(n);
		assert_int_equal(l1_vmwrite(VMCS_guest_rsp, n), 0);
		assert_int_equal(l1_vmwrite(VMCS_guest_gdtr_base, n * 3), 0);
	}
	assert_true(machine_vcpu->nested.counters.slot_evictions >= 10);
	for (unsigned int n = 0; n < NESTED_VMCS_COUNT + 10; n++) {
		assert_int_equal(l1_memory_insn(EXIT_VMPTRLD, M_VMCS(n)), 0);
		assert_int_equal(l1_vmread(VMCS_guest_rsp, &value), 0);
		assert_int_equal(value, n);
		assert_int_equal(l1_vmread(VMCS_guest_gdtr_base, &value), 0);
		assert_int_equal(value, n * 3);
	}
}

static void launch_state_is_kept(void **state UNUSED)
{
	l1_start_vmx();
	l1_load_vmcs(0);
	l1_write_valid_vmcs();
	assert_int_equal(l1_enter(EXIT_VMRESUME), VMXERR_VMRESUME_NOT_LAUNCHED);
	assert_int_equal(l1_enter(EXIT_VMLAUNCH), 0);
	assert_true(machine_in_l2());
	EXIT_NOW(.reason = EXIT_CPUID);
	assert_false(machine_in_l2());
	assert_int_equal(l1_enter(EXIT_VMLAUNCH), VMXERR_VMLAUNCH_NOT_CLEAR);
	assert_int_equal(l1_enter(EXIT_VMRESUME), 0);
	assert_true(machine_in_l2());
	EXIT_NOW(.reason = EXIT_CPUID);
	assert_int_equal(l1_memory_insn(EXIT_VMCLEAR, M_VMCS(0)), 0);
	assert_int_equal(l1_memory_insn(EXIT_VMPTRLD, M_VMCS(0)), 0);
	assert_int_equal(l1_enter(EXIT_VMRESUME), VMXERR_VMRESUME_NOT_LAUNCHED);
}

/* SDM "VMCLEAR": the launch state of the VMCS in memory is clear, also where the processor does not hold it.
 */
static void vmclear_of_an_inactive_vmcs_clears_it(void **state UNUSED)
{
	l1_run_l2();
	EXIT_NOW(.reason = EXIT_CPUID);
	assert_int_equal(l1_vmxoff(), 0);
	l1_start_vmx();
	assert_int_equal(l1_memory_insn(EXIT_VMCLEAR, M_VMCS(0)), 0);
	assert_int_equal(l1_memory_insn(EXIT_VMPTRLD, M_VMCS(0)), 0);
	assert_int_equal(l1_enter(EXIT_VMRESUME), VMXERR_VMRESUME_NOT_LAUNCHED);
	assert_int_equal(l1_enter(EXIT_VMLAUNCH), 0);
}

static void entries_fail_in_order(void **state UNUSED)
{
	u64 value;

	l1_start_vmx();
	l1_load_vmcs(0);
	l1_write_valid_vmcs();
	machine_set_field(VMCS_guest_interruptibility, INTERRUPTIBILITY_MOV_SS);
	assert_int_equal(l1_enter(EXIT_VMLAUNCH), VMXERR_ENTRY_MOV_SS);
	assert_int_equal(l1_vmwrite(VMCS_guest_cr0, 0), 0);
	assert_int_equal(l1_vmwrite(VMCS_host_cr0, 0), 0);
	assert_int_equal(l1_vmwrite(VMCS_pin_controls, 0), 0);
	assert_int_equal(l1_enter(EXIT_VMLAUNCH), VMXERR_ENTRY_CONTROLS);
	assert_int_equal(machine_vcpu->nested.failure.field, V12_pin_controls);
	assert_int_equal(l1_vmwrite(VMCS_pin_controls, caps12.pin.allowed0), 0);
	assert_int_equal(l1_enter(EXIT_VMLAUNCH), VMXERR_ENTRY_HOST_STATE);
	assert_int_equal(machine_vcpu->nested.failure.field, V12_host_cr0);
	assert_int_equal(l1_vmwrite(VMCS_host_cr0, CR0_PE | CR0_PG | CR0_NE), 0);
	assert_int_equal(l1_enter(EXIT_VMLAUNCH), 0);
	assert_false(machine_in_l2());
	assert_int_equal(machine_field(VMCS_guest_rip), 0x300000);
	assert_int_equal(l1_vmread(VMCS_exit_reason, &value), 0);
	assert_true(value == (EXIT_ENTRY_FAIL_GUEST | EXIT_REASON_ENTRY_FAILURE));
	/* The launch state is as before: still clear. */
	assert_int_equal(l1_enter(EXIT_VMRESUME), VMXERR_VMRESUME_NOT_LAUNCHED);
}

static void invept_and_invvpid_check_their_operands(void **state UNUSED)
{
	l1_start_vmx();
	l1_load_vmcs(0);
	assert_int_equal(l1_invalidate(EXIT_INVEPT, 0, 0, 0), VMXERR_INVALID_OPERAND);
	assert_int_equal(l1_invalidate(EXIT_INVEPT, 3, 0, 0), VMXERR_INVALID_OPERAND);
	assert_int_equal(l1_invalidate(EXIT_INVEPT, 1, 7, 0), VMXERR_INVALID_OPERAND);
	assert_int_equal(l1_invalidate(EXIT_INVEPT, 1, 0x101e, 0), 0);
	assert_int_equal(l1_invalidate(EXIT_INVEPT, 2, 7, 0), 0);
	assert_int_equal(l1_invalidate(EXIT_INVVPID, 4, 1, 0), VMXERR_INVALID_OPERAND);
	assert_int_equal(l1_invalidate(EXIT_INVVPID, 1, 0, 0), VMXERR_INVALID_OPERAND);
	assert_int_equal(l1_invalidate(EXIT_INVVPID, 1, 0x10001, 0), VMXERR_INVALID_OPERAND);
	assert_int_equal(l1_invalidate(EXIT_INVVPID, 0, 1, BIT(47)), VMXERR_INVALID_OPERAND);
	for (u64 type = 0; type <= 3; type++)
		assert_int_equal(l1_invalidate(EXIT_INVVPID, type, 1, 0x1000), 0);
}

/* In real, virtual-8086 and compatibility mode the processor itself raises #UD, before the exit. */
static void privilege_comes_first(void **state UNUSED)
{
	static const u32 reasons[] = { EXIT_VMCLEAR, EXIT_VMPTRLD, EXIT_VMPTRST,  EXIT_VMREAD,
				       EXIT_VMWRITE, EXIT_VMXOFF,  EXIT_VMLAUNCH, EXIT_VMRESUME,
				       EXIT_INVEPT,  EXIT_INVVPID, EXIT_VMCALL };

	/* L0 has read of L1's memory before: it knows the quickest way there. */
	l1_start_vmx();
	assert_int_equal(l1_vmxoff(), 0);
	for (size_t i = 0; i < ARRAY_SIZE(reasons); i++) {
		EXIT_NOW(.reason = reasons[i], .qualification = BIT(47));
		if ((machine_pending() & 0xff) != VEC_UD)
			fail_msg("exit %u: %x", reasons[i], machine_pending());
		/* with an operand that can be read it is no other */
		EXIT_NOW(.reason = reasons[i], .qualification = M_OPERAND,
			 .info = INFO_MEMORY | GPR_RCX << 28);
		if ((machine_pending() & 0xff) != VEC_UD)
			fail_msg("exit %u: %x", reasons[i], machine_pending());
	}
	l1_start_vmx();
	machine_set_field(VMCS_guest_ss_ar, 0xc0f3);
	/* The first operand cannot be read, the second can, and names a region that VMPTRLD would take. */
	l1_write64(M_OPERAND, M_VMCS(0));
	l1_write64(M_OPERAND + 8, 0);
	machine_vcpu->gpr[GPR_RCX] = 2;
	for (size_t i = 0; i < ARRAY_SIZE(reasons); i++) {
		EXIT_NOW(.reason = reasons[i], .qualification = BIT(47));
		assert_int_equal(machine_pending() & 0xff, VEC_GP);
		EXIT_NOW(.reason = reasons[i], .qualification = M_OPERAND,
			 .info = INFO_MEMORY | GPR_RCX << 28);
		assert_int_equal(machine_pending() & 0xff, VEC_GP);
	}
	assert_null(machine_vcpu->nested.current);
}

/* VMREAD and VMWRITE of registers, with a VMCS that has the field: not from ring 3. */
static void no_field_from_ring_3(void **state UNUSED)
{
	u64 value;

	l1_start_vmx();
	l1_load_vmcs(0);
	assert_int_equal(l1_vmwrite(VMCS_tsc_offset, 0x1111), 0);
	for (unsigned int ring = 1; ring < 4; ring++) {
		machine_set_field(VMCS_guest_ss_ar, 0xc093 | ring << 5);
		machine_vcpu->gpr[GPR_RDX] = VMCS_tsc_offset;
		machine_vcpu->gpr[GPR_RBX] = 0x2222;
		EXIT_NOW(.reason = EXIT_VMREAD, .info = INFO_REGISTERS(GPR_RBX, GPR_RDX));
		assert_int_equal(machine_pending() & 0xff, VEC_GP);
		assert_int_equal(machine_vcpu->gpr[GPR_RBX], 0x2222);
		EXIT_NOW(.reason = EXIT_VMWRITE, .info = INFO_REGISTERS(GPR_RBX, GPR_RDX));
		assert_int_equal(machine_pending() & 0xff, VEC_GP);
	}
	machine_set_field(VMCS_guest_ss_ar, 0xc093);
	assert_int_equal(l1_vmread(VMCS_tsc_offset, &value), 0);
	assert_int_equal(value, 0x1111);
}

/* RSP is the VMCS's, whatever stands in its place among the other registers. */
static void rsp_as_an_operand(void **state UNUSED)
{
	l1_start_vmx();
	l1_load_vmcs(0);
	assert_int_equal(l1_vmwrite(VMCS_tsc_offset, 0x1111), 0);
	machine_vcpu->gpr[GPR_RSP] = 0x5555;
	machine_vcpu->gpr[GPR_RDX] = VMCS_tsc_offset;
	EXIT_NOW(.reason = EXIT_VMREAD, .info = INFO_REGISTERS(GPR_RSP, GPR_RDX));
	assert_int_equal(machine_field(VMCS_guest_rsp), 0x1111);
	machine_set_field(VMCS_guest_rsp, 0x3333);
	EXIT_NOW(.reason = EXIT_VMWRITE, .info = INFO_REGISTERS(GPR_RSP, GPR_RDX));
	machine_vcpu->gpr[GPR_RBX] = 0;
	machine_vcpu->gpr[GPR_RSP] = VMCS_vpid;
	machine_set_field(VMCS_guest_rsp, VMCS_tsc_offset);
	EXIT_NOW(.reason = EXIT_VMREAD, .info = INFO_REGISTERS(GPR_RBX, GPR_RSP));
	assert_int_equal(machine_vcpu->gpr[GPR_RBX], 0x3333);
	machine_vcpu->gpr[GPR_RBX] = 0x4444;
	EXIT_NOW(.reason = EXIT_VMWRITE, .info = INFO_REGISTERS(GPR_RBX, GPR_RSP));
	assert_int_equal(machine_vcpu->nested.current->v12.tsc_offset, 0x4444);
}

/* Each operand is read where this instruction has it, by whatever part of the address. */
static void operands_here_and_there(void **state UNUSED)
{
	static const struct {
		u64 displacement, base;
		u32 info;
	} forms[] = {
		{ 0x11008, 0, INFO_MEMORY },
		{ 8, 0x12000, (INFO_MEMORY & ~BIT(27)) | GPR_RSI << 23 },
		{ 0x11008, 0, INFO_MEMORY },
		{ 0x1000, 0x12010, (INFO_MEMORY & ~(BIT(27) | BIT(22))) | GPR_RSI << 23 | GPR_RDI << 18 },
		{ 0x13000, 0, (INFO_MEMORY & ~(3u << 7)) | 1u << 7 }, /* 32-bit addresses */
	};
	u64 current;

	l1_start_vmx();
	machine_vcpu->gpr[GPR_RDI] = 0;
	for (unsigned int n = 0; n < ARRAY_SIZE(forms); n++) {
		machine_vcpu->gpr[GPR_RSI] = forms[n].base;
		l1_write32(M_VMCS(n), VMCS12_REVISION);
		l1_write64(forms[n].displacement + forms[n].base, M_VMCS(n));
		EXIT_NOW(.reason = EXIT_VMPTRLD, .qualification = forms[n].displacement,
			 .info = forms[n].info);
		assert_int_equal(l1_vmptrst(&current), 0);
		assert_int_equal(current, M_VMCS(n));
	}
}

/* VMPTRLD of the VMCS that is current: its region is looked at all the same. */
static void vmptrld_of_the_current_vmcs(void **state UNUSED)
{
	const u32 shadow = VMCS12_REVISION | (u32)VMCS_SHADOW_INDICATOR;
	u64 value;

	l1_start_vmx();
	l1_load_vmcs(0);
	l1_write_valid_vmcs();
	for (unsigned int n = 0; n < 2; n++) {
		machine_set_field(VMCS_guest_rflags, RFLAGS_FIXED1 | RFLAGS_ARITH);
		assert_int_equal(l1_memory_insn(EXIT_VMPTRLD, M_VMCS(0)), 0);
		assert_int_equal(machine_field(VMCS_guest_rflags), RFLAGS_FIXED1);
		l1_write32(M_VMCS(0), VMCS12_REVISION + 1);
		assert_int_equal(l1_memory_insn(EXIT_VMPTRLD, M_VMCS(0)), VMXERR_VMPTRLD_REVISION);
		assert_int_equal(l1_vmptrst(&value), 0);
		assert_int_equal(value, M_VMCS(0));
		/* It becomes a shadow VMCS by this, and an ordinary one again. */
		l1_write32(M_VMCS(0), shadow);
		assert_int_equal(l1_memory_insn(EXIT_VMPTRLD, M_VMCS(0)), 0);
		assert_int_equal(machine_vcpu->nested.current->v12.revision, shadow);
		assert_int_equal(l1_enter(EXIT_VMLAUNCH), L1_FAIL_INVALID);
		l1_write32(M_VMCS(0), VMCS12_REVISION);
		assert_int_equal(l1_memory_insn(EXIT_VMPTRLD, M_VMCS(0)), 0);
		assert_int_equal(machine_vcpu->nested.current->v12.revision, VMCS12_REVISION);
	}
	assert_int_equal(l1_memory_insn(EXIT_VMPTRLD, ~0ull), VMXERR_VMPTRLD_ADDRESS);
	assert_int_equal(l1_memory_insn(EXIT_VMCLEAR, M_VMCS(0)), 0);
	assert_int_equal(l1_memory_insn(EXIT_VMPTRLD, ~0ull), L1_FAIL_INVALID);
	assert_int_equal(l1_memory_insn(EXIT_VMPTRLD, M_VMCS(0)), 0);
	assert_int_equal(l1_enter(EXIT_VMLAUNCH), 0);
}

static void vmcall_in_root_fails_with_1(void **state UNUSED)
{
	l1_start_vmx();
	l1_load_vmcs(0);
	machine_vcpu->gpr[GPR_RAX] = 0;
	assert_int_equal(l1_enter(EXIT_VMCALL), VMXERR_VMCALL_IN_ROOT);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		MACHINE_TEST_BOTH(vmxon_wants_a_region),
		MACHINE_TEST_BOTH(no_current_vmcs_fails_invalid),
		MACHINE_TEST_BOTH(vmclear_and_vmptrld_number_their_errors),
		MACHINE_TEST_BOTH(fields_read_back_as_written),
		MACHINE_TEST_BOTH(fields_read_back_by_memory_operands),
		MACHINE_TEST_BOTH(vmcs_lives_in_memory),
		MACHINE_TEST_BEFORE(shadowing_without_optional_fields, "shadow-vmcs=on",
				    without_optional_fields),
		MACHINE_TEST_BEFORE(a_control_without_its_field, "shadow-vmcs=on", without_optional_fields),
		MACHINE_TEST_BEFORE(no_shadowing_without_its_fields, "shadow-vmcs=on", without_tpr_threshold),
		MACHINE_TEST_BOTH(what_the_shadow_vmcs_must_hold),
		MACHINE_TEST_BOTH(slots_are_evicted_and_come_back),
		MACHINE_TEST_BOTH(launch_state_is_kept),
		MACHINE_TEST_BOTH(vmclear_of_an_inactive_vmcs_clears_it),
		MACHINE_TEST_BOTH(entries_fail_in_order),
		MACHINE_TEST_BOTH(invept_and_invvpid_check_their_operands),
		MACHINE_TEST_BOTH(privilege_comes_first),
		MACHINE_TEST_BOTH(no_field_from_ring_3),
		MACHINE_TEST_BOTH(rsp_as_an_operand),
		MACHINE_TEST_BOTH(operands_here_and_there),
		MACHINE_TEST_BOTH(vmptrld_of_the_current_vmcs),
		MACHINE_TEST_BOTH(vmcall_in_root_fails_with_1),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
