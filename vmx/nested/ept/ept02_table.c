/* SPDX-License-Identifier: MIT */
/*
 * Tables and roots of this CPU's EPT02s, out of a fixed budget that is set
 * aside at start. When it is used up the least recently used EPT02 goes;
 * when there is only one, parts of it that the caller does not hold. Tables
 * are freed without a look at their leaves, which are cleared when the table
 * is used again: L1 can make L0 drop all of them by one instruction. What
 * the entries say is ept02.c's and ept02_sync.c's.
 */
#include "kernel/panic.h"
#include "mm/page_alloc.h"
#include "vmx/nested/ept/ept.h"
#include "vmx/hw/tlb.h"
#include "kernel/x86.h"
#include "vmx/guest/vcpu.h"
#include "vmx/nested/ept/ept02.h"

#define BUDGET_DEFAULT (8 << 20)
#define TABLES_MIN 32	 /* enough for any one access and something to reclaim */
#define RECLAIM_SHARE 16 /* reclaim within an EPT02 frees 1/16 of the tables at once: one flush for many */

void ept02_table_init(struct ept02_cache *cache, u64 budget)
{
	u64 each = 2 * PAGE_SIZE + sizeof(struct ept02_table);
	u64 count = (budget ? budget : BUDGET_DEFAULT) / each;

	cache->count = (u32)MAX(count, (u64)TABLES_MIN);
	cache->pages = page_alloc_contig(cache->count);
	cache->pages_phys = page_phys(cache->pages).v;
	cache->snapshots = page_alloc_contig(cache->count);
	cache->tables =
		page_alloc_contig(ALIGN_UP(cache->count * sizeof(struct ept02_table), PAGE_SIZE) / PAGE_SIZE);
	for (u32 i = 0; i < cache->count; i++)
		cache->tables[i].parent = i + 1 < cache->count ? i + 1 : EPT02_NONE;
	cache->free = 0;
	cache->free_count = cache->count;
}

void ept02_set_leaf(struct ept02_cache *cache, u32 table, unsigned int index, u64 entry)
{
	cache->tables[table].filled[index / 64] |= BIT(index % 64);
	WRITE_ONCE(ept02_entries(cache, table)[index], entry);
}

void ept02_set_link(struct ept02_cache *cache, u32 table, unsigned int index, u64 entry)
{
	cache->tables[table].links[index / 64] |= BIT(index % 64);
	ept02_set_leaf(cache, table, index, entry);
}

/* Frees a table and those below it. No link leads to the table. */
static void put_table(struct ept02_cache *cache, u32 table)
{
	struct ept02_table *t = &cache->tables[table];

	for (unsigned int word = 0; word < ARRAY_SIZE(t->links) && t->level > 1; word++)
		for (u64 bits = t->links[word]; bits; bits &= bits - 1) {
			unsigned int index = word * 64 + (unsigned int)__builtin_ctzll(bits);

			put_table(cache, ept02_child(cache, ept02_entries(cache, table)[index]));
		}
	t->level = 0;
	t->parent = cache->free;
	cache->free = table;
	cache->free_count++;
}

bool ept02_drop_entry(struct ept02_cache *cache, u32 table, unsigned int index)
{
	struct ept02_table *t = &cache->tables[table];
	u64 *entry = &ept02_entries(cache, table)[index];
	u64 old = *entry;

	if (!ept02_is_filled(t, index))
		return false;
	t->filled[index / 64] &= ~BIT(index % 64);
	t->links[index / 64] &= ~BIT(index % 64);
	WRITE_ONCE(*entry, 0);
	if (ept_is_leaf(old, t->level))
		return false;
	put_table(cache, ept02_child(cache, old));
	return true;
}

bool ept02_empty_table(struct ept02_cache *cache, u32 table)
{
	struct ept02_table *t = &cache->tables[table];
	bool freed = false;

	for (unsigned int word = 0; word < ARRAY_SIZE(t->filled); word++)
		while (t->filled[word])
			freed |= ept02_drop_entry(cache, table,
						  word * 64 + (unsigned int)__builtin_ctzll(t->filled[word]));
	return freed;
}

/* Is `table` the one that is held, or above it? */
static bool is_above(const struct ept02_cache *cache, u32 table, u32 held)
{
	for (; held != EPT02_NONE; held = cache->tables[held].parent)
		if (held == table)
			return true;
	return false;
}

static bool has_links(const struct ept02_table *t)
{
	u64 any = 0;

	for (unsigned int word = 0; word < ARRAY_SIZE(t->links); word++)
		any |= t->links[word];
	return any;
}

static struct ept02_root *lru_root(struct ept02_cache *cache, const struct ept02_root *keep)
{
	struct ept02_root *found = NULL;

	for (unsigned int i = 0; i < cache->root_limit; i++) {
		struct ept02_root *root = &cache->roots[i];

		if (root->used && root != keep && (!found || root->last_used < found->last_used))
			found = root;
	}
	return found;
}

/* Frees tables at the bottom of the only EPT02, but not `keep` nor the tables above it. */
static void reclaim_within(struct ept02_cache *cache, struct ept02_root *root, u32 keep)
{
	u32 wanted = cache->count / RECLAIM_SHARE;

	ASSERT(root);
	for (u32 tried = 0; wanted && tried < cache->count; tried++) {
		u32 table = cache->hand;
		const struct ept02_table *t = &cache->tables[table];

		cache->hand = table + 1 < cache->count ? table + 1 : 0;
		/* All tables that this has not freed are in use, and their root is above `keep`. */
		if (is_above(cache, table, keep) || has_links(t))
			continue;
		ept02_drop_entry(cache, t->parent, t->index);
		wanted--;
	}
	tlb_flush_ept(root->pointer);
}

/* Clears the entries that were in the table when it was freed. */
static void clear_entries(struct ept02_cache *cache, u32 table)
{
	const struct ept02_table *t = &cache->tables[table];
	u64 *entries = ept02_entries(cache, table);

	for (unsigned int word = 0; word < ARRAY_SIZE(t->filled); word++, entries += 64)
		for (u64 bits = t->filled[word]; bits; bits &= bits - 1)
			entries[__builtin_ctzll(bits)] = 0;
}

u32 ept02_table_get(struct ept02_cache *cache, struct ept02_root *root, u32 keep)
{
	u32 table;

	while (cache->free == EPT02_NONE) {
		struct ept02_root *victim = lru_root(cache, root);

		cache->counters->ept02_reclaims++;
		if (victim) {
			ept02_root_free(cache, victim);
			continue;
		}
		/* Tables that are in use belong to a root: with no other one, to this. */
		ASSERT(root);
		reclaim_within(cache, root, keep);
	}
	table = cache->free;
	cache->free = cache->tables[table].parent;
	cache->free_count--;
	clear_entries(cache, table);
	cache->tables[table] = (struct ept02_table){ .parent = EPT02_NONE };
	return table;
}

bool ept02_is_in_use(struct vcpu *vcpu, u64 eptp)
{
	const struct ept02_cache *cache = vcpu->nested.ept;

	for (u32 i = 0; i < EPT02_ROOTS; i++)
		if (cache->roots[i].used && cache->roots[i].pointer == eptp)
			return true;
	return false;
}

struct ept02_root *ept02_root_find(struct ept02_cache *cache, const struct ept12_role *role)
{
	for (unsigned int i = 0; i < cache->root_limit; i++) {
		struct ept02_root *root = &cache->roots[i];

		if (root->used && root->role.eptp == role->eptp && root->role.user_exec == role->user_exec)
			return root;
	}
	return NULL;
}

static struct ept02_root *free_root(struct ept02_cache *cache)
{
	for (unsigned int i = 0; i < cache->root_limit; i++)
		if (!cache->roots[i].used)
			return &cache->roots[i];
	return cache->root_limit < EPT02_ROOTS ? &cache->roots[cache->root_limit++] : NULL;
}

struct ept02_root *ept02_root_make(struct ept02_cache *cache, const struct ept12_role *role)
{
	struct ept02_root *root = free_root(cache);
	unsigned int levels = ept12_role_levels(role);

	if (!root) {
		root = lru_root(cache, NULL);
		ept02_root_free(cache, root);
		cache->counters->ept02_reclaims++;
	}
	*root = (struct ept02_root){ .role = *role };
	root->table = ept02_table_get(cache, NULL, EPT02_NONE);
	root->used = true;
	cache->tables[root->table].level = (u8)levels;
	cache->tables[root->table].source = role->eptp & EPT_ADDRESS;
	/* With L1's A/D setting: it decides whether page walks of L2 count as writes. */
	root->pointer = ept02_phys(cache, root->table) | MEMTYPE_WB | (u64)(levels - 1) << EPTP_WALK_SHIFT |
			(role->eptp & EPTP_AD);
	cache->counters->ept02_rebuilds++;
	return root;
}

void ept02_root_free(struct ept02_cache *cache, struct ept02_root *root)
{
	/* A step is over before another root can be chosen, and the one that it changed is in use. */
	ASSERT(!cache->step_count || cache->steps[0].root != root);
	put_table(cache, root->table);
	root->used = false;
	++*cache->translations;
	if (cache->active == root)
		cache->active = NULL;
	if (cache->retry == root)
		cache->retry = NULL;
	/*
	 * What the processor holds of this EPT pointer must go: the tables may become another EPT02's, and
	 * the root table another's root, which then has the same EPT pointer.
	 */
	tlb_flush_ept(root->pointer);
}
