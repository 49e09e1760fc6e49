/* SPDX-License-Identifier: MIT */
/*
 * The pages that L1 names in vmcs12 and the processor itself would use: the
 * virtual-APIC page, the posted-interrupt descriptor, the APIC-access page.
 * L1's own where they are its memory; else a stand-in. addresses.def says what
 * becomes of each address; bitmaps are bitmaps.c's, EPT pointers ept02.c's,
 * and what L0 alone reads is read by who needs it.
 * SDM: "APIC Virtualization and Virtual Interrupts", "VM-Execution Control Fields".
 */
#include "vmx/nested/vmcs12/addresses.h"

#include "mm/memmap.h"
#include "mm/page_alloc.h"
#include "vmx/guest/guest_mem.h"
#include "mm/addr.h"
#include "vmx/guest/vcpu.h"
#include "vmx/nested/vmcs12/vmcs12.h"
#include "vmx/hw/tlb.h"
#include "vmx/l1/vm.h"

#define IS_64_BIT(encoding) (VMCS_FIELD_WIDTH(encoding) == VMCS_WIDTH_64)

/*
 * Every 64-bit field has one row: a second row for a field does not compile, and the two counts below must
 * be equal.
 */
enum {
#define A(field, fate) ADDRESS_##field,
#include "vmx/nested/vmcs12/addresses.def"
#undef A
};
enum {
#define A(field, fate) +IS_64_BIT(VMCS_##field)
	ROWS_OF_64_BITS = 0
#include "vmx/nested/vmcs12/addresses.def"
#undef A
};
enum {
#define F(encoding, name, flow, shadow, group) +IS_64_BIT(encoding)
	FIELDS_OF_64_BITS = 0
#include "vmx/hw/vmcs_fields.def"
#undef F
};
static_assert((int)ROWS_OF_64_BITS == (int)FIELDS_OF_64_BITS,
	      "a 64-bit field without a row in addresses.def");

void addresses_init(struct vcpu *vcpu)
{
	for (unsigned int i = 0; i < STAND_IN_COUNT; i++)
		vcpu->nested.stand_in[i] = page_alloc();
}

static u64 page_of(u64 gpa)
{
	return ALIGN_DOWN(gpa, PAGE_SIZE);
}

/* A page that hardware reads and writes for L2. */
static u64 own_or_stand_in(struct vcpu *vcpu, struct nested_vmcs *slot, u64 gpa, enum stand_in which)
{
	if (guest_mem_page(vcpu, GPA(page_of(gpa))))
		return gpa;
	slot->stand_ins |= (u8)BIT(which);
	return page_phys(vcpu->nested.stand_in[which]).v + (gpa & (PAGE_SIZE - 1));
}

/*
 * SDM "Issues Pertaining to Page Size and TLB Management": virtualized APIC accesses are "guaranteed to apply
 * only if translations to the APIC-access address use a 4-KByte page". With EPT12 that is L1's business; an
 * L2 without it has EPT01 under it, which L1 knows nothing of.
 */
static void map_apic_page_small(struct vcpu *vcpu, gpa_t gpa)
{
	struct ept01_mapping mapping;

	if (!vm_ept01_lookup(gpa, &mapping))
		return;
	if (mapping.size > PAGE_SIZE)
		passthru_split(gpa);
	/* Another CPU may have split the page. This CPU still has to flush what it holds of it. */
	tlb_flush_ept(vcpu->vm->ept01_pointer);
}

/*
 * Nothing of L1's is in the window, so that no access finds the page there; but EPT02, and EPT01 while it
 * steps, lead to pages of ones within it, which must not be taken for it.
 */
static void merge_apic_access(struct vcpu *vcpu, const struct vmcs12 *v12)
{
	u64 gpa = v12->apic_access_addr;

	if (unlikely(memmap_in_window(gpa, PAGE_SIZE))) {
		vmcs_write(VMCS_apic_access_addr, page_phys(vcpu->nested.stand_in[STAND_IN_NOWHERE]).v);
		return;
	}
	vmcs_write(VMCS_apic_access_addr, gpa);
	if (!v12_has_proc2(v12, PROC2_EPT))
		map_apic_page_small(vcpu, GPA(gpa));
}

void addresses_merge(struct vcpu *vcpu, struct nested_vmcs *slot)
{
	const struct vmcs12 *v12 = &slot->v12;

	slot->stand_ins = 0;
	if (v12_has_proc(v12, PROC_TPR_SHADOW))
		vmcs_write(VMCS_virtual_apic_addr,
			   own_or_stand_in(vcpu, slot, v12->virtual_apic_addr, STAND_IN_APIC));
	if (v12_has_proc2(v12, PROC2_APIC_ACCESS))
		merge_apic_access(vcpu, v12);
	if (v12_has_pin(v12, PIN_POSTED_INTERRUPTS)) {
		vmcs_write(VMCS_posted_intr_nv, v12->posted_intr_nv);
		vmcs_write(VMCS_posted_intr_desc_addr,
			   own_or_stand_in(vcpu, slot, v12->posted_intr_desc_addr, STAND_IN_POSTED));
	}
}

COLD void addresses_fill(struct vcpu *vcpu, struct nested_vmcs *slot)
{
	const struct vmcs12 *v12 = &slot->v12;
	u8 **pages = vcpu->nested.stand_in;

	if (slot->stand_ins & BIT(STAND_IN_APIC))
		guest_mem_read(vcpu, GPA(page_of(v12->virtual_apic_addr)), pages[STAND_IN_APIC], PAGE_SIZE);
	if (slot->stand_ins & BIT(STAND_IN_POSTED))
		guest_mem_read(vcpu, GPA(page_of(v12->posted_intr_desc_addr)), pages[STAND_IN_POSTED],
			       PAGE_SIZE);
}
