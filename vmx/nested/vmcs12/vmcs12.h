/* SPDX-License-Identifier: MIT */
/*
 * vmcs12: the VMCS that L1 writes, as a page of L1's memory in Socle's own
 * format and as L0's cached copy of it.  Generated from the one field table:
 * every field is a u64, the widths are applied at VMREAD and VMWRITE.
 * SDM: "Organization of VMCS Data", "Field Encoding in VMCS".
 */
#ifndef VMX_NESTED_VMCS12_H
#define VMX_NESTED_VMCS12_H

#include "kernel/bits.h"
#include "kernel/types.h"
#include "kernel/x86.h"
#include "vmx/hw/vmcs.h"

struct vcpu;
struct nested_vmcs;

/* "SOC" and a format number; hardware uses small numbers.  Bit 31 must be 0. */
#define VMCS12_REVISION 0x534f4301u

struct vmcs12 {
	u32 revision; /* with VMCS_SHADOW_INDICATOR */
	u32 abort;    /* VMX-abort indicator */
	u32 launched; /* the launch state; 0 is "clear" */
	u32 reserved;
#define F(encoding, name, flow, shadow, group) u64 name;
#include "vmx/hw/vmcs_fields.def"
#undef F
};
static_assert(sizeof(struct vmcs12) <= PAGE_SIZE, "a VMCS region");

/* Index of a field in the table: its row. */
enum vmcs12_index {
#define F(encoding, name, flow, shadow, group) V12_##name,
#include "vmx/hw/vmcs_fields.def"
#undef F
	VMCS12_FIELD_COUNT,
};

enum vmcs12_flow { FLOW_COPY, FLOW_IN, FLOW_OUT, FLOW_CALC, FLOW_HOST, FLOW_SOFT };
enum vmcs12_shadow { SHADOW_NO, SHADOW_RO, SHADOW_RW };

/* The rows that the table shadows, in its order: bits of a mask of rows. */
enum vmcs12_place {
#define PLACE_NO(name)
#define PLACE_RO(name) S_##name,
#define PLACE_RW(name) S_##name,
#define F(encoding, name, flow, shadow, group) PLACE_##shadow(name)
#include "vmx/hw/vmcs_fields.def"
#undef F
	VMCS12_SHADOWED_COUNT,
};
static_assert(VMCS12_SHADOWED_COUNT <= 64, "a mask of rows is one word");
#define PLACE(name) BIT(S_##name)
extern const u8 vmcs12_place_row[VMCS12_SHADOWED_COUNT]; /* the row of each */
#define PLACES_ALL (~0ull)

/* What a write by L1 makes stale; a mask of these is kept for each vmcs12. */
enum vmcs12_group {
	GROUP_CTL = 1 << 0,
	GROUP_HST = 1 << 1,
	GROUP_SEG = 1 << 2,
	GROUP_RARE = 1 << 3,
	GROUP_HOT = 1 << 4,
	GROUP_MODE = 1 << 5,
	GROUP_WORD = 1 << 6, /* control words, on which the checks of host and guest state depend */
	GROUP_CUT = 1 << 7,  /* which exceptions and bits of CR0 and CR4 exit: no check */
	GROUP_EOI = 1 << 8,  /* EOI-exit bitmaps, PLE gap and window: no check */
	GROUP_TSC = 1 << 9,  /* TSC offset: no check */
	GROUP_COOL = 1 << 10,
	GROUPS_SINGLE = GROUP_CUT | GROUP_EOI | GROUP_TSC,
	GROUP_INFO = 0, /* exit information */
	GROUP_FREE = 0, /* no check and nothing in vmcs02 depends on it */
	GROUP_ALL = 0x7ff,
};

struct vmcs12_field {
	u16 encoding, group;
	u8 flow, shadow;
	const char *name;
};
extern const struct vmcs12_field vmcs12_fields[VMCS12_FIELD_COUNT];
/* enum reg + 1 of each field that the register cache owns; 0 for all other fields. */
extern const u8 vmcs12_row_reg[VMCS12_FIELD_COUNT];

static inline u64 *vmcs12_slot(struct vmcs12 *v12, unsigned int index)
{
	return &((u64 *)(void *)((u8 *)v12 + __builtin_offsetof(struct vmcs12, vpid)))[index];
}

/* The value of a row in v12, newest or not. */
static inline u64 vmcs12_value(const struct vmcs12 *v12, unsigned int index)
{
	return ((const u64 *)(const void *)((const u8 *)v12 +
					    __builtin_offsetof(struct vmcs12, vpid)))[index];
}

/* Bits of an encoding but the access type, bit 0: a table of half of them is small enough. */
#define VMCS12_ENCODING_BITS 0x7ffeu
#define VMCS12_ENCODINGS (VMCS12_ENCODING_BITS / 2 + 1)
/* By encoding / 2: row + 1 of a field that this processor has, or 0. Constant after vmcs12_init(). */
extern u8 vmcs12_row_after[VMCS12_ENCODINGS];

/* Row of an encoding (full access form), or -1: unknown to Socle or absent on this processor. */
static inline int vmcs12_find(u32 encoding)
{
	return encoding & ~VMCS12_ENCODING_BITS ? -1 : (int)vmcs12_row_after[encoding / 2] - 1;
}

/* VMCS_ENUM for L1: the highest index of any field that L1 has, in bits 9:1. */
u64 vmcs12_enum(void);

/* Of each row: the bits that its field has. Constant after vmcs12_init() and vmcs12_set_access_rights_mask().
 */
extern u64 vmcs12_row_mask[VMCS12_FIELD_COUNT];

/* Truncates to the field's width. */
u64 vmcs12_mask_width(u32 encoding, u64 value);

/* Once, after vmcs_probe_fields(). */
void vmcs12_init(void);
/* The rows that this processor has and that reach vmcs02 as they stand (COPY and IN). */
const u8 *vmcs12_entry_rows(unsigned int *count);
void vmcs12_set_access_rights_mask(u32 mask);
void vmcs12_normalize(
	struct vmcs12 *v12); /* cuts values that were read from L1's page to the widths of their fields */
/*
 * Fetches guest state of SEG and RARE from vmcs02 if it is newer there. Goes back to the VMCS that was
 * current.
 */
void nested_sync_rare(struct vcpu *vcpu, struct nested_vmcs *slot);

/* Shorthands for control bits of vmcs12; the secondary word counts only if activated. */
static inline u32 v12_proc2(const struct vmcs12 *v12)
{
	return v12->proc_controls & BIT(31) ? (u32)v12->proc2_controls : 0;
}

static inline bool v12_has_pin(const struct vmcs12 *v12, u32 bit)
{
	return v12->pin_controls & bit;
}
static inline bool v12_has_proc(const struct vmcs12 *v12, u32 bit)
{
	return v12->proc_controls & bit;
}
static inline bool v12_has_proc2(const struct vmcs12 *v12, u32 bit)
{
	return v12_proc2(v12) & bit;
}
static inline bool v12_has_exit(const struct vmcs12 *v12, u32 bit)
{
	return v12->exit_controls & bit;
}
static inline bool v12_has_entry(const struct vmcs12 *v12, u32 bit)
{
	return v12->entry_controls & bit;
}

/* True if L2 has PAE paging after an entry: CR0.PG, CR4.PAE, and no IA32_EFER.LMA. */
static inline bool v12_pae_paging(const struct vmcs12 *v12)
{
	return (v12->guest_cr0 & CR0_PG) && (v12->guest_cr4 & CR4_PAE) && !v12_has_entry(v12, BIT(9));
}

#endif
