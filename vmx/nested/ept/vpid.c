/* SPDX-License-Identifier: MIT */
/*
 * Hardware VPIDs of this CPU's L2s. L1 itself has VPID_L1; each VPID of L1's
 * gets a hardware VPID of its own while it is among the ones used last. L2s
 * for which L1 uses no VPID share one that every entry flushes.
 * SDM: "Caching Translation Information", "Operations that Invalidate Cached Mappings".
 */
#include "vmx/nested/ept/vpid.h"

#include "mm/page_alloc.h"
#include "vmx/guest/vcpu.h"
#include "vmx/nested/vmcs12/known02.h"
#include "vmx/nested/vmcs12/vmcs12.h"
#include "vmx/hw/tlb.h"
#include "vmx/l1/vm.h"

#define VPID_FLUSHED (VPID_L1 + 1)
#define VPID_FIRST (VPID_L1 + 2)
#define VPID_COUNT 255

/* All members: this CPU only. */
struct vpid02_map {
	u64 clock;
	struct {
		u64 last_used;
		u16 vpid12; /* 0: nobody's; flushed when it becomes somebody's */
	} entry[VPID_COUNT];
};
static_assert(sizeof(struct vpid02_map) <= PAGE_SIZE, "one page");

void vpid02_init(struct vcpu *vcpu)
{
	vcpu->nested.vpid = page_alloc();
}

u64 vpid02_count(const struct vcpu *vcpu)
{
	u64 count = 0;

	for (unsigned int i = 0; i < VPID_COUNT; i++)
		count += vcpu->nested.vpid->entry[i].vpid12 != 0;
	return count;
}

/* The index at which the map has L1's VPID, or VPID_COUNT. */
static unsigned int find(const struct vpid02_map *map, u16 vpid12)
{
	unsigned int i = 0;

	while (i < VPID_COUNT && map->entry[i].vpid12 != vpid12)
		i++;
	return i;
}

/* The least recently used one becomes `vpid12`'s. What the processor holds under it is another's, or older
 * than an INVVPID. */
static unsigned int take(struct vcpu *vcpu, u16 vpid12)
{
	struct vpid02_map *map = vcpu->nested.vpid;
	unsigned int lru = 0;

	for (unsigned int i = 1; i < VPID_COUNT; i++)
		if (map->entry[i].last_used < map->entry[lru].last_used)
			lru = i;
	map->entry[lru].vpid12 = vpid12;
	tlb_flush_vpid((u16)(VPID_FIRST + lru));
	vcpu->nested.counters.vpid_flushes++;
	return lru;
}

/*
 * SDM: "If the 'enable VPID' control is 0, VM entries and VM exits invalidate linear mappings and combined
 * mappings associated with VPID 0000H": L2's, and L1's own, which is not used again before the exit.
 */
static u16 without_vpid12(struct vcpu *vcpu)
{
	tlb_flush_vpid(VPID_FLUSHED);
	tlb_flush_vpid(VPID_L1);
	vcpu->nested.counters.vpid_flushes += 2;
	return VPID_FLUSHED;
}

u16 vpid02_for_entry(struct vcpu *vcpu, struct nested_vmcs *slot)
{
	struct vpid02_map *map = vcpu->nested.vpid;
	u16 vpid12 = (u16)slot->v12.vpid;
	unsigned int i = slot->vpid02 - VPID_FIRST;

	if (!tlb_uses_vpid())
		return 0;
	if (!v12_has_proc2(&slot->v12, PROC2_VPID))
		return without_vpid12(vcpu);
	/* slot->vpid02 is a hint: that hardware VPID may belong to another VPID of L1's by now. */
	if (i >= VPID_COUNT || map->entry[i].vpid12 != vpid12) {
		i = find(map, vpid12);
		if (i == VPID_COUNT)
			i = take(vcpu, vpid12);
		slot->vpid02 = (u16)(VPID_FIRST + i);
	}
	map->entry[i].last_used = ++map->clock;
	return slot->vpid02;
}

bool vpid02_stands(struct vcpu *vcpu, struct nested_vmcs *slot)
{
	const struct vpid02_map *map = vcpu->nested.vpid;
	unsigned int i = slot->vpid02 - VPID_FIRST;

	if (!tlb_uses_vpid())
		return true;
	return v12_has_proc2(&slot->v12, PROC2_VPID) && i < VPID_COUNT &&
	       known02_vpid(slot) == slot->vpid02 && map->entry[i].vpid12 == (u16)slot->v12.vpid &&
	       map->entry[i].last_used == map->clock;
}

/* L1's operands are checked. A VPID that has no hardware VPID has no mappings. */
void vpid02_invvpid(struct vcpu *vcpu, u64 type, u16 vpid12, u64 linear)
{
	struct vpid02_map *map = vcpu->nested.vpid;
	unsigned int i;

	if (type == INVVPID_ALL) {
		vcpu->nested.translations++;
		for (i = 0; i < VPID_COUNT; i++)
			map->entry[i].vpid12 = 0;
		return;
	}
	i = find(map, vpid12);
	if (i == VPID_COUNT)
		return;
	if (type == INVVPID_ADDRESS)
		tlb_flush_vpid_address((u16)(VPID_FIRST + i), linear);
	else if (type == INVVPID_RETAIN_GLOBALS)
		tlb_flush_vpid_keep_globals((u16)(VPID_FIRST + i));
	else
		tlb_flush_vpid((u16)(VPID_FIRST + i));
}
