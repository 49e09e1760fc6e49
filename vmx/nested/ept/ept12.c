/* SPDX-License-Identifier: MIT */
/*
 * EPT12: L1's tables in L1's memory, walked as the processor walks them:
 * each entry read once, misconfigurations before permissions, accessed and
 * dirty flags set with compare-and-exchange after the last check. Leaves
 * what is made of the result to ept02.c.
 * SDM: "EPT Translation Mechanism", "EPT-Induced VM Exits", "Accessed and Dirty Flags for EPT".
 */
#include "vmx/nested/ept/ept12.h"

#include "kernel/panic.h"
#include "vmx/guest/guest_mem.h"
#include "vmx/nested/ept/ept.h"
#include "vmx/nested/ept/eptp.h"
#include "vmx/nested/explain/explain.h"
#include "kernel/x86.h"
#include "mm/addr.h"
#include "vmx/guest/outcome.h"
#include "vmx/guest/vcpu.h"
#include "vmx/hw/caps.h"
#include "vmx/nested/vmcs12/caps12.h"
#include "vmx/nested/vmcs12/debug.h"
#include "vmx/nested/vmcs12/exit_record.h"
#include "vmx/nested/vmcs12/vmcs12.h"

/* How often a walk starts again because another CPU changed an entry under it. */
#define RETRY_MAX 16

/* SDM "Checks on VMX Controls": the EPT pointer. */
bool eptp12_valid(u64 eptp, const struct vmx_caps *caps)
{
	return eptp_type_is_supported(eptp, caps) && eptp_walk_is_supported(eptp, caps) &&
	       eptp_ad_is_supported(eptp, caps) && !(eptp & eptp_reserved(caps));
}

struct ept12_role ept12_role_of(const struct vmcs12 *v12)
{
	return (struct ept12_role){ v12->ept_pointer, v12_has_proc2(v12, PROC2_MODE_BASED_EXECUTE) };
}

struct ept12_rules ept12_rules;

/* SDM "EPT Misconfigurations" and the formats of the entries. */
void ept12_init(void)
{
	u64 high = caps12.physical_bits < 52 ? GENMASK(51, caps12.physical_bits) : 0;
	struct ept12_rules *rules = &ept12_rules;

	for (unsigned int level = 1; level <= EPT_LEVELS_MAX; level++) {
		rules->reserved[level][false] = high | GENMASK(6, 3) | (level > 3 ? EPT_LEAF : 0);
		rules->reserved[level][true] = high | (ept_span(level) - PAGE_SIZE);
	}
	/* The processor has no large leaf at this level, and so bit 7 is reserved. */
	rules->reserved[2][true] |= caps12.ept_vpid & EPT_CAP_2M ? 0 : EPT_LEAF;
	rules->reserved[3][true] |= caps12.ept_vpid & EPT_CAP_1G ? 0 : EPT_LEAF;
	/* "bit 0 is clear (data reads are not allowed) and bit 1 is set (data writes are allowed)" */
	rules->permissions =
		(u32)(BIT(EPT_READ) | BIT(EPT_READ | EPT_WRITE) | BIT(EPT_READ | EPT_EXEC) | BIT(EPT_RWX));
	/* "the processor does not support execute-only translations" and bit 0 is clear, an execute bit set
	 */
	rules->permissions |= caps12.ept_vpid & EPT_CAP_EXEC_ONLY ? (u32)BIT(EPT_EXEC) : 0;
	/* "the EPT memory type has a value that is reserved (2, 3 or 7)" */
	rules->types =
		BIT(MEMTYPE_UC) | BIT(MEMTYPE_WC) | BIT(MEMTYPE_WT) | BIT(MEMTYPE_WP) | BIT(MEMTYPE_WB);
}

u64 *ept12_page(struct vcpu *vcpu, u64 gpa)
{
	struct ept12_page *known = &vcpu->nested.ept->pages12[gpa / PAGE_SIZE % EPT12_PAGES];
	u64 *page;

	if (likely(known->key == (gpa | 1)))
		return known->page;
	page = guest_mem_page(vcpu, GPA(gpa));
	if (page)
		*known = (struct ept12_page){ gpa | 1, page };
	return page;
}

/* One entry of L1's, and where it is if that is RAM. Absent memory reads as ones. */
static inline u64 read_entry(struct vcpu *vcpu, u64 table, unsigned int index, u64 **where)
{
	u64 *page = ept12_page(vcpu, table);
	u64 entry;

	if (likely(page)) {
		*where = &page[index];
		return READ_ONCE(page[index]);
	}
	*where = NULL;
	guest_mem_read(vcpu, GPA(table + index * sizeof(u64)), &entry, sizeof(entry));
	return entry;
}

static bool set_flags(u64 *where, u64 *entry, u64 flags)
{
	u64 want = *entry | flags;

	/* A write to what is not RAM is dropped. */
	if (where &&
	    !__atomic_compare_exchange_n(where, entry, want, false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST))
		return false;
	*entry = want;
	return true;
}

static u64 flags_of(const struct ept12_walk *walk, unsigned int level, u64 need)
{
	return EPT_ACCESSED | (level == walk->leaf && (need & EPT_WRITE) ? EPT_DIRTY : 0);
}

/* Of a walk to its end. */
static bool has_flags(const struct ept12_role *role, u64 need, const struct ept12_walk *walk)
{
	if (!ept12_role_has_ad(role))
		return true;
	return (walk->permissions & EPT_ACCESSED) &&
	       !(flags_of(walk, walk->leaf, need) & ~walk->entry[walk->leaf]);
}

/*
 * SDM "Page-Modification Logging": an access that sets a flag needs room in the log; one that sets a dirty
 * flag is logged. In software alone: vmcs02 has no log.
 */
#define LOG_ENTRIES 512

static bool log_is_full(const struct vmcs12 *v12)
{
	return v12_has_proc2(v12, PROC2_PML) && v12->guest_pml_index >= LOG_ENTRIES;
}

static void log_page(struct vcpu *vcpu, u64 l2gpa)
{
	struct vmcs12 *v12 = &vcpu->nested.current->v12;
	u64 page = ALIGN_DOWN(l2gpa, PAGE_SIZE);

	if (!v12_has_proc2(v12, PROC2_PML))
		return;
	guest_mem_write(vcpu, GPA(v12->pml_address + v12->guest_pml_index * sizeof(page)), &page,
			sizeof(page));
	v12->guest_pml_index = (u16)(v12->guest_pml_index - 1);
	vcpu->nested.current->to_push |= PLACE(guest_pml_index);
}

/* False: L1 changed an entry meanwhile; the walk starts again. */
static bool set_accessed(struct vcpu *vcpu, const struct ept12_role *role, u64 l2gpa, u64 need,
			 struct ept12_walk *walk)
{
	for (unsigned int level = ept12_role_levels(role); level >= walk->leaf; level--) {
		u64 missing = flags_of(walk, level, need) & ~walk->entry[level];

		if (!missing)
			continue;
		if (!set_flags(walk->where[level], &walk->entry[level], missing))
			return false;
		if (missing & EPT_DIRTY)
			log_page(vcpu, l2gpa);
	}
	return true;
}

/* The usual entry above level 1: a table with all access, and nothing else. It is present and valid. */
static inline bool is_plain_table(u64 entry, unsigned int level)
{
	return (entry & EPT_RWX) == EPT_RWX && !(entry & (ept12_rules.reserved[level][false] | EPT_LEAF));
}

/* From `level` down, whose entry is in `table`; the entries above are in `walk`, with their permissions. */
static enum ept12_result walk_down(struct vcpu *vcpu, const struct ept12_role *role, u64 l2gpa, u64 need,
				   unsigned int level, u64 table, struct ept12_walk *walk)
{
	for (;; level--) {
		u64 entry = read_entry(vcpu, table, ept_index(l2gpa, level), &walk->where[level]);

		walk->entry[level] = entry;
		if (likely(level > 1 && is_plain_table(entry, level))) {
			walk->permissions &= entry;
			table = entry & EPT_ADDRESS;
			continue;
		}
		walk->leaf = level;
		if (!ept12_is_present(role, entry)) {
			walk->permissions = 0;
			return EPT12_VIOLATION;
		}
		walk->permissions &= entry;
		if (!ept12_entry_valid(role, entry, level))
			return EPT12_MISCONFIG;
		if (ept_is_leaf(entry, level))
			break;
		table = entry & EPT_ADDRESS;
	}
	walk->gpa = (walk->entry[level] & EPT_ADDRESS) | (l2gpa & (ept_span(level) - 1));
	return need & ~walk->permissions ? EPT12_VIOLATION : EPT12_OK;
}

static enum ept12_result walk_once(struct vcpu *vcpu, const struct ept12_role *role, u64 l2gpa, u64 need,
				   struct ept12_walk *walk)
{
	walk->permissions = EPT_PERMISSIONS | EPT_ACCESSED;
	return walk_down(vcpu, role, l2gpa, need, ept12_role_levels(role), role->eptp & EPT_ADDRESS, walk);
}

/*
 * `walk` has ended at its last entry. Those above it led there, and lead there still if L1's memory has them
 * as they were; what they were then, present and valid, they are now.
 */
static enum ept12_result walk_on(struct vcpu *vcpu, const struct ept12_role *role, u64 l2gpa, u64 need,
				 struct ept12_walk *walk)
{
	u64 permissions = EPT_PERMISSIONS | EPT_ACCESSED, table = role->eptp & EPT_ADDRESS;
	unsigned int level = ept12_role_levels(role);
	enum ept12_result result;

	for (; level > walk->leaf; level--) {
		u64 entry = walk->entry[level];

		if (unlikely(!walk->where[level] || READ_ONCE(*walk->where[level]) != entry))
			return walk_once(vcpu, role, l2gpa, need, walk);
		permissions &= entry;
		table = entry & EPT_ADDRESS;
	}
	walk->permissions = permissions;
	result = walk_down(vcpu, role, l2gpa, need, level, table, walk);
	debug_path(vcpu, role, l2gpa, walk);
	return result;
}

bool ept12_peek_on(struct vcpu *vcpu, const struct ept12_role *role, u64 l2gpa, u64 need,
		   struct ept12_walk *walk)
{
	return ept12_is_covered(role, l2gpa) && walk_on(vcpu, role, l2gpa, need, walk) == EPT12_OK &&
	       has_flags(role, need, walk);
}

/* Did this walk, the last time, come by the same entries above level 1? */
static bool leads_there(const struct ept12_walk *walk, const struct ept12_role *role, u64 l2gpa)
{
	return walk->role.eptp == role->eptp && walk->role.user_exec == role->user_exec &&
	       !((walk->l2gpa ^ l2gpa) / ept_span(2));
}

enum ept12_result ept12_walk_again(struct vcpu *vcpu, const struct ept12_role *role, u64 l2gpa, u64 need,
				   struct ept12_walk *walk)
{
	bool on = leads_there(walk, role, l2gpa);
	enum ept12_result result;

	if (!ept12_is_covered(role, l2gpa)) {
		*walk = (struct ept12_walk){ .leaf = ept12_role_levels(role) };
		return EPT12_VIOLATION;
	}
	walk->role = *role;
	walk->l2gpa = l2gpa;
	result = on ? walk_on(vcpu, role, l2gpa, need, walk) : walk_once(vcpu, role, l2gpa, need, walk);
	for (unsigned int i = 0; i < RETRY_MAX; i++) {
		if (result != EPT12_OK || has_flags(role, need, walk))
			return result;
		if (log_is_full(&vcpu->nested.current->v12))
			return EPT12_LOG_FULL;
		if (set_accessed(vcpu, role, l2gpa, need, walk))
			return EPT12_OK;
		/* An entry of the walk is another one now, which nobody has looked at. */
		result = walk_once(vcpu, role, l2gpa, need, walk);
	}
	return EPT12_RETRY;
}

enum ept12_result ept12_walk(struct vcpu *vcpu, const struct ept12_role *role, u64 l2gpa, u64 need,
			     struct ept12_walk *walk)
{
	walk->role.eptp = 0;
	return ept12_walk_again(vcpu, role, l2gpa, need, walk);
}

bool nested_look(struct vcpu *vcpu, l2gpa_t l2gpa, gpa_t *gpa)
{
	const struct vmcs12 *v12 = &vcpu->nested.current->v12;
	struct ept12_role role;
	struct ept12_walk walk;

	*gpa = GPA(l2gpa.v);
	if (!v12_has_proc2(v12, PROC2_EPT))
		return true;
	role = ept12_role_of(v12);
	if (!ept12_is_covered(&role, l2gpa.v) || walk_once(vcpu, &role, l2gpa.v, 0, &walk) != EPT12_OK)
		return false;
	*gpa = GPA(walk.gpa);
	return true;
}
