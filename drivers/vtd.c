/* SPDX-License-Identifier: MIT */
/*
 * Reads and writes of a unit's registers, in their own width.  See drivers/vtd.h.
 */
#include "drivers/vtd.h"

#include "kernel/hw/phys.h"

u32 vtd_read32(u64 base, u32 at)
{
	return READ_ONCE(*(u32 *)phys_to_ptr(HPA(base + at)));
}

u64 vtd_read64(u64 base, u32 at)
{
	return READ_ONCE(*(u64 *)phys_to_ptr(HPA(base + at)));
}

void vtd_write32(u64 base, u32 at, u32 value)
{
	WRITE_ONCE(*(u32 *)phys_to_ptr(HPA(base + at)), value);
}

void vtd_write64(u64 base, u32 at, u64 value)
{
	WRITE_ONCE(*(u64 *)phys_to_ptr(HPA(base + at)), value);
}

bool vtd_is_there(u64 base)
{
	u32 version = vtd_read32(base, VTD_VERSION);

	return version && version != ~0u;
}
