/* SPDX-License-Identifier: MIT */
/*
 * Fields of vmcs02 that L0 knows without reading them, because it wrote them (slot->known), so that what is
 * there already is not written again. Whoever writes one of these fields of vmcs02, which is current then,
 * does it here, and nobody else touches `known`. None of them is what L1 asked: that is slot->v12's.
 */
#ifndef VMX_NESTED_VMCS12_KNOWN02_H
#define VMX_NESTED_VMCS12_KNOWN02_H

#include "vmx/guest/vcpu.h"

/* ---- written by L0 alone ---- */

static ALWAYS_INLINE void known02_write(const struct nested_vmcs *slot, enum vmcs_field field, u64 *known,
					u64 value)
{
	if (!slot->entered || *known != value)
		vmcs_write(field, *known = value);
}

static inline void known02_set_cr0_shadow(struct nested_vmcs *slot, u64 value)
{
	known02_write(slot, VMCS_cr0_read_shadow, &slot->known.cr0_shadow, value);
}

static inline void known02_set_cr4_shadow(struct nested_vmcs *slot, u64 value)
{
	known02_write(slot, VMCS_cr4_read_shadow, &slot->known.cr4_shadow, value);
}

static inline void known02_set_tpr_threshold(struct nested_vmcs *slot, u64 value)
{
	known02_write(slot, VMCS_tpr_threshold, &slot->known.tpr_threshold, value);
}

static inline void known02_set_eptp(struct nested_vmcs *slot, u64 value)
{
	known02_write(slot, VMCS_ept_pointer, &slot->known.eptp, value);
}

static inline u64 known02_eptp(const struct nested_vmcs *slot)
{
	return slot->known.eptp;
}

static inline void known02_set_vpid(struct nested_vmcs *slot, u64 value)
{
	known02_write(slot, VMCS_vpid, &slot->known.vpid, value);
}

static inline u64 known02_vpid(const struct nested_vmcs *slot)
{
	return slot->known.vpid;
}

/* ---- changed by the processor as well ---- */

static inline void known02_set_entry_controls(struct nested_vmcs *slot, u64 value)
{
	known02_write(slot, VMCS_entry_controls, &slot->known.entry_controls, value);
}

/* SDM: "The value of IA32_EFER.LMA is stored into the 'IA-32e mode guest' control" by an exit. */
static inline u64 with_lma(u64 entry_controls, bool lma)
{
	return (entry_controls & ~ENTRY_IA32E_GUEST) | (lma ? ENTRY_IA32E_GUEST : 0);
}

/* Is that control as it is in `controls`? */
static inline bool known02_has_lma(const struct nested_vmcs *slot, u64 controls)
{
	return !((slot->known.entry_controls ^ controls) & ENTRY_IA32E_GUEST);
}

static inline void known02_exit_stored_lma(struct nested_vmcs *slot, bool lma)
{
	slot->known.entry_controls = with_lma(slot->known.entry_controls, lma);
}

/* Guest IA32_EFER as an exit stored it: true while `same_in_02`. */
static inline void known02_exit_stored_efer(struct nested_vmcs *slot, u64 efer)
{
	slot->known.efer = efer;
}

static inline bool known02_has_efer(const struct nested_vmcs *slot, u64 efer)
{
	return slot->same_in_02 && slot->known.efer == efer;
}

/* ---- of L1's primary controls, which become others in vmcs02 ---- */

static inline void known02_merged_proc(struct nested_vmcs *slot)
{
	slot->known.proc12 = (u32)slot->v12.proc_controls;
}

/* Bits that L1 has changed since they were merged. */
static inline u32 known02_changed_proc(const struct nested_vmcs *slot)
{
	return (u32)slot->v12.proc_controls ^ slot->known.proc12;
}

/* Nothing is known: each of them is written again. For vmx/nested/debug.c, which compares then. */
static inline void known02_forget(struct nested_vmcs *slot)
{
	slot->known.cr0_shadow = ~slot->known.cr0_shadow;
	slot->known.cr4_shadow = ~slot->known.cr4_shadow;
	slot->known.tpr_threshold = ~slot->known.tpr_threshold;
	slot->known.entry_controls = ~slot->known.entry_controls;
	slot->known.eptp = ~slot->known.eptp;
	slot->known.vpid = ~slot->known.vpid;
}

#endif
