/* SPDX-License-Identifier: MIT */
/*
 * The rules on the VM-execution, VM-exit and VM-entry control fields: pure
 * functions of vmcs12, of what L1 is told of the processor, and of the one
 * byte of memory that a rule looks at (VTPR).  A failure is VMfailValid(7).
 * SDM: "VM Entries", "Checks on VMX Controls".
 */
#include "vmx/nested/entry/check.h"

#define MSR_ENTRY_SIZE 16
#define INTR_INFO_RESERVED GENMASK(30, 12)

/* A control word: what must be 1 is 1, and nothing is 1 that may not be. */
static bool allowed(u64 value, struct control_cap cap)
{
	return !(cap.allowed0 & ~value) && !(value & ~(u64)cap.allowed1);
}

static bool check_control_words(const struct vmcs12 *v12, const struct check_env *env,
				struct check_failure *failure)
{
	const struct vmx_caps *caps = env->caps;

	/* Reserved bits in the pin-based controls are set as the capability MSR says. */
	REQUIRE(allowed(v12->pin_controls, caps->pin), pin_controls);
	/* So in the primary processor-based controls. */
	REQUIRE(allowed(v12->proc_controls, caps->proc), proc_controls);
	/* So in the secondary ones if they are activated; else they all count as 0. */
	if (v12_has_proc(v12, PROC_SECONDARY))
		REQUIRE(allowed(v12->proc2_controls, caps->proc2), proc2_controls);
	/* No more CR3-target values than the processor has. */
	REQUIRE(v12->cr3_target_count <= VMX_MISC_CR3_TARGETS(caps->misc), cr3_target_count);
	return true;
}

static bool check_bitmaps(const struct vmcs12 *v12, const struct check_env *env,
			  struct check_failure *failure)
{
	/* With I/O bitmaps: both addresses are of pages and within the physical-address width. */
	if (v12_has_proc(v12, PROC_IO_BITMAPS)) {
		REQUIRE(is_page_address(v12->io_bitmap_a, env), io_bitmap_a);
		REQUIRE(is_page_address(v12->io_bitmap_b, env), io_bitmap_b);
	}
	/* With MSR bitmaps: so is theirs. */
	if (v12_has_proc(v12, PROC_MSR_BITMAPS))
		REQUIRE(is_page_address(v12->msr_bitmap, env), msr_bitmap);
	/* With VMCS shadowing: so are those of the VMREAD and the VMWRITE bitmap. */
	if (v12_has_proc2(v12, PROC2_VMCS_SHADOWING)) {
		REQUIRE(is_page_address(v12->vmread_bitmap, env), vmread_bitmap);
		REQUIRE(is_page_address(v12->vmwrite_bitmap, env), vmwrite_bitmap);
	}
	return true;
}

/* Bits 3:0 of the TPR threshold against bits 7:4 of the virtual TPR in memory. */
static bool threshold_within_vtpr(const struct vmcs12 *v12, const struct check_env *env)
{
	u8 vtpr = 0xff; /* absent memory reads as ones */

	if (!(v12->tpr_threshold & 0xf))
		return true;
	env->read(env->context, v12->virtual_apic_addr + VTPR_OFFSET, &vtpr, sizeof(vtpr));
	return (v12->tpr_threshold & 0xf) <= (vtpr >> 4);
}

static bool check_tpr_threshold(const struct vmcs12 *v12, const struct check_env *env,
				struct check_failure *failure)
{
	if (!v12_has_proc(v12, PROC_TPR_SHADOW) || v12_has_proc2(v12, PROC2_VIRTUAL_INTERRUPT))
		return true;
	/* With a TPR shadow and without virtual-interrupt delivery: bits 31:4 of the TPR threshold are 0. */
	REQUIRE(!(v12->tpr_threshold & ~0xfull), tpr_threshold);
	/* Without virtualized APIC accesses also: the threshold is not above bits 7:4 of VTPR. */
	if (!v12_has_proc2(v12, PROC2_APIC_ACCESS))
		REQUIRE(threshold_within_vtpr(v12, env), tpr_threshold);
	return true;
}

static bool check_apic(const struct vmcs12 *v12, const struct check_env *env, struct check_failure *failure)
{
	if (v12_has_proc(v12, PROC_TPR_SHADOW)) {
		/* With a TPR shadow: the virtual-APIC address is of a page and within the width. */
		REQUIRE(is_page_address(v12->virtual_apic_addr, env), virtual_apic_addr);
	} else {
		/* Without one: no x2APIC mode, APIC-register virtualization or virtual-interrupt delivery. */
		REQUIRE(!v12_has_proc2(v12, PROC2_VIRTUAL_X2APIC), proc2_controls);
		REQUIRE(!v12_has_proc2(v12, PROC2_APIC_REGISTER_VIRT), proc2_controls);
		REQUIRE(!v12_has_proc2(v12, PROC2_VIRTUAL_INTERRUPT), proc2_controls);
	}
	if (!check_tpr_threshold(v12, env, failure))
		return false;
	if (v12_has_proc2(v12, PROC2_APIC_ACCESS)) {
		/* With virtualized APIC accesses: the APIC-access address is of a page and within the width.
		 */
		REQUIRE(is_page_address(v12->apic_access_addr, env), apic_access_addr);
		/* x2APIC mode and virtualized APIC accesses exclude each other. */
		REQUIRE(!v12_has_proc2(v12, PROC2_VIRTUAL_X2APIC), proc2_controls);
	}
	/* Virtual-interrupt delivery needs external-interrupt exiting. */
	if (v12_has_proc2(v12, PROC2_VIRTUAL_INTERRUPT))
		REQUIRE(v12_has_pin(v12, PIN_EXTERNAL_INTERRUPT), pin_controls);
	if (v12_has_pin(v12, PIN_POSTED_INTERRUPTS)) {
		/* Posted interrupts need virtual-interrupt delivery and acknowledge-on-exit... */
		REQUIRE(v12_has_proc2(v12, PROC2_VIRTUAL_INTERRUPT), proc2_controls);
		REQUIRE(v12_has_exit(v12, EXIT_ACK_INTERRUPT), exit_controls);
		/* ... a notification vector of 0 to 255, and a descriptor aligned to 64 bytes, within the
		 * width. */
		REQUIRE(v12->posted_intr_nv <= 0xff, posted_intr_nv);
		REQUIRE(IS_ALIGNED(v12->posted_intr_desc_addr, 64), posted_intr_desc_addr);
		REQUIRE(within_width(v12->posted_intr_desc_addr, env), posted_intr_desc_addr);
	}
	return true;
}

static bool check_nmi(const struct vmcs12 *v12, struct check_failure *failure)
{
	/* Virtual NMIs need NMI exiting. */
	if (v12_has_pin(v12, PIN_VIRTUAL_NMIS))
		REQUIRE(v12_has_pin(v12, PIN_NMI_EXITING), pin_controls);
	/* NMI-window exiting needs virtual NMIs. */
	if (v12_has_proc(v12, PROC_NMI_WINDOW))
		REQUIRE(v12_has_pin(v12, PIN_VIRTUAL_NMIS), proc_controls);
	return true;
}

static bool check_translation(const struct vmcs12 *v12, const struct check_env *env,
			      struct check_failure *failure)
{
	bool ept = v12_has_proc2(v12, PROC2_EPT);

	/* With VPIDs: L2's is not 0000H. */
	if (v12_has_proc2(v12, PROC2_VPID))
		REQUIRE(v12->vpid != 0, vpid);
	/* With EPT: the EPT pointer has a supported memory type, walk length and A/D flag, and no reserved
	 * bit. */
	if (ept)
		REQUIRE(eptp12_valid(v12->ept_pointer, env->caps), ept_pointer);
	/* These need EPT: unrestricted guest, mode-based execute control, PML, sub-page write permissions...
	 */
	if (v12_has_proc2(v12, PROC2_UNRESTRICTED_GUEST))
		REQUIRE(ept, proc2_controls);
	if (v12_has_proc2(v12, PROC2_MODE_BASED_EXECUTE))
		REQUIRE(ept, proc2_controls);
	if (v12_has_proc2(v12, PROC2_SUB_PAGE_WRITE))
		REQUIRE(ept, proc2_controls);
	if (v12_has_proc2(v12, PROC2_PML)) {
		REQUIRE(ept, proc2_controls);
		/* With PML: the address of the log is of a page and within the width. */
		REQUIRE(is_page_address(v12->pml_address, env), pml_address);
	}
	/* ... and processor trace that uses guest-physical addresses. */
	if (v12_has_proc2(v12, PROC2_PT_GPA))
		REQUIRE(ept, proc2_controls);
	/* With EPT-violation #VE: the address of the information area is of a page and within the width. */
	if (v12_has_proc2(v12, PROC2_VE))
		REQUIRE(is_page_address(v12->ve_info_addr, env), ve_info_addr);
	return true;
}

static bool check_vmfunc(const struct vmcs12 *v12, const struct check_env *env, struct check_failure *failure)
{
	if (!v12_has_proc2(v12, PROC2_VMFUNC))
		return true;
	/* Reserved bits of the VM-function controls are 0. */
	REQUIRE(!(v12->vm_function_controls & ~env->caps->vmfunc), vm_function_controls);
	if (v12->vm_function_controls & BIT(VMFUNC_EPTP_SWITCHING)) {
		/* EPTP switching needs EPT, and a list that is a page within the width. */
		REQUIRE(v12_has_proc2(v12, PROC2_EPT), proc2_controls);
		REQUIRE(is_page_address(v12->eptp_list_addr, env), eptp_list_addr);
	}
	return true;
}

/* An MSR area that is not empty is aligned to 16 bytes; its first and its last byte are within the width. */
static bool msr_area_fits(u64 address, u64 count, const struct check_env *env)
{
	if (!count)
		return true;
	if (!IS_ALIGNED(address, MSR_ENTRY_SIZE) || !within_width(address, env))
		return false;
	return within_width(address + (u32)count * (u64)MSR_ENTRY_SIZE - 1, env);
}

static bool check_exit_controls(const struct vmcs12 *v12, const struct check_env *env,
				struct check_failure *failure)
{
	/* Reserved bits in the VM-exit controls are set as the capability MSR says. */
	REQUIRE(allowed(v12->exit_controls, env->caps->exit), exit_controls);
	/* Saving the preemption timer needs the preemption timer. */
	if (v12_has_exit(v12, EXIT_SAVE_PREEMPTION_TIMER))
		REQUIRE(v12_has_pin(v12, PIN_PREEMPTION_TIMER), exit_controls);
	/* The VM-exit MSR-store and MSR-load areas. */
	REQUIRE(msr_area_fits(v12->exit_msr_store_addr, v12->exit_msr_store_count, env), exit_msr_store_addr);
	REQUIRE(msr_area_fits(v12->exit_msr_load_addr, v12->exit_msr_load_count, env), exit_msr_load_addr);
	return true;
}

static bool check_entry_controls(const struct vmcs12 *v12, const struct check_env *env,
				 struct check_failure *failure)
{
	/* Reserved bits in the VM-entry controls are set as the capability MSR says. */
	REQUIRE(allowed(v12->entry_controls, env->caps->entry), entry_controls);
	/* Outside SMM: neither entry to SMM nor deactivation of the dual-monitor treatment. */
	REQUIRE(!v12_has_entry(v12, ENTRY_SMM), entry_controls);
	REQUIRE(!v12_has_entry(v12, ENTRY_DEACTIVATE_DUAL_MONITOR), entry_controls);
	/* The VM-entry MSR-load area. */
	REQUIRE(msr_area_fits(v12->entry_msr_load_addr, v12->entry_msr_load_count, env), entry_msr_load_addr);
	return true;
}

/* Vectors for which the rule on the error code is strict where VMX_BASIC bit 56 is 0. #CP came with that bit.
 */
#define CHECKED_ERROR_CODES (VEC_HAS_ERROR_CODE & ~BIT(VEC_CP))

static bool check_injected_error_code(const struct vmcs12 *v12, const struct check_env *env,
				      struct check_failure *failure)
{
	unsigned int vector = v12->entry_intr_info & INTR_INFO_VECTOR;
	unsigned int type = (v12->entry_intr_info & INTR_INFO_TYPE) >> INTR_INFO_TYPE_SHIFT;
	bool deliver = v12->entry_intr_info & INTR_INFO_ERROR_CODE;
	bool protected = !v12_has_proc2(v12, PROC2_UNRESTRICTED_GUEST) || (v12->guest_cr0 & CR0_PE);
	bool possible = type == INTR_TYPE_HARD_EXCEPTION && protected;

	/* An error code is delivered with hardware exceptions only, and not to real mode... */
	REQUIRE(possible || !deliver, entry_intr_info);
	/* ... and exactly with those vectors that have one, unless bit 56 of IA32_VMX_BASIC frees the vector.
	 */
	if (possible && !(env->caps->basic & VMX_BASIC_ANY_ERROR_CODE))
		REQUIRE(deliver == !!(CHECKED_ERROR_CODES & BIT(vector)), entry_intr_info);
	/* Bits 31:16 of a delivered error code are 0. */
	if (deliver)
		REQUIRE(!(v12->entry_exception_error_code & GENMASK(31, 16)), entry_exception_error_code);
	return true;
}

static bool check_injection(const struct vmcs12 *v12, const struct check_env *env,
			    struct check_failure *failure)
{
	unsigned int vector = v12->entry_intr_info & INTR_INFO_VECTOR;
	unsigned int type = (v12->entry_intr_info & INTR_INFO_TYPE) >> INTR_INFO_TYPE_SHIFT;
	bool has_mtf = env->caps->proc.allowed1 & PROC_MTF;

	if (likely(!(v12->entry_intr_info & INTR_INFO_VALID)))
		return true;
	/* The type is not a reserved one: 1 never, 7 (other event) only with a monitor trap flag. */
	REQUIRE(type != 1, entry_intr_info);
	REQUIRE(type != INTR_TYPE_OTHER || has_mtf, entry_intr_info);
	/* An NMI has vector 2, a hardware exception one of 0-31, a pending MTF exit vector 0. */
	if (type == INTR_TYPE_NMI)
		REQUIRE(vector == VEC_NMI, entry_intr_info);
	if (type == INTR_TYPE_HARD_EXCEPTION)
		REQUIRE(vector <= 31, entry_intr_info);
	if (type == INTR_TYPE_OTHER)
		REQUIRE(vector == 0, entry_intr_info);
	if (!check_injected_error_code(v12, env, failure))
		return false;
	/* Bits 30:12 are 0. */
	REQUIRE(!(v12->entry_intr_info & INTR_INFO_RESERVED), entry_intr_info);
	/* A software event has an instruction length of 1-15, or of 0 where IA32_VMX_MISC allows that. */
	if (type == INTR_TYPE_SOFT_INTERRUPT || type == INTR_TYPE_PRIVILEGED_SOFT_EXCEPTION ||
	    type == INTR_TYPE_SOFT_EXCEPTION) {
		REQUIRE(v12->entry_instruction_length <= 15, entry_instruction_length);
		if (!(env->caps->misc & VMX_MISC_ZERO_LENGTH))
			REQUIRE(v12->entry_instruction_length != 0, entry_instruction_length);
	}
	return true;
}

bool check_event_injection(const struct vmcs12 *v12, const struct check_env *env,
			   struct check_failure *failure)
{
	return check_tpr_threshold(v12, env, failure) && check_injection(v12, env, failure) &&
	       check_nmi(v12, failure);
}

bool check_controls(const struct vmcs12 *v12, const struct check_env *env, struct check_failure *failure)
{
	if (!check_control_words(v12, env, failure) || !check_bitmaps(v12, env, failure) ||
	    !check_nmi(v12, failure) || !check_apic(v12, env, failure) ||
	    !check_translation(v12, env, failure) || !check_vmfunc(v12, env, failure))
		return false;
	/* With TSC scaling: the multiplier is not 0. */
	if (v12_has_proc2(v12, PROC2_TSC_SCALING))
		REQUIRE(v12->tsc_multiplier != 0, tsc_multiplier);
	return check_exit_controls(v12, env, failure) && check_entry_controls(v12, env, failure) &&
	       check_injection(v12, env, failure);
}
