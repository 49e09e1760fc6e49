/* SPDX-License-Identifier: MIT */
/*
 * EPT02 = EPT12 with EPT01 under it: permission both, size the smaller,
 * memory type and ignore-PAT as EPT12 says. Made entry by entry on
 * violations; which violations are L1's is decided by walking EPT12 anew,
 * so more permission in EPT12 needs no INVEPT.
 * SDM: "EPT Translation Mechanism", "EPT-Induced VM Exits".
 */
#include "vmx/nested/ept/ept02.h"

#include "kernel/cmdline.h"
#include "kernel/panic.h"
#include "mm/page_alloc.h"
#include "vmx/nested/ept/ept.h"
#include "vmx/l1/sleep_page.h"
#include "vmx/hw/tlb.h"
#include "mm/addr.h"
#include "vmx/guest/outcome.h"
#include "vmx/guest/vcpu.h"
#include "vmx/nested/ept/ve.h"
#include "vmx/nested/vmcs12/caps12.h"
#include "vmx/nested/vmcs12/exit_record.h"
#include "vmx/nested/vmcs12/vmcs12.h"

#define SYNC_SHARE 2048 /* entries compared at once: about what ten violations cost */

/* Entries of EPT02 have A and D set from the start: hardware need not write them. */
#define LINK (EPT_ACCESSED)
#define LEAF (EPT_ACCESSED | EPT_DIRTY)

void ept02_init(struct vcpu *vcpu)
{
	size_t pages = ALIGN_UP(sizeof(struct ept02_cache), PAGE_SIZE) / PAGE_SIZE;
	struct ept02_cache *cache = page_alloc_contig(pages);

	ept12_init();
	cache->counters = &vcpu->nested.counters;
	cache->sync_share = SYNC_SHARE;
	ept02_absent_init(cache);
	ept02_table_init(cache, options.ept02_budget);
	vcpu->nested.ept = cache;
}

static bool same_role(const struct ept12_role *a, const struct ept12_role *b)
{
	return a->eptp == b->eptp && a->user_exec == b->user_exec;
}

/* ---- filling ---- */

static unsigned int level_of_size(u64 size)
{
	return size >= SIZE_1G ? 3 : size >= SIZE_2M ? 2 : 1;
}

/* Does the table behind this filled entry still stand for what L1's entry says now? */
static bool link_fits(struct ept02_cache *cache, u32 table, unsigned int index, const struct ept12_walk *walk)
{
	unsigned int level = cache->tables[table].level;
	u64 link = ept02_entries(cache, table)[index];
	u64 frame = EPT_ADDRESS | EPT_MEMTYPE | EPT_IGNORE_PAT | EPT_LEAF;
	u64 source;

	if (!ept02_is_filled(&cache->tables[table], index) || ept_is_leaf(link, level))
		return false;
	source = cache->tables[ept02_child(cache, link)].source;
	if (level > walk->leaf)
		return source == (walk->entry[level] & EPT_ADDRESS);
	if (level == walk->leaf)
		return source == EPT02_DIRECT &&
		       !((ept02_snapshot(cache, table)[index] ^ walk->entry[level]) & frame);
	/*
	 * This table is below a link that stands for one large leaf of L1's. That link was checked one level
	 * up, so any table here fits.
	 */
	return true;
}

/* The link is there as it should be: nothing to do. */
static bool link_stands(struct ept02_cache *cache, const struct ept12_role *role, u32 table,
			unsigned int index, const struct ept12_walk *walk)
{
	unsigned int level = cache->tables[table].level;
	u64 link = ept02_entries(cache, table)[index];
	u64 permissions;

	if (level <= walk->leaf || !ept02_is_filled(&cache->tables[table], index) ||
	    ept_is_leaf(link, level) || ept02_snapshot(cache, table)[index] != walk->entry[level])
		return false;
	permissions = ept02_permissions(role, walk->entry[level], false);
	return (link & permissions) == permissions;
}

/* One level down on the way to `l2gpa`: the link made, mended or left as it is. */
static u32 descend(struct vcpu *vcpu, struct ept02_root *root, u32 table, u64 l2gpa,
		   const struct ept12_walk *walk)
{
	struct ept02_cache *cache = vcpu->nested.ept;
	unsigned int level = cache->tables[table].level;
	unsigned int index = ept_index(l2gpa, level);
	u64 permissions = EPT_RWX | (root->role.user_exec ? EPT_USER_EXEC : 0);
	u32 child;

	if (likely(link_stands(cache, &root->role, table, index, walk)))
		return ept02_child(cache, ept02_entries(cache, table)[index]);
	if (link_fits(cache, table, index, walk)) {
		child = ept02_child(cache, ept02_entries(cache, table)[index]);
		if (cache->tables[child].stale)
			ept02_sync_table(vcpu, root, child);
	} else {
		if (ept02_drop_entry(cache, table, index))
			tlb_flush_ept(root->pointer);
		child = ept02_table_get(cache, root, table);
		cache->tables[child].level = (u8)(level - 1);
		cache->tables[child].parent = table;
		cache->tables[child].index = (u16)index;
		cache->tables[child].source =
			level > walk->leaf ? walk->entry[level] & EPT_ADDRESS : EPT02_DIRECT;
	}
	if (level >= walk->leaf) {
		permissions = ept02_permissions(&root->role, walk->entry[level], level == walk->leaf);
		ept02_snapshot(cache, table)[index] = walk->entry[level];
	}
	ept02_set_link(cache, table, index, ept02_phys(cache, child) | LINK | permissions);
	return child;
}

/* EPT01 for one address. It only changes with nested_ept01_changed(). */
static bool look_under(struct vcpu *vcpu, u64 gpa, struct ept01_mapping *under)
{
	struct ept01_mapping *last = &vcpu->nested.ept->under;

	/* L1's addresses are the machine's. */
	if (unlikely(gpa - last->hpa >= last->size) && !vm_ept01_lookup(GPA(gpa), last)) {
		last->size = 0;
		return false;
	}
	*under = *last;
	return true;
}

/* A leaf without its address and level: permission of both, memory type of L1's (of EPT01's where that
 * ignores PAT: absent memory). */
static u64 leaf_entry(const struct ept12_role *role, u64 leaf12, const struct ept01_mapping *under)
{
	u64 allowed = under->rwx | (under->rwx & EPT_EXEC ? EPT_USER_EXEC : 0);
	u64 type = under->ignore_pat ? (u64)under->memory_type << EPT_MEMTYPE_SHIFT | EPT_IGNORE_PAT
				     : leaf12 & (EPT_MEMTYPE | EPT_IGNORE_PAT);

	return (ept02_permissions(role, leaf12, true) & allowed) | type | LEAF;
}

/*
 * The neighbours in the same cache line of L1's table, as far as they lead to the same piece of EPT01 and no
 * flag of theirs would have to be set: a processor too may know translations that were not asked for.
 */
#define AROUND 8

static void fill_around(struct vcpu *vcpu, struct ept02_root *root, u32 table, unsigned int index,
			const struct ept01_mapping *under)
{
	struct ept02_cache *cache = vcpu->nested.ept;
	const struct ept12_role *role = &root->role;
	const u64 *page = ept12_page(vcpu, cache->tables[table].source);
	unsigned int first = ALIGN_DOWN(index, AROUND);

	if (!page)
		return;
	for (unsigned int i = first; i < first + AROUND; i++) {
		u64 leaf12 = READ_ONCE(page[i]);

		if (!leaf12 || ept02_is_filled(&cache->tables[table], i) ||
		    !ept12_entry_valid(role, leaf12, 1) ||
		    (leaf12 & EPT_ADDRESS) - under->hpa >= under->size ||
		    (ept12_role_has_ad(role) && !(leaf12 & EPT_ACCESSED)))
			continue;
		ept02_snapshot(cache, table)[i] = leaf12;
		ept02_set_leaf(cache, table, i, leaf_entry(role, leaf12, under) | (leaf12 & EPT_ADDRESS));
	}
}

static void fill(struct vcpu *vcpu, struct ept02_root *root, u64 l2gpa, const struct ept12_walk *walk,
		 const struct ept01_mapping *under)
{
	struct ept02_cache *cache = vcpu->nested.ept;
	unsigned int target = MIN(walk->leaf, options.ept_large ? level_of_size(under->size) : 1u);
	u64 leaf12 = walk->entry[walk->leaf];
	unsigned int index = ept_index(l2gpa, target);
	u32 table = root->table;
	u64 entry;

	while (cache->tables[table].level > target)
		table = descend(vcpu, root, table, l2gpa, walk);
	if (ept02_drop_entry(cache, table, index))
		tlb_flush_ept(root->pointer);
	/* Pieces of a leaf of L1's have all permissions: the link above them says what L1's leaf allows. */
	entry = leaf_entry(&root->role, target == walk->leaf ? leaf12 : leaf12 | EPT_PERMISSIONS | EPT_DIRTY,
			   under);
	entry |= (under->hpa + (walk->gpa & (under->size - 1))) & ~(ept_span(target) - 1);
	entry |= target > 1 ? EPT_LEAF : 0;
	if (target == walk->leaf)
		ept02_snapshot(cache, table)[index] = leaf12;
	ept02_set_leaf(cache, table, index, entry);
	/* The page of ones is nobody's neighbour, though L1 may name its address; and it is stepped, perhaps.
	 */
	if (walk->leaf == 1 && !under->ignore_pat)
		fill_around(vcpu, root, table, index, under);
	cache->counters->ept02_fills++;
}

/* ---- entries ---- */

/*
 * After L0 has given L1 an EPT violation, L1 usually repairs EPT12 and enters L2 again. The missing entry is
 * made now, before L2 faults on it a second time. A processor may fill its TLB as early of its own accord.
 */
static void retry(struct vcpu *vcpu, struct ept02_root *root)
{
	struct ept02_cache *cache = vcpu->nested.ept;
	struct ept01_mapping under;
	struct ept12_walk walk;

	if (ept12_peek(vcpu, &root->role, cache->retry_l2gpa, cache->retry_need, &walk) &&
	    look_under(vcpu, walk.gpa, &under))
		fill(vcpu, root, cache->retry_l2gpa, &walk, &under);
}

bool ept02_stands(struct vcpu *vcpu, struct nested_vmcs *slot)
{
	struct ept02_cache *cache = vcpu->nested.ept;
	const struct ept02_root *root = slot->ept02;
	struct ept12_role role;

	if (root != cache->active || cache->retry)
		return false;
	if (!v12_has_proc2(&slot->v12, PROC2_EPT))
		return !root;
	role = ept12_role_of(&slot->v12);
	return root && root->used && !root->stale && root->pointer == slot->last.eptp &&
	       same_role(&root->role, &role);
}

u64 ept02_pointer(struct vcpu *vcpu, struct nested_vmcs *slot)
{
	struct ept02_cache *cache = vcpu->nested.ept;
	struct ept02_root *root = slot->ept02;
	struct ept12_role role;

	if (!v12_has_proc2(&slot->v12, PROC2_EPT)) {
		slot->ept02 = NULL;
		cache->active = NULL;
		cache->retry = NULL;
		return vcpu->vm->ept01_pointer;
	}
	role = ept12_role_of(&slot->v12);
	/* The slot's own pointer is a hint: the root may have become another's. */
	if (!root || !root->used || !same_role(&root->role, &role)) {
		root = ept02_root_find(cache, &role);
		if (!root)
			root = ept02_root_make(cache, &role);
		slot->ept02 = root;
	}
	if (root->stale)
		ept02_sync_root(vcpu, root);
	root->last_used = ++cache->clock;
	cache->active = root;
	if (cache->retry == root)
		retry(vcpu, root);
	cache->retry = NULL;
	return root->pointer;
}

/* ---- violations ---- */

static enum outcome reflect(struct vcpu *vcpu, const struct ept12_fault *fault)
{
	struct exit_record record = exit_record_hardware(vcpu);

	record.reason = fault->reason;
	record.qualification = fault->qualification;
	return outcome_reflect(vcpu, &record);
}

/* What hardware says about the access itself; permissions are EPT12's to say. */
static u64 access_of(const struct ept12_role *role, u64 qualification)
{
	u64 bits = EPTV_READ | EPTV_WRITE | EPTV_FETCH | EPTV_LINEAR_VALID | EPTV_TRANSLATED |
		   EPTV_NMI_UNBLOCKING;

	if (caps12.ept_vpid & EPT_CAP_ADVANCED)
		bits |= EPTV_USER | EPTV_RW_PAGE | EPTV_NX_PAGE;
	return ept12_access(role, qualification & bits);
}

/* An IRET that unblocked NMIs before it faulted will run again: NMIs are blocked until then. */
static void restore_nmi_blocking(struct vcpu *vcpu, u64 qualification)
{
	if (!(qualification & EPTV_NMI_UNBLOCKING) ||
	    (vcpu_reg(vcpu, REG_IDT_VECTORING_INFO) & INTR_INFO_VALID))
		return;
	vcpu_set_reg(vcpu, REG_INTERRUPTIBILITY, vcpu_reg(vcpu, REG_INTERRUPTIBILITY) | INTERRUPTIBILITY_NMI);
}

/* L2 without EPT12 runs on EPT01: MMIO on demand, or memory that is not there. */
static enum outcome violation01(struct vcpu *vcpu, gpa_t gpa, u64 qualification)
{
	struct ept01_mapping under;

	restore_nmi_blocking(vcpu, qualification);
	if ((qualification & EPTV_WRITE) && sleep_page_is(gpa.v))
		return sleep_page_store(vcpu, gpa) ? OUTCOME_SKIP : ept02_absent_step01(vcpu, gpa);
	if (!vm_ept01_lookup(gpa, &under))
		return ept02_absent_step01(vcpu, gpa);
	ept01_step_follow(vcpu);
	return OUTCOME_RESUME;
}

enum outcome ept02_violation(struct vcpu *vcpu)
{
	struct nested_vmcs *slot = vcpu->nested.current;
	struct ept02_root *root = slot->ept02;
	u64 qualification = vcpu_reg(vcpu, REG_EXIT_QUALIFICATION);
	u64 l2gpa = vcpu_reg(vcpu, REG_GUEST_PHYSICAL_ADDRESS);
	struct ept01_mapping under;
	enum ept12_result result;
	struct ept12_walk walk;
	u64 access;

	/* The entries of EPT02 and EPT01 are ours. */
	if ((vcpu->exit_reason & 0xffff) == EXIT_EPT_MISCONFIG)
		panic("EPT02 misconfigured at %llx", (unsigned long long)l2gpa);
	ASSERT(root == vcpu->nested.ept->active);
	if (!root)
		return violation01(vcpu, GPA(l2gpa), qualification);
	access = access_of(&root->role, qualification);
	result = ept12_walk(vcpu, &root->role, l2gpa, ept12_need(&root->role, access), &walk);
	/* L2 tries again; in between L1 can have its CPU. */
	if (unlikely(result == EPT12_RETRY)) {
		restore_nmi_blocking(vcpu, qualification);
		return OUTCOME_RESUME;
	}
	if (result != EPT12_OK) {
		struct ept12_fault fault = ept12_fault(&root->role, result, l2gpa, access, &walk);

		if (result == EPT12_VIOLATION) {
			enum outcome outcome =
				nested_convert_violation(vcpu, walk.entry[walk.leaf], fault.qualification);

			if (outcome != OUTCOME_NONE)
				return outcome;
			vcpu->nested.ept->retry = root;
			vcpu->nested.ept->retry_l2gpa = l2gpa;
			vcpu->nested.ept->retry_need = ept12_need(&root->role, access);
		}
		ept12_explain(vcpu, &root->role, result, l2gpa, access, &walk);
		return reflect(vcpu, &fault);
	}
	if (unlikely((access & EPTV_WRITE) && sleep_page_is(walk.gpa))) {
		if (sleep_page_store(vcpu, GPA(walk.gpa)))
			return OUTCOME_SKIP;
		under = ept02_absent_map(vcpu, l2gpa, true);
	} else if (!look_under(vcpu, walk.gpa, &under))
		under = ept02_absent_map(vcpu, l2gpa, access & EPTV_WRITE);
	fill(vcpu, root, l2gpa, &walk, &under);
	restore_nmi_blocking(vcpu, qualification);
	return OUTCOME_RESUME;
}

/* ---- invalidation ---- */

/* SDM INVEPT: single-context is by bits 51:12 of the EPT pointer. Compared with L1's tables when it is used
 * again. */
void ept02_invept(struct vcpu *vcpu, u64 type, u64 eptp)
{
	struct ept02_cache *cache = vcpu->nested.ept;

	for (unsigned int i = 0; i < cache->root_limit; i++) {
		struct ept02_root *root = &cache->roots[i];

		if (type == INVEPT_ALL || !((root->role.eptp ^ eptp) & EPT_ADDRESS))
			root->stale = true;
	}
}

void ept02_drop_all(struct vcpu *vcpu)
{
	struct ept02_cache *cache = vcpu->nested.ept;

	cache->under.size = 0;
	for (unsigned int i = 0; i < cache->root_limit; i++) {
		struct ept02_root *root = &cache->roots[i];

		if (!root->used)
			continue;
		/* vmcs02 may be running on the active one. */
		if (root != cache->active || !vcpu->nested.in_l2) {
			ept02_root_free(cache, root);
			continue;
		}
		ept02_empty_table(cache, root->table);
		tlb_flush_ept(root->pointer);
	}
}

void ept02_count(const struct vcpu *vcpu, struct nested_resources *out)
{
	const struct ept02_cache *cache = vcpu->nested.ept;

	for (unsigned int i = 0; i < cache->root_limit; i++)
		out->ept02_roots += cache->roots[i].used;
	out->ept02_tables = cache->count - cache->free_count;
	out->steps = cache->step_count;
}

void nested_ept01_changed(struct vcpu *vcpu)
{
	ept02_drop_all(vcpu);
}
