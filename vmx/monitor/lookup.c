/* SPDX-License-Identifier: MIT */
/*
 * The walk is the guest walker's, a supervisor's read that SMAP does not stop; entries are read through
 * EPT12 where the level is an L2 with EPT.
 */
#include "vmx/monitor/lookup.h"

#include "kernel/string.h"
#include "kernel/x86.h"
#include "mm/guest_walk.h"
#include "vmx/guest/guest_mem.h"
#include "vmx/hw/caps.h"
#include "vmx/monitor/operand.h"
#include "vmx/monitor/view.h"

#define EPT_ADDRESS GENMASK(51, 12)
#define EPT_PRESENT(entry) ((entry)&7)
#define PAE_TABLE GENMASK(31, 5)

struct space {
	struct vcpu *vcpu;
	const struct vmcs12 *ept12; /* NULL: its addresses are L1's */
	u64 cr0, cr3, cr4, efer;
	u64 pdpte[4];
};

bool lookup_has_level(struct vcpu *vcpu, unsigned int level)
{
	const struct nested_vmcs *slot = vcpu->nested.current;

	return level == 1 || (level == 2 && (vcpu->guest->level == 2 || (slot && slot->entered)));
}

static bool read_l1(struct vcpu *vcpu, u64 gpa, void *to, size_t length)
{
	const u8 *page = guest_mem_page(vcpu, GPA(ALIGN_DOWN(gpa, PAGE_SIZE)));

	if (page)
		memcpy(to, page + gpa % PAGE_SIZE, length);
	return page;
}

static bool through_ept12(struct vcpu *vcpu, const struct vmcs12 *v12, u64 address, u64 *to)
{
	unsigned int level = ((v12->ept_pointer & EPTP_WALK) >> EPTP_WALK_SHIFT) + 1;
	u64 table = v12->ept_pointer & EPT_ADDRESS, entry;

	for (; level >= 1 && level <= 5; level--) {
		u64 span = 1ull << (12 + 9 * (level - 1));

		if (!read_l1(vcpu, table + address / span % 512 * 8, &entry, sizeof(entry)) ||
		    !EPT_PRESENT(entry))
			return false;
		table = entry & EPT_ADDRESS;
		if (level == 1 || (level < 4 && (entry & EPT_LEAF))) {
			*to = ALIGN_DOWN(table, span) | (address & (span - 1));
			return true;
		}
	}
	return false;
}

static bool to_l1(const struct space *space, u64 address, u64 *gpa)
{
	*gpa = address;
	return !space->ept12 || through_ept12(space->vcpu, space->ept12, address, gpa);
}

static bool read_entry(void *opaque, u64 address, void *to, size_t length)
{
	const struct space *space = opaque;
	u64 gpa;

	return to_l1(space, address, &gpa) && read_l1(space->vcpu, gpa, to, length);
}

/* ---- the registers that shape the walk ---- */

static void take_running(struct space *space)
{
	struct vcpu *vcpu = space->vcpu;

	space->cr0 = vcpu_reg(vcpu, REG_CR0);
	space->cr3 = vcpu_reg(vcpu, REG_CR3);
	space->cr4 = vcpu_reg(vcpu, REG_CR4);
	space->efer = vcpu_reg(vcpu, REG_EFER);
	if (vcpu_is_pae_paging(vcpu))
		for (unsigned int i = 0; i < 4; i++)
			space->pdpte[i] = vcpu_reg(vcpu, (enum reg)(REG_PDPTE0 + i));
}

static void take_pdptes(struct space *space)
{
	u64 at = space->cr3 & PAE_TABLE;

	for (unsigned int i = 0; i < 4; i++)
		if (!read_entry(space, at + 8 * i, &space->pdpte[i], sizeof(space->pdpte[i])))
			space->pdpte[i] = 0;
}

/* Execute-disable is taken as on: it makes a bit of an entry no reserved one. */
static void take_waiting(struct space *space, const struct vmcs12 *v12, unsigned int level)
{
	bool l1 = level == 1,
	     wide = l1 ? v12_has_exit(v12, EXIT_HOST_64) : v12_has_entry(v12, ENTRY_IA32E_GUEST);

	space->cr0 = l1 ? v12->host_cr0 : v12->guest_cr0;
	space->cr3 = l1 ? v12->host_cr3 : v12->guest_cr3;
	space->cr4 = l1 ? v12->host_cr4 : v12->guest_cr4;
	space->efer = EFER_NXE | (wide ? EFER_LMA | EFER_LME : 0);
	if ((space->cr0 & CR0_PG) && (space->cr4 & CR4_PAE) && !wide)
		take_pdptes(space);
}

static void take_space(struct space *space, struct vcpu *vcpu, unsigned int level)
{
	const struct nested_vmcs *slot = vcpu->nested.current;
	struct view view;

	*space = (struct space){ .vcpu = vcpu };
	if (level == 2 && v12_has_proc2(&slot->v12, PROC2_EPT))
		space->ept12 = &slot->v12;
	if (level == vcpu->guest->level) {
		take_running(space);
		return;
	}
	/* vmcs12 as it is newest. */
	if (view_begin(&view, vcpu, VIEW_12))
		view_end(&view);
	take_waiting(space, &slot->v12, level);
}

static bool find(struct space *space, u64 linear, gpa_t *gpa)
{
	struct guest_walk walk = {
		.role = guest_walk_role(space->cr0, space->cr4, space->efer),
		.cr3 = space->cr3,
		.pdpte = { space->pdpte[0], space->pdpte[1], space->pdpte[2], space->pdpte[3] },
		.physical_bits = vmx_caps.physical_bits,
		.has_1g = vmx_caps.has_guest_1g,
		.context = space,
		.read = read_entry,
	};
	struct walk_page page;

	return guest_walk(&walk, linear, WALK_AC, &page) == WALK_OK && to_l1(space, page.gpa, &gpa->v);
}

bool lookup_linear(struct vcpu *vcpu, unsigned int level, u64 linear, gpa_t *gpa)
{
	struct space space;

	if (!lookup_has_level(vcpu, level))
		return false;
	take_space(&space, vcpu, level);
	return find(&space, linear, gpa);
}

size_t lookup_copy(struct vcpu *vcpu, unsigned int level, u64 linear, void *to, const void *from,
		   size_t length)
{
	struct space space;
	size_t done = 0;

	if (!lookup_has_level(vcpu, level))
		return 0;
	take_space(&space, vcpu, level);
	while (done < length) {
		size_t size = MIN(length - done, (size_t)(PAGE_SIZE - (linear + done) % PAGE_SIZE));
		gpa_t gpa;
		u8 *page;

		if (!find(&space, linear + done, &gpa))
			break;
		page = guest_mem_page(vcpu, GPA(ALIGN_DOWN(gpa.v, PAGE_SIZE)));
		if (!page)
			break;
		if (from)
			memcpy(page + gpa.v % PAGE_SIZE, (const u8 *)from + done, size);
		else
			memcpy((u8 *)to + done, page + gpa.v % PAGE_SIZE, size);
		done += size;
	}
	return done;
}

u32 lookup_operand_size(struct vcpu *vcpu)
{
	u64 base = vcpu_is_64bit(vcpu) ? 0 : vcpu_reg(vcpu, REG_SEG_BASE(SEG_CS));
	u8 code[15];
	size_t length;

	if (vcpu_reg(vcpu, REG_IDT_VECTORING_INFO) & INTR_INFO_VALID)
		return sizeof(u64);
	length = lookup_copy(vcpu, vcpu->guest->level, vcpu_reg(vcpu, REG_RIP) + base, code, NULL,
			     sizeof(code));
	return operand_size(code, length, vcpu_is_64bit(vcpu));
}
