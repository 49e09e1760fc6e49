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
#include "vmx/nested/internal.h"

#define PDPTE_COUNT 4
#define CR3_PAE_ADDRESS GENMASK(31, 5)

/*
 * Where the table lies in L1's memory.  Loading PDPTEs reads memory like any
 * other access to a guest-physical address: EPT12 may have no translation,
 * and the violation is L1's, without a linear address.
 */
static bool pdpte_address(struct vcpu *vcpu, u64 cr3, gpa_t *gpa, struct ept12_fault *fault)
{
	u64 address = cr3 & CR3_PAE_ADDRESS;

	if (vcpu->nested.in_l2)
		return nested_translate(vcpu, L2GPA(address), EPTV_READ, gpa, fault);
	*gpa = GPA(address);
	return true;
}

enum pdpte_result nested_load_pdptes(struct vcpu *vcpu, u64 cr3)
{
	struct ept12_fault fault = { 0 };
	u64 pdpte[PDPTE_COUNT];
	gpa_t gpa;

	if (!pdpte_address(vcpu, cr3, &gpa, &fault)) {
		nested_reflect_ept_fault(vcpu, &fault, false, 0);
		return PDPTE_REFLECTED;
	}
	guest_mem_read(vcpu, gpa, pdpte, sizeof(pdpte));
	for (unsigned int i = 0; i < PDPTE_COUNT; i++)
		if (!pdpte_is_valid(pdpte[i], vmx_caps.physical_bits))
			return PDPTE_FAULT;
	for (unsigned int i = 0; i < PDPTE_COUNT; i++)
		vcpu_set_reg(vcpu, (enum reg)(REG_PDPTE0 + i), pdpte[i]);
	return PDPTE_OK;
}
