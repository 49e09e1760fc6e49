/* SPDX-License-Identifier: MIT */
/*
 * The rules on the host-state area and on the address-space size: pure
 * functions of vmcs12, of what L1 is told of the processor, and of L1's mode.
 * A failure is VMfailValid(8).  What these let through can be loaded into
 * vmcs01 without a further check when an exit is reflected.
 * SDM: "VM Entries", "Checks on the Host-State Area".
 */
#include "vmx/nested/entry/check.h"
#include "kernel/x86.h"
#include "vmx/hw/caps.h"
#include "vmx/nested/vmcs12/vmcs12.h"

static bool check_address_space(const struct vmcs12 *v12, const struct check_env *env,
				struct check_failure *failure)
{
	bool host_64 = v12_has_exit(v12, EXIT_HOST_64), guest_64 = v12_has_entry(v12, ENTRY_IA32E_GUEST);

	/* An entry from outside IA-32e mode: neither a host with 64-bit addresses nor a guest in IA-32e mode.
	 */
	if (!env->l1_long_mode) {
		REQUIRE_OR_CLEAR(host_not_64, !host_64, EXIT_HOST_64);
		REQUIRE_OR_CLEAR(guest_not_64, !guest_64, ENTRY_IA32E_GUEST);
		return true;
	}
	/* An entry from IA-32e mode: a host with 64-bit addresses. */
	REQUIRE_SET(host_64, EXIT_HOST_64);
	return true;
}

static bool check_control_registers(const struct vmcs12 *v12, const struct check_env *env,
				    struct check_failure *failure)
{
	const struct vmx_caps *caps = env->caps;

	/* CR0 has no bit that VMX operation does not support. */
	REQUIRE_SET(host_cr0_set, caps->cr0_fixed0);
	REQUIRE_CLEAR(host_cr0_clear, ~caps->cr0_fixed1);
	/* CR4 neither. */
	REQUIRE_SET(host_cr4_set, caps->cr4_fixed0);
	REQUIRE_CLEAR(host_cr4_clear, ~caps->cr4_fixed1);
	/* CR4.CET needs CR0.WP. */
	REQUIRE_OR_CLEAR(host_cet_wp, !(v12->host_cr4 & CR4_CET) || (v12->host_cr0 & CR0_WP), CR4_CET);
	/* CR3 is within the physical-address width. */
	REQUIRE_CLEAR(host_cr3, beyond_width(env));
	return true;
}

static bool check_msrs(const struct vmcs12 *v12, const struct check_env *env, struct check_failure *failure)
{
	bool host_64 = v12_has_exit(v12, EXIT_HOST_64);

	/* IA32_SYSENTER_ESP and IA32_SYSENTER_EIP are canonical. */
	REQUIRE_CANONICAL(host_sysenter_esp);
	REQUIRE_CANONICAL(host_sysenter_eip);
	/* What the exit loads has no reserved bit: IA32_PERF_GLOBAL_CTRL... */
	if (v12_has_exit(v12, EXIT_LOAD_PERF_GLOBAL))
		REQUIRE_CLEAR(host_perf_global, ~env->perf_global_valid);
	/* ... IA32_PAT: each byte a memory type... */
	if (v12_has_exit(v12, EXIT_LOAD_PAT))
		REQUIRE(host_pat, pat_is_valid(v12->host_pat));
	/* ... IA32_EFER: LMA and LME both say whether the host has 64-bit addresses... */
	if (v12_has_exit(v12, EXIT_LOAD_EFER)) {
		REQUIRE_CLEAR(host_efer_reserved, CHECK_EFER_RESERVED);
		REQUIRE_BITS(host_efer_lma, EFER_LMA, host_64 ? EFER_LMA : 0);
		REQUIRE_BITS(host_efer_lme, EFER_LME, host_64 ? EFER_LME : 0);
	}
	/* ... the state of CET. */
	if (v12_has_exit(v12, EXIT_LOAD_CET)) {
		REQUIRE_CANONICAL(host_s_cet);
		REQUIRE(host_s_cet_bits, is_valid_s_cet(v12->host_s_cet));
		REQUIRE_CANONICAL(host_ssp_table);
		REQUIRE_CANONICAL(host_ssp);
		REQUIRE_CLEAR(host_ssp_aligned, 3ull);
		if (!host_64) {
			REQUIRE_CLEAR(host_s_cet_32, BITS_63_32);
			REQUIRE_CLEAR(host_ssp_32, BITS_63_32);
		}
	}
	return true;
}

static bool check_selectors(const struct vmcs12 *v12, struct check_failure *failure)
{
	/* RPL and TI are 0 in each selector. */
	REQUIRE_CLEAR(host_es, SELECTOR_RPL | SELECTOR_TI);
	REQUIRE_CLEAR(host_cs, SELECTOR_RPL | SELECTOR_TI);
	REQUIRE_CLEAR(host_ss, SELECTOR_RPL | SELECTOR_TI);
	REQUIRE_CLEAR(host_ds, SELECTOR_RPL | SELECTOR_TI);
	REQUIRE_CLEAR(host_fs, SELECTOR_RPL | SELECTOR_TI);
	REQUIRE_CLEAR(host_gs, SELECTOR_RPL | SELECTOR_TI);
	REQUIRE_CLEAR(host_tr, SELECTOR_RPL | SELECTOR_TI);
	/* CS and TR are not null; SS is not, unless the host has 64-bit addresses. */
	REQUIRE(host_cs_null, v12->host_cs_selector != 0);
	REQUIRE(host_tr_null, v12->host_tr_selector != 0);
	if (!v12_has_exit(v12, EXIT_HOST_64))
		REQUIRE(host_ss_null, v12->host_ss_selector != 0);
	return true;
}

static bool check_bases(const struct vmcs12 *v12, const struct check_env *env, struct check_failure *failure)
{
	/* The bases of FS, GS, GDTR, IDTR and TR are canonical. */
	REQUIRE_CANONICAL(host_fs_base);
	REQUIRE_CANONICAL(host_gs_base);
	REQUIRE_CANONICAL(host_gdtr);
	REQUIRE_CANONICAL(host_idtr);
	REQUIRE_CANONICAL(host_tr_base);
	return true;
}

static bool check_host_mode(const struct vmcs12 *v12, const struct check_env *env,
			    struct check_failure *failure)
{
	/* A host with 64-bit addresses has CR4.PAE and a canonical RIP. */
	if (v12_has_exit(v12, EXIT_HOST_64)) {
		REQUIRE_SET(host_pae, CR4_PAE);
		REQUIRE_CANONICAL(host_rip);
		return true;
	}
	/* Another one has no guest in IA-32e mode, no CR4.PCIDE, and 32 bits of RIP. */
	REQUIRE_CLEAR(host_32_guest_64, ENTRY_IA32E_GUEST);
	REQUIRE_CLEAR(host_32_pcide, CR4_PCIDE);
	REQUIRE_CLEAR(host_32_rip, BITS_63_32);
	return true;
}

bool check_host(const struct vmcs12 *v12, const struct check_env *env, struct check_failure *failure)
{
	return check_address_space(v12, env, failure) && check_control_registers(v12, env, failure) &&
	       check_msrs(v12, env, failure) && check_selectors(v12, failure) &&
	       check_bases(v12, env, failure) && check_host_mode(v12, env, failure);
}
