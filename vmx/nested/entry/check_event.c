/* SPDX-License-Identifier: MIT */
/*
 * The rules on control fields that each entry looks at: the event to be injected, NMI controls, the TPR
 * threshold. They end at the first one that is broken; for a person judge.c has them once more.
 * SDM: "VM Entries", "Checks on VM-Entry Control Fields", "Checks on VM-Execution Control Fields".
 */
#ifndef CHECK_STOP
#define CHECK_STOP(failed) return failed
#endif

#include "kernel/x86.h"
#include "vmx/hw/caps.h"
#include "vmx/nested/entry/check.h"
#include "vmx/nested/vmcs12/vmcs12.h"

#define INTR_INFO_RESERVED GENMASK(30, 12)
/* Vectors for which the rule on the error code is strict where VMX_BASIC bit 56 is 0. #CP came with that bit.
 */
#define CHECKED_ERROR_CODES (VEC_HAS_ERROR_CODE & ~BIT(VEC_CP))

/* Bits 3:0 of the TPR threshold against bits 7:4 of the virtual TPR in memory. */
static bool threshold_within_vtpr(const struct vmcs12 *v12, const struct check_env *env)
{
	u8 vtpr = 0xff; /* absent memory reads as ones */

	if (!(v12->tpr_threshold & 0xf))
		return true;
	env->read(env->context, v12->virtual_apic_addr + VTPR_OFFSET, &vtpr, sizeof(vtpr));
	return (v12->tpr_threshold & 0xf) <= (vtpr >> 4);
}

bool check_tpr_threshold(const struct vmcs12 *v12, const struct check_env *env, struct check_failure *failure)
{
	if (!v12_has_proc(v12, PROC_TPR_SHADOW) || v12_has_proc2(v12, PROC2_VIRTUAL_INTERRUPT))
		return true;
	/* With a TPR shadow and without virtual-interrupt delivery: bits 31:4 of the TPR threshold are 0. */
	REQUIRE_CLEAR(tpr_threshold_bits, ~0xfull);
	/* Without virtualized APIC accesses also: the threshold is not above bits 7:4 of VTPR. */
	if (!v12_has_proc2(v12, PROC2_APIC_ACCESS))
		REQUIRE(tpr_threshold_vtpr, threshold_within_vtpr(v12, env));
	return true;
}

bool check_nmi(const struct vmcs12 *v12, struct check_failure *failure)
{
	/* Virtual NMIs need NMI exiting. */
	if (v12_has_pin(v12, PIN_VIRTUAL_NMIS))
		REQUIRE_SET(virtual_nmis, PIN_NMI_EXITING);
	/* NMI-window exiting needs virtual NMIs. */
	if (v12_has_proc(v12, PROC_NMI_WINDOW))
		REQUIRE_OR_CLEAR(nmi_window, v12_has_pin(v12, PIN_VIRTUAL_NMIS), PROC_NMI_WINDOW);
	return true;
}

static bool check_injected_error_code(const struct vmcs12 *v12, const struct check_env *env,
				      struct check_failure *failure)
{
	unsigned int vector = v12->entry_intr_info & INTR_INFO_VECTOR;
	unsigned int type = (v12->entry_intr_info & INTR_INFO_TYPE) >> INTR_INFO_TYPE_SHIFT;
	bool deliver = v12->entry_intr_info & INTR_INFO_ERROR_CODE;
	bool protected = !v12_has_proc2(v12, PROC2_UNRESTRICTED_GUEST) || (v12->guest_cr0 & CR0_PE);
	bool possible = type == INTR_TYPE_HARD_EXCEPTION && protected;
	bool has_code = vector < 32 && (CHECKED_ERROR_CODES & BIT(vector));

	/* An error code is delivered with hardware exceptions only, and not to real mode... */
	REQUIRE_OR_CLEAR(event_code_real, possible || !deliver, INTR_INFO_ERROR_CODE);
	/* ... and exactly with those vectors that have one, unless bit 56 of IA32_VMX_BASIC frees the vector.
	 */
	if (possible && !(env->caps->basic & VMX_BASIC_ANY_ERROR_CODE)) {
		REQUIRE_OR_SET(event_code_missing, deliver || !has_code, INTR_INFO_ERROR_CODE);
		REQUIRE_OR_CLEAR(event_code_none, !deliver || has_code, INTR_INFO_ERROR_CODE);
	}
	/* Bits 31:16 of a delivered error code are 0. */
	if (deliver)
		REQUIRE_CLEAR(error_code_high, GENMASK(31, 16));
	return true;
}

bool check_injection(const struct vmcs12 *v12, const struct check_env *env, struct check_failure *failure)
{
	unsigned int vector = v12->entry_intr_info & INTR_INFO_VECTOR;
	unsigned int type = (v12->entry_intr_info & INTR_INFO_TYPE) >> INTR_INFO_TYPE_SHIFT;
	bool has_mtf = env->caps->proc.allowed1 & PROC_MTF;

	if (likely(!(v12->entry_intr_info & INTR_INFO_VALID)))
		return true;
	/* The type is not a reserved one: 1 never, 7 (other event) only with a monitor trap flag. */
	REQUIRE(event_type, type != 1);
	REQUIRE(event_mtf, type != INTR_TYPE_OTHER || has_mtf);
	/* An NMI has vector 2, a hardware exception one of 0-31, a pending MTF exit vector 0. */
	if (type == INTR_TYPE_NMI)
		REQUIRE(event_nmi_vector, vector == VEC_NMI);
	if (type == INTR_TYPE_HARD_EXCEPTION)
		REQUIRE(event_exception_vector, vector <= 31);
	if (type == INTR_TYPE_OTHER)
		REQUIRE(event_mtf_vector, vector == 0);
	if (!check_injected_error_code(v12, env, failure))
		return false;
	/* Bits 30:12 are 0. */
	REQUIRE_CLEAR(event_reserved, INTR_INFO_RESERVED);
	/* A software event has an instruction length of 1-15, or of 0 where IA32_VMX_MISC allows that. */
	if (type == INTR_TYPE_SOFT_INTERRUPT || type == INTR_TYPE_PRIVILEGED_SOFT_EXCEPTION ||
	    type == INTR_TYPE_SOFT_EXCEPTION) {
		REQUIRE(event_length, v12->entry_instruction_length <= 15);
		if (!(env->caps->misc & VMX_MISC_ZERO_LENGTH))
			REQUIRE(event_length_0, v12->entry_instruction_length != 0);
	}
	return true;
}

bool check_event_injection(const struct vmcs12 *v12, const struct check_env *env,
			   struct check_failure *failure)
{
	return check_tpr_threshold(v12, env, failure) && check_injection(v12, env, failure) &&
	       check_nmi(v12, failure);
}
