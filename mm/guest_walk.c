/* SPDX-License-Identifier: MIT */
/*
 * 32-bit, PAE, 4-level and 5-level paging. Where the physical memory is, and what a walk's outcome
 * leads to, is the caller's (vmx/guest/guest_mem.c). SDM volume 3, "Paging".
 */
#include "mm/guest_walk.h"

#include "kernel/x86.h"

#define LEVEL_MAX 5
#define RETRY_MAX 16

/* The entries on the way, for the accessed and dirty flags. */
struct step {
	u64 gpa, entry;
};

struct path {
	struct step steps[LEVEL_MAX];
	unsigned int count;
	bool user, write, nx; /* AND of U/S, AND of R/W, OR of XD */
	unsigned int level;   /* of the leaf */
};

u32 guest_walk_role(u64 cr0, u64 cr4, u64 efer)
{
	return (u32)((cr0 & CR0_PG ? WALK_PG : 0) | (cr0 & CR0_WP ? WALK_WP : 0) |
		     (cr4 & CR4_PSE ? WALK_PSE : 0) | (cr4 & CR4_PAE ? WALK_PAE : 0) |
		     (cr4 & CR4_SMEP ? WALK_SMEP : 0) | (cr4 & CR4_SMAP ? WALK_SMAP : 0) |
		     (cr4 & CR4_PKE ? WALK_PKE : 0) | (cr4 & CR4_LA57 ? WALK_LA57 : 0) |
		     (efer & EFER_LMA ? WALK_LMA : 0) | (efer & EFER_NXE ? WALK_NXE : 0));
}

static bool is_pae(const struct guest_walk *walk)
{
	return (walk->role & WALK_PAE) && !(walk->role & WALK_LMA);
}

static bool is_32bit(const struct guest_walk *walk)
{
	return !(walk->role & WALK_PAE);
}

static unsigned int level_shift(const struct guest_walk *walk, unsigned int level)
{
	return is_32bit(walk) ? 12 + 10 * (level - 1) : 12 + 9 * (level - 1);
}

static bool is_leaf(const struct guest_walk *walk, unsigned int level, u64 entry)
{
	if (level == 1)
		return true;
	if (!(entry & PTE_PS))
		return false;
	if (level == 2)
		return is_32bit(walk) ? walk->role & WALK_PSE : true;
	return level == 3 && (walk->role & WALK_LMA) && walk->has_1g;
}

/* "Reserved bits": the tables of the chapters on each paging mode. */
static u64 reserved_bits(const struct guest_walk *walk, unsigned int level, u64 entry)
{
	u64 beyond = GENMASK(51, 0) & ~(BIT(walk->physical_bits) - 1);
	bool leaf = is_leaf(walk, level, entry);

	if (is_32bit(walk)) {
		if (level == 1 || !leaf)
			return 0;
		/* Bits 20:13 are physical address bits 39:32. */
		return BIT(21) | ((beyond >> 32 & 0xff) << 13);
	}
	if (!(walk->role & WALK_NXE))
		beyond |= PTE_NX;
	if (is_pae(walk))
		beyond |= GENMASK(62, 52);
	if (level >= 4 || (level == 3 && !leaf))
		beyond |= PTE_PS;
	if (leaf && level == 2)
		beyond |= GENMASK(20, 13);
	if (leaf && level == 3)
		beyond |= GENMASK(29, 13);
	return beyond;
}

static u64 leaf_address(const struct guest_walk *walk, const struct path *path, u64 entry, u64 linear,
			u64 *size)
{
	unsigned int shift = level_shift(walk, path->level);
	u64 base = entry & PTE_ADDR;

	*size = BIT(shift);
	if (is_32bit(walk)) {
		base = entry & GENMASK(31, 12);
		if (path->level == 2)
			base = (entry & GENMASK(31, 22)) | (entry & PDE_PSE36) >> 13 << 32;
	}
	return (base & ~(*size - 1)) | (linear & (*size - 1));
}

static u32 fault_code(const struct guest_walk *walk, u32 access)
{
	bool tells_fetch = (walk->role & WALK_SMEP) || ((walk->role & WALK_NXE) && (walk->role & WALK_PAE));

	return (u32)((access & WALK_WRITE ? PFEC_W : 0) | (access & WALK_USER ? PFEC_U : 0) |
		     ((access & WALK_FETCH) && tells_fetch ? PFEC_I : 0));
}

/* "Protection Keys": of user pages, data accesses only. */
static bool key_denies(const struct guest_walk *walk, const struct path *path, u64 entry, u32 access)
{
	u32 rights;

	if (!(walk->role & WALK_PKE) || !(walk->role & WALK_LMA) || !path->user || (access & WALK_FETCH))
		return false;
	rights = walk->pkru >> (2 * ((entry & PTE_PKEY) >> PTE_PKEY_SHIFT));
	if (rights & 1)
		return true;
	return (rights & 2) && (access & WALK_WRITE) && ((access & WALK_USER) || (walk->role & WALK_WP));
}

/* "Determination of Access Rights". */
static bool rights_deny(const struct guest_walk *walk, const struct path *path, u32 access)
{
	if ((access & WALK_FETCH) && path->nx)
		return true;
	if (access & WALK_USER)
		return !path->user || ((access & WALK_WRITE) && !path->write);
	if (path->user && (access & WALK_FETCH))
		return walk->role & WALK_SMEP;
	if (path->user && (walk->role & WALK_SMAP) && !(access & WALK_AC))
		return true;
	return (access & WALK_WRITE) && !path->write && (walk->role & WALK_WP);
}

/* Where the walk starts. False: the PDPTE register is not present. */
static bool start(const struct guest_walk *walk, u64 linear, unsigned int *level, u64 *table)
{
	if (walk->role & WALK_LMA) {
		*level = walk->role & WALK_LA57 ? 5 : 4;
		*table = walk->cr3 & PTE_ADDR;
		return true;
	}
	*level = 2;
	if (is_32bit(walk)) {
		*table = walk->cr3 & GENMASK(31, 12);
		return true;
	}
	*table = walk->pdpte[(linear >> 30) & 3];
	if (!(*table & PTE_P))
		return false;
	*table &= PTE_ADDR;
	return true;
}

static enum walk_result descend(const struct guest_walk *walk, u64 linear, u32 access, struct path *path,
				struct walk_page *out)
{
	size_t length = is_32bit(walk) ? 4 : 8;
	u64 table;

	out->pfec = fault_code(walk, access);
	if (!start(walk, linear, &path->level, &table))
		return WALK_FAULT;
	for (;; path->level--) {
		u64 index = (linear >> level_shift(walk, path->level)) & (PAGE_SIZE / length - 1);
		struct step *step = &path->steps[path->count++];
		u64 entry;

		step->gpa = table + index * length;
		step->entry = 0;
		if (!walk->read(walk->context, step->gpa, &step->entry, length))
			return WALK_STOPPED;
		entry = step->entry;
		if (!(entry & PTE_P))
			return WALK_FAULT;
		if (entry & reserved_bits(walk, path->level, entry)) {
			out->pfec |= PFEC_P | PFEC_RSVD;
			return WALK_FAULT;
		}
		path->user &= (entry & PTE_U) != 0;
		path->write &= (entry & PTE_W) != 0;
		path->nx |= (entry & PTE_NX) != 0;
		if (is_leaf(walk, path->level, entry))
			break;
		table = entry & (is_32bit(walk) ? GENMASK(31, 12) : PTE_ADDR);
	}
	if (key_denies(walk, path, path->steps[path->count - 1].entry, access))
		out->pfec |= PFEC_P | PFEC_PK;
	if (rights_deny(walk, path, access))
		out->pfec |= PFEC_P;
	return out->pfec & PFEC_P ? WALK_FAULT : WALK_OK;
}

/* "Accessed and Dirty Flags": set before the access, each by a locked update. */
static enum walk_update set_flags(const struct guest_walk *walk, const struct path *path, u32 access)
{
	size_t length = is_32bit(walk) ? 4 : 8;

	for (unsigned int i = 0; i < path->count; i++) {
		const struct step *step = &path->steps[i];
		u64 value = step->entry | PTE_A;
		enum walk_update done;

		if (i + 1 == path->count && (access & WALK_WRITE))
			value |= PTE_D;
		if (value == step->entry || !walk->update)
			continue;
		done = walk->update(walk->context, step->gpa, step->entry, value, length);
		if (done != WALK_UPDATE_DONE)
			return done;
	}
	return WALK_UPDATE_DONE;
}

enum walk_result guest_walk(const struct guest_walk *walk, u64 linear, u32 access, struct walk_page *out)
{
	*out = (struct walk_page){ .gpa = (u32)linear, .size = PAGE_SIZE };
	if (!(walk->role & WALK_PG))
		return WALK_OK;
	/* Another processor may change an entry under the walk: it starts again, as the processor's would. */
	for (unsigned int i = 0; i < RETRY_MAX; i++) {
		struct path path = { .user = true, .write = true };
		enum walk_result result = descend(walk, linear, access, &path, out);
		enum walk_update update;

		if (result != WALK_OK)
			return result;
		update = set_flags(walk, &path, access);
		if (update == WALK_UPDATE_STOPPED)
			return WALK_STOPPED;
		if (update == WALK_UPDATE_DONE || i + 1 == RETRY_MAX) {
			out->gpa = leaf_address(walk, &path, path.steps[path.count - 1].entry, linear,
						&out->size);
			return WALK_OK;
		}
	}
	return WALK_STOPPED;
}
