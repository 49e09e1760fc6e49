/* SPDX-License-Identifier: MIT */
/*
 * The PDPTEs of PAE paging (CR0.PG, CR4.PAE, not EFER.LMA): loaded here, by
 * an instruction of the guest that runs now or by the load of L1's host
 * state, into the register cache, dirty: they belong to the VMCS that is
 * current and reach it before it is left.  When to load is the caller's.
 * SDM: "PAE Paging", "PDPTE Registers"; "Use of the EPT Translation Mechanism".
 */
#include "kernel/x86.h"
#include "vmx/guest/guest_mem.h"
#include "vmx/hw/caps.h"

#define PDPTE_COUNT 4
#define CR3_PAE_ADDRESS GENMASK(31, 5)

/*
 * Loading PDPTEs reads memory like any other access to a guest-physical address: EPT12 may have no
 * translation, and the violation is L1's, without a linear address.
 */
enum outcome guest_load_pdptes(struct vcpu *vcpu, u64 cr3)
{
	u64 pdpte[PDPTE_COUNT];
	enum outcome outcome;
	gpa_t gpa;

	outcome = guest_translate(vcpu, cr3 & CR3_PAE_ADDRESS, EPTV_READ, &gpa);
	if (outcome != OUTCOME_NONE)
		return outcome;
	guest_mem_read(vcpu, gpa, pdpte, sizeof(pdpte));
	for (unsigned int i = 0; i < PDPTE_COUNT; i++)
		if (!pdpte_is_valid(pdpte[i], vmx_caps.physical_bits))
			return outcome_gp(vcpu, 0);
	for (unsigned int i = 0; i < PDPTE_COUNT; i++)
		vcpu_set_reg(vcpu, (enum reg)(REG_PDPTE0 + i), pdpte[i]);
	return OUTCOME_NONE;
}
