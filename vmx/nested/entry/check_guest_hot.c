/* SPDX-License-Identifier: MIT */
/*
 * The rules on guest state that each entry looks at: RIP, RFLAGS, non-register state, PDPTEs. They end at the
 * first one that is broken; for a person judge.c has them once more.
 * SDM: "VM Entries", "Checks on Guest RIP, RFLAGS, and SSP", "Checks on Guest Non-Register State", "Checks on
 * Guest Page-Directory-Pointer-Table Entries".
 */
#ifndef CHECK_STOP
#define CHECK_STOP(failed) return failed
#endif

#include "kernel/string.h"
#include "kernel/x86.h"
#include "vmx/hw/caps.h"
#include "vmx/nested/entry/check.h"
#include "vmx/nested/vmcs12/vmcs12.h"

#define PENDING_DEBUG_RESERVED                                                                               \
	(~(PENDING_DEBUG_B | PENDING_DEBUG_BLD | PENDING_DEBUG_ENABLED_BP | PENDING_DEBUG_BS |               \
	   PENDING_DEBUG_RTM))
#define INTERRUPTIBILITY_RESERVED GENMASK(31, 5)

static u64 ss_dpl(const struct vmcs12 *v12)
{
	return (v12->guest_ss_ar & AR_DPL) >> AR_DPL_SHIFT;
}

bool check_rip_rflags(const struct vmcs12 *v12, const struct check_env *env, struct check_failure *failure)
{
	u64 above = v12->guest_rip >> env->caps->linear_bits;

	/* Outside 64-bit mode bits 63:32 of RIP are 0. */
	if (!is_ia32e(v12) || !(v12->guest_cs_ar & AR_L))
		REQUIRE_CLEAR(guest_rip_32, BITS_63_32);
	/* In it the bits above the linear-address width are all equal (that of the width itself does not
	 * count). */
	else
		REQUIRE(guest_rip_64, above == 0 || above == ~0ull >> env->caps->linear_bits);
	/* Reserved bits of RFLAGS are 0, and bit 1 is 1. */
	REQUIRE_CLEAR(rflags_reserved, RFLAGS_RESERVED0);
	REQUIRE_SET(rflags_bit_1, RFLAGS_FIXED1);
	/* VM is 0 in IA-32e mode and in real mode. */
	REQUIRE_OR_CLEAR(rflags_vm_64, !(v12->guest_rflags & RFLAGS_VM) || !is_ia32e(v12), RFLAGS_VM);
	REQUIRE_OR_CLEAR(rflags_vm_real, !(v12->guest_rflags & RFLAGS_VM) || (v12->guest_cr0 & CR0_PE),
			 RFLAGS_VM);
	return true;
}

/* May this event be injected into a guest in the activity state that vmcs12 says? */
static bool activity_takes(const struct vmcs12 *v12)
{
	unsigned int vector = v12->entry_intr_info & INTR_INFO_VECTOR;
	unsigned int type = (v12->entry_intr_info & INTR_INFO_TYPE) >> INTR_INFO_TYPE_SHIFT;
	bool exception = type == INTR_TYPE_HARD_EXCEPTION;

	switch (v12->guest_activity_state) {
	case ACTIVITY_ACTIVE: return true;
	case ACTIVITY_HLT:
		return type == INTR_TYPE_EXTERNAL || type == INTR_TYPE_NMI ||
		       (exception && (vector == VEC_DB || vector == VEC_MC)) ||
		       (type == INTR_TYPE_OTHER && vector == 0);
	case ACTIVITY_SHUTDOWN: return type == INTR_TYPE_NMI || (exception && vector == VEC_MC);
	default: return false;
	}
}

static bool check_activity(const struct vmcs12 *v12, const struct check_env *env,
			   struct check_failure *failure)
{
	u64 state = v12->guest_activity_state;
	bool shadow = v12->guest_interruptibility & (INTERRUPTIBILITY_STI | INTERRUPTIBILITY_MOV_SS);

	/* The activity state is one that the processor supports. */
	REQUIRE(activity_known, state <= ACTIVITY_WAIT_FOR_SIPI);
	REQUIRE(activity_supported, state == ACTIVITY_ACTIVE || state > ACTIVITY_WAIT_FOR_SIPI ||
					    (env->caps->misc & VMX_MISC_ACTIVITY(state)));
	/* HLT needs privilege level 0 (the DPL of SS). */
	REQUIRE(activity_hlt, state != ACTIVITY_HLT || ss_dpl(v12) == 0);
	/* Blocking by STI or by MOV SS needs the active state. */
	REQUIRE(activity_shadow, !shadow || state == ACTIVITY_ACTIVE);
	/* An event is injected only if the activity state does not block it. */
	if (v12->entry_intr_info & INTR_INFO_VALID)
		REQUIRE(activity_event, activity_takes(v12));
	return true;
}

static bool check_interruptibility(const struct vmcs12 *v12, const struct check_env *env,
				   struct check_failure *failure)
{
	u64 state = v12->guest_interruptibility;
	bool injected = v12->entry_intr_info & INTR_INFO_VALID;
	unsigned int type = (v12->entry_intr_info & INTR_INFO_TYPE) >> INTR_INFO_TYPE_SHIFT;

	/* Reserved bits are 0. */
	REQUIRE_CLEAR(blocking_reserved, INTERRUPTIBILITY_RESERVED);
	/* Not both blocking by STI and by MOV SS. */
	REQUIRE(blocking_both, !(state & INTERRUPTIBILITY_STI) || !(state & INTERRUPTIBILITY_MOV_SS));
	/* Blocking by STI needs RFLAGS.IF. */
	REQUIRE_OR_CLEAR(blocking_sti, !(state & INTERRUPTIBILITY_STI) || (v12->guest_rflags & RFLAGS_IF),
			 INTERRUPTIBILITY_STI);
	/* An enclave interruption needs SGX, and no blocking by MOV SS. */
	REQUIRE_OR_CLEAR(blocking_enclave, !(state & INTERRUPTIBILITY_ENCLAVE) || env->has_sgx,
			 INTERRUPTIBILITY_ENCLAVE);
	REQUIRE(blocking_enclave_mov_ss,
		!(state & INTERRUPTIBILITY_ENCLAVE) || !(state & INTERRUPTIBILITY_MOV_SS));
	if (likely(!injected))
		return true;
	/* An external interrupt is injected only with RFLAGS.IF and no blocking by STI or MOV SS. */
	if (type == INTR_TYPE_EXTERNAL) {
		REQUIRE_SET(rflags_if, RFLAGS_IF);
		REQUIRE_CLEAR(blocking_external, INTERRUPTIBILITY_STI | INTERRUPTIBILITY_MOV_SS);
	}
	/* An NMI only without blocking by MOV SS, and with virtual NMIs without blocking by NMI. */
	if (type == INTR_TYPE_NMI) {
		REQUIRE_CLEAR(blocking_nmi_mov_ss, INTERRUPTIBILITY_MOV_SS);
		if (v12_has_pin(v12, PIN_VIRTUAL_NMIS))
			REQUIRE_CLEAR(blocking_nmi, INTERRUPTIBILITY_NMI);
	}
	return true;
}

/* The instruction that ended in the shadow, or HLT, was single-stepped. */
static bool is_stepped(const struct vmcs12 *v12)
{
	return (v12->guest_rflags & RFLAGS_TF) && !(v12->guest_debugctl & DEBUGCTL_BTF);
}

static bool check_pending_debug(const struct vmcs12 *v12, const struct check_env *env,
				struct check_failure *failure)
{
	u64 pending = v12->guest_pending_debug;
	bool shadow = v12->guest_interruptibility & (INTERRUPTIBILITY_STI | INTERRUPTIBILITY_MOV_SS);

	/* Reserved bits are 0. */
	REQUIRE_CLEAR(pending_reserved, PENDING_DEBUG_RESERVED);
	/* That of a bus lock is one without bus-lock detection. */
	REQUIRE_OR_CLEAR(pending_bus_lock, !(pending & PENDING_DEBUG_BLD) || env->has_bus_lock_detect,
			 PENDING_DEBUG_BLD);
	/* After STI, after MOV SS and in HLT: BS is 1 if RFLAGS.TF is and IA32_DEBUGCTL.BTF is not; else it
	 * is 0. */
	if (shadow || v12->guest_activity_state == ACTIVITY_HLT) {
		REQUIRE_OR_SET(pending_bs_missing, !is_stepped(v12) || (pending & PENDING_DEBUG_BS),
			       PENDING_DEBUG_BS);
		REQUIRE_OR_CLEAR(pending_bs, is_stepped(v12) || !(pending & PENDING_DEBUG_BS),
				 PENDING_DEBUG_BS);
	}
	if (pending & PENDING_DEBUG_RTM) {
		/* A #DB inside a transactional region: needs RTM, bit 12 and nothing else, no blocking by MOV
		 * SS. */
		REQUIRE_OR_CLEAR(pending_rtm, env->has_rtm, PENDING_DEBUG_RTM);
		REQUIRE_BITS(pending_rtm_bits, ~0ull, PENDING_DEBUG_RTM | PENDING_DEBUG_ENABLED_BP);
		REQUIRE_OR_CLEAR(pending_rtm_mov_ss, !(v12->guest_interruptibility & INTERRUPTIBILITY_MOV_SS),
				 PENDING_DEBUG_RTM);
	}
	return true;
}

/* The first word of the VMCS region that the link pointer names; absent memory reads as ones. */
static u32 linked_revision(const struct vmcs12 *v12, const struct check_env *env)
{
	u32 word = ~0u;

	env->read(env->context, v12->vmcs_link_pointer, &word, sizeof(word));
	return word;
}

static bool check_link_pointer(const struct vmcs12 *v12, const struct check_env *env,
			       struct check_failure *failure)
{
	u32 expected = VMCS12_REVISION;

	if (likely(v12->vmcs_link_pointer == ~0ull))
		return true;
	/* A link pointer is all ones, or of a page within the width... */
	REQUIRE_CLEAR(link_page, not_of_a_page(env));
	/* ... that starts with the revision identifier, and with bit 31 as "VMCS shadowing" is... */
	if (v12_has_proc2(v12, PROC2_VMCS_SHADOWING))
		expected |= (u32)VMCS_SHADOW_INDICATOR;
	REQUIRE(link_revision, linked_revision(v12, env) == expected);
	/* ... and is not the current VMCS. */
	REQUIRE(link_self, v12->vmcs_link_pointer != env->vmcs_link_self);
	return true;
}

static bool memory_pdptes_valid(const struct vmcs12 *v12, const struct check_env *env)
{
	u64 pdptes[4];

	memset(pdptes, 0xff, sizeof(pdptes));
	env->read(env->context, v12->guest_cr3 & GENMASK(31, 5), pdptes, sizeof(pdptes));
	for (unsigned int i = 0; i < ARRAY_SIZE(pdptes); i++) {
		if (!pdpte_is_valid(pdptes[i], env->caps->physical_bits))
			return false;
	}
	return true;
}

static bool check_pdptes(const struct vmcs12 *v12, const struct check_env *env, struct check_failure *failure)
{
	/* With PAE paging, and only then: no PDPTE that is present has a reserved bit... */
	if (is_ia32e(v12) || !(v12->guest_cr0 & CR0_PG) || !(v12->guest_cr4 & CR4_PAE))
		return true;
	/* ... in memory, if the guest has no EPT; else in the VMCS's own fields. */
	if (!v12_has_proc2(v12, PROC2_EPT)) {
		REQUIRE(pdptes_memory, memory_pdptes_valid(v12, env));
		return true;
	}
	REQUIRE(pdpte0, pdpte_is_valid(v12->guest_pdpte0, env->caps->physical_bits));
	REQUIRE(pdpte1, pdpte_is_valid(v12->guest_pdpte1, env->caps->physical_bits));
	REQUIRE(pdpte2, pdpte_is_valid(v12->guest_pdpte2, env->caps->physical_bits));
	REQUIRE(pdpte3, pdpte_is_valid(v12->guest_pdpte3, env->caps->physical_bits));
	return true;
}

static bool check_nmi_after_sti(const struct vmcs12 *v12, struct check_failure *failure)
{
	bool nmi = (v12->entry_intr_info & (INTR_INFO_VALID | INTR_INFO_TYPE)) ==
		   (INTR_INFO_VALID | INTR_TYPE_NMI << INTR_INFO_TYPE_SHIFT);

	/* A processor may refuse to inject an NMI while STI blocks: those that Socle runs on do. */
	if (nmi)
		REQUIRE_CLEAR(blocking_nmi_sti, INTERRUPTIBILITY_STI);
	return true;
}

/*
 * Where an NMI after STI breaks a rule as well, the SDM leaves open which of the
 * two the exit qualification tells: that one, as the processors of the tests do.
 */
static bool check_smi(const struct vmcs12 *v12, struct check_failure *failure)
{
	/* Outside SMM: no blocking by SMI. */
	REQUIRE_CLEAR(blocking_smi, INTERRUPTIBILITY_SMI);
	return true;
}

bool check_non_register(const struct vmcs12 *v12, const struct check_env *env, struct check_failure *failure)
{
	return check_link_pointer(v12, env, failure) && check_pending_debug(v12, env, failure) &&
	       check_activity(v12, env, failure) && check_interruptibility(v12, env, failure) &&
	       check_nmi_after_sti(v12, failure) && check_smi(v12, failure) &&
	       check_pdptes(v12, env, failure);
}

bool check_guest_hot(const struct vmcs12 *v12, const struct check_env *env, struct check_failure *failure)
{
	/* CR3 is the only control register whose write alone does not ask for all of check_guest(). */
	REQUIRE_CLEAR(guest_cr3, beyond_width(env));
	return check_rip_rflags(v12, env, failure) && check_non_register(v12, env, failure);
}
