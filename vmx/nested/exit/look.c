/* SPDX-License-Identifier: MIT */
/*
 * See look.h.
 */
#include "vmx/nested/exit/look.h"

#include "kernel/string.h"
#include "kernel/x86.h"
#include "mm/guest_walk.h"
#include "vmx/guest/guest_mem.h"
#include "vmx/hw/caps.h"

COLD bool look_physical(struct vcpu *vcpu, u64 address, void *to, size_t length)
{
	gpa_t gpa = GPA(address);
	const u8 *page;

	if (vcpu->guest->look && !vcpu->guest->look(vcpu, address, &gpa))
		return false;
	page = guest_mem_page(vcpu, GPA(ALIGN_DOWN(gpa.v, PAGE_SIZE)));
	if (page)
		memcpy(to, page + gpa.v % PAGE_SIZE, length);
	return page;
}

static bool read_entry(void *context, u64 address, void *to, size_t length)
{
	return look_physical(context, address, to, length);
}

static enum walk_update keep_flags(void *context, u64 address, u64 old, u64 value, size_t length)
{
	(void)context, (void)address, (void)old, (void)value, (void)length;
	return WALK_UPDATE_DONE;
}

static bool walk_linear(struct vcpu *vcpu, u64 address, u32 access, struct walk_page *page)
{
	u64 cr4 = vcpu_reg(vcpu, REG_CR4);
	struct guest_walk walk = {
		.role = guest_walk_role(vcpu_reg(vcpu, REG_CR0), cr4, vcpu_reg(vcpu, REG_EFER)),
		.cr3 = vcpu_reg(vcpu, REG_CR3),
		.physical_bits = vmx_caps.physical_bits,
		.has_1g = vmx_caps.has_guest_1g,
		.context = vcpu,
		.read = read_entry,
		.update = keep_flags,
	};

	if (vcpu_is_long_mode(vcpu) && !is_canonical(address, cr4 & CR4_LA57 ? 57 : 48))
		return false;
	/* a walk looks at them in PAE paging alone */
	for (unsigned int i = 0; i < ARRAY_SIZE(walk.pdpte); i++)
		walk.pdpte[i] = vcpu_reg(vcpu, (enum reg)(REG_PDPTE0 + i));
	return guest_walk(&walk, address, access | WALK_AC, page) == WALK_OK;
}

COLD bool look_linear(struct vcpu *vcpu, u64 address, u32 access, void *to, size_t length)
{
	u8 *at = to;

	/* outside IA-32e mode the walk looks at 32 bits of the address */
	while (length) {
		struct walk_page page;
		size_t part = MIN(length, PAGE_SIZE - address % PAGE_SIZE);
		if (!walk_linear(vcpu, address, access, &page) ||
		    (at && !look_physical(vcpu, page.gpa, at, part)))
			return false;
		address += part;
		length -= part;
		at = at ? at + part : NULL;
	}
	return true;
}
