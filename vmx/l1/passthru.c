/* SPDX-License-Identifier: MIT */
/*
 * EPT01: L1's physical memory is the machine's, but for L0's window. RAM and
 * everything below 4 GiB are mapped at the start, the rest (MMIO above) when
 * it is touched, from a fixed budget of tables. Memory types are L1's MTRRs'.
 * SDM: "The Extended Page Table Mechanism (EPT)", "EPT and Memory Typing".
 *
 * What L1 changes of its MTRRs is noted here, and the types follow by
 * ept01_types.c when memory is touched.
 *
 * Entries change in place by single 64-bit stores under a lock that is taken
 * only here, on the first touch of MMIO and of what is parked, at changes of
 * MTRRs and at accesses to absent memory: never on the way of an ordinary exit,
 * and never for longer than a few tables take. Reading needs no lock, for all
 * that ever changes is that an entry comes, that a large leaf becomes the table
 * of its pieces, permissions (parked or not), and types. No leaf leads anywhere
 * but to its own address, none is taken out, no table is given back: so what
 * other CPUs have read, or hold in their TLBs, is never another's memory.
 */
#include "vmx/l1/vm.h"

#include "kernel/cmdline.h"
#include "kernel/hw/cpu.h"
#include "kernel/hw/phys.h"
#include "kernel/log.h"
#include "kernel/msr.h"
#include "kernel/string.h"
#include "kernel/x86.h"
#include "mm/memmap.h"
#include "mm/page_alloc.h"
#include "mm/pool.h"
#include "mm/ptab.h"
#include "vmx/hw/caps.h"
#include "vmx/l1/closed.h"
#include "vmx/l1/ept01_step.h"
#include "vmx/l1/ept01_types.h"
#include "vmx/l1/mtrr.h"
#include "vmx/l1/sleep_page.h"
#include "vmx/hw/vmx.h"

/* Tables for MMIO on demand and for splits by MTRR writes. Without 1 GiB pages each touched GiB takes one. */
#define POOL_PAGES 192

struct passthru {
	u32 lock;	  /* any CPU, atomic */
	struct ptab ept;  /* under the lock after the start */
	struct pool pool; /* under the lock */
	struct mtrr mtrr; /* under the lock: what the types of EPT01 follow */
	u64 eager_end;	  /* constant after init */
	bool running;	  /* constant after init: tables come from the pool */
	bool few, none;	  /* under the lock: the pool's two warnings are due */
	bool none_said;	  /* under the lock */
};
static struct passthru passthru;

static void lock(void)
{
	while (__atomic_exchange_n(&passthru.lock, 1, __ATOMIC_ACQUIRE))
		while (__atomic_load_n(&passthru.lock, __ATOMIC_RELAXED))
			cpu_pause();
}

/* The warnings are printed after the lock is free, and are short: L1 pays for them at its touch. */
static void unlock(void)
{
	bool few = passthru.few, none = passthru.none;

	passthru.few = passthru.none = false;
	__atomic_store_n(&passthru.lock, 0, __ATOMIC_RELEASE);
	if (unlikely(few))
		log_warn("EPT01: three quarters of the tables are used");
	if (unlikely(none))
		log_warn("EPT01: no table is left (docs/limits.md)");
}

static void *table_alloc(void *context)
{
	void *table;

	(void)context;
	if (!passthru.running)
		return page_alloc();
	table = pool_get(&passthru.pool);
	passthru.few = table && passthru.pool.free_count == POOL_PAGES / 4;
	passthru.none = !table && !passthru.none_said;
	passthru.none_said |= passthru.none;
	return table;
}

/* Maps [from, to) with the types of the MTRRs, without the windows. False: no table left. */
static bool map_range(u64 from, u64 to)
{
	while (from < to) {
		const struct memmap_range *window = memmap_window_from(from);
		u64 end, guarded = sleep_page_next(from);
		u64 bits = ept01_leaf_bits_at(from, mtrr_type(&passthru.mtrr, from, &end));

		end = MIN(end, to);
		end = MIN(end, from == guarded ? from + PAGE_SIZE : guarded);
		if (window && from >= window->base) {
			from = window->base + window->size;
			continue;
		}
		if (window)
			end = MIN(end, window->base);
		if (!ptab_map(&passthru.ept, from, from, end - from, bits))
			return false;
		from = end;
	}
	return true;
}

enum status passthru_init(const struct mtrr *mtrr)
{
	u32 sizes = 0;

	if (options.ept_large)
		sizes = (vmx_caps.has_ept_2m ? PTAB_2M : 0) | (vmx_caps.has_ept_1g ? PTAB_1G : 0);
	passthru.mtrr = *mtrr;
	passthru.running = false;
	if (!ptab_init(&passthru.ept, &ptab_ept, sizes, table_alloc, NULL))
		return STATUS_OUT_OF_MEMORY;
	passthru.eager_end = MAX(ALIGN_UP(memmap_ram_end(), SIZE_2M), SIZE_4G);
	if (!map_range(0, passthru.eager_end))
		return STATUS_OUT_OF_MEMORY;
	pool_init(&passthru.pool, page_alloc_contig(POOL_PAGES), POOL_PAGES);
	passthru.running = true;
	vm.ept01_root = phys_to_ptr(passthru.ept.root);
	vm.ept01_pointer = passthru.ept.root.v | MEMTYPE_WB | 3u << EPTP_WALK_SHIFT;
	return STATUS_OK;
}

/* The way to `gpa` as far as there is one, with the types of the MTRRs as they are. Under the lock. */
static void take_up(u64 gpa)
{
	ept01_take_up(vm.ept01_root, gpa, &passthru.mtrr, table_alloc);
}

/*
 * The largest aligned chunk around `gpa` that has one type and is clear of the window and of what is
 * mapped.
 */
static bool map_on_demand(u64 gpa)
{
	static const u64 chunk_sizes[] = { SIZE_1G, SIZE_2M, PAGE_SIZE };

	for (size_t i = 0; i < ARRAY_SIZE(chunk_sizes); i++) {
		u64 size = chunk_sizes[i], base = ALIGN_DOWN(gpa, size), end;

		if (size == SIZE_1G && !(passthru.ept.sizes & PTAB_1G))
			continue;
		if (base < passthru.eager_end || memmap_in_window(base, size))
			continue;
		mtrr_type(&passthru.mtrr, base, &end);
		if (end < base + size)
			continue;
		return map_range(base, base + size);
	}
	return false;
}

/* Looks again under the lock: another CPU may have mapped or parked the page meanwhile. */
static bool map_if_absent(u64 gpa, u64 *leaf, unsigned int *level)
{
	bool found;

	lock();
	take_up(gpa);
	found = ptab_lookup(&passthru.ept, gpa, leaf, level) ||
		(map_on_demand(gpa) && ptab_lookup(&passthru.ept, gpa, leaf, level));
	unlock();
	return found;
}

/*
 * SDM "EPT Translation Mechanism": four levels translate 48 bits. A processor may have more: an address
 * beyond them would be taken for another one in these tables.
 */
bool passthru_is_covered(gpa_t gpa)
{
	return !(gpa.v >> 48);
}

bool vm_ept01_lookup(gpa_t gpa, struct ept01_mapping *out)
{
	unsigned int level;
	u64 leaf;

	if (gpa.v >> vmx_caps.memory_bits || !passthru_is_covered(gpa) || memmap_in_window(gpa.v, 1))
		return false;
	if (!ptab_lookup(&passthru.ept, gpa.v, &leaf, &level) && !map_if_absent(gpa.v, &leaf, &level))
		return false;
	*out = (struct ept01_mapping){
		.size = ptab_level_size(level),
		.hpa = ALIGN_DOWN(leaf & PTE_ADDR, ptab_level_size(level)),
		.rwx = leaf & EPT_RWX,
		.memory_type = (leaf & EPT_MEMTYPE) >> EPT_MEMTYPE_SHIFT,
		.ignore_pat = leaf & EPT_IGNORE_PAT,
	};
	return true;
}

/*
 * While L1 has its MTRRs off (a step of the SDM's procedure for changing them on all processors) the
 * types stay what they were: L1's caches are off then by its own CR0.CD.
 */
bool passthru_retype(const struct mtrr *mtrr)
{
	bool changed;

	if (!(mtrr->def_type & MTRR_DEF_TYPE_ENABLE))
		return false;
	lock();
	changed = memcmp(&passthru.mtrr, mtrr, sizeof(*mtrr)) != 0;
	if (changed) {
		passthru.mtrr = *mtrr;
		ept01_park(vm.ept01_root);
	}
	unlock();
	return changed;
}

/* If the pool has no table left, the page stays a large one. */
void passthru_split(gpa_t gpa)
{
	lock();
	take_up(gpa.v);
	ptab_entry(&passthru.ept, gpa.v, 1);
	unlock();
}

bool passthru_close(gpa_t gpa, u32 bits)
{
	u64 page = ALIGN_DOWN(gpa.v, PAGE_SIZE), *entry;

	if (!memmap_is_ram(page, PAGE_SIZE) || !closed_note(page, bits))
		return false;
	lock();
	take_up(page);
	entry = ptab_entry(&passthru.ept, page, 1);
	if (entry)
		WRITE_ONCE(*entry, (*entry & ~(u64)EPT_RWX) | (ept01_leaf_bits_at(page, 0) & EPT_RWX));
	else
		closed_note(page, 0);
	unlock();
	return entry;
}

bool passthru_build_step(struct ept01_step *step, bool (*build)(struct ept01_step *step, const u64 *root))
{
	bool ok;

	lock();
	/* The step copies entries, and so they must have their present memory types. */
	for (u32 i = 0; i < step->count; i++)
		take_up(step->pages[i]);
	ok = build(step, vm.ept01_root);
	unlock();
	return ok;
}

u32 passthru_tables_used(void)
{
	return POOL_PAGES - __atomic_load_n(&passthru.pool.free_count, __ATOMIC_RELAXED);
}
