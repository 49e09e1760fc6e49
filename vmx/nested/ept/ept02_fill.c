/* SPDX-License-Identifier: MIT */
/*
 * An entry of EPT02 = EPT12 with EPT01 under it: permission both, size the smaller, memory type and
 * ignore-PAT as EPT12 says; and the links on the way to it. SDM: "EPT Translation Mechanism".
 */
#include "kernel/cmdline.h"
#include "vmx/hw/tlb.h"
#include "vmx/l1/closed.h"
#include "vmx/nested/ept/ept.h"

/* Entries of EPT02 have A and D set from the start: hardware need not write them. */
#define LINK (EPT_ACCESSED)
#define LEAF (EPT_ACCESSED | EPT_DIRTY)

static unsigned int level_of_size(u64 size)
{
	return size >= SIZE_1G ? 3 : size >= SIZE_2M ? 2 : 1;
}

/* Does the table behind this filled entry still stand for what L1's entry says now? */
static bool link_fits(struct ept02_cache *cache, u32 table, unsigned int index, const struct ept12_walk *walk)
{
	unsigned int level = cache->tables[table].level;
	u64 link = ept02_entries(cache, table)[index];
	u64 frame = EPT_ADDRESS | EPT_MEMTYPE | EPT_IGNORE_PAT;
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

/*
 * The link is there as it should be: nothing to do. Where there is none the entry is 0 and lacks permissions;
 * and a leaf was made of an entry that L1 does not have any more, if it has a table there.
 */
static bool link_stands(struct ept02_cache *cache, const struct ept12_role *role, u32 table,
			unsigned int index, const struct ept12_walk *walk)
{
	unsigned int level = cache->tables[table].level;
	u64 link = ept02_entries(cache, table)[index];
	u64 permissions;

	if (level <= walk->leaf || ept02_snapshot(cache, table)[index] != walk->entry[level])
		return false;
	permissions = ept02_permissions(role, walk->entry[level], false);
	return (link & permissions) == permissions;
}

/*
 * Goes one level down on the way to `l2gpa`, and returns the table there. The link to it is made, repaired
 * or left as it is.
 */
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

bool ept02_look_under(struct vcpu *vcpu, u64 gpa, struct ept01_mapping *under)
{
	struct ept01_mapping *last = &vcpu->nested.ept->under;

	/* EPT01 is an identity map, so the HPA of the last mapping is compared with L1's address. */
	if (unlikely(gpa - last->hpa >= last->size) && !vm_ept01_lookup(GPA(gpa), last)) {
		last->size = 0;
		return false;
	}
	*under = *last;
	return true;
}

/*
 * Makes a leaf without its address and level bits. Its permissions are those that both EPTs allow. Its
 * memory type is L1's, but for absent memory, where EPT01 ignores PAT and its type counts.
 */
static u64 leaf_entry(const struct ept12_role *role, u64 leaf12, const struct ept01_mapping *under)
{
	u64 allowed = under->rwx | (under->rwx & EPT_EXEC ? EPT_USER_EXEC : 0);
	u64 type = under->ignore_pat ? (u64)under->memory_type << EPT_MEMTYPE_SHIFT | EPT_IGNORE_PAT
				     : leaf12 & (EPT_MEMTYPE | EPT_IGNORE_PAT);

	return (ept02_permissions(role, leaf12, true) & allowed) | type | LEAF;
}

/*
 * Fills the neighbours of the entry too: those in the same cache line of L1's table that lead to the same
 * piece of EPT01 and need no flag set. A processor, too, may hold translations that nobody has asked for.
 */
#define AROUND 8

static void fill_around(struct vcpu *vcpu, struct ept02_root *root, u32 table, unsigned int index,
			const struct ept01_mapping *under)
{
	struct ept02_cache *cache = vcpu->nested.ept;
	const struct ept12_role *role = &root->role;
	const u64 *page = ept12_page(vcpu, cache->tables[table].source);
	unsigned int first = ALIGN_DOWN(index, AROUND);
	u64 filled = cache->tables[table].filled[first / 64] >> first % 64;
	const u64 *line;

	if (!page)
		return;
	line = page + first;
	for (u64 left = ~filled & GENMASK(AROUND - 1, 0); left; left &= left - 1) {
		unsigned int i = (unsigned int)__builtin_ctzll(left);
		u64 leaf12 = READ_ONCE(line[i]);

		if (!leaf12)
			continue;
		i += first;
		if (!ept12_entry_valid(role, leaf12, 1) ||
		    (leaf12 & EPT_ADDRESS) - under->hpa >= under->size ||
		    (ept12_role_has_ad(role) && !(leaf12 & EPT_ACCESSED)))
			continue;
		ept02_snapshot(cache, table)[i] = leaf12;
		ept02_set_leaf(cache, table, i, leaf_entry(role, leaf12, under) | (leaf12 & EPT_ADDRESS));
	}
}

void ept02_fill(struct vcpu *vcpu, struct ept02_root *root, u64 l2gpa, const struct ept12_walk *walk,
		const struct ept01_mapping *under, bool alone)
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
	/*
	 * The pieces of a large leaf of L1's have all permissions: the link above them has those of L1's
	 * leaf.
	 */
	entry = leaf_entry(&root->role, target == walk->leaf ? leaf12 : leaf12 | EPT_PERMISSIONS | EPT_DIRTY,
			   under);
	entry |= (under->hpa + (walk->gpa & (under->size - 1))) & ~(ept_span(target) - 1);
	entry |= target > 1 ? EPT_LEAF : 0;
	ept02_snapshot(cache, table)[index] = leaf12;
	ept02_set_leaf(cache, table, index, entry);
	/* The page of ones is nobody's neighbour, though L1 may name its address; and it is stepped, perhaps.
	 * A closed page is open for a step alone, and L1 may have it at many addresses. */
	if (walk->leaf == 1 && !alone && !under->ignore_pat && !closed_bits(under->hpa))
		fill_around(vcpu, root, table, index, under);
	cache->counters->ept02_fills++;
}
