/* SPDX-License-Identifier: MIT */
/*
 * What the EPT files share: the walk of EPT12 (ept12.c) and the EPT02s of
 * one CPU (ept02*.c). An EPT02 is a TLB of that CPU made of tables: nobody
 * else reads or writes it, and an entry only has to go when L1's INVEPT on
 * that CPU, a change of EPT01 or reclaim says so.
 * SDM: "The Extended Page Table Mechanism (EPT)".
 */
#ifndef VMX_NESTED_EPT_H
#define VMX_NESTED_EPT_H

#include "kernel/x86.h"
#include "vmx/guest/vcpu.h"
#include "vmx/l1/vm.h"

#define EPT_LEVELS_MAX 5
#define EPT_ENTRIES 512
#define EPT_PERMISSIONS (EPT_RWX | EPT_USER_EXEC)
#define EPT_ADDRESS GENMASK(51, 12)

static inline unsigned int ept_index(u64 address, unsigned int level)
{
	return (address >> (12 + 9 * (level - 1))) & (EPT_ENTRIES - 1);
}

/* Bytes that an entry of `level` covers. */
static inline u64 ept_span(unsigned int level)
{
	return 1ull << (12 + 9 * (level - 1));
}

/* An entry that is known to be present and valid. */
static inline bool ept_is_leaf(u64 entry, unsigned int level)
{
	return level == 1 || (entry & EPT_LEAF);
}

/* ---- ept12.c ---- */

/* Everything that shapes how L1's tables are read; an EPT02 is keyed by all of it. */
struct ept12_role {
	u64 eptp;	/* as L1 wrote it: levels, A/D */
	bool user_exec; /* mode-based execute control: bit 10 counts */
};

static inline bool ept12_role_has_ad(const struct ept12_role *role)
{
	return role->eptp & EPTP_AD;
}

static inline unsigned int ept12_role_levels(const struct ept12_role *role)
{
	return ((role->eptp & EPTP_WALK) >> EPTP_WALK_SHIFT) + 1;
}

/* Of a vmcs12 that has EPT on. */
struct ept12_role ept12_role_of(const struct vmcs12 *v12);

/* Which bits make an entry bad: caps12 and the SDM, worked out once. Constant after ept12_init(). */
struct ept12_rules {
	u64 reserved[EPT_LEVELS_MAX + 1][2]; /* by level and "is a leaf": bits that must be 0 */
	u32 permissions;		     /* bit n: bits 2:0 of an entry may be n; never bit 0 */
	u32 types;			     /* bit n: bits 5:3 of a leaf may be n */
};
extern struct ept12_rules ept12_rules;
void ept12_init(void);

static inline bool ept12_is_present(const struct ept12_role *role, u64 entry)
{
	return entry & (role->user_exec ? EPT_PERMISSIONS : EPT_RWX);
}

/* A present entry that is not misconfigured; false also if it is not present. */
static inline bool ept12_entry_valid(const struct ept12_role *role, u64 entry, unsigned int level)
{
	bool leaf = level == 1 || (level <= 3 && (entry & EPT_LEAF));
	/* Without the mode-based control, bit 10 means nothing; execute access for user mode alone is
	 * "execute". */
	u64 permissions =
		role->user_exec && (entry & EPT_USER_EXEC) ? (entry & EPT_RWX) | EPT_EXEC : entry & EPT_RWX;

	if (!(ept12_rules.permissions & BIT(permissions)) || (entry & ept12_rules.reserved[level][leaf]))
		return false;
	/* What is no leaf has bits 5:3 clear by now, as UC has. */
	return ept12_rules.types & BIT((entry & EPT_MEMTYPE) >> EPT_MEMTYPE_SHIFT);
}

/* A table of L1's in place, or NULL if it is not RAM of L1's. What is RAM never changes: found once, known
 * for good. */
u64 *ept12_page(struct vcpu *vcpu, u64 gpa);

/* Not OK: the exit that L1 gets. */
enum ept12_result {
	EPT12_OK,
	EPT12_VIOLATION,
	EPT12_MISCONFIG,
	EPT12_LOG_FULL,
	EPT12_RETRY, /* another CPU of L1's goes on changing the entries: the walk's outcome, but without its
			flags */
};

struct ept12_walk {
	u64 entry[EPT_LEVELS_MAX + 1];	/* by level, each read once; with the A/D flags that the walk set */
	u64 *where[EPT_LEVELS_MAX + 1]; /* each of them in L1's memory; NULL: not in its RAM */
	unsigned int leaf;		/* level of the leaf; of the last entry read if there was a fault */
	u64 permissions;		/* AND of all entries read: EPT_PERMISSIONS, EPT_ACCESSED */
	u64 gpa;			/* EPT12_OK: where it leads, in L1's memory */
	/* Whose walk it is, and to where. An EPT pointer of 0, which is never valid: nobody's. */
	struct ept12_role role;
	u64 l2gpa;
};

/* SDM: "the guest-physical address is limited" to what the tables cover: 48 bits with four levels. */
static inline bool ept12_is_covered(const struct ept12_role *role, u64 l2gpa)
{
	return !(l2gpa >> (12 + 9 * ept12_role_levels(role)));
}

/*
 * Walks L1's tables for `l2gpa` once. `need` is a mask of EPT_PERMISSIONS. Sets accessed and dirty flags in
 * L1's tables if the role has them and the access is allowed, and logs the page where the current vmcs12 says
 * so.
 */
enum ept12_result ept12_walk(struct vcpu *vcpu, const struct ept12_role *role, u64 l2gpa, u64 need,
			     struct ept12_walk *walk);

/*
 * The same, where `walk` is what the last call has left, or zeroed: the entries above level 1 that led to an
 * address of the same 2 MiB lead there if they are as they were.
 */
enum ept12_result ept12_walk_again(struct vcpu *vcpu, const struct ept12_role *role, u64 l2gpa, u64 need,
				   struct ept12_walk *walk);

/*
 * The same again, changing nothing: false if there is a fault, or a flag to set. `walk` is that of the
 * violation that L1 was given of this address and role: where the entries above its last one are as they
 * were, it goes on there.
 */
bool ept12_peek_on(struct vcpu *vcpu, const struct ept12_role *role, u64 l2gpa, u64 need,
		   struct ept12_walk *walk);

/* What a walk of EPT12 comes to for L1. */
struct ept12_fault {
	u32 reason; /* EXIT_EPT_VIOLATION, EXIT_EPT_MISCONFIG, EXIT_PML_FULL */
	u64 qualification;
	u64 l2gpa;
};

/* The exit that `result` is to L1, and its qualification: `access` as of EPTV_*, with EPT12's permissions. */
struct ept12_fault ept12_fault(const struct ept12_role *role, enum ept12_result result, u64 l2gpa, u64 access,
			       const struct ept12_walk *walk);

/* Says so on the console (explain=): for an exit that L1 really gets. */
void ept12_explain(struct vcpu *vcpu, const struct ept12_role *role, enum ept12_result result, u64 l2gpa,
		   u64 access, const struct ept12_walk *walk);

/* SDM "Accessed and Dirty Flags for EPT": with the flags on, accesses to guest paging structures count as
 * writes. */
static inline u64 ept12_access(const struct ept12_role *role, u64 access)
{
	bool walk = (access & (EPTV_LINEAR_VALID | EPTV_TRANSLATED)) == EPTV_LINEAR_VALID;

	return walk && ept12_role_has_ad(role) ? access | EPTV_READ | EPTV_WRITE : access;
}

/* The permissions that an access (EPTV_*) needs: EPT_PERMISSIONS. */
static inline u64 ept12_need(const struct ept12_role *role, u64 access)
{
	u64 need = access & (EPTV_READ | EPTV_WRITE);

	if (access & EPTV_FETCH)
		need |= role->user_exec && (access & EPTV_USER) ? EPT_USER_EXEC : EPT_EXEC;
	return need;
}

/* ---- ept02_table.c: tables and roots out of the budget ---- */

#define EPT02_ROOTS 128
#define EPT02_DIRECT (~0ull) /* no table of L1's: the pieces of one large leaf */
#define EPT02_NONE (~0u)
#define EPT02_STEP_MAX 16

/*
 * One table of an EPT02. An entry is "filled" if its bit says so: a leaf, or a link to a table below. A link
 * without permissions is "parked": hardware cannot follow it, the table below it waits for its next use.
 */
struct ept02_table {
	u64 filled[EPT_ENTRIES / 64]; /* of a free table: to be cleared before it is used */
	u64 links[EPT_ENTRIES / 64];  /* of the filled ones: those that lead to a table */
	u64 source;		      /* GPA of L1's table, or EPT02_DIRECT */
	u32 parent;		      /* EPT02_NONE: a root; of a free table: the next free one */
	u16 index;		      /* in the parent */
	u8 level;		      /* 0: free */
	bool stale;		      /* parked by an INVEPT: to be compared with L1's table before use */
};

/* One table of L1's that was found to be RAM. */
#define EPT12_PAGES 64
struct ept12_page {
	u64 key; /* GPA | 1; 0: empty */
	u64 *page;
};

struct ept02_root {
	struct ept12_role role;
	u64 pointer; /* EPTP for vmcs02 */
	u64 last_used;
	u32 table;
	bool used;
	bool stale; /* an INVEPT came: compare before use */
};

/* Where an instruction that is being stepped may write to the page of ones, or pass a closed page. */
struct ept02_step {
	u64 address;		 /* of the page, L2's */
	struct ept02_root *root; /* whose tables were changed; NULL: EPT01 */
};

/* All members: the owning CPU only. */
struct ept02_cache {
	u8 *pages; /* constant after init, as the next three */
	u64 pages_phys;
	u64 *snapshots; /* L1's entries that the filled ones were made from, a page per table */
	struct ept02_table *tables;
	u32 count;
	u32 free; /* first free table */
	u32 free_count;
	u32 hand;	/* where reclaim within an EPT02 goes on */
	u32 sync_share; /* constant after init: entries compared at once after an INVEPT */
	struct ept02_root roots[EPT02_ROOTS];
	u32 root_limit; /* roots from here on were never used */
	struct ept02_root
		*active; /* the one that vmcs02 was last entered with, or NULL: never freed, only emptied */
	struct ept12_page pages12[EPT12_PAGES];
	struct ept01_mapping under; /* the last one that was looked up; size 0: none */
	u64 clock;
	struct ept02_root *retry; /* L1 was given a violation of it, which it may have repaired; or NULL */
	u64 retry_l2gpa, retry_need;
	struct ept12_walk walk; /* of the last violation, which a retry goes on with */
	u8 *absent;		/* a page of ones: what L2 sees of memory that is not there */
	struct ept02_step
		steps[EPT02_STEP_MAX]; /* where it is writable for the instruction that is stepped */
	u32 step_count;
	struct nested_counters *counters;
	u64 *translations; /* nested.translations */
};

static inline u64 *ept02_entries(struct ept02_cache *cache, u32 table)
{
	return (u64 *)(void *)(cache->pages + table * PAGE_SIZE);
}

static inline u64 *ept02_snapshot(struct ept02_cache *cache, u32 table)
{
	return cache->snapshots + (size_t)table * EPT_ENTRIES;
}

static inline u64 ept02_phys(const struct ept02_cache *cache, u32 table)
{
	return cache->pages_phys + table * PAGE_SIZE;
}

static inline bool ept02_is_filled(const struct ept02_table *table, unsigned int index)
{
	return table->filled[index / 64] & BIT(index % 64);
}

/* The table that a link leads to: besides its address a link has nothing but bits 11:0. */
static inline u32 ept02_child(const struct ept02_cache *cache, u64 link)
{
	return (u32)((link - cache->pages_phys) / PAGE_SIZE);
}

static inline u64 ept02_permission_mask(const struct ept12_role *role)
{
	return role->user_exec ? EPT_PERMISSIONS : EPT_RWX;
}

/* What an entry made from L1's `entry` may allow: D of L1's leaves is set at the first write, so W waits for
 * it. */
static inline u64 ept02_permissions(const struct ept12_role *role, u64 entry, bool leaf)
{
	u64 permissions = entry & ept02_permission_mask(role);

	if (leaf && ept12_role_has_ad(role) && !(entry & EPT_DIRTY))
		permissions &= ~EPT_WRITE;
	return permissions;
}

void ept02_table_init(struct ept02_cache *cache, u64 budget);

/*
 * A table linked nowhere yet. May reclaim other EPT02s, or tables of `root` (NULL: none is in use), but not
 * `keep` and the tables above it: look again at anything else.
 */
u32 ept02_table_get(struct ept02_cache *cache, struct ept02_root *root, u32 keep);

/* An entry that leads to no table, in the place of none or of another leaf. */
void ept02_set_leaf(struct ept02_cache *cache, u32 table, unsigned int index, u64 entry);
/* An entry that leads to a table, in the place of anything but a link to another. */
void ept02_set_link(struct ept02_cache *cache, u32 table, unsigned int index, u64 entry);
/* Empties an entry, with the tables below it. True: tables were freed (flush before L2 runs again). */
bool ept02_drop_entry(struct ept02_cache *cache, u32 table, unsigned int index);
/* Empties all entries of a table. */
bool ept02_empty_table(struct ept02_cache *cache, u32 table);

/* The EPT02 of this role, or NULL. */
struct ept02_root *ept02_root_find(struct ept02_cache *cache, const struct ept12_role *role);
/* A new, empty one; may reclaim any other. */
struct ept02_root *ept02_root_make(struct ept02_cache *cache, const struct ept12_role *role);
void ept02_root_free(struct ept02_cache *cache, struct ept02_root *root);

/* ---- ept02_fill.c ---- */

/* EPT01 for one address. It only changes with nested_ept01_changed(). False: nothing is there. */
bool ept02_look_under(struct vcpu *vcpu, u64 gpa, struct ept01_mapping *under);
/*
 * Makes the entry for `l2gpa`, which `walk` has found in EPT12 and `under` in EPT01; its neighbours too,
 * unless it is to be `alone`.
 */
void ept02_fill(struct vcpu *vcpu, struct ept02_root *root, u64 l2gpa, const struct ept12_walk *walk,
		const struct ept01_mapping *under, bool alone);

/* ---- ept02_sync.c ---- */

/* After an INVEPT: takes out what differs from L1's tables now. Flushes the processor's TLB. */
void ept02_sync_root(struct vcpu *vcpu, struct ept02_root *root);
/* The same for a table that was parked, and for what is below; the processor holds nothing of it. */
void ept02_sync_table(struct vcpu *vcpu, struct ept02_root *root, u32 table);

/* ---- ept02_absent.c ---- */

void ept02_absent_init(struct ept02_cache *cache);
/* What stands in for memory that EPT01 does not have; a write is stepped. */
struct ept01_mapping ept02_absent_map(struct vcpu *vcpu, u64 l2gpa, bool write);
/* The same for an L2 that runs on EPT01; without a table left for it, #GP. */
enum outcome ept02_absent_step01(struct vcpu *vcpu, gpa_t gpa);
/* A closed page (vmx/l1/closed.h) is to be open for the instruction in hand: `under` gets all permissions,
 * and the leaf that is made of it goes with the step. */
void ept02_closed_map(struct vcpu *vcpu, u64 l2gpa, struct ept01_mapping *under);
/* The same for an L2 that runs on EPT01. */
void ept02_closed_step01(struct vcpu *vcpu, gpa_t gpa);

#endif
