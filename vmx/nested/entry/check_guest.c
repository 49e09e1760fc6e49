/* SPDX-License-Identifier: MIT */
/*
 * The rules on the guest-state area but for the segments
 * (check_guest_segments.c) and what each entry looks at (check_guest_hot.c):
 * control registers and MSRs.  A failure is a VM exit with reason 33 and the rule's
 * qualification.  Where several rules are broken the SDM leaves open which one
 * is reported; the order here is registers, link pointer, the rest, PDPTEs.
 * SDM: "VM Entries", "Checking and Loading Guest State".
 */
#include "vmx/nested/entry/check.h"
#include "kernel/x86.h"
#include "vmx/hw/caps.h"
#include "vmx/nested/vmcs12/vmcs12.h"

#define BNDCFGS_RESERVED GENMASK(11, 2)

static bool check_control_registers(const struct vmcs12 *v12, const struct check_env *env,
				    struct check_failure *failure)
{
	const struct vmx_caps *caps = env->caps;

	/* CR0 has no bit that VMX operation does not support; PE and PG are free for an unrestricted guest.
	 */
	REQUIRE_SET(guest_cr0_set, caps->cr0_fixed0 & ~(CR0_PE | CR0_PG));
	if (!v12_has_proc2(v12, PROC2_UNRESTRICTED_GUEST))
		REQUIRE_SET(guest_cr0_protected, caps->cr0_fixed0 & (CR0_PE | CR0_PG));
	REQUIRE_CLEAR(guest_cr0_clear, ~caps->cr0_fixed1);
	/* CR0.PG needs CR0.PE. */
	REQUIRE_OR_SET(guest_pg_pe, !(v12->guest_cr0 & CR0_PG) || (v12->guest_cr0 & CR0_PE), CR0_PE);
	/* CR4 has no bit that VMX operation does not support. */
	REQUIRE_SET(guest_cr4_set, caps->cr4_fixed0);
	REQUIRE_CLEAR(guest_cr4_clear, ~caps->cr4_fixed1);
	/* CR4.CET needs CR0.WP. */
	REQUIRE_OR_CLEAR(guest_cet_wp, !(v12->guest_cr4 & CR4_CET) || (v12->guest_cr0 & CR0_WP), CR4_CET);
	if (is_ia32e(v12)) {
		/* A guest in IA-32e mode has CR0.PG and CR4.PAE. */
		REQUIRE_SET(guest_64_pg, CR0_PG);
		REQUIRE_SET(guest_64_pae, CR4_PAE);
	} else {
		/* Another one has no CR4.PCIDE. */
		REQUIRE_CLEAR(guest_pcide, CR4_PCIDE);
	}
	/* CR3 is within the physical-address width. */
	REQUIRE_CLEAR(guest_cr3, beyond_width(env));
	return true;
}

static bool check_efer(const struct vmcs12 *v12, struct check_failure *failure)
{
	if (!v12_has_entry(v12, ENTRY_LOAD_EFER))
		return true;
	/* If the entry loads IA32_EFER: no reserved bit; LMA says whether the guest is in IA-32e mode... */
	REQUIRE_CLEAR(guest_efer_reserved, CHECK_EFER_RESERVED);
	REQUIRE_BITS(guest_efer_lma, EFER_LMA, is_ia32e(v12) ? EFER_LMA : 0);
	/* ... and LME equals it if the guest uses paging. */
	if (v12->guest_cr0 & CR0_PG)
		REQUIRE_BITS(guest_efer_lme, EFER_LME, v12->guest_efer & EFER_LMA ? EFER_LME : 0);
	return true;
}

static bool check_cet(const struct vmcs12 *v12, const struct check_env *env, struct check_failure *failure)
{
	if (!v12_has_entry(v12, ENTRY_LOAD_CET))
		return true;
	/* If the entry loads the state of CET: canonical addresses, no reserved bit, SSP aligned to 4 bytes.
	 */
	REQUIRE_CANONICAL(guest_s_cet);
	REQUIRE(guest_s_cet_bits, is_valid_s_cet(v12->guest_s_cet));
	REQUIRE_CANONICAL(guest_ssp_table);
	REQUIRE_CANONICAL(guest_ssp);
	REQUIRE_CLEAR(guest_ssp_aligned, 3ull);
	if (!is_ia32e(v12)) {
		REQUIRE_CLEAR(guest_s_cet_32, BITS_63_32);
		REQUIRE_CLEAR(guest_ssp_32, BITS_63_32);
	}
	return true;
}

static bool check_msrs(const struct vmcs12 *v12, const struct check_env *env, struct check_failure *failure)
{
	/* If the entry loads the debug controls: no reserved bit of IA32_DEBUGCTL, and bits 63:32 of DR7 are
	 * 0. */
	if (v12_has_entry(v12, ENTRY_LOAD_DEBUG)) {
		REQUIRE_CLEAR(guest_debugctl, ~env->caps->debugctl_valid);
		REQUIRE_CLEAR(guest_dr7, BITS_63_32);
	}
	/* IA32_SYSENTER_ESP and IA32_SYSENTER_EIP are canonical. */
	REQUIRE_CANONICAL(guest_sysenter_esp);
	REQUIRE_CANONICAL(guest_sysenter_eip);
	/* What the entry loads has no reserved bit: IA32_PERF_GLOBAL_CTRL... */
	if (v12_has_entry(v12, ENTRY_LOAD_PERF_GLOBAL))
		REQUIRE_CLEAR(guest_perf_global, ~env->perf_global_valid);
	/* ... IA32_PAT: each byte a memory type... */
	if (v12_has_entry(v12, ENTRY_LOAD_PAT))
		REQUIRE(guest_pat, pat_is_valid(v12->guest_pat));
	/* ... IA32_BNDCFGS: and its base is canonical. */
	if (v12_has_entry(v12, ENTRY_LOAD_BNDCFGS)) {
		REQUIRE_CLEAR(guest_bndcfgs_bits, BNDCFGS_RESERVED);
		REQUIRE_CANONICAL(guest_bndcfgs);
	}
	return check_cet(v12, env, failure);
}

bool check_guest(const struct vmcs12 *v12, const struct check_env *env, struct check_failure *failure)
{
	return check_control_registers(v12, env, failure) && check_msrs(v12, env, failure) &&
	       check_efer(v12, failure) && check_segments(v12, env, failure) &&
	       check_tables(v12, env, failure) && check_rip_rflags(v12, env, failure) &&
	       check_non_register(v12, env, failure);
}
