/* SPDX-License-Identifier: MIT */
/*
 * The rules on the host-state area and on the address-space size: pure
 * functions of vmcs12, of what L1 is told of the processor, and of L1's mode.
 * A failure is VMfailValid(8).  What these let through can be loaded into
 * vmcs01 without a further check when an exit is reflected.
 * SDM: "VM Entries", "Checks on the Host-State Area".
 */
#include "vmx/nested/entry/check.h"

static bool check_address_space(const struct vmcs12 *v12, const struct check_env *env,
				struct check_failure *failure)
{
	bool host_64 = v12_has_exit(v12, EXIT_HOST_64), guest_64 = v12_has_entry(v12, ENTRY_IA32E_GUEST);

	/* An entry from outside IA-32e mode: neither a host with 64-bit addresses nor a guest in IA-32e mode.
	 */
	if (!env->l1_long_mode) {
		REQUIRE(!host_64, exit_controls);
		REQUIRE(!guest_64, entry_controls);
		return true;
	}
	/* An entry from IA-32e mode: a host with 64-bit addresses. */
	REQUIRE(host_64, exit_controls);
	return true;
}

static bool check_control_registers(const struct vmcs12 *v12, const struct check_env *env,
				    struct check_failure *failure)
{
	const struct vmx_caps *caps = env->caps;

	/* CR0 has no bit that VMX operation does not support. */
	REQUIRE(!(caps->cr0_fixed0 & ~v12->host_cr0), host_cr0);
	REQUIRE(!(v12->host_cr0 & ~caps->cr0_fixed1), host_cr0);
	/* CR4 neither. */
	REQUIRE(!(caps->cr4_fixed0 & ~v12->host_cr4), host_cr4);
	REQUIRE(!(v12->host_cr4 & ~caps->cr4_fixed1), host_cr4);
	/* CR4.CET needs CR0.WP. */
	REQUIRE(!(v12->host_cr4 & CR4_CET) || (v12->host_cr0 & CR0_WP), host_cr4);
	/* CR3 is within the physical-address width. */
	REQUIRE(within_width(v12->host_cr3, env), host_cr3);
	return true;
}

static bool check_msrs(const struct vmcs12 *v12, const struct check_env *env, struct check_failure *failure)
{
	bool host_64 = v12_has_exit(v12, EXIT_HOST_64);

	/* IA32_SYSENTER_ESP and IA32_SYSENTER_EIP are canonical. */
	REQUIRE(canonical(v12->host_sysenter_esp, env), host_sysenter_esp);
	REQUIRE(canonical(v12->host_sysenter_eip, env), host_sysenter_eip);
	/* What the exit loads has no reserved bit: IA32_PERF_GLOBAL_CTRL... */
	if (v12_has_exit(v12, EXIT_LOAD_PERF_GLOBAL))
		REQUIRE(!(v12->host_perf_global_ctrl & ~env->perf_global_valid), host_perf_global_ctrl);
	/* ... IA32_PAT: each byte a memory type... */
	if (v12_has_exit(v12, EXIT_LOAD_PAT))
		REQUIRE(pat_is_valid(v12->host_pat), host_pat);
	/* ... IA32_EFER: LMA and LME both say whether the host has 64-bit addresses... */
	if (v12_has_exit(v12, EXIT_LOAD_EFER)) {
		REQUIRE(!(v12->host_efer & CHECK_EFER_RESERVED), host_efer);
		REQUIRE(!!(v12->host_efer & EFER_LMA) == host_64, host_efer);
		REQUIRE(!!(v12->host_efer & EFER_LME) == host_64, host_efer);
	}
	/* ... the state of CET. */
	if (v12_has_exit(v12, EXIT_LOAD_CET)) {
		REQUIRE(canonical(v12->host_s_cet, env), host_s_cet);
		REQUIRE(is_valid_s_cet(v12->host_s_cet), host_s_cet);
		REQUIRE(canonical(v12->host_intr_ssp_table, env), host_intr_ssp_table);
		REQUIRE(canonical(v12->host_ssp, env), host_ssp);
		REQUIRE(!(v12->host_ssp & 3), host_ssp);
		if (!host_64) {
			REQUIRE(fits_32(v12->host_s_cet), host_s_cet);
			REQUIRE(fits_32(v12->host_ssp), host_ssp);
		}
	}
	return true;
}

static bool check_selectors(const struct vmcs12 *v12, struct check_failure *failure)
{
	/* RPL and TI are 0 in each selector. */
	REQUIRE(!(v12->host_es_selector & (SELECTOR_RPL | SELECTOR_TI)), host_es_selector);
	REQUIRE(!(v12->host_cs_selector & (SELECTOR_RPL | SELECTOR_TI)), host_cs_selector);
	REQUIRE(!(v12->host_ss_selector & (SELECTOR_RPL | SELECTOR_TI)), host_ss_selector);
	REQUIRE(!(v12->host_ds_selector & (SELECTOR_RPL | SELECTOR_TI)), host_ds_selector);
	REQUIRE(!(v12->host_fs_selector & (SELECTOR_RPL | SELECTOR_TI)), host_fs_selector);
	REQUIRE(!(v12->host_gs_selector & (SELECTOR_RPL | SELECTOR_TI)), host_gs_selector);
	REQUIRE(!(v12->host_tr_selector & (SELECTOR_RPL | SELECTOR_TI)), host_tr_selector);
	/* CS and TR are not null; SS is not, unless the host has 64-bit addresses. */
	REQUIRE(v12->host_cs_selector != 0, host_cs_selector);
	REQUIRE(v12->host_tr_selector != 0, host_tr_selector);
	if (!v12_has_exit(v12, EXIT_HOST_64))
		REQUIRE(v12->host_ss_selector != 0, host_ss_selector);
	return true;
}

static bool check_bases(const struct vmcs12 *v12, const struct check_env *env, struct check_failure *failure)
{
	/* The bases of FS, GS, GDTR, IDTR and TR are canonical. */
	REQUIRE(canonical(v12->host_fs_base, env), host_fs_base);
	REQUIRE(canonical(v12->host_gs_base, env), host_gs_base);
	REQUIRE(canonical(v12->host_gdtr_base, env), host_gdtr_base);
	REQUIRE(canonical(v12->host_idtr_base, env), host_idtr_base);
	REQUIRE(canonical(v12->host_tr_base, env), host_tr_base);
	return true;
}

static bool check_host_mode(const struct vmcs12 *v12, const struct check_env *env,
			    struct check_failure *failure)
{
	/* A host with 64-bit addresses has CR4.PAE and a canonical RIP. */
	if (v12_has_exit(v12, EXIT_HOST_64)) {
		REQUIRE(v12->host_cr4 & CR4_PAE, host_cr4);
		REQUIRE(canonical(v12->host_rip, env), host_rip);
		return true;
	}
	/* Another one has no guest in IA-32e mode, no CR4.PCIDE, and 32 bits of RIP. */
	REQUIRE(!v12_has_entry(v12, ENTRY_IA32E_GUEST), entry_controls);
	REQUIRE(!(v12->host_cr4 & CR4_PCIDE), host_cr4);
	REQUIRE(fits_32(v12->host_rip), host_rip);
	return true;
}

bool check_host(const struct vmcs12 *v12, const struct check_env *env, struct check_failure *failure)
{
	return check_address_space(v12, env, failure) && check_control_registers(v12, env, failure) &&
	       check_msrs(v12, env, failure) && check_selectors(v12, failure) &&
	       check_bases(v12, env, failure) && check_host_mode(v12, env, failure);
}
