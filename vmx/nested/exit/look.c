/* SPDX-License-Identifier: MIT */
/*
 * See look.h.
 */
#include "vmx/nested/exit/look.h"

#include "kernel/string.h"
#include "kernel/x86.h"
#include "mm/guest_walk.h"
#include "vmx/guest/guest_mem.h"

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

static bool walk_linear(struct vcpu *vcpu, u64 address, u32 access, struct walk_page *page)
{
	struct guest_walk walk = guest_walk_as_it_stands(vcpu);

	if (vcpu_is_long_mode(vcpu) && !is_canonical(address, vcpu_reg(vcpu, REG_CR4) & CR4_LA57 ? 57 : 48))
		return false;
	walk.read = read_entry;
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
