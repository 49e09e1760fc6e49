/* SPDX-License-Identifier: MIT */
/*
 * The rules on the VM-execution, VM-exit and VM-entry control fields, with
 * those of check_event.c: pure functions of vmcs12, of what L1 is told of the
 * processor, and of the one byte of memory that a rule looks at (VTPR).  A
 * failure is VMfailValid(7).
 * SDM: "VM Entries", "Checks on VMX Controls".
 */
#include "vmx/nested/entry/check.h"
#include "vmx/nested/ept/eptp.h"
#include "kernel/x86.h"
#include "vmx/hw/caps.h"
#include "vmx/nested/vmcs12/vmcs12.h"

#define MSR_ENTRY_SIZE 16ull

/* A control word: what must be 1 is 1, and nothing is 1 that may not be. */
#define REQUIRE_ALLOWED(rule, cap) REQUIRE_BITS(rule, (cap).allowed0 | ~(u64)(cap).allowed1, (cap).allowed0)

/* `bit` of the secondary controls, where it counts, is 0. */
#define REQUIRE_NO_PROC2(rule, bit) REQUIRE_OR_CLEAR(rule, !v12_has_proc2(v12, bit), bit)

static bool check_control_words(const struct vmcs12 *v12, const struct check_env *env,
				struct check_failure *failure)
{
	const struct vmx_caps *caps = env->caps;

	/* Reserved bits in the pin-based controls are set as the capability MSR says. */
	REQUIRE_ALLOWED(pin_allowed, caps->pin);
	/* So in the primary processor-based controls. */
	REQUIRE_ALLOWED(proc_allowed, caps->proc);
	/* So in the secondary ones if they are activated; else they all count as 0. */
	if (v12_has_proc(v12, PROC_SECONDARY))
		REQUIRE_ALLOWED(proc2_allowed, caps->proc2);
	/* No more CR3-target values than the processor has. */
	REQUIRE(cr3_targets, v12->cr3_target_count <= VMX_MISC_CR3_TARGETS(caps->misc));
	return true;
}

static bool check_bitmaps(const struct vmcs12 *v12, const struct check_env *env,
			  struct check_failure *failure)
{
	/* With I/O bitmaps: both addresses are of pages and within the physical-address width. */
	if (v12_has_proc(v12, PROC_IO_BITMAPS)) {
		REQUIRE_CLEAR(io_bitmap_a, not_of_a_page(env));
		REQUIRE_CLEAR(io_bitmap_b, not_of_a_page(env));
	}
	/* With MSR bitmaps: so is theirs. */
	if (v12_has_proc(v12, PROC_MSR_BITMAPS))
		REQUIRE_CLEAR(msr_bitmap, not_of_a_page(env));
	/* With VMCS shadowing: so are those of the VMREAD and the VMWRITE bitmap. */
	if (v12_has_proc2(v12, PROC2_VMCS_SHADOWING)) {
		REQUIRE_CLEAR(vmread_bitmap, not_of_a_page(env));
		REQUIRE_CLEAR(vmwrite_bitmap, not_of_a_page(env));
	}
	return true;
}

static bool check_apic(const struct vmcs12 *v12, const struct check_env *env, struct check_failure *failure)
{
	if (v12_has_proc(v12, PROC_TPR_SHADOW)) {
		/* With a TPR shadow: the virtual-APIC address is of a page and within the width. */
		REQUIRE_CLEAR(virtual_apic, not_of_a_page(env));
	} else {
		/* Without one: no x2APIC mode, APIC-register virtualization or virtual-interrupt delivery. */
		REQUIRE_NO_PROC2(x2apic_needs_tpr, PROC2_VIRTUAL_X2APIC);
		REQUIRE_NO_PROC2(apic_registers_need_tpr, PROC2_APIC_REGISTER_VIRT);
		REQUIRE_NO_PROC2(interrupts_need_tpr, PROC2_VIRTUAL_INTERRUPT);
	}
	if (!check_tpr_threshold(v12, env, failure))
		return false;
	if (v12_has_proc2(v12, PROC2_APIC_ACCESS)) {
		/* With virtualized APIC accesses: the APIC-access address is of a page and within the width.
		 */
		REQUIRE_CLEAR(apic_access, not_of_a_page(env));
		/* x2APIC mode and virtualized APIC accesses exclude each other. */
		REQUIRE_NO_PROC2(apic_or_x2apic, PROC2_VIRTUAL_X2APIC);
	}
	/* Virtual-interrupt delivery needs external-interrupt exiting. */
	if (v12_has_proc2(v12, PROC2_VIRTUAL_INTERRUPT))
		REQUIRE_SET(interrupts_need_exiting, PIN_EXTERNAL_INTERRUPT);
	if (v12_has_pin(v12, PIN_POSTED_INTERRUPTS)) {
		/* Posted interrupts need virtual-interrupt delivery and acknowledge-on-exit... */
		REQUIRE_OR_SET(posted_need_virtual, v12_has_proc2(v12, PROC2_VIRTUAL_INTERRUPT),
			       PROC2_VIRTUAL_INTERRUPT);
		REQUIRE_SET(posted_need_ack, EXIT_ACK_INTERRUPT);
		/* ... a notification vector of 0 to 255, and a descriptor aligned to 64 bytes, within the
		 * width. */
		REQUIRE_CLEAR(posted_vector, ~0xffull);
		REQUIRE_CLEAR(posted_aligned, 63ull);
		REQUIRE_CLEAR(posted_width, beyond_width(env));
	}
	return true;
}

static bool check_ept_pointer(const struct vmcs12 *v12, const struct check_env *env,
			      struct check_failure *failure)
{
	/* The memory type is one that the processor supports for EPT's own tables... */
	REQUIRE(eptp_type, eptp_type_is_supported(v12->ept_pointer, env->caps));
	/* ... so is the length of the walk... */
	REQUIRE(eptp_walk, eptp_walk_is_supported(v12->ept_pointer, env->caps));
	/* ... and accessed and dirty flags, if they are on; reserved bits are 0. */
	REQUIRE_OR_CLEAR(eptp_ad, eptp_ad_is_supported(v12->ept_pointer, env->caps), EPTP_AD);
	REQUIRE_CLEAR(eptp_reserved, eptp_reserved(env->caps));
	return true;
}

/* What is possible with EPT only. */
static bool check_ept_needed(const struct vmcs12 *v12, struct check_failure *failure)
{
	if (v12_has_proc2(v12, PROC2_EPT))
		return true;
	/* These need EPT: unrestricted guest, mode-based execute control, PML, sub-page write permissions...
	 */
	REQUIRE_NO_PROC2(unrestricted_needs_ept, PROC2_UNRESTRICTED_GUEST);
	REQUIRE_NO_PROC2(user_execute_needs_ept, PROC2_MODE_BASED_EXECUTE);
	REQUIRE_NO_PROC2(sub_page_needs_ept, PROC2_SUB_PAGE_WRITE);
	REQUIRE_NO_PROC2(pml_needs_ept, PROC2_PML);
	/* ... and processor trace that uses guest-physical addresses. */
	REQUIRE_NO_PROC2(pt_needs_ept, PROC2_PT_GPA);
	return true;
}

static bool check_translation(const struct vmcs12 *v12, const struct check_env *env,
			      struct check_failure *failure)
{
	/* With VPIDs: L2's is not 0000H. */
	if (v12_has_proc2(v12, PROC2_VPID))
		REQUIRE(vpid, v12->vpid != 0);
	if (v12_has_proc2(v12, PROC2_EPT) && !check_ept_pointer(v12, env, failure))
		return false;
	if (!check_ept_needed(v12, failure))
		return false;
	/* With PML: the address of the log is of a page and within the width. */
	if (v12_has_proc2(v12, PROC2_PML))
		REQUIRE_CLEAR(pml_address, not_of_a_page(env));
	/* With EPT-violation #VE: the address of the information area is of a page and within the width. */
	if (v12_has_proc2(v12, PROC2_VE))
		REQUIRE_CLEAR(ve_info, not_of_a_page(env));
	return true;
}

static bool check_vmfunc(const struct vmcs12 *v12, const struct check_env *env, struct check_failure *failure)
{
	if (!v12_has_proc2(v12, PROC2_VMFUNC))
		return true;
	/* Reserved bits of the VM-function controls are 0. */
	REQUIRE_CLEAR(vmfunc_reserved, ~env->caps->vmfunc);
	if (v12->vm_function_controls & BIT(VMFUNC_EPTP_SWITCHING)) {
		/* EPTP switching needs EPT, and a list that is a page within the width. */
		REQUIRE_SET(eptp_switching_needs_ept, PROC2_EPT);
		REQUIRE_CLEAR(eptp_list, not_of_a_page(env));
	}
	return true;
}

/* An MSR area that is not empty is aligned to 16 bytes; its first and its last byte are within the width. */
#define REQUIRE_AREA(aligned, end, address, count)                                                           \
	do {                                                                                                 \
		if (unlikely(v12->count)) {                                                                  \
			REQUIRE_CLEAR(aligned, (MSR_ENTRY_SIZE - 1) | beyond_width(env));                    \
			REQUIRE(end, !(area_end(v12->address, v12->count) & beyond_width(env)));             \
		}                                                                                            \
	} while (0)

static u64 area_end(u64 address, u64 count)
{
	return address + (u32)count * (u64)MSR_ENTRY_SIZE - 1;
}

static bool check_exit_controls(const struct vmcs12 *v12, const struct check_env *env,
				struct check_failure *failure)
{
	/* Reserved bits in the VM-exit controls are set as the capability MSR says. */
	REQUIRE_ALLOWED(exit_allowed, env->caps->exit);
	/* Saving the preemption timer needs the preemption timer. */
	if (v12_has_exit(v12, EXIT_SAVE_PREEMPTION_TIMER))
		REQUIRE_OR_CLEAR(save_timer, v12_has_pin(v12, PIN_PREEMPTION_TIMER),
				 EXIT_SAVE_PREEMPTION_TIMER);
	/* The VM-exit MSR-store and MSR-load areas. */
	REQUIRE_AREA(exit_store_aligned, exit_store_end, exit_msr_store_addr, exit_msr_store_count);
	REQUIRE_AREA(exit_load_aligned, exit_load_end, exit_msr_load_addr, exit_msr_load_count);
	return true;
}

static bool check_entry_controls(const struct vmcs12 *v12, const struct check_env *env,
				 struct check_failure *failure)
{
	/* Reserved bits in the VM-entry controls are set as the capability MSR says. */
	REQUIRE_ALLOWED(entry_allowed, env->caps->entry);
	/* Outside SMM: neither entry to SMM nor deactivation of the dual-monitor treatment. */
	REQUIRE_CLEAR(entry_smm, ENTRY_SMM);
	REQUIRE_CLEAR(entry_dual_monitor, ENTRY_DEACTIVATE_DUAL_MONITOR);
	/* The VM-entry MSR-load area. */
	REQUIRE_AREA(entry_load_aligned, entry_load_end, entry_msr_load_addr, entry_msr_load_count);
	return true;
}

bool check_controls(const struct vmcs12 *v12, const struct check_env *env, struct check_failure *failure)
{
	if (!check_control_words(v12, env, failure) || !check_bitmaps(v12, env, failure) ||
	    !check_nmi(v12, failure) || !check_apic(v12, env, failure) ||
	    !check_translation(v12, env, failure) || !check_vmfunc(v12, env, failure))
		return false;
	/* With TSC scaling: the multiplier is not 0. */
	if (v12_has_proc2(v12, PROC2_TSC_SCALING))
		REQUIRE(tsc_multiplier, v12->tsc_multiplier != 0);
	return check_exit_controls(v12, env, failure) && check_entry_controls(v12, env, failure) &&
	       check_injection(v12, env, failure);
}
