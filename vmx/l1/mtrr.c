/* SPDX-License-Identifier: MIT */
/*
 * L1's virtual MTRRs: the MSRs' checks and the memory type of an address.
 * Pure but for mtrr_read_hardware(). SDM: "Memory Type Range Registers (MTRRs)".
 */
#include "vmx/l1/mtrr.h"

#include "kernel/bits.h"
#include "kernel/hw/cpu.h"
#include "kernel/msr.h"
#include "kernel/string.h"
#include "kernel/x86.h"
#include "vmx/hw/caps.h"

struct fixed_range {
	u32 msr;
	u32 base;
	u32 size; /* of one of the eight */
};

static const struct fixed_range fixed_ranges[MTRR_FIXED_COUNT] = {
	{ MSR_IA32_MTRR_FIX64K_00000, 0x00000, 0x10000 },
	{ MSR_IA32_MTRR_FIX16K_80000, 0x80000, 0x4000 },
	{ MSR_IA32_MTRR_FIX16K_A0000, 0xa0000, 0x4000 },
	{ MSR_IA32_MTRR_FIX4K_C0000 + 0, 0xc0000, 0x1000 },
	{ MSR_IA32_MTRR_FIX4K_C0000 + 1, 0xc8000, 0x1000 },
	{ MSR_IA32_MTRR_FIX4K_C0000 + 2, 0xd0000, 0x1000 },
	{ MSR_IA32_MTRR_FIX4K_C0000 + 3, 0xd8000, 0x1000 },
	{ MSR_IA32_MTRR_FIX4K_C0000 + 4, 0xe0000, 0x1000 },
	{ MSR_IA32_MTRR_FIX4K_C0000 + 5, 0xe8000, 0x1000 },
	{ MSR_IA32_MTRR_FIX4K_C0000 + 6, 0xf0000, 0x1000 },
	{ MSR_IA32_MTRR_FIX4K_C0000 + 7, 0xf8000, 0x1000 },
};

#define FIXED_END 0x100000u

/* Constant after the BSP's mtrr_read_hardware(): the same on every CPU. */
static u64 mtrr_cap;
static bool mtrr_exists;

static u32 variable_count(void)
{
	return MIN((u32)(mtrr_cap & MTRRCAP_VCNT), (u32)MTRR_VARIABLE_MAX);
}

void mtrr_read_hardware(struct mtrr *mtrr)
{
	memset(mtrr, 0, sizeof(*mtrr));
	mtrr_exists = cpuid(CPUID_LEAF_FEATURES, 0).edx & CPUID_1_EDX_MTRR;
	if (!mtrr_exists)
		return;
	mtrr_cap = rdmsr(MSR_IA32_MTRRCAP);
	mtrr->def_type = rdmsr(MSR_IA32_MTRR_DEF_TYPE);
	if (mtrr_cap & MTRRCAP_FIX)
		for (u32 i = 0; i < MTRR_FIXED_COUNT; i++)
			mtrr->fixed[i] = rdmsr(fixed_ranges[i].msr);
	for (u32 i = 0; i < variable_count(); i++) {
		mtrr->variable[i].base = rdmsr(MSR_IA32_MTRR_PHYSBASE0 + 2 * i);
		mtrr->variable[i].mask = rdmsr(MSR_IA32_MTRR_PHYSMASK0 + 2 * i);
	}
}

/* The place of an MSR in struct mtrr, as a number of u64; -1: it is none. */
#define PLACE(member) ((int)(offsetof(struct mtrr, member) / sizeof(u64)))
static_assert(sizeof(struct mtrr) == (1 + MTRR_FIXED_COUNT + 2 * MTRR_VARIABLE_MAX) * sizeof(u64),
	      "nothing but registers");

static int place_of(u32 index)
{
	u32 variable = index - MSR_IA32_MTRR_PHYSBASE0;

	if (!mtrr_exists)
		return -1;
	if (variable < 2 * variable_count())
		return PLACE(variable) + (int)variable;
	if (index == MSR_IA32_MTRR_DEF_TYPE)
		return PLACE(def_type);
	if (!(mtrr_cap & MTRRCAP_FIX))
		return -1;
	/* In the order of fixed_ranges[]. */
	if (index == MSR_IA32_MTRR_FIX64K_00000)
		return PLACE(fixed);
	if (index - MSR_IA32_MTRR_FIX16K_80000 < 2)
		return PLACE(fixed) + 1 + (int)(index - MSR_IA32_MTRR_FIX16K_80000);
	if (index - MSR_IA32_MTRR_FIX4K_C0000 < 8)
		return PLACE(fixed) + 3 + (int)(index - MSR_IA32_MTRR_FIX4K_C0000);
	return -1;
}

bool mtrr_is_msr(u32 index)
{
	return place_of(index) >= 0;
}

static bool type_valid(u64 type)
{
	return type == MEMTYPE_UC || (type == MEMTYPE_WC && (mtrr_cap & MTRRCAP_WC)) || type == MEMTYPE_WT ||
	       type == MEMTYPE_WP || type == MEMTYPE_WB;
}

static bool value_valid(u32 index, u64 value)
{
	u64 beyond = ~(BIT(vmx_caps.physical_bits) - 1);

	if (index == MSR_IA32_MTRR_DEF_TYPE)
		return !(value & ~(MTRR_DEF_TYPE_MASK | MTRR_DEF_TYPE_FIX_ENABLE | MTRR_DEF_TYPE_ENABLE)) &&
		       type_valid(value & MTRR_DEF_TYPE_MASK);
	if (index < MSR_IA32_MTRR_FIX64K_00000) {
		if (index & 1)
			return !(value & (beyond | GENMASK(10, 0)));
		return !(value & (beyond | GENMASK(11, 8))) && type_valid(value & 0xff);
	}
	for (u32 i = 0; i < 8; i++)
		if (!type_valid((value >> (8 * i)) & 0xff))
			return false;
	return true;
}

bool mtrr_read(const struct mtrr *mtrr, u32 index, u64 *value)
{
	int place = place_of(index);

	if (place < 0)
		return false;
	*value = ((const u64 *)mtrr)[place];
	return true;
}

bool mtrr_write(struct mtrr *mtrr, u32 index, u64 value, bool *changed)
{
	int place = place_of(index);
	u64 *reg = (u64 *)mtrr + place;

	*changed = false;
	if (place < 0 || !value_valid(index, value))
		return false;
	*changed = *reg != value;
	*reg = value;
	return true;
}

/*
 * Precedence where variable ranges overlap: UC, then WT over WB; anything else is undefined and
 * becomes UC.
 */
static u32 combine(u32 a, u32 b)
{
	if (a == b)
		return a;
	if ((a == MEMTYPE_WT && b == MEMTYPE_WB) || (a == MEMTYPE_WB && b == MEMTYPE_WT))
		return MEMTYPE_WT;
	return MEMTYPE_UC;
}

static u32 fixed_type(const struct mtrr *mtrr, u64 pa, u64 *end)
{
	for (u32 i = MTRR_FIXED_COUNT; i-- > 0;) {
		const struct fixed_range *range = &fixed_ranges[i];
		u32 slot;

		if (pa < range->base)
			continue;
		slot = (u32)(pa - range->base) / range->size;
		*end = range->base + (u64)(slot + 1) * range->size;
		return (mtrr->fixed[i] >> (8 * slot)) & 0xff;
	}
	return MEMTYPE_UC;
}

/*
 * A variable range matches where (pa & mask) == (base & mask). The types are the same up to the next
 * multiple of the mask's lowest bit, for any mask; contiguous ones, which all firmware uses, change
 * only at their two ends.
 */
u32 mtrr_type(const struct mtrr *mtrr, u64 pa, u64 *end)
{
	u32 type = 0;
	bool matched = false;

	*end = BIT(vmx_caps.physical_bits);
	if (!mtrr_exists || !(mtrr->def_type & MTRR_DEF_TYPE_ENABLE))
		return mtrr_exists ? MEMTYPE_UC : MEMTYPE_WB;
	if (pa < FIXED_END && (mtrr_cap & MTRRCAP_FIX) && (mtrr->def_type & MTRR_DEF_TYPE_FIX_ENABLE))
		return fixed_type(mtrr, pa, end);
	if (pa < FIXED_END)
		*end = FIXED_END;
	for (u32 i = 0; i < variable_count(); i++) {
		u64 mask = mtrr->variable[i].mask & PTE_ADDR, base = mtrr->variable[i].base & mask;
		u64 size;

		if (!(mtrr->variable[i].mask & MTRR_PHYSMASK_VALID) || !mask)
			continue;
		size = mask & -mask;
		if ((pa & mask) == base) {
			type = matched ? combine(type, mtrr->variable[i].base & 0xff)
				       : mtrr->variable[i].base & 0xff;
			matched = true;
			*end = MIN(*end, ALIGN_DOWN(pa, size) + size);
		} else if (((mask + size) & (BIT(vmx_caps.physical_bits) - 1)) != 0) {
			*end = MIN(*end, ALIGN_DOWN(pa, size) + size);
		} else if (base > pa) {
			*end = MIN(*end, base);
		}
	}
	return matched ? type : mtrr->def_type & MTRR_DEF_TYPE_MASK;
}
