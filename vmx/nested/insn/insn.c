/* SPDX-License-Identifier: MIT */
/*
 * VMX instructions of L1: who may execute them, how they end, their operands;
 * and those that concern VMX operation itself: VMXON, VMXOFF, VMCALL, VMFUNC.
 * Each instruction is a function from the vCPU to a result, in the SDM's
 * order; one function turns results into flags or an exception.
 * SDM: "VMX Instruction Reference".
 */
#include "kernel/panic.h"
#include "kernel/msr.h"
#include "kernel/x86.h"
#include "vmx/exit.h"
#include "vmx/guest/guest_mem.h"
#include "vmx/nested/internal.h"
#include "vmx/guest/vmx_operand.h"

#define RESULT_OK ((struct insn_result){ .kind = INSN_OK })
#define RESULT_FAIL_INVALID ((struct insn_result){ .kind = INSN_FAIL_INVALID })

struct insn_result insn_raise(u8 vector, bool has_error_code, u32 error_code)
{
	return (struct insn_result){
		.kind = INSN_FAULT,
		.vector = vector,
		.has_error_code = has_error_code,
		.error = error_code,
	};
}

static struct insn_result raise_ud(void)
{
	return insn_raise(VEC_UD, false, 0);
}

static struct insn_result raise_gp(void)
{
	return insn_raise(VEC_GP, true, 0);
}

struct insn_result insn_fail(struct vcpu *vcpu, u32 error)
{
	struct nested_vmcs *current = vcpu->nested.current;

	if (!current)
		return RESULT_FAIL_INVALID;
	current->v12.vm_instruction_error = error;
	return (struct insn_result){ .kind = INSN_FAIL_VALID, .error = error };
}

/* SDM: "(RFLAGS.VM = 1) or (IA32_EFER.LMA = 1 and CS.L = 0) THEN #UD". */
static bool mode_permits(struct vcpu *vcpu)
{
	return !vcpu_is_v86(vcpu) && (!vcpu_is_long_mode(vcpu) || vcpu_is_64bit(vcpu));
}

/*
 * The #UD of real, virtual-8086 and compatibility mode comes before "in VMX
 * non-root operation THEN VMexit": the processor has looked.
 */
struct insn_result insn_refuse(struct vcpu *vcpu)
{
	return vcpu->nested.vmxon ? raise_gp() : raise_ud();
}

enum action insn_finish_failed(struct vcpu *vcpu, struct insn_result result)
{
	switch (result.kind) {
	case INSN_FAIL_INVALID: return insn_set_flags(vcpu, RFLAGS_CF);
	case INSN_FAIL_VALID: return insn_set_flags(vcpu, RFLAGS_ZF);
	case INSN_FAULT:
		if (result.vector == VEC_PF)
			return event_inject_pf(vcpu, result.cr2, result.error);
		return event_inject_exception(vcpu, result.vector, result.has_error_code, result.error);
	default: return ACTION_RESUME;
	}
}

/* ---- operands ---- */

static struct insn_result raise_fault(const struct guest_fault *fault)
{
	struct insn_result result = insn_raise(fault->vector, fault->has_error_code, fault->error_code);

	result.cr2 = fault->cr2;
	return result;
}

/* True: the access was made. Only L2's (VMCS shadowing of L1's) can end in an exit to L1. */
static bool access_done(struct vcpu *vcpu, enum guest_access_result how, const struct guest_fault *why,
			struct insn_result *fault)
{
	if (likely(how == GUEST_ACCESS_OK))
		return true;
	*fault = raise_fault(why);
	if (how == GUEST_ACCESS_EPT_VIOLATION) {
		nested_reflect_ept_fault(vcpu, &why->ept, true, why->cr2);
		fault->kind = INSN_DONE;
	}
	return false;
}

bool insn_read_operand(struct vcpu *vcpu, void *to, size_t length, struct insn_result *fault)
{
	struct guest_fault why = { 0 };
	struct vmx_operand operand;

	if (vmx_operand_decode(vcpu, length, false, &operand, &why))
		return access_done(vcpu, guest_linear_read(vcpu, GVA(operand.linear), to, length, &why), &why,
				   fault);
	*fault = raise_fault(&why);
	return false;
}

bool insn_write_operand(struct vcpu *vcpu, const void *from, size_t length, struct insn_result *fault)
{
	struct guest_fault why = { 0 };
	struct vmx_operand operand;

	if (vmx_operand_decode(vcpu, length, true, &operand, &why))
		return access_done(vcpu, guest_linear_write(vcpu, GVA(operand.linear), from, length, &why),
				   &why, fault);
	*fault = raise_fault(&why);
	return false;
}

bool insn_region_valid(u64 gpa)
{
	return IS_ALIGNED(gpa, PAGE_SIZE) && !(gpa >> caps12.physical_bits);
}

/* ---- VMXON, VMXOFF ---- */

static bool fixed_bits_hold(u64 value, u64 fixed0, u64 fixed1)
{
	return (value & fixed0) == fixed0 && !(value & ~fixed1);
}

/*
 * SDM VMXON: "(the values of CR0 and CR4 are not supported in VMX operation)
 * or (lock bit clear) or (outside SMX operation and bit 2 clear) THEN #GP(0)".
 * L1 cannot be in A20M mode: L0 is in VMX operation, which disables it; nor in SMX operation: it has no
 * GETSEC.
 */
static bool vmxon_allowed(struct vcpu *vcpu)
{
	const u64 needed = FEATURE_CONTROL_LOCKED | FEATURE_CONTROL_VMX;

	return fixed_bits_hold(cr_l1_cr0(vcpu), caps12.cr0_fixed0, caps12.cr0_fixed1) &&
	       fixed_bits_hold(cr_l1_cr4(vcpu), caps12.cr4_fixed0, caps12.cr4_fixed1) &&
	       (vcpu->feature_control & needed) == needed;
}

static struct insn_result vmxon(struct vcpu *vcpu)
{
	struct nested *nested = &vcpu->nested;
	struct insn_result fault;
	u32 revision;
	u64 gpa;

	if (!vcpu_is_protected(vcpu) || !(cr_l1_cr4(vcpu) & CR4_VMXE) || !mode_permits(vcpu))
		return raise_ud();
	if (vcpu_cpl(vcpu))
		return raise_gp();
	if (nested->vmxon)
		return insn_fail(vcpu, VMXERR_VMXON_IN_ROOT);
	if (!vmxon_allowed(vcpu))
		return raise_gp();
	if (!insn_read_operand(vcpu, &gpa, sizeof(gpa), &fault))
		return fault;
	if (!insn_region_valid(gpa))
		return RESULT_FAIL_INVALID;
	guest_mem_read(vcpu, GPA(gpa), &revision, sizeof(revision));
	if (revision != VMCS12_REVISION)
		return RESULT_FAIL_INVALID;
	nested->vmxon = true;
	nested->l1_long_mode = vcpu_is_long_mode(vcpu);
	nested->vmxon_pointer = gpa;
	cr_update_masks(vcpu);
	shadow_enable(vcpu);
	return RESULT_OK;
}

enum action exit_vmxon(struct vcpu *vcpu)
{
	return insn_finish(vcpu, vmxon(vcpu));
}

enum action exit_vmxoff(struct vcpu *vcpu)
{
	struct insn_result fault;

	if (!insn_permitted(vcpu, &fault))
		return insn_finish(vcpu, fault);
	nested_leave_vmx(vcpu);
	/* SDM: "unblock INIT signals": one that was held comes now, after the instruction, and leaves nothing
	 * of it. */
	if (vcpu->nested.init_pending) {
		vcpu->nested.init_pending = false;
		vcpu_take_init(vcpu);
		return ACTION_RESUME;
	}
	return insn_finish(vcpu, RESULT_OK);
}

/* ---- VMCALL, VMFUNC ---- */

/* There is no dual-monitor treatment of SMIs: SDM "VMfail (VMCALL executed in VMX root operation)". */
enum action nested_vmcall(struct vcpu *vcpu)
{
	struct insn_result result;

	/* VMCALL alone exits before the processor looks at the mode. */
	if (!mode_permits(vcpu))
		result = raise_ud();
	else if (insn_permitted(vcpu, &result))
		result = insn_fail(vcpu, VMXERR_VMCALL_IN_ROOT);
	return insn_finish(vcpu, result);
}

#define EPTP_LIST_LENGTH 512

/* SDM "EPTP Switching": false if the function is to cause a VM exit instead. */
static bool switch_eptp(struct vcpu *vcpu)
{
	struct nested_vmcs *slot = vcpu->nested.current;
	u32 index = (u32)vcpu->gpr[GPR_RCX];
	u64 eptp;

	if (index >= EPTP_LIST_LENGTH)
		return false;
	guest_mem_read(vcpu, GPA(slot->v12.eptp_list_addr + 8 * index), &eptp, sizeof(eptp));
	if (!eptp12_valid(eptp, &caps12))
		return false;
	slot->v12.ept_pointer = eptp;
	/* "If the processor supports the 1-setting of EPT-violation #VE", whatever the control is. */
	if (caps12.proc2.allowed1 & PROC2_VE)
		slot->v12.eptp_index = index;
	merge_translation(vcpu, slot);
	return true;
}

/* A function of L2's that L1 has enabled; L1 itself is in VMX root operation or outside, where VMFUNC is #UD.
 */
enum action exit_vmfunc(struct vcpu *vcpu)
{
	struct exit_record record;

	if (!vcpu->nested.in_l2)
		return insn_finish(vcpu, raise_ud());
	if ((u32)vcpu->gpr[GPR_RAX] == VMFUNC_EPTP_SWITCHING && switch_eptp(vcpu))
		return ACTION_SKIP;
	record = exit_record_hardware(vcpu);
	return nested_reflect(vcpu, &record);
}
