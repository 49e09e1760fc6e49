/* SPDX-License-Identifier: MIT */
/*
 * DRHD and RMRR structures of the DMAR table.  See drivers/dmar.h.
 */
#include "drivers/dmar.h"

#include "drivers/acpi.h"
#include "kernel/bits.h"
#include "kernel/hw/phys.h"
#include "kernel/string.h"

#define FLAGS 37
#define STRUCTURES 48
#define STRUCTURE_HEAD 4u
#define TYPE_DRHD 0
#define TYPE_RMRR 1
#define TYPE_LAST 6 /* ATSR, RHSA, ANDD, SATC, SIDP: of no use here */
#define DRHD_BASE 8
#define DRHD_SIZE 16u
#define RMRR_BASE 8
#define RMRR_LIMIT 16
#define RMRR_SIZE 24u

static void take_unit(struct dmar *out, u64 base)
{
	if (!base || (base & (PAGE_SIZE - 1)) || out->unit_count == DMAR_UNIT_MAX) {
		out->damaged = true;
		return;
	}
	for (u32 i = 0; i < out->unit_count; i++)
		if (out->units[i] == base)
			return;
	out->units[out->unit_count++] = base;
}

static void take_region(struct dmar *out, u64 base, u64 limit)
{
	if (limit < base || out->region_count == DMAR_REGION_MAX)
		out->damaged = true;
	else
		out->regions[out->region_count++] = (struct dmar_range){ base, limit };
}

static void take_structure(struct dmar *out, const u8 *p, u16 type, u16 size)
{
	u64 address[2];

	if ((type == TYPE_DRHD && size < DRHD_SIZE) || (type == TYPE_RMRR && size < RMRR_SIZE)) {
		out->damaged = true;
		return;
	}
	if (type == TYPE_DRHD) {
		memcpy(address, p + DRHD_BASE, 8);
		take_unit(out, address[0]);
	} else if (type == TYPE_RMRR) {
		memcpy(&address[0], p + RMRR_BASE, 8);
		memcpy(&address[1], p + RMRR_LIMIT, 8);
		take_region(out, address[0], address[1]);
	} else if (type > TYPE_LAST) {
		out->unknown++;
	}
}

void dmar_read(const u8 *rsdp, u32 rsdp_size, bool bios, struct dmar *out)
{
	u32 length;
	const u8 *t = acpi_find_table(rsdp, rsdp_size, bios, "DMAR", &length);
	u16 head[2];

	memset(out, 0, sizeof(*out));
	if (!t)
		return;
	out->found = true;
	out->table = ptr_to_phys(t).v;
	out->damaged = length < STRUCTURES;
	if (length > FLAGS)
		out->flags = t[FLAGS];
	for (u32 at = STRUCTURES; at + STRUCTURE_HEAD <= length; at += head[1]) {
		memcpy(head, t + at, sizeof(head));
		if (head[1] < STRUCTURE_HEAD || head[1] > length - at) {
			out->damaged = true;
			return;
		}
		take_structure(out, t + at, head[0], head[1]);
	}
}
