/* SPDX-License-Identifier: MIT */
/*
 * A build with DEBUG=1 compares what the shortcuts have left out.
 */
#ifndef VMX_NESTED_VMCS12_DEBUG_H
#define VMX_NESTED_VMCS12_DEBUG_H

#include "kernel/x86.h"
#include "vmx/guest/vcpu.h"

struct ept12_role;
struct ept12_walk;
struct l1_state;

#ifdef DEBUG_SHORTCUTS
#define DEBUG_COMPARES 1
/* If `known`, VMWRITEs until debug_end_compare() only compare: the value must be there already. */
void debug_begin_compare(bool known);
void debug_end_compare(void);
/* The field of the current VMCS holds what was not read. */
void debug_known(enum vmcs_field field, u64 value);
void debug_entry(struct vcpu *vcpu, struct nested_vmcs *slot, const struct l1_state *l1);
/* An entry that looked at little is one that passes all checks. vmcs01 is current. */
void debug_checked(struct vcpu *vcpu, struct nested_vmcs *slot);
/* EPT pointer and VPID of vmcs02 stand, if the entry need not look. */
void debug_translation(struct vcpu *vcpu, struct nested_vmcs *slot);
void debug_pushed(struct vcpu *vcpu, struct nested_vmcs *slot);
/* v12 has all that L1 has written in the shadow VMCS, but for rows that an entry does not look at. */
void debug_fetched(struct vcpu *vcpu, struct nested_vmcs *slot);
/* vmcs01's entry control has the mode of the IA32_EFER that was loaded for L1. */
void debug_host_mode(u64 efer);
/* slot->host is what v12 makes of it. */
void debug_host_ready(const struct nested_vmcs *slot);
/* Each entry of a walk that has gone on is where the one above it leads. */
void debug_path(struct vcpu *vcpu, const struct ept12_role *role, u64 l2gpa, const struct ept12_walk *walk);
#else
#define DEBUG_COMPARES 0
static inline void debug_begin_compare(bool known UNUSED)
{
}
static inline void debug_end_compare(void)
{
}
static inline void debug_known(enum vmcs_field field UNUSED, u64 value UNUSED)
{
}
static inline void debug_entry(struct vcpu *vcpu UNUSED, struct nested_vmcs *slot UNUSED,
			       const struct l1_state *l1 UNUSED)
{
}
static inline void debug_checked(struct vcpu *vcpu UNUSED, struct nested_vmcs *slot UNUSED)
{
}
static inline void debug_translation(struct vcpu *vcpu UNUSED, struct nested_vmcs *slot UNUSED)
{
}
static inline void debug_pushed(struct vcpu *vcpu UNUSED, struct nested_vmcs *slot UNUSED)
{
}
static inline void debug_fetched(struct vcpu *vcpu UNUSED, struct nested_vmcs *slot UNUSED)
{
}
static inline void debug_host_mode(u64 efer UNUSED)
{
}
static inline void debug_host_ready(const struct nested_vmcs *slot UNUSED)
{
}
static inline void debug_path(struct vcpu *vcpu UNUSED, const struct ept12_role *role UNUSED,
			      u64 l2gpa UNUSED, const struct ept12_walk *walk UNUSED)
{
}
#endif

#endif
