/* SPDX-License-Identifier: MIT */
/*
 * Which rows of the shadow VMCS L1 may write without an exit now: a VMREAD at each entry is the price of an
 * open row, an exit that of a VMWRITE of a closed one. So a row that L1 has not changed for a period of
 * entries is closed, and its next VMWRITE opens it again; one that L1 writes as seldom as the TSC offset has
 * to be written twice in a period.
 *
 * A closed row is where it was: L1 reads it in the shadow VMCS, and v12 has the same value, for what L1 wrote
 * there before is fetched once more from every slot (`fetch_all`). The bitmap and `open` change together,
 * while L1 does not run on this CPU, whose own they are.
 * SDM: "VMCS Shadowing Bitmap Addresses".
 */
#include "vmx/nested/vmcs12/shadow_use.h"

#include "kernel/string.h"
#include "vmx/nested/vmcs12/vmcs12.h"

#define SELDOM_PLACES PLACE(tsc_offset)

void shadow_set_exit(u8 *bitmap, u32 encoding, bool exits)
{
	u8 bits = (u8)((VMCS_FIELD_WIDTH(encoding) == VMCS_WIDTH_64 ? 3u : 1u) << encoding % 8);

	bitmap[encoding / 8] = (u8)(exits ? bitmap[encoding / 8] | bits : bitmap[encoding / 8] & ~bits);
}

static void set_open(struct vcpu *vcpu, u64 places, bool open)
{
	vcpu->nested.use.open = open ? vcpu->nested.use.open | places : vcpu->nested.use.open & ~places;
	for (; places; places &= places - 1)
		shadow_set_exit(vcpu->nested.use.vmwrite_bitmap,
				vmcs12_fields[vmcs12_place_row[__builtin_ctzll(places)]].encoding, !open);
}

void shadow_use_begin(struct vcpu *vcpu, u64 places)
{
	u64 writable = 0;

	for (unsigned int place = 0; place < VMCS12_SHADOWED_COUNT; place++)
		if (vmcs12_fields[vmcs12_place_row[place]].shadow == SHADOW_RW)
			writable |= BIT(place);
	memset(vcpu->nested.use.vmwrite_bitmap, 0xff, PAGE_SIZE);
	vcpu->nested.use.open = vcpu->nested.use.seen = vcpu->nested.use.asked = 0;
	vcpu->nested.use.left = SHADOW_USE_PERIOD;
	set_open(vcpu, places & writable & ~SELDOM_PLACES, true);
}

void shadow_use_written(struct vcpu *vcpu, unsigned int row)
{
	u64 place = 0;

	if (!vcpu->nested.use.vmwrite_bitmap)
		return;
	for (unsigned int i = 0; i < VMCS12_SHADOWED_COUNT; i++)
		if (vmcs12_place_row[i] == row)
			place = BIT(i);
	if (!(place & SELDOM_PLACES) || (vcpu->nested.use.asked & place))
		set_open(vcpu, place, true);
	vcpu->nested.use.asked |= place;
}

COLD void shadow_use_close_idle(struct vcpu *vcpu)
{
	u64 idle = vcpu->nested.use.open & ~vcpu->nested.use.seen;

	vcpu->nested.use.left = SHADOW_USE_PERIOD;
	vcpu->nested.use.seen = vcpu->nested.use.asked = 0;
	if (!idle)
		return;
	set_open(vcpu, idle, false);
	for (unsigned int i = 0; i < NESTED_VMCS_COUNT; i++)
		vcpu->nested.slots[i].fetch_all = true;
}
