/* SPDX-License-Identifier: MIT */
/*
 * What INVEPT does to an EPT02: its entries are compared with L1's tables as
 * they are now, and only what differs goes. The cost follows what is filled:
 * beyond a share per go, tables below are parked and compared when they are
 * used again.
 * SDM: "Caching Translation Information", "Guidelines for Use of the INVEPT Instruction".
 */
#include "vmx/guest/guest_mem.h"
#include "vmx/nested/ept/ept.h"
#include "vmx/hw/tlb.h"
#include "vmx/guest/vcpu.h"

struct sync {
	struct vcpu *vcpu;
	struct ept02_cache *cache;
	const struct ept12_role *role;
	u32 left;
};

/* In entries compared: what a table costs besides, and an entry that has changed. */
#define COST_TABLE 16
#define COST_CHANGED 4

static inline void charge(struct sync *sync, u32 entries)
{
	sync->left -= MIN(sync->left, entries);
}

/* Bits of L1's entry that mean something: the others may change unnoticed. */
static u64 meaning(const struct ept12_role *role, unsigned int level, bool leaf)
{
	u64 bits = EPT_ADDRESS | EPT_RWX | EPT_MEMTYPE | EPT_IGNORE_PAT;

	if (level > 1)
		bits |= EPT_LEAF;
	if (role->user_exec)
		bits |= EPT_USER_EXEC;
	if (ept12_role_has_ad(role))
		bits |= EPT_ACCESSED | (leaf ? EPT_DIRTY : 0);
	return bits;
}

/* Permissions are only taken away here. Those that L1 added come with the next violation. */
static void sync_entry(struct sync *sync, u32 table, unsigned int index, u64 now)
{
	struct ept02_cache *cache = sync->cache;
	unsigned int level = cache->tables[table].level;
	u64 *snapshot = &ept02_snapshot(cache, table)[index];
	u64 *entry = &ept02_entries(cache, table)[index];
	bool leaf12 = ept_is_leaf(*snapshot, level);
	u64 changed = (*snapshot ^ now) & meaning(sync->role, level, leaf12);
	u64 keep;

	if (!changed)
		return;
	charge(sync, COST_CHANGED);
	if ((changed & ~(EPT_PERMISSIONS | EPT_ACCESSED | EPT_DIRTY)) ||
	    !ept12_entry_valid(sync->role, now, level)) {
		ept02_drop_entry(cache, table, index);
		return;
	}
	keep = ept02_permissions(sync->role, now, leaf12);
	/* The next access must set the flag again. */
	if (ept12_role_has_ad(sync->role) && !(now & EPT_ACCESSED))
		keep = 0;
	WRITE_ONCE(*entry, *entry & (keep | ~EPT_PERMISSIONS));
	*snapshot = now;
	if (!(*entry & ept02_permission_mask(sync->role)) && ept_is_leaf(*entry, level))
		ept02_drop_entry(cache, table, index);
}

static void sync_table(struct sync *sync, u32 table);

/*
 * The link still leads to the right table. That table is compared now, or parked and compared when it is
 * used.
 */
static void sync_below(struct sync *sync, u32 table, unsigned int index)
{
	u64 *entry = &ept02_entries(sync->cache, table)[index];
	u32 child = ept02_child(sync->cache, *entry);

	if (sync->cache->tables[child].source == EPT02_DIRECT)
		return;
	if (sync->left) {
		sync_table(sync, child);
		return;
	}
	sync->cache->tables[child].stale = true;
	WRITE_ONCE(*entry, *entry & ~EPT_PERMISSIONS);
}

/* Entries of one word of `filled`. */
#define WORD_ENTRIES 64

/* The usual case, and cheap: a run of L1's entries that are as they were. Eight at a time: L1 may have many.
 */
static bool is_unchanged(const u64 *now, const u64 *snapshot)
{
	u64 changed = 0;

	for (const u64 *end = now + WORD_ENTRIES; now < end; now += 8, snapshot += 8) {
		changed |= READ_ONCE(now[0]) ^ snapshot[0];
		changed |= READ_ONCE(now[1]) ^ snapshot[1];
		changed |= READ_ONCE(now[2]) ^ snapshot[2];
		changed |= READ_ONCE(now[3]) ^ snapshot[3];
		changed |= READ_ONCE(now[4]) ^ snapshot[4];
		changed |= READ_ONCE(now[5]) ^ snapshot[5];
		changed |= READ_ONCE(now[6]) ^ snapshot[6];
		changed |= READ_ONCE(now[7]) ^ snapshot[7];
	}
	return !changed;
}

static void sync_table(struct sync *sync, u32 table)
{
	struct ept02_table *t = &sync->cache->tables[table];
	const u64 *now = ept12_page(sync->vcpu, t->source);
	u64 *snapshot = ept02_snapshot(sync->cache, table);
	u64 *entries = ept02_entries(sync->cache, table);

	t->stale = false;
	charge(sync, COST_TABLE);
	if (!now) {
		ept02_empty_table(sync->cache, table);
		return;
	}
	for (unsigned int word = 0; word < ARRAY_SIZE(t->filled); word++) {
		if (t->level == 1 && t->filled[word] == ~0ull &&
		    is_unchanged(&now[word * WORD_ENTRIES], &snapshot[word * WORD_ENTRIES])) {
			charge(sync, WORD_ENTRIES);
			continue;
		}
		for (u64 bits = t->filled[word]; bits; bits &= bits - 1) {
			unsigned int index = word * WORD_ENTRIES + (unsigned int)__builtin_ctzll(bits);
			u64 value = READ_ONCE(now[index]);

			charge(sync, 1);
			if (unlikely(value != snapshot[index]))
				sync_entry(sync, table, index, value);
			if (t->level > 1 && ept02_is_filled(t, index) &&
			    !ept_is_leaf(entries[index], t->level))
				sync_below(sync, table, index);
		}
	}
}

void ept02_sync_table(struct vcpu *vcpu, struct ept02_root *root, u32 table)
{
	struct sync sync = { vcpu, vcpu->nested.ept, &root->role, vcpu->nested.ept->sync_share };

	sync_table(&sync, table);
}

void ept02_sync_root(struct vcpu *vcpu, struct ept02_root *root)
{
	root->stale = false;
	ept02_sync_table(vcpu, root, root->table);
	/* Always: what the processor holds may be older than the snapshots (an entry replaced without
	 * INVEPT). */
	tlb_flush_ept(root->pointer);
}
